"""Series in parts: windows of steps over all channels, channels over all steps, or both crossed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
Values = npt.NDArray[np.generic]

By = Literal["time", "channel", "both"]

ALL_CHANNELS = -1
"""In the place of a channel, of a part that has all of them."""


@dataclass(frozen=True)
class Windows:
    """How series are cut.

    Attributes:
      by: `time`, `channel` or `both`.
      n_windows: so many windows of a series, or one a step where it has fewer; None = by length.
      window_length: steps of each, fewer in the last one.
      max_parts: neighbours of more windows of this length are taken together.
    """

    by: By
    n_windows: int | None
    window_length: int | None
    max_parts: int

    def starts(self, n_steps: int, n_channels: int) -> IntArray:
        """(w + 1,) steps at which windows start, and the end; only the end where there are no steps."""
        if not n_steps:
            return np.zeros(1, np.int64)
        if self.by == "channel":
            return np.array([0, n_steps], np.int64)
        if self.n_windows is not None:
            n = min(self.n_windows, n_steps)
            return np.arange(n + 1) * n_steps // n
        length = self.window_length or 1
        most = max(self.max_parts // self.n_parts_of_window(n_channels), 1)
        n_joined = math.ceil(math.ceil(n_steps / length) / most)
        return np.append(np.arange(0, n_steps, length * n_joined), n_steps)

    def n_parts_of_window(self, n_channels: int) -> int:
        """How many parts a window has."""
        return 1 if self.by == "time" else n_channels

    def parts(self, n_steps: int, n_channels: int) -> IntArray:
        """(k, 3) first step, step after the last one, and channel, or `ALL_CHANNELS`; window after window."""
        starts = self.starts(n_steps, n_channels)
        channels = np.array([ALL_CHANNELS]) if self.by == "time" else np.arange(n_channels)
        windows = np.repeat(np.column_stack([starts[:-1], starts[1:]]), len(channels), axis=0)
        return np.column_stack([windows, np.tile(channels, len(starts) - 1)]).astype(np.int64)

    def owners(self, n_steps: int, n_channels: int) -> IntArray:
        """(n_steps * n_channels,) the part that each value belongs to; values of a step stand together."""
        starts = self.starts(n_steps, n_channels)
        window = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
        per_window = self.n_parts_of_window(n_channels)
        channel = np.arange(n_channels) if per_window > 1 else np.zeros(n_channels, np.int64)
        return (window[:, None] * per_window + channel).reshape(-1)


@dataclass(frozen=True, eq=False)
class SeriesValues:
    """A series with some of its parts absent.

    Attributes:
      own: (v,) its values, those of a step together.
      absent: (u,) what the first u of them become; the others, which are padding, stay as they are.
      owners: (u,) which part each of these belongs to.
      n_parts: how many there are.
    """

    own: Values
    absent: Values
    owners: IntArray
    n_parts: int

    @property
    def size(self) -> int:
        """Bytes of the series."""
        return max(self.own.nbytes, 1)

    @property
    def sizes(self) -> npt.NDArray[np.float64]:
        """(k,) ones."""
        return np.ones(self.n_parts)

    def column(self, coalitions: BoolArray, background: IntArray | None = None) -> Values:
        """(n, v) values for coalitions (n, k), True = present, whatever the background."""
        made = np.tile(self.own, (len(coalitions), 1))
        u = len(self.absent)
        made[:, :u] = np.where(coalitions[:, self.owners], self.own[:u], self.absent)
        return made


def n_real_steps(values: Values, lengths: IntArray, n_channels: int, padding: float | None) -> IntArray:
    """(n,) how many steps each of n series has without the padding at its end.

    Args:
      values: of all series, one after the other.
      lengths: (n,) how many values each has; what is no whole step is no step.
      n_channels: values of a step.
      padding: steps at the end all of whose values equal it, as their type has it, do not count; None = all count.
    """
    n_steps = lengths // n_channels
    if padding is None:
        return n_steps
    series = np.repeat(np.arange(len(lengths)), lengths)
    step = (np.arange(len(values)) - np.repeat(np.cumsum(lengths) - lengths, lengths)) // n_channels
    counts = (values != padding) & (step < n_steps[series])
    found = np.zeros(len(lengths), np.int64)
    np.maximum.at(found, series[counts], step[counts] + 1)
    return found
