"""From run to run: importance and drift of the verdicts before this one, as small multiples and a table."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from tfx_explain import tables
from tfx_explain.report.swarm import axis_ticks
from tfx_explain.report.text import UNKNOWN, number, percent, shortened

Array = npt.NDArray[np.float64]

MAX_PICTURES = 6
"""Of features, and again of rules."""
MAX_ROWS = 30
WIDTH, HEIGHT = 300, 170
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 14, 14, 26
_MAX_LABELS = 5
_LABEL_LETTERS = 10
_N_TICKS = 4
_OUTCOMES = {"fail": "✕ ", "insufficient_evidence": "? "}


@dataclasses.dataclass(frozen=True)
class Point:
    """One run in a picture, in SVG units; `low` and `high` are the ends of its interval, the lower one further down."""

    x: float
    y: float
    low: float
    high: float
    blessed: bool
    title: str


@dataclasses.dataclass(frozen=True)
class Picture:
    """One figure over the runs, in SVG units.

    Attributes:
      heading: the feature or the rule.
      lines: corners of the line, in stretches without a gap.
      points: the runs that have the figure.
      limit: y of what the rule allows in the newest run; None where it allows anything.
      changes: x between two runs whose models differ.
      x_ticks, y_ticks: (place, text).
      summary: the picture in words.
    """

    heading: str
    lines: tuple[str, ...]
    points: tuple[Point, ...]
    limit: float | None
    changes: tuple[float, ...]
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]
    summary: str


@dataclasses.dataclass(frozen=True)
class Row:
    """One run in the table: its name, when it was, whether it was blessed, and its figures as text."""

    label: str
    created: str
    blessed: bool
    cells: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Trend:
    """All runs.

    Attributes:
      n_runs: how many there are.
      output: what is drawn, of several; else empty.
      pictures: of features, then of rules.
      headings: of the columns of figures.
      rows: newest first, `MAX_ROWS` of them.
      n_refused: runs that were refused.
      has_changes: whether the model is not the same in all.
    """

    n_runs: int
    output: str
    pictures: tuple[Picture, ...]
    headings: tuple[str, ...]
    rows: tuple[Row, ...]
    n_refused: int
    has_changes: bool


def make_trend(history: pd.DataFrame | None) -> Trend | None:
    """Lays out `history.parquet`; None where there are not two runs, so that there is no trend.

    Args:
      history: its rows.
    """
    runs = None if history is None else history[history["kind"] == tables.VERDICT].sort_values("run")
    if history is None or runs is None or len(runs) < 2:
        return None
    labels = _labels(runs)
    outputs = list(dict.fromkeys(history[(history["run"] == runs["run"].max())]["output"].loc[lambda o: o != ""]))
    output = outputs[0] if outputs else ""
    of_output = history[history["output"] == output]
    series = [*_series(of_output, tables.SHARE, runs), *_series(of_output, tables.DRIFT, runs)]
    pictures = tuple(_picture(one, runs, labels) for one in series)
    order = range(len(runs))[::-1][:MAX_ROWS]
    blessed, created = list(runs["blessed"]), list(runs["created"])
    cells = [tuple(one.cell(place) for one in series) for place in range(len(runs))]
    return Trend(
        n_runs=len(runs),
        output=output if len(outputs) > 1 else "",
        pictures=pictures,
        headings=tuple(one.name for one in series),
        rows=tuple(Row(labels[at], str(created[at])[:16], bool(blessed[at]), cells[at]) for at in order),
        n_refused=int((~runs["blessed"].astype(bool)).sum()),
        has_changes=runs["model_digest"].nunique() > 1,
    )


@dataclasses.dataclass(frozen=True)
class _Series:
    """One figure, a place for each run; NaN where a run has none."""

    name: str
    value: Array
    low: Array
    high: Array
    threshold: Array
    outcome: Sequence[str]
    is_share: bool

    def cell(self, place: int) -> str:
        """The figure of a run as text, with a mark where its rule did not hold."""
        value = float(self.value[place])
        shown = percent(value) if self.is_share else number(value, 3)
        return _OUTCOMES.get(self.outcome[place], "") + (shown if math.isfinite(value) else UNKNOWN)


def _series(rows: pd.DataFrame, kind: str, runs: pd.DataFrame) -> list[_Series]:
    """Those of the last run, the largest shares first, rules in their order; no shares by another method than its."""
    rows, told = rows[rows["kind"] == kind], "player" if kind == tables.SHARE else "rule"
    last = rows[rows["run"] == runs["run"].max()]
    rows = rows[rows["method"].isin(set(last["method"]))]
    names = list(last[told])[:MAX_PICTURES]
    found = []
    for name in names:
        of_name = rows[rows[told] == name].set_index("run").reindex(runs["run"])
        value, low, high, threshold = (
            of_name[column].to_numpy(np.float64) for column in ("value", "ci_low", "ci_high", "threshold")
        )
        outcomes = [str(one) if isinstance(one, str) else "" for one in of_name["outcome"]]
        found.append(_Series(str(name), value, low, high, threshold, outcomes, kind == tables.SHARE))
    return found


def _labels(runs: pd.DataFrame) -> list[str]:
    """Spans where all runs have their own, else days, else numbers."""
    for told in (list(runs["span"]), [str(created)[:10] for created in runs["created"]]):
        if all(told) and len(set(told)) == len(told):
            return [str(one) for one in told]
    return [str(place + 1) for place in range(len(runs))]


def _picture(series: _Series, runs: pd.DataFrame, labels: Sequence[str]) -> Picture:
    n = len(runs)
    x = _LEFT + (WIDTH - _LEFT - _RIGHT) * (np.arange(n) + 0.5) / n
    finite = [figure[np.isfinite(figure)] for figure in (series.value, series.low, series.high, series.threshold)]
    figures = np.concatenate([*finite, [0.0]])
    bottom, top = float(figures.min()), float(figures.max())
    top = top if top > bottom else bottom + 1.0

    def y_of(figure: float) -> float:
        part = (figure - bottom) / (top - bottom)
        return round(float(HEIGHT - _BOTTOM - part * (HEIGHT - _TOP - _BOTTOM)), 1)

    known = np.isfinite(series.value)
    blessed = list(runs["blessed"])
    points = tuple(
        Point(
            x=round(float(x[at]), 1),
            y=y_of(series.value[at]),
            low=y_of(_or(series.low[at], series.value[at])),
            high=y_of(_or(series.high[at], series.value[at])),
            blessed=bool(blessed[at]),
            title=f"{labels[at]}: {series.cell(at)}, {'blessed' if blessed[at] else 'refused'}",
        )
        for at in np.flatnonzero(known).tolist()
    )
    limits = series.threshold[np.isfinite(series.threshold)]
    digests = list(runs["model_digest"])
    changes = [at for at in range(1, n) if digests[at] != digests[at - 1]]
    every = max(math.ceil(n / _MAX_LABELS), 1)
    return Picture(
        heading=series.name,
        lines=_lines(x, series.value, y_of),
        points=points,
        limit=y_of(limits[-1]) if len(limits) else None,
        changes=tuple(round(float(x[at - 1] + x[at]) / 2, 1) for at in changes),
        x_ticks=tuple((round(float(x[at]), 1), shortened(labels[at], _LABEL_LETTERS)) for at in range(0, n, every)),
        y_ticks=tuple((y_of(tick), _tick(tick, series.is_share)) for tick in axis_ticks(bottom, top, _N_TICKS)),
        summary=_summary(series, labels, limits),
    )


def _or(figure: float, other: float) -> float:
    return float(figure) if math.isfinite(figure) else float(other)


def _tick(figure: float, is_share: bool) -> str:
    return f"{100 * figure:g} %" if is_share else number(figure, 3)


def _lines(x: Array, value: Array, y_of: Callable[[float], float]) -> tuple[str, ...]:
    """Corners, in stretches of runs that have the figure."""
    gaps = np.flatnonzero(~np.isfinite(value))
    stretches = np.split(np.arange(len(value)), gaps)
    kept = [[at for at in stretch if np.isfinite(value[at])] for stretch in stretches]
    return tuple(" ".join(f"{x[at]:.1f},{y_of(value[at])}" for at in stretch) for stretch in kept if len(stretch) > 1)


def _summary(series: _Series, labels: Sequence[str], limits: Array) -> str:
    known = np.flatnonzero(np.isfinite(series.value))
    if not len(known):
        return f"{series.name}: no run has a figure"
    first, last = int(known[0]), int(known[-1])
    what = "share of the importance" if series.is_share else "drift"
    since = " in the newest run" if len(set(limits.tolist())) > 1 else ""
    limit = f"; {number(float(limits[-1]), 3)} is allowed{since}" if len(limits) else ""
    return (
        f"{series.name}, {what}: {series.cell(first)} at {labels[first]}, {series.cell(last)} at {labels[last]}{limit}"
    )
