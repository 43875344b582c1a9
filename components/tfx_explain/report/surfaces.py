"""Heat maps: how the output changes as two features do, all pairs on one scale of colours."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from tfx_explain.report.colours import N_SHADES
from tfx_explain.report.profiles import HEIGHT, WIDTH
from tfx_explain.report.text import number, shortened

MAX_MAPS = 6
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 6, 6, 40
_MAX_LABELS = 5
_LABEL_LETTERS = 8


@dataclasses.dataclass(frozen=True)
class Tile:
    """One point of a surface as a rectangle; `shade` is 0..N_SHADES-1 from low to high, the middle one average."""

    x: float
    y: float
    width: float
    height: float
    shade: int
    title: str


@dataclasses.dataclass(frozen=True)
class HeatMap:
    """One pair of features, in SVG units: the first from left to right, the second upwards.

    Attributes:
      first, second: names of the features.
      tiles: a rectangle per point, all of one size: points are quantiles or levels.
      x_labels, y_labels: (place, text) of some of the points.
      summary: the picture in words.
    """

    first: str
    second: str
    tiles: tuple[Tile, ...]
    x_labels: tuple[tuple[float, str], ...]
    y_labels: tuple[tuple[float, str], ...]
    summary: str


@dataclasses.dataclass(frozen=True)
class SurfaceSection:
    """The heat maps, what the two ends of the colours are, and the pairs that there is no room for."""

    maps: tuple[HeatMap, ...]
    low: str
    high: str
    more: tuple[str, ...]


def make_surfaces(profiles: pd.DataFrame) -> SurfaceSection | None:
    """Lays out the surfaces of one (slice, output), in the order of the table; None where there are none.

    Args:
      profiles: its part of `profiles.parquet`.
    """
    if "feature_b" not in profiles:
        return None
    rows = profiles[(profiles["kind"] == "surface") & np.isfinite(profiles["centred_value"])]
    pairs = list(dict.fromkeys(zip(rows["feature"], rows["feature_b"], strict=True)))
    parts = [rows[(rows["feature"] == first) & (rows["feature_b"] == second)] for first, second in pairs]
    if not parts:
        return None
    reach = max(float(part["centred_value"].abs().max()) for part in parts[:MAX_MAPS])
    return SurfaceSection(
        maps=tuple(_heat_map(part, reach) for part in parts[:MAX_MAPS]),
        low=number(-reach, 3),
        high=number(reach, 3),
        more=tuple(f"{first} and {second}" for first, second in pairs[MAX_MAPS:]),
    )


def _heat_map(rows: pd.DataFrame, reach: float) -> HeatMap:
    first, second = (str(rows[name].iloc[0]) for name in ("feature", "feature_b"))
    across, up = _labels(rows, ""), _labels(rows, "_b")
    width = (WIDTH - _LEFT - _RIGHT) / len(across)
    height = (HEIGHT - _TOP - _BOTTOM) / len(up)
    x = _LEFT + rows["position"].to_numpy() * width
    y = HEIGHT - _BOTTOM - (rows["position_b"].to_numpy() + 1) * height
    values = rows["centred_value"].to_numpy(np.float64)
    tiles = tuple(
        Tile(round(float(a), 1), round(float(b), 1), round(width, 1), round(height, 1), int(shade), title)
        for a, b, shade, title in zip(x, y, shades(values, reach), _titles(rows, across, up), strict=True)
    )
    low, high = rows.iloc[int(values.argmin())], rows.iloc[int(values.argmax())]
    ends = (
        f"{what} {number(end['centred_value'], 3)} at {across[end['position']]} and {up[end['position_b']]}"
        for what, end in (("lowest", low), ("highest", high))
    )
    return HeatMap(
        first=first,
        second=second,
        tiles=tiles,
        x_labels=_places(across, _LEFT + width / 2, width),
        y_labels=_places(up, HEIGHT - _BOTTOM - height / 2 + 4, -height),
        summary=f"{first} and {second}: {', '.join(ends)}.",
    )


def shades(values: npt.NDArray[np.float64], reach: float) -> npt.NDArray[np.int64]:
    """The colour of each value, from 0 at -reach to N_SHADES - 1 at reach."""
    middle = (N_SHADES - 1) / 2
    return np.rint(middle + middle * values / (reach or 1.0)).astype(np.int64)


def _labels(rows: pd.DataFrame, suffix: str) -> list[str]:
    """What each position of one of the two features is called, in order."""
    points = rows.drop_duplicates(f"position{suffix}").sort_values(f"position{suffix}")
    return [
        number(value, 3) if level is None or level != level else str(level)
        for value, level in zip(points[f"grid_value{suffix}"], points[f"level{suffix}"], strict=True)
    ]


def _titles(rows: pd.DataFrame, across: Sequence[str], up: Sequence[str]) -> list[str]:
    return [
        f"{across[row['position']]}, {up[row['position_b']]}: {number(row['centred_value'])} "
        f"({number(row['centred_ci_low'], 3)} to {number(row['centred_ci_high'], 3)})"
        for row in rows.to_dict("records")
    ]


def _places(labels: Sequence[str], start: float, step: float) -> tuple[tuple[float, str], ...]:
    """Where the labels go; only some of many, the outermost among them where that is possible."""
    every = -(-(len(labels) - 1) // (_MAX_LABELS - 1)) or 1
    return tuple(
        (round(start + index * step, 1), shortened(labels[index], _LABEL_LETTERS))
        for index in range(0, len(labels), every)
    )
