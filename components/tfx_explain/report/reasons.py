"""Reasons as people read them: how often each is the first of a row, how sure that is, and those of single rows."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from tfx_explain.report.row_steps import identity_of
from tfx_explain.report.text import count, number, shortened, signed
from tfx_explain.tables import EXAMPLE_ID
from tfx_explain.tables.manifest import Manifest

MAX_LINES = 20
"""Reasons in the table of an output."""
MAX_OF_ROW = 5
_TEXT_LETTERS = 120
_REASON = ["output", "player", "code", "text"]


@dataclasses.dataclass(frozen=True)
class ReasonLine:
    """A reason over all rows that have some.

    Attributes:
      code: its code; empty without codes.
      text: its text.
      n_first: rows of which it is the first reason, ties included.
      first: the part of rows that is.
      n_listed: rows that have it among their reasons.
      listed: the part of rows that is.
      uncertain: the part of the rows of `n_first` whose first rank is uncertain; NaN where there are none.
    """

    code: str
    text: str
    n_first: int
    first: float
    n_listed: int
    listed: float
    uncertain: float


@dataclasses.dataclass(frozen=True)
class RowReasons:
    """The reasons of one row: what there is to say, where there is no list, and the list.

    Attributes:
      note: empty where the list says all.
      lines: (rank, code and text, attribution, its error, doubts) as texts.
    """

    note: str = ""
    lines: tuple[tuple[str, str, str, str, str], ...] = ()


@dataclasses.dataclass(frozen=True)
class ReasonSection:
    """The reasons of one output.

    Attributes:
      side: which is adverse, `low` or `high`.
      method: whose attributions they are.
      k: reasons of a row at most.
      confidence: of the intervals by which ranks are uncertain.
      n_rows: rows that have reasons.
      uncertain: the part of all their reasons whose rank is uncertain.
      tied: the part that is tied with another.
      lines: the most frequent first reasons first.
      n_hidden: further ones.
      rows: name of a row of the page's sample -> its reasons; a row that is not there has none.
    """

    side: str
    method: str
    k: int
    confidence: float
    n_rows: int
    uncertain: float
    tied: float
    lines: tuple[ReasonLine, ...]
    n_hidden: int
    rows: Mapping[str, RowReasons]

    def of(self, example_id: str) -> RowReasons:
        """Those of a row of the sample."""
        return self.rows.get(example_id, _NONE)


_NONE = RowReasons("None: nothing moved the output to its adverse side.")
_SEVERAL = RowReasons("Several rows have this name, and other reasons each: reasons.parquet has them.")


def count_reasons(table: pa.Table) -> pd.DataFrame:
    """How often each output and player is a reason: `num_listed`, `num_first`, and how many are uncertain or tied.

    Args:
      table: as in `reasons.parquet`, which may be of very many rows.

    Returns:
      Also `num_rows`, which have reasons for the output.
    """
    first = pc.equal(table["rank"], 1)
    marked = table.select([*_REASON, "row", "tied", "rank_uncertain"])
    marked = marked.append_column("num_first", pc.cast(first, pa.int64()))
    marked = marked.append_column("num_first_uncertain", pc.cast(pc.and_(first, table["rank_uncertain"]), pa.int64()))
    for name in ("tied", "rank_uncertain"):
        marked = marked.append_column(f"num_{name}", pc.cast(table[name], pa.int64()))
    summed = ["num_first", "num_first_uncertain", "num_tied", "num_rank_uncertain"]
    counted = marked.group_by(_REASON).aggregate([("row", "count"), *((name, "sum") for name in summed)])
    renamed = {f"{name}_sum": name for name in summed} | {"row_count": "num_listed"}
    rows = table.group_by("output").aggregate([("row", "count_distinct")]).to_pandas()
    of_output = rows.set_index("output")["row_count_distinct"]
    frame = counted.to_pandas().rename(columns=renamed)
    return frame.assign(num_rows=frame["output"].map(of_output)).sort_values(_REASON[:2], ignore_index=True)


def reasons_of_rows(table: pa.Table, names: Collection[str]) -> pd.DataFrame:
    """The rows of the table that are about examples of these names."""
    return table.filter(pc.is_in(table[EXAMPLE_ID], pa.array(sorted(names), pa.string()))).to_pandas()


def make_reasons(
    counts: pd.DataFrame | None, of_rows: pd.DataFrame | None, manifest: Manifest, output: str
) -> ReasonSection | None:
    """The section of an output; None where it has no adverse side.

    Args:
      counts: as `count_reasons` gives them.
      of_rows: as `reasons_of_rows` gives them.
      manifest: of the explanation.
      output: its name.
    """
    told = manifest.get("reasons") or {}
    side = (told.get("adverse") or {}).get(output)
    if side is None or counts is None or of_rows is None:
        return None
    found = counts[counts["output"] == output]
    found = found.sort_values(["num_first", "num_listed"], ascending=False, kind="stable")
    lines = [_line(one) for one in found.head(MAX_LINES).to_dict("records")]
    n_reasons = max(int(found["num_listed"].sum()), 1)
    return ReasonSection(
        side=side,
        method=told["method"],
        k=told["k"],
        confidence=told["confidence"],
        n_rows=int(found["num_rows"].max()) if len(found) else 0,
        uncertain=float(found["num_rank_uncertain"].sum()) / n_reasons,
        tied=float(found["num_tied"].sum()) / n_reasons,
        lines=tuple(lines),
        n_hidden=len(found) - len(lines),
        rows=_by_name(of_rows[of_rows["output"] == output]),
    )


def _line(one: Mapping[str, Any]) -> ReasonLine:
    n_first, n_listed, n_rows = int(one["num_first"]), int(one["num_listed"]), int(one["num_rows"])
    return ReasonLine(
        code=one["code"] or "",
        text=one["text"],
        n_first=n_first,
        first=n_first / n_rows,
        n_listed=n_listed,
        listed=n_listed / n_rows,
        uncertain=int(one["num_first_uncertain"]) / n_first if n_first else float("nan"),
    )


def _by_name(of_rows: pd.DataFrame) -> dict[str, RowReasons]:
    """By the name of a row, as the page has it; copies of a row share one list."""
    made: dict[str, RowReasons] = {}
    for _, rows in of_rows.groupby("row", sort=False):
        name, reasons = identity_of(rows[EXAMPLE_ID].iloc[0]), _of_row(rows)
        made[name] = reasons if made.get(name, reasons) == reasons else _SEVERAL
    return made


def _of_row(rows: pd.DataFrame) -> RowReasons:
    shown = [_told(one) for one in rows.head(MAX_OF_ROW).to_dict("records")]
    n_more = len(rows) - len(shown)
    return RowReasons(f"And {count(n_more)} more." if n_more else "", tuple(shown))


def _told(one: Mapping[str, Any]) -> tuple[str, str, str, str, str]:
    name = f"{one['code']} {one['text']}" if one["code"] else one["text"]
    doubts = ", ".join(word for word, column in _DOUBTS.items() if one[column])
    figures = signed(float(one["attribution"])), number(float(one["std_error"]), 2)
    return str(one["rank"]), shortened(name, _TEXT_LETTERS), *figures, doubts


_DOUBTS = {"tied": "tied", "rank uncertain": "rank_uncertain"}
