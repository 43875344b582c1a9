"""How faithful attributions are: figures of each method, and the curves behind them as small multiples."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from tfx_explain.report.comparison import METHOD_NAMES
from tfx_explain.report.profiles import HEIGHT, WIDTH, corners
from tfx_explain.report.swarm import axis_ticks
from tfx_explain.report.text import number, percent
from tfx_explain.slicing import OVERALL

Array = npt.NDArray[np.float64]

MAX_PICTURES = 8
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 12, 10, 26
_HEADINGS = {
    "deletion": "Deletion",
    "insertion": "Insertion",
    "mu_fidelity": "μ-fidelity",
    "randomisation": "Like random weights",
    "random_logit": "Like another output",
    "pointing_game": "Pointing game",
}
_IN_PERCENT = ("deletion", "insertion", "pointing_game")


@dataclasses.dataclass(frozen=True)
class CurvePicture:
    """A mean curve and that in random order, in SVG units.

    Attributes:
      heading: whose it is.
      line, random: corners.
      band: outline of the interval of the line; empty where it is not known.
      x_ticks, y_ticks: (place, text).
      summary: the picture in words.
    """

    heading: str
    line: str
    random: str
    band: str
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]
    summary: str


@dataclasses.dataclass(frozen=True)
class FaithfulnessSection:
    """All that was measured over all rows, of one output.

    Attributes:
      output: which.
      headings: of the measures.
      rows: (what was checked, figure and interval of each measure).
      pictures: of the curves.
      n_examples: most rows that a figure is made of.
    """

    output: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]
    pictures: tuple[CurvePicture, ...]
    n_examples: int


def make_faithfulness(
    measures: pd.DataFrame | None, curves: pd.DataFrame | None, outputs: Sequence[str]
) -> list[FaithfulnessSection]:
    """A section per output that has figures.

    Args:
      measures: as in `faithfulness.parquet`; None = it was not asked for.
      curves: as in `faithfulness_curves.parquet`.
      outputs: in their order.
    """
    if measures is None or curves is None:
        return []
    made = []
    for output in outputs:
        ours, lines = (table[(table["slice"] == OVERALL) & (table["output"] == output)] for table in (measures, curves))
        if len(ours):
            made.append(_section(output, ours, lines))
    return made


def _section(output: str, measures: pd.DataFrame, curves: pd.DataFrame) -> FaithfulnessSection:
    there = [name for name in _HEADINGS if (measures["measure"] == name).any()]
    rows = []
    for (method, feature), figures in measures.groupby(["method", "feature"], sort=False):
        by_measure = figures.set_index("measure")
        cells = tuple(_cell(by_measure, name) for name in there)
        rows.append((_name(str(method), str(feature)), cells))
    pictures = [
        _picture(str(method), str(feature), str(curve), points)
        for (method, feature, curve), points in curves.groupby(["method", "feature", "curve"], sort=False)
    ]
    return FaithfulnessSection(
        output,
        tuple(_HEADINGS[name] for name in there),
        tuple(rows),
        tuple(pictures[:MAX_PICTURES]),
        int(measures["num_examples"].max()),
    )


def _name(method: str, feature: str) -> str:
    return f"{METHOD_NAMES.get(method, method)}, {f'inside {feature}' if feature else 'features'}"


def _cell(by_measure: pd.DataFrame, measure: str) -> tuple[str, str]:
    """A figure, and its interval."""
    if measure not in by_measure.index:
        return number(float("nan")), ""
    shown = percent if measure in _IN_PERCENT else lambda value: number(value, 2)
    value, low, high = by_measure.loc[measure, ["value", "ci_low", "ci_high"]].astype(float)
    interval = f"{shown(low)} to {shown(high)}" if np.isfinite(low + high) else ""
    chance = float(by_measure.loc[measure].get("chance", np.nan))
    return shown(value), f"{interval}; by area {shown(chance)}" if np.isfinite(chance) else interval


def _picture(method: str, feature: str, curve: str, points: pd.DataFrame) -> CurvePicture:
    points = points.sort_values("share")
    share, value, error, random = (
        points[name].to_numpy(np.float64) for name in ("share", "value", "std_error", "random_value")
    )
    half = 1.96 * np.nan_to_num(error)
    low, high = float(np.min([value - half, random])), float(np.max([value + half, random]))
    low, high = (low, high) if high > low else (low - 1.0, high + 1.0)

    def place_x(at: Array) -> Array:
        return np.asarray(_LEFT + at * (WIDTH - _LEFT - _RIGHT))

    def place_y(values: Array) -> Array:
        return np.asarray(HEIGHT - _BOTTOM - (values - low) / (high - low) * (HEIGHT - _TOP - _BOTTOM))

    around = np.concatenate([place_x(share), place_x(share)[::-1]])
    outline = np.concatenate([place_y(value + half), place_y(value - half)[::-1]])
    middle = len(share) // 2
    return CurvePicture(
        heading=f"{_HEADINGS[curve]}: {_name(method, feature)}",
        line=corners(place_x(share), place_y(value)),
        random=corners(place_x(share), place_y(random)),
        band=corners(around, outline) if np.isfinite(error).all() else "",
        x_ticks=tuple((float(place_x(np.array(at))), f"{100 * at:.0f} %") for at in (0.0, 0.5, 1.0)),
        y_ticks=tuple((round(float(place_y(np.array(at))), 1), number(at, 3)) for at in axis_ticks(low, high, 4)),
        summary=f"from {number(value[0], 3)} to {number(value[-1], 3)}; half way {number(value[middle], 3)}, in random "
        f"order {number(random[middle], 3)}.",
    )
