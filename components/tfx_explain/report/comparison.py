"""Methods side by side: what each of them calls important, in its own unit, as bars with intervals."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping

import numpy as np
import pandas as pd

from tfx_explain import tables
from tfx_explain.report.data import ReportData
from tfx_explain.slicing import OVERALL

MAX_PLAYERS = 20

METHOD_NAMES = {
    "shapley": "Shapley values",
    "integrated_gradients": "Integrated gradients",
    "expected_gradients": "Expected gradients",
    "xrai": "XRAI",
    "occlusion": "Occlusion",
    "permutation_importance": "Permutation importance",
    "sage": "SAGE",
}
_LOSSES = {"log_loss": "log loss", "mse": "squared error", "mae": "absolute error", "auc": "AUC"}


@dataclasses.dataclass(frozen=True)
class Cell:
    """One player by one method; places are percent of the width of the chart.

    Attributes:
      value: its importance; NaN where the method left it out.
      ci_low: lower end of its interval.
      ci_high: upper end.
      left: where the bar starts.
      length: of the bar.
      whisker: left end and width of the interval; None where it is unknown.
      baseline: importance to the baseline model; NaN where there is none.
      baseline_at: its place; None where there is none.
    """

    value: float
    ci_low: float
    ci_high: float
    left: float
    length: float
    whisker: tuple[float, float] | None
    baseline: float = math.nan
    baseline_at: float | None = None


@dataclasses.dataclass(frozen=True)
class Comparison:
    """All methods that were computed, over all rows.

    Attributes:
      headings: (method, unit) of each column.
      rows: (player, a cell for each column), in the order of the first method.
      n_hidden: players left out.
      has_baseline: whether any cell has one.
      has_losses: whether any method is about losses, or about what scores tell apart.
    """

    headings: tuple[tuple[str, str], ...]
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]
    n_hidden: int
    has_baseline: bool
    has_losses: bool

    @property
    def longest_name(self) -> int:
        """Letters in the longest name, for the width of its column."""
        return max(len(player) for player, _ in self.rows)


def compare_methods(data: ReportData, unit: str) -> Comparison | None:
    """The columns of the comparison; None where there is no method beside the first one that attributes.

    Attributions of several outputs have no common importance, so they are left out then.

    Args:
      data: what there is.
      unit: of the attributions.
    """
    others = data.other_importance
    if others is None or others.empty:
        return None
    columns: list[tuple[str, str, pd.DataFrame]] = []
    for table in (data.importance, others):
        for method, of_method in table[table["slice"] == OVERALL].groupby(_methods_of(table, data), sort=False):
            metric = _metric_of(of_method)
            attributes = metric == tables.MEAN_ABS_ATTRIBUTION
            if attributes and len(data.outputs) > 1:
                continue
            heading = METHOD_NAMES.get(str(method), str(method)) + ", mean |attribution|" * attributes
            columns.append((heading, unit if attributes else _LOSSES.get(metric, metric), of_method))
    if not columns or (len(columns) == 1 and not data.importance.empty and len(data.outputs) == 1):
        return None
    players = list(columns[0][2].sort_values("rank", kind="stable")["player"])
    players += [name for _, _, rows in columns for name in rows["player"] if name not in players]
    players = list(dict.fromkeys(players))
    cells = [_cells(rows, _baseline_values(data, rows)) for _, _, rows in columns]
    blank = Cell(math.nan, math.nan, math.nan, 0.0, 0.0, None)
    shown = players[:MAX_PLAYERS]
    return Comparison(
        headings=tuple((heading, unit) for heading, unit, _ in columns),
        rows=tuple((player, tuple(column.get(player, blank) for column in cells)) for player in shown),
        n_hidden=len(players) - len(shown),
        has_losses=any(_metric_of(rows) != tables.MEAN_ABS_ATTRIBUTION for _, _, rows in columns),
        has_baseline=any(cell.baseline_at is not None for column in cells for cell in column.values()),
    )


def _methods_of(rows: pd.DataFrame, data: ReportData) -> pd.Series:
    """The method of each row over all the data; in tables of one method alone, which need not say it, the main one."""
    main = next(iter(tables.attributing_methods(data.manifest)), tables.SHAPLEY)
    of_rows = rows["method"] if "method" in rows else pd.Series(main, rows.index)
    return of_rows[rows["slice"] == OVERALL]


def _metric_of(rows: pd.DataFrame) -> str:
    return str(rows["metric"].iloc[0]) if "metric" in rows else tables.MEAN_ABS_ATTRIBUTION


def _baseline_values(data: ReportData, rows: pd.DataFrame) -> dict[str, float]:
    """Player -> importance to the baseline model, by the method whose rows these are."""
    main = next(iter(tables.attributing_methods(data.manifest)), tables.SHAPLEY)
    method = str(rows["method"].iloc[0]) if "method" in rows else main
    table = data.baseline_importance if method == main else data.other_baseline_importance
    if table is None:
        return {}
    there = table[(table["slice"] == OVERALL) & (table["output"] == rows["output"].iloc[0])]
    if "method" in there:
        there = there[there["method"] == method]
    return dict(zip(there["player"].astype(str), there["value"].astype(float), strict=True))


def _cells(rows: pd.DataFrame, baseline_values: Mapping[str, float]) -> dict[str, Cell]:
    """Player -> cell, all on the scale of one method; a loss may fall, so the scale may start below 0."""
    ends = rows[["value", "ci_low", "ci_high"]].to_numpy(np.float64)
    marks = [0.0, *ends.ravel(), *(baseline_values.get(str(player), math.nan) for player in rows["player"])]
    low = float(np.nanmin(marks))
    width = max(float(np.nanmax(marks)) - low, 1e-300)
    cells = {}
    for player, (value, ci_low, ci_high) in zip(rows["player"], ends.tolist(), strict=True):
        left, right = sorted((0.0, value if math.isfinite(value) else 0.0))
        known, baseline = math.isfinite(ci_low + ci_high), baseline_values.get(str(player), math.nan)
        cells[str(player)] = Cell(
            value=value,
            ci_low=ci_low,
            ci_high=ci_high,
            left=100 * (left - low) / width,
            length=100 * (right - left) / width,
            whisker=(100 * (ci_low - low) / width, 100 * (ci_high - ci_low) / width) if known else None,
            baseline=baseline,
            baseline_at=100 * (baseline - low) / width if math.isfinite(baseline) else None,
        )
    return cells
