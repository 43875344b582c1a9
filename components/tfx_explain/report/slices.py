"""The importance of the most important players in each slice, laid out as one table per output."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import pandas as pd

from tfx_explain.report.data import ReportData
from tfx_explain.slicing import OVERALL

MAX_PLAYERS = 6
MAX_SLICES = 20
MAX_LISTED = 300
"""Slices in the lists of all outputs together."""
FALSE_DISCOVERY_RATE = 0.05


@dataclasses.dataclass(frozen=True)
class Cell:
    """One player in one slice.

    Attributes:
      value: mean |attribution|; NaN where unknown.
      rest_value: the same in all rows outside the slice; NaN where unknown.
      q_value: of no difference between the two; NaN where they were not compared.
      mark: `more` or `less` than in the rest, where the difference is clear; else empty.
    """

    value: float
    rest_value: float
    q_value: float
    mark: str


@dataclasses.dataclass(frozen=True)
class SliceRow:
    """One slice.

    Attributes:
      name: of the slice.
      n_examples: rows in it; None where unknown.
      cells: in the order of the table's players.
    """

    name: str
    n_examples: int | None
    cells: tuple[Cell, ...]


@dataclasses.dataclass(frozen=True)
class SliceTable:
    """The slices of one output.

    Attributes:
      output: its name.
      players: the most important ones over all rows, most important first.
      rows: the whole data, then the slices that are shown first: those that differ clearly from the rest before the
        others, and of each the larger ones.
      all_rows: the whole data, then as many slices as are listed; empty where `rows` has all.
      n_slices: how many there are.
      scale: the largest figure of the whole data.
    """

    output: str
    players: tuple[str, ...]
    rows: tuple[SliceRow, ...]
    all_rows: tuple[SliceRow, ...]
    n_slices: int
    scale: float


def slice_tables(data: ReportData) -> list[SliceTable]:
    """A table for each output that has slices beside the whole data."""
    outputs = data.outputs
    most = max(MAX_LISTED // max(len(outputs), 1), MAX_SLICES)
    found = (
        _table(data.importance[data.importance["output"] == output], data.slice_differences, output, most)
        for output in outputs
    )
    return [table for table in found if table is not None]


def _table(rows: pd.DataFrame, differences: pd.DataFrame | None, output: str, most: int) -> SliceTable | None:
    names = [name for name in dict.fromkeys(rows["slice"]) if name != OVERALL]
    overall = rows[rows["slice"] == OVERALL]
    if not names or overall.empty:
        return None
    players = tuple(overall.sort_values("rank", kind="stable")["player"].head(MAX_PLAYERS))
    known: Mapping[Any, Any] = {}
    if differences is not None:
        ours = differences[differences["output"] == output].set_index(["slice", "player"])
        known = ours[["difference", "rest_value", "q_value"]].to_dict("index")
    values = rows.set_index(["slice", "player"])["value"].to_dict()
    counts = dict(zip(rows["slice"], rows["num_examples"], strict=True)) if "num_examples" in rows else {}
    made = {
        name: SliceRow(name, counts.get(name), tuple(_cell(values, known, name, player) for player in players))
        for name in (OVERALL, *names)
    }
    by_weight = sorted(names, key=lambda name: _weight(made[name]))
    first, listed = (
        tuple(made[name] for name in (OVERALL, *names) if name == OVERALL or name in chosen)
        for chosen in (set(by_weight[:MAX_SLICES]), set(by_weight[:most]))
    )
    return SliceTable(
        output=output,
        players=players,
        rows=first,
        all_rows=listed if len(listed) > len(first) else (),
        n_slices=len(names),
        scale=float(overall["value"].max()),
    )


def _weight(row: SliceRow) -> tuple[bool, int, float]:
    """What puts a slice before others: a clear difference, then its size, so that slices of a few rows come last."""
    q_values = [cell.q_value for cell in row.cells if cell.q_value <= 1]
    return not any(cell.mark for cell in row.cells), -(row.n_examples or 0), min(q_values, default=1.0)


def _cell(values: Mapping[Any, float], known: Mapping[Any, Any], name: str, player: str) -> Cell:
    found = known.get((name, player), {})
    q_value = float(found.get("q_value", float("nan")))
    mark = ""
    if q_value < FALSE_DISCOVERY_RATE:
        mark = "more" if found["difference"] > 0 else "less"
    value = float(values.get((name, player), float("nan")))
    return Cell(value, float(found.get("rest_value", float("nan"))), q_value, mark)
