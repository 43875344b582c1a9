"""A series as a strip: its channels as lines, the windows that moved the output behind them, bars of how much below."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from tfx_explain.regions.series import ALL_CHANNELS
from tfx_explain.report.text import number, signed

Array = npt.NDArray[np.float64]

WIDTH = 640
LEFT, RIGHT = 78, 8
MAX_CHANNELS = 4
_LINE_HEIGHT, _BARS_HEIGHT, _GAP, _AXIS_HEIGHT = 46, 26, 8, 18
_MOST_POINTS = 240
_INSET = 4


class Box(NamedTuple):
    """A rectangle: a window behind a line, or its bar, which goes up where it raised the output, else down."""

    x: float
    y: float
    width: float
    height: float
    sign: str
    level: int
    title: str


@dataclasses.dataclass(frozen=True)
class Band:
    """A channel, and the bars of its parts; or the bars of windows over all channels.

    Attributes:
      label: of the channel; empty where the bars are of all.
      y: where its label stands.
      lines: corners of its line, as SVG writes them; several where values are no numbers.
      ends: (y, text) of the largest and the least value.
      windows: behind the line.
      bars: of its parts.
      zero: where bars begin; None where there are none.
    """

    label: str
    y: float
    lines: tuple[str, ...] = ()
    ends: tuple[tuple[float, str], ...] = ()
    windows: tuple[Box, ...] = ()
    bars: tuple[Box, ...] = ()
    zero: float | None = None


@dataclasses.dataclass(frozen=True)
class Strip:
    """A whole series, in SVG units.

    Attributes:
      height: of the drawing.
      n_steps: how many there are.
      bands: from top to bottom.
      n_more: channels that there is no room for.
    """

    height: float
    n_steps: int
    bands: tuple[Band, ...]
    n_more: int


def make_strip(values: Array, parts: pd.DataFrame) -> Strip | None:
    """Lays out a series; None where it has no steps.

    Args:
      values: (steps, channels), padding at the end perhaps among them.
      parts: `start`, `stop` and `channel` of each, its `attribution`, and the `level` and `sign` of its mark.
    """
    windows = parts[parts["start"] < parts["stop"]]
    n_steps = int(windows["stop"].max()) if len(windows) else 0
    if not n_steps or len(values) < n_steps or not values.shape[1]:
        return None
    is_crossed = bool((windows["channel"] != ALL_CHANNELS).any())
    channels = _shown_channels(windows, values.shape[1], is_crossed)
    largest = float(windows["attribution"].abs().max())
    bands: list[Band] = []
    y = 0.0
    for channel in channels:
        own = windows[windows["channel"] == channel] if is_crossed else windows
        band = _band(channel, values[:n_steps, channel], own, y)
        y += _LINE_HEIGHT
        if is_crossed:
            band = dataclasses.replace(band, bars=_bars(own, n_steps, y, largest), zero=y + _BARS_HEIGHT / 2)
            y += _BARS_HEIGHT
        bands.append(band)
        y += _GAP
    if not is_crossed:
        zero = y + _BARS_HEIGHT / 2
        bands.append(Band("", zero, bars=_bars(windows, n_steps, y, largest), zero=zero))
        y += _BARS_HEIGHT + _GAP
    return Strip(y + _AXIS_HEIGHT, n_steps, tuple(bands), values.shape[1] - len(channels))


def _shown_channels(windows: pd.DataFrame, n_channels: int, is_crossed: bool) -> list[int]:
    """Those whose parts moved the output most, in their order; the first ones where parts are of all."""
    if not is_crossed:
        return list(range(min(n_channels, MAX_CHANNELS)))
    sizes = windows["attribution"].abs().groupby(windows["channel"]).max().sort_values(ascending=False, kind="stable")
    return sorted(int(channel) for channel in sizes.index[:MAX_CHANNELS] if 0 <= channel < n_channels)


def _band(channel: int, values: Array, windows: pd.DataFrame, top: float) -> Band:
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 0.0)
    ends = [(top + 10, number(high, 3))] if len(finite) else []
    if high > low:
        ends.append((top + _LINE_HEIGHT - 2, number(low, 3)))
    boxes = [box._replace(y=top, height=_LINE_HEIGHT) for box in _boxes(windows, len(values)) if box.level]
    middle = top + _LINE_HEIGHT / 2 + 4
    return Band(f"channel {channel}", middle, _lines(values, low, high, top), tuple(ends), tuple(boxes))


def _lines(values: Array, low: float, high: float, top: float) -> tuple[str, ...]:
    """Corners of the line through all steps, or through the least and the largest value of some neighbours each."""
    n = len(values)
    values = np.where(np.isfinite(values), values, np.nan)
    steps: Array = np.arange(n, dtype=np.float64) + 0.5
    if n > _MOST_POINTS:
        starts = np.arange(_MOST_POINTS // 2) * n // (_MOST_POINTS // 2)
        values = np.column_stack([np.fmin.reduceat(values, starts), np.fmax.reduceat(values, starts)]).reshape(-1)
        steps = np.repeat((starts + np.append(starts[1:], n)) / 2, 2)
    # Of 0 or 1, from above; in the middle where all values are the same.
    depth = (high / 2 - values / 2) / (high / 2 - low / 2) if high > low else values * 0 + 0.5
    x, y = _places(steps, n), top + _INSET + (_LINE_HEIGHT - 2 * _INSET) * depth
    known = np.isfinite(y)
    pieces = np.split(np.arange(len(y)), np.flatnonzero(np.diff(known)) + 1)
    return tuple(_corners(x[piece], y[piece]) for piece in pieces if known[piece].all())


def _corners(x: Array, y: Array) -> str:
    """As SVG writes them; a single point is a short line."""
    if len(x) == 1:
        x, y = np.array([x[0] - 1, x[0] + 1]), np.repeat(y, 2)
    return " ".join(f"{across:.1f},{down:.1f}" for across, down in zip(x.tolist(), y.tolist(), strict=True))


def _bars(windows: pd.DataFrame, n_steps: int, top: float, largest: float) -> tuple[Box, ...]:
    """Bars of parts on both sides of the middle, those that can be seen."""
    zero = top + _BARS_HEIGHT / 2
    heights = windows["attribution"].abs().to_numpy() / (largest or 1.0) * _BARS_HEIGHT / 2
    bars = zip(_boxes(windows, n_steps), heights.round(1).tolist(), strict=True)
    return tuple(
        box._replace(y=zero - height if box.sign == "plus" else zero, height=height) for box, height in bars if height
    )


def _boxes(windows: pd.DataFrame, n_steps: int) -> list[Box]:
    """Each window, of no height yet."""
    left, right = (_places(windows[name].to_numpy(np.float64), n_steps) for name in ("start", "stop"))
    titles = [
        f"{window_name(start, stop, channel)}: {signed(value)}"
        for start, stop, channel, value in windows[["start", "stop", "channel", "attribution"]].itertuples(index=False)
    ]
    marks = zip(windows["sign"], windows["level"], titles, strict=True)
    return [
        Box(round(x, 1), 0.0, round(end - x, 1), 0.0, sign, int(level), title)
        for x, end, (sign, level, title) in zip(left.tolist(), right.tolist(), marks, strict=True)
    ]


def _places(steps: Array, n_steps: int) -> Array:
    return np.asarray(LEFT + steps / n_steps * (WIDTH - LEFT - RIGHT))


def window_name(start: int, stop: int, channel: int) -> str:
    """A part of a series in words; steps are counted from 0."""
    if start == stop:
        return f"the number of steps, {int(start)}"
    steps = f"step {int(start)}" if stop - start == 1 else f"steps {int(start)} to {int(stop) - 1}"
    return steps if channel == ALL_CHANNELS else f"{steps}, channel {int(channel)}"


def window_names(parts: pd.DataFrame) -> list[str]:
    """The same of each part."""
    return [window_name(*where) for where in parts[["start", "stop", "channel"]].itertuples(index=False)]
