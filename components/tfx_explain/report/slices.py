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
      rows: the whole data, then the slices.
      n_hidden: how many slices are left out: those that differ least from the rest.
    """

    output: str
    players: tuple[str, ...]
    rows: tuple[SliceRow, ...]
    n_hidden: int


def slice_tables(data: ReportData) -> list[SliceTable]:
    """A table for each output that has slices beside the whole data."""
    tables = [
        _table(rows, data.slice_differences, str(output))
        for output, rows in data.importance.groupby("output", sort=False)
    ]
    return [table for table in tables if table is not None]


def _table(rows: pd.DataFrame, differences: pd.DataFrame | None, output: str) -> SliceTable | None:
    names = [name for name in dict.fromkeys(rows["slice"]) if name != OVERALL]
    overall = rows[rows["slice"] == OVERALL]
    if not names or overall.empty:
        return None
    players = tuple(overall.sort_values("rank", kind="stable")["player"].head(MAX_PLAYERS))
    known: Mapping[Any, Any] = {}
    if differences is not None:
        ours = differences[differences["output"] == output].set_index(["slice", "player"])
        known = ours[["difference", "rest_value", "q_value"]].to_dict("index")
    shown = names
    if len(names) > MAX_SLICES:
        by_clarity = sorted(names, key=lambda name: min(_sortable_q(known, name, player) for player in players))
        clearest = set(by_clarity[:MAX_SLICES])
        shown = [name for name in names if name in clearest]
    values = rows.set_index(["slice", "player"])["value"].to_dict()
    counts = dict(zip(rows["slice"], rows["num_examples"], strict=True)) if "num_examples" in rows else {}
    return SliceTable(
        output=output,
        players=players,
        rows=tuple(
            SliceRow(name, counts.get(name), tuple(_cell(values, known, name, player) for player in players))
            for name in [OVERALL, *shown]
        ),
        n_hidden=len(names) - len(shown),
    )


def _cell(values: Mapping[Any, float], known: Mapping[Any, Any], name: str, player: str) -> Cell:
    found = known.get((name, player), {})
    q_value = float(found.get("q_value", float("nan")))
    mark = ""
    if q_value < FALSE_DISCOVERY_RATE:
        mark = "more" if found["difference"] > 0 else "less"
    value = float(values.get((name, player), float("nan")))
    return Cell(value, float(found.get("rest_value", float("nan"))), q_value, mark)


def _sortable_q(known: Mapping[Any, Any], name: str, player: str) -> float:
    q_value = float(known.get((name, player), {}).get("q_value", 1.0))
    return q_value if q_value <= 1 else 1.0
