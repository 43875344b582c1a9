"""Series in parts: windows, channels, or both crossed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tfx_explain.config.parts import WindowsConfig
from tfx_explain.errors import ConfigError
from tfx_explain.methods.context import FirstRows
from tfx_explain.methods.series import SeriesForm
from tfx_explain.methods.shapley.parts.rows import Asked
from tfx_explain.models import Model
from tfx_explain.models.features import Column, Ragged
from tfx_explain.models.reading import read_values
from tfx_explain.part_records import PartsOf
from tfx_explain.regions.series import ALL_CHANNELS, SeriesValues, Windows
from tfx_explain.rows import list_lengths

IntArray = npt.NDArray[np.int64]

_LARGEST_WHOLE = 2.0**53

SERIES_PARTS = PartsOf("windows", ("start", "stop", "channel"))


@dataclass(frozen=True, eq=False)
class SeriesRows:
    """n rows with a series each.

    Attributes:
      windows: how they are cut.
      steps: (n,) how many steps each has, padding not among them.
      absent: (n_channels,) what absent values become.
      has_rest: whether rows differ in their numbers of steps, which is then a part of its own.
    """

    windows: Windows
    steps: IntArray
    absent: npt.NDArray[np.float64]
    has_rest: bool

    @property
    def lengths(self) -> IntArray:
        """(n,) windows, channels, or pairs of them, of each row."""
        per_window, n_channels = self.windows.n_parts_of_window(len(self.absent)), len(self.absent)
        kinds, kind = np.unique(self.steps, return_inverse=True)
        counts = [per_window * (len(self.windows.starts(steps, n_channels)) - 1) for steps in kinds.tolist()]
        return np.array(counts, np.int64)[kind.reshape(-1)]

    def seen(self, asked: Asked | None) -> tuple[IntArray, int]:
        """(n,) all of them, without asking."""
        return self.lengths, 0

    def where(self, seen: IntArray) -> IntArray:
        """(N, 3) first step, step after the last one, and channel; both steps of the rest are the number of steps."""
        made = {steps: self._where(steps) for steps in np.unique(self.steps).tolist()}
        return np.concatenate([np.zeros((0, 3), np.int64), *(made[steps] for steps in self.steps.tolist())])

    def _where(self, n_steps: int) -> IntArray:
        rest = np.array([[n_steps, n_steps, ALL_CHANNELS]] * self.has_rest, np.int64).reshape(-1, 3)
        return np.concatenate([self.windows.parts(n_steps, len(self.absent)), rest])

    def values(self, row: int, n_parts: int, own: Column) -> SeriesValues:
        """What a series can be."""
        of_row = own.values[own.row_splits[row] : own.row_splits[row + 1]] if isinstance(own, Ragged) else own[row]
        n_steps = int(self.steps[row])
        absent = np.tile(self.absent.astype(of_row.dtype), n_steps)
        return SeriesValues(of_row.reshape(-1), absent, self.windows.owners(n_steps, len(self.absent)), n_parts)


def series_rows(
    rows: pa.RecordBatch, feature: str, settings: WindowsConfig, form: SeriesForm, absent: Sequence[float]
) -> tuple[SeriesRows, dict[int, str]]:
    """The series of each row in parts, and row -> why it cannot be cut."""
    series = form.series(rows, feature)
    counts = series.lengths
    reasons = {
        row: f"the series `{feature}` has {counts[row]} values, which is no multiple of its {form.n_channels} channels"
        for row in np.flatnonzero(counts % form.n_channels).tolist()
    }
    if read_values(rows, feature).family == "strings":
        texts = np.flatnonzero(list_lengths(rows.column(feature)))
        reasons |= dict.fromkeys(texts.tolist(), f"the series `{feature}` holds texts and no numbers")
    has_rest = form.n_steps is None or settings.padding is not None
    return SeriesRows(settings.cutter, form.real_steps(series, settings), np.array(absent), has_rest), reasons


def check_series(feature: str, settings: WindowsConfig, rows: FirstRows, models: Sequence[Model]) -> None:
    """Refuses to look for windows in what is no series, or for too many.

    Raises:
      ConfigError: names the feature, and what to do.
    """
    form = SeriesForm.of(feature, settings, models)
    families = {read_values(of_split, feature).family for of_split in rows.splits.values()}
    if "strings" in families:
        raise ConfigError(
            f"`parts` looks for windows inside `{feature}`, which is text; set `unit`, or take it out of `parts`."
        )
    cutter = settings.cutter
    n_parts = (cutter.n_windows or 1) * cutter.n_parts_of_window(form.n_channels)
    if cutter.by == "channel":
        n_parts = form.n_channels
    if n_parts > settings.max_parts:
        raise ConfigError(
            f"`parts` of `{feature}` asks for {n_parts} parts of a row, of {form.n_channels} channels, which is more "
            f"than `max_parts: {settings.max_parts}`; ask for fewer windows, or another `by`."
        )
    is_whole = form.is_whole if form.is_whole is not None else families == {"integers"}
    absent = settings.absent
    if is_whole and isinstance(absent, float) and not (absent.is_integer() and abs(absent) < _LARGEST_WHOLE):
        raise ConfigError(
            f"`absent: {absent}` of `parts` of `{feature}` is no whole number, as its values are; give one."
        )
