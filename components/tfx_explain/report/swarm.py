"""A beeswarm: every dot is one explained row, placed by its attribution and coloured by the feature's value."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from tfx_explain.report.colours import Colouring, colouring
from tfx_explain.report.row_steps import shown_value
from tfx_explain.report.text import number, shortened, signed
from tfx_explain.tables import ATTRIBUTION_PREFIX

Array = npt.NDArray[np.float64]

MAX_ROWS = 200
MAX_PLAYERS = 12
WIDTH = 860
LABEL_WIDTH = 210
_ROW_HEIGHT = 38
_TOP = 10
_MARGIN = 14
_STEP = 4.0
_LABEL_LETTERS = 25


@dataclasses.dataclass(frozen=True)
class Dot:
    """One example; `colour` is a class of `Colouring`."""

    x: float
    y: float
    colour: str
    title: str


@dataclasses.dataclass(frozen=True)
class Lane:
    """One player's dots, its name and the height of its middle.

    Attributes:
      player: its name.
      label: the name, shortened.
      y: height of the middle.
      dots: one for each row.
      legend: (class, category) of the colours of categories.
      by: of a group, the feature that the colours are of; else empty.
    """

    player: str
    label: str
    y: float
    dots: tuple[Dot, ...]
    legend: tuple[tuple[str, str], ...]
    by: str


@dataclasses.dataclass(frozen=True)
class Swarm:
    """Geometry of the whole picture, in SVG units.

    Attributes:
      lanes: one per player, most important first.
      ticks: (x, text) of the axis.
      zero: x of attribution 0.
      height: of the picture.
      n_rows: examples shown.
      n_hidden: players left out.
    """

    lanes: tuple[Lane, ...]
    ticks: tuple[tuple[float, str], ...]
    zero: float
    height: float
    n_rows: int
    n_hidden: int


def make_swarm(examples: pd.DataFrame, players: Sequence[str], features: Mapping[str, Sequence[str]]) -> Swarm | None:
    """Lays out the dots; None where there is nothing to show.

    Args:
      examples: a sample of explained rows; the first `MAX_ROWS` are shown.
      players: most important first; the first `MAX_PLAYERS` are shown.
      features: player -> its features; a player that is absent here is a feature.
    """
    known = [player for player in players if ATTRIBUTION_PREFIX + player in examples]
    shown, rows = known[:MAX_PLAYERS], examples.head(MAX_ROWS)
    if not shown or rows.empty:
        return None
    phi = rows[[ATTRIBUTION_PREFIX + player for player in shown]].to_numpy(dtype=np.float64)
    low, high = min(float(phi.min()), 0.0), max(float(phi.max()), 0.0)
    span = (high - low) or 1.0
    left, right = LABEL_WIDTH + _MARGIN, WIDTH - _MARGIN

    def place(value: Array) -> Array:
        return np.asarray(left + (value - low) / span * (right - left))

    lanes, by_row = [], rows.to_dict("records")
    for index, player in enumerate(shown):
        middle = _TOP + (index + 0.5) * _ROW_HEIGHT
        of_player = features.get(player, (player,))
        colours = colouring(rows, of_player, phi[:, index])
        values = [shown_value(row, of_player) for row in by_row]
        lanes.append(_lane(player, middle, place(phi[:, index]), phi[:, index], values, colours))
    ticks = tuple((float(place(np.array(tick))), number(tick)) for tick in axis_ticks(low, high))
    height = _TOP + len(shown) * _ROW_HEIGHT + 46
    return Swarm(tuple(lanes), ticks, float(place(np.array(0.0))), height, len(rows), len(known) - len(shown))


def axis_ticks(low: float, high: float, n_wanted: int = 5) -> list[float]:
    """Round numbers from low to high."""
    raw = (high - low) / n_wanted
    if raw <= 0:
        return [0.0]
    size = 10.0 ** np.floor(np.log10(raw))
    step = size * next(factor for factor in (1, 2, 2.5, 5, 10) if factor * size >= raw * (1 - 1e-9))
    # Adding 0.0 turns -0.0 into 0.0.
    return [
        float(round(k * step, 12 - int(np.log10(step)))) + 0.0
        for k in range(_ceil(low / step), _floor(high / step) + 1)
    ]


def _ceil(value: float) -> int:
    return int(np.ceil(value - 1e-9))


def _floor(value: float) -> int:
    return int(np.floor(value + 1e-9))


def _lane(player: str, middle: float, x: Array, phi: Array, values: Sequence[str], colours: Colouring) -> Lane:
    dots = tuple(
        Dot(round(float(a), 1), round(middle + float(b), 1), colour, f"{value}: {signed(float(p))}")
        for a, b, colour, value, p in zip(x, stack(x), colours.classes, values, phi, strict=True)
    )
    by = colours.by if colours.by != player else ""
    return Lane(player, shortened(player, _LABEL_LETTERS), middle, dots, colours.legend, shortened(by, _LABEL_LETTERS))


def stack(x: Array) -> Array:
    """Vertical offsets that keep dots of nearly equal x apart: 0, +1, -1, +2, ... steps, within the lane."""
    offsets = np.zeros(len(x))
    bins = np.round(x / (1.5 * _STEP)).astype(int)
    for bin_ in np.unique(bins):
        members = np.flatnonzero(bins == bin_)
        k = np.arange(len(members))
        offset = np.where(k % 2 == 1, 1, -1) * ((k + 1) // 2) * _STEP
        reach = _ROW_HEIGHT / 2 - 4
        # A crowded place is squeezed into its lane, so that no dot strays into a neighbour's.
        offsets[members] = offset * min(1.0, reach / max(float(np.abs(offset).max()), 1e-9))
    return offsets
