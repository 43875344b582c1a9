"""A feature's value against its attribution, each row coloured by the feature that it interacts with most."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from tfx_explain.report.colours import Colouring, colouring
from tfx_explain.report.partners import partners
from tfx_explain.report.swarm import axis_ticks
from tfx_explain.report.text import cell, number, shortened
from tfx_explain.tables import ATTRIBUTION_PREFIX

Array = npt.NDArray[np.float64]

WIDTH, HEIGHT = 640, 300
MAX_SCATTERS = 20
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 12, 10, 30
_MISSING_WIDTH = 64
_MAX_CATEGORIES = 8
_LABEL_LETTERS = 10


@dataclasses.dataclass(frozen=True)
class Scatter:
    """One player's rows, in SVG units.

    Attributes:
      player: its name.
      of: the feature whose values are drawn: itself, or one of a group.
      by: the player that dots are coloured by; empty where none interacts.
      legend: (class, category) of the colours where these are of categories.
      dots: (x, y, class of the colour).
      x_ticks, y_ticks: (place, text).
      zero: y of attribution 0.
      summary: the picture in words.
    """

    player: str
    of: str
    by: str
    legend: tuple[tuple[str, str], ...]
    dots: tuple[tuple[int, int, str], ...]
    x_ticks: tuple[tuple[int, str], ...]
    y_ticks: tuple[tuple[int, str], ...]
    zero: int
    summary: str


def make_scatters(
    rows: pd.DataFrame,
    players: Sequence[str],
    features: Mapping[str, Sequence[str]],
    interactions: pd.DataFrame | None = None,
) -> list[Scatter]:
    """The scatters of the most important players whose values are numbers or texts.

    Args:
      rows: explained rows with their features and `attribution_<player>`.
      players: most important first.
      features: player -> its features; a player that is absent here is a feature.
      interactions: of the same output, as `interactions.parquet` has it, if there are any.
    """
    known = [player for player in players if ATTRIBUTION_PREFIX + player in rows]
    pairs = partners(rows, known, features, interactions)
    made = []
    for player in known[:MAX_SCATTERS]:
        phi = rows[ATTRIBUTION_PREFIX + player].to_numpy(np.float64)
        # The colours of a group are of the feature that goes most with it.
        of = colouring(rows, features.get(player, (player,)), phi).by
        partner = pairs.get(player, "")
        colours = colouring(rows, features.get(partner, (partner,)), phi)
        axis = _axis(list(rows[of])) if of else None
        if axis is not None:
            made.append(_scatter(player, of, partner if colours.by else "", axis, phi, colours))
    return made


class _Axis(NamedTuple):
    """The x of each row, and the ticks."""

    x: Array
    ticks: tuple[tuple[int, str], ...]


def _axis(values: Sequence[Any]) -> _Axis | None:
    """Where values are; None where none of them is a number or text."""
    numbers = np.array([float(v) if isinstance(v, int | float | np.number) else np.nan for v in values])
    if np.isfinite(numbers).any():
        return _of_numbers(numbers)
    texts = [cell(value) if isinstance(value, str) else None for value in values]
    return _of_texts(texts) if any(text is not None for text in texts) else None


def _of_numbers(numbers: Array) -> _Axis:
    """By size; the missing ones to the right of all others."""
    known = np.isfinite(numbers)
    right = WIDTH - _RIGHT - (0 if known.all() else _MISSING_WIDTH)
    low, high = float(numbers[known].min()), float(numbers[known].max())

    def place(value: Array) -> Array:
        return np.asarray(_LEFT + 6 + (value - low) / ((high - low) or 1.0) * (right - _LEFT - 12))

    ticks = [(int(place(np.array(at))), number(at, 3)) for at in axis_ticks(low, high, 6) if low <= at <= high]
    middle = right + _MISSING_WIDTH / 2
    if not known.all():
        ticks.append((int(middle), "missing"))
    return _Axis(
        np.where(known, place(np.nan_to_num(numbers)), middle + _beside(len(numbers), _MISSING_WIDTH / 2)), tuple(ticks)
    )


def _of_texts(texts: Sequence[str | None]) -> _Axis:
    """The most common ones side by side, all others together to the right of them."""
    counted = Counter(text for text in texts if text is not None)
    names = sorted(counted, key=lambda name: (-counted[name], name))[:_MAX_CATEGORIES]
    where = {name: place for place, name in enumerate(names)}
    places = np.array([where.get(text, len(names)) if text is not None else len(names) for text in texts])
    labels = [shortened(name, _LABEL_LETTERS) for name in names] + ["other"] * bool((places == len(names)).any())
    step = (WIDTH - _RIGHT - _LEFT) / len(labels)
    ticks = tuple((int(_LEFT + (place + 0.5) * step), label) for place, label in enumerate(labels))
    return _Axis(_LEFT + (places + 0.5) * step + _beside(len(texts), 0.6 * step), ticks)


def _beside(n: int, width: float) -> Array:
    """Offsets that keep rows of one category apart, spread evenly over a width, whatever their order."""
    golden = 0.618033988749895
    return np.asarray((np.arange(n) * golden % 1.0 - 0.5) * width)


def _scatter(player: str, of: str, by: str, axis: _Axis, phi: Array, colours: Colouring) -> Scatter:
    low, high = min(float(phi.min()), 0.0), max(float(phi.max()), 0.0)
    low, high = (low, high) if high > low else (-1.0, 1.0)

    def place(value: Array) -> Array:
        return np.asarray(HEIGHT - _BOTTOM - (value - low) / (high - low) * (HEIGHT - _TOP - _BOTTOM))

    ends = f"attributions from {number(float(phi.min()), 3)} to {number(float(phi.max()), 3)}"
    return Scatter(
        player=player,
        of=of,
        by=by,
        legend=colours.legend if by else (),
        dots=tuple(
            (round(float(a)), round(float(b)), c) for a, b, c in zip(axis.x, place(phi), colours.classes, strict=True)
        ),
        x_ticks=axis.ticks,
        y_ticks=tuple((int(place(np.array(tick))), number(tick, 3)) for tick in axis_ticks(low, high, 5)),
        zero=int(place(np.array(0.0))),
        summary=f"{of} of {len(phi)} rows against its attribution, {ends}{f', coloured by {by}' if by else ''}.",
    )
