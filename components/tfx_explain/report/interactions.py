"""The strongest interactions of one (slice, output), a table for each index."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

MAX_PAIRS = 10

_HEADINGS = {
    "H": (
        "Friedman's H",
        "How far the partial dependence of two features together differs from the sum of theirs alone, as a standard "
        "deviation over rows, and as a part of the joint one's (H)",
    ),
}


@dataclasses.dataclass(frozen=True)
class PairBar:
    """One pair; positions are percent of the width of the chart.

    Attributes:
      first, second: the players.
      value: strength of their interaction, in units of the output.
      ci_low, ci_high: its interval.
      h: the interaction as a part of what both do; NaN where that is not known.
      length: of the bar.
      whisker: left end and width of the interval; None where it is unknown.
    """

    first: str
    second: str
    value: float
    ci_low: float
    ci_high: float
    h: float
    length: float
    whisker: tuple[float, float] | None


@dataclasses.dataclass(frozen=True)
class InteractionTable:
    """The strongest pairs by one index.

    Attributes:
      heading: the index's name.
      note: what it measures.
      bars: strongest first.
      n_hidden: weaker pairs that are left out.
      has_h: whether any pair has an H.
    """

    heading: str
    note: str
    bars: tuple[PairBar, ...]
    n_hidden: int
    has_h: bool

    @property
    def longest_name(self) -> int:
        """Letters in the longest name, for the width of its column."""
        return max(len(f"{bar.first} and {bar.second}") for bar in self.bars)


def interaction_tables(interactions: pd.DataFrame) -> list[InteractionTable]:
    """Lays out one (slice, output).

    Args:
      interactions: its part of `interactions.parquet`.
    """
    tables = []
    for index in dict.fromkeys(interactions["index"]):
        rows = interactions[(interactions["index"] == index) & np.isfinite(interactions["value"])]
        rows = rows.sort_values("value", ascending=False, kind="stable")
        if rows.empty:
            continue
        longest = max(np.nanmax([*rows["value"], *rows["ci_high"]]), 1e-300)
        bars = tuple(_bar(row, float(longest)) for row in rows.head(MAX_PAIRS).to_dict("records"))
        default = (f"Pairwise interactions ({index})", "Mean |interaction| of single rows")
        heading, note = _HEADINGS.get(str(index), default)
        has_h = any(np.isfinite(bar.h) for bar in bars)
        tables.append(InteractionTable(heading, note, bars, max(len(rows) - MAX_PAIRS, 0), has_h))
    return tables


def _bar(row: Mapping[str, Any], longest: float) -> PairBar:
    value, low, high = (float(row[name]) for name in ("value", "ci_low", "ci_high"))
    return PairBar(
        first=row["player_a"],
        second=row["player_b"],
        value=value,
        ci_low=low,
        ci_high=high,
        h=float(row.get("h", np.nan)),
        length=100 * value / longest,
        whisker=(100 * low / longest, 100 * (high - low) / longest) if np.isfinite(low + high) else None,
    )
