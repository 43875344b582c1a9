"""The importance of one (slice, output), laid out as bars beside their figures."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from tfx_explain import tables
from tfx_explain.summary.ratio import parts_of
from tfx_explain.tables import ATTRIBUTION_PREFIX

MAX_BARS = 20
_CLEAR_CORRELATION = 0.5
_MIN_ROWS_FOR_DIRECTION = 20


@dataclasses.dataclass(frozen=True)
class Bar:
    """One player; positions are percent of the width of the chart.

    Attributes:
      player: its name.
      rank: 1 = most important.
      value: mean |attribution|.
      std_error: its standard error.
      ci_low: lower end of its interval.
      ci_high: upper end.
      share: of the total importance, which is not cut off at 0 where noise makes a player negative.
      share_ci: lower and upper end of its interval; NaN where unknown.
      direction: how the attribution moves with the feature's value in the sample: `rises`, `falls`, `mixed` or empty.
      baseline: the same figure of the baseline model; NaN where there is none.
      length: of the bar.
      whisker: left end and width of the interval; None where it is unknown.
      baseline_at: where the baseline's figure is; None where it is unknown.
    """

    player: str
    rank: int
    value: float
    std_error: float
    ci_low: float
    ci_high: float
    share: float
    share_ci: tuple[float, float]
    direction: str
    baseline: float
    length: float
    whisker: tuple[float, float] | None
    baseline_at: float | None


@dataclasses.dataclass(frozen=True)
class Ranking:
    """The players of one (slice, output), most important first.

    Attributes:
      bars: all of them.
      n_hidden: how many are left out of the chart.
      hidden_value: sum of their mean |attribution|, of which only the sum is cut off at 0.
      hidden_share: of the total importance.
      has_baseline: whether there is anything to compare with.
      has_direction: whether any direction is known.
    """

    bars: tuple[Bar, ...]
    n_hidden: int
    hidden_value: float
    hidden_share: float
    has_baseline: bool
    has_direction: bool

    @property
    def has_interval(self) -> bool:
        """Whether any interval is known."""
        return any(bar.whisker for bar in self.bars)

    @property
    def scale(self) -> float:
        """The largest figure."""
        return max((bar.value for bar in self.bars if np.isfinite(bar.value)), default=0.0)

    @property
    def longest_name(self) -> int:
        """Letters in the longest name, for the width of its column."""
        return max(len(bar.player) for bar in self.bars)

    @property
    def shown(self) -> tuple[Bar, ...]:
        """The bars in the chart."""
        return self.bars[: len(self.bars) - self.n_hidden]


def rank_players(
    rows: pd.DataFrame,
    baseline: pd.DataFrame | None,
    examples: pd.DataFrame | None,
    features: Mapping[str, Sequence[str]],
) -> Ranking:
    """Lays out one (slice, output).

    Args:
      rows: its part of `ReportData.importance`.
      baseline: its part of `ReportData.baseline_importance`.
      examples: its sample of explained rows.
      features: player -> its features; a player that is absent here is a feature.
    """
    rows = rows.sort_values(["rank", "player"], kind="stable")
    baseline_values = {} if baseline is None else dict(zip(baseline["player"], baseline["value"], strict=True))
    longest = np.nanmax(
        [*rows["value"], *rows["ci_high"], *(baseline_values.get(p, np.nan) for p in rows["player"]), 1e-300]
    )
    uncut = (rows["value"] + tables.cut_off_of(rows)).to_numpy(np.float64)
    rows = rows.assign(share=tables.shares_of_total(rows))
    bars = tuple(_bar(row, baseline_values, float(longest), examples, features) for row in rows.to_dict("records"))
    # Leaving out a single one would save nothing.
    n_hidden = len(bars) - MAX_BARS if len(bars) > MAX_BARS + 1 else 0
    hidden_value = max(float(uncut[len(bars) - n_hidden :].sum()), 0.0)
    return Ranking(
        bars=bars,
        n_hidden=n_hidden,
        hidden_value=hidden_value,
        hidden_share=float(parts_of(hidden_value, uncut.sum())),
        has_baseline=bool(baseline_values),
        has_direction=any(bar.direction for bar in bars),
    )


def _bar(
    row: Mapping[str, Any],
    baseline_values: Mapping[str, float],
    longest: float,
    examples: pd.DataFrame | None,
    features: Mapping[str, Sequence[str]],
) -> Bar:
    player, low, high = row["player"], float(row["ci_low"]), float(row["ci_high"])
    baseline = float(baseline_values.get(player, np.nan))
    return Bar(
        player=player,
        rank=int(row["rank"]),
        value=float(row["value"]),
        std_error=float(row["std_error"]),
        ci_low=low,
        ci_high=high,
        share=float(row["share"]),
        share_ci=(float(row["share_ci_low"]), float(row["share_ci_high"])),
        direction="" if examples is None else direction(examples, player, features.get(player, (player,))),
        baseline=baseline,
        length=100 * np.nan_to_num(float(row["value"])) / longest,
        whisker=(100 * low / longest, 100 * (high - low) / longest) if np.isfinite(low + high) else None,
        baseline_at=100 * baseline / longest if np.isfinite(baseline) else None,
    )


def direction(examples: pd.DataFrame, player: str, features: Sequence[str]) -> str:
    """How a player's attribution moves with its feature's value: `rises`, `falls`, `mixed`; empty where unknown.

    Spearman's rank correlation over the sample, at least 0.5 in size to be called a direction. Unknown for groups, for
    values that are not numbers, and for fewer than 20 rows.
    """
    column = ATTRIBUTION_PREFIX + player
    if len(features) != 1 or features[0] not in examples or column not in examples:
        return ""
    values = examples[features[0]]
    if not pd.api.types.is_numeric_dtype(values):
        return ""
    # Plain arrays: with pandas, reports of many outputs would take most of their time here.
    pairs = np.stack([of.to_numpy(np.float64, na_value=np.nan) for of in (values, examples[column])])
    pairs = pairs[:, ~np.isnan(pairs).any(axis=0)]
    if pairs.shape[1] < _MIN_ROWS_FOR_DIRECTION or (pairs == pairs[:, :1]).all(axis=1).any():
        return ""
    correlation = np.corrcoef(rankdata(pairs, axis=1))[0, 1]
    return "rises" if correlation >= _CLEAR_CORRELATION else "falls" if correlation <= -_CLEAR_CORRELATION else "mixed"
