"""Series as features of rows: how models read them, and what absent means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tfx_explain.config.parts import WindowsConfig
from tfx_explain.errors import ConfigError
from tfx_explain.models import FeatureSpec, Model
from tfx_explain.models.features import Ragged
from tfx_explain.models.reading import read_values
from tfx_explain.regions.series import n_real_steps

IntArray = npt.NDArray[np.int64]

_LOOKS = "`parts` looks inside `{}`, which "


@dataclass(frozen=True, eq=False)
class SeriesForm:
    """How a series lies in rows: a flat list of values, those of a step together.

    Attributes:
      n_channels: values of a step.
      n_steps: of every row; None where rows may differ.
      is_whole: whether the values are whole numbers; None where the model does not say.
      default: (n_steps * n_channels,) what a missing series is; None where it is one without steps.
    """

    n_channels: int
    n_steps: int | None = None
    is_whole: bool | None = None
    default: npt.NDArray[np.generic] | None = None

    @classmethod
    def of(cls, feature: str, settings: WindowsConfig, models: Sequence[Model]) -> SeriesForm:
        """As the models say.

        Raises:
          ConfigError: a model reads no series, or another one than the other model or the settings say.
        """
        specs = [(model.what, spec) for model in models for spec in model.features if spec.name == feature]
        forms = [_form(settings, what, spec) for what, spec in specs]
        for (what, _), form in zip(specs, forms, strict=True):
            if (form.n_channels, form.n_steps) != (forms[0].n_channels, forms[0].n_steps):
                raise ConfigError(
                    f"{_LOOKS.format(feature)}{specs[0][0]} and {what} read in different shapes; take it out of "
                    "`parts`."
                )
        return forms[0] if forms else cls(settings.channels or 1)

    def series(self, rows: pa.RecordBatch, feature: str) -> Ragged:
        """The values of each row's series; none where they are no numbers."""
        found = read_values(rows, feature)
        if found.family not in ("floats", "integers"):
            found_lengths = np.zeros(rows.num_rows, np.int64)
            ragged = Ragged.from_lengths(np.zeros(0, np.int64 if self.is_whole else np.float32), found_lengths)
        else:
            ragged = found.ragged
        if self.default is None:
            return ragged
        # The default stands behind all rows, to be taken where there are none.
        lengths = np.append(ragged.lengths, len(self.default))
        both = Ragged.from_lengths(np.concatenate([ragged.values, self.default.astype(ragged.values.dtype)]), lengths)
        return both.take(np.where(ragged.lengths > 0, np.arange(len(ragged)), len(ragged)))

    def real_steps(self, series: Ragged, settings: WindowsConfig) -> IntArray:
        """(n,) steps of each row, padding not among them."""
        return n_real_steps(series.values, series.lengths, self.n_channels, settings.padding)


def _form(settings: WindowsConfig, what: str, spec: FeatureSpec) -> SeriesForm:
    """As one model reads it."""
    shape, asked = spec.shape, settings.channels
    is_number = "float" in spec.dtype or "int" in spec.dtype
    if not is_number or len(shape) > 2 or (spec.kind == "dense" and (not shape or not spec.size)):
        raise ConfigError(
            f"{_LOOKS.format(spec.name)}{what} reads as {spec.dtype} of shape {shape} and not as a series, numbers of "
            "shape (steps,) or (steps, channels) or a list of them; take it out of `parts`."
        )
    own = (shape[1] if len(shape) == 2 else None) if spec.kind == "dense" else (spec.size if spec.size > 1 else None)
    n_channels = asked or own or 1
    if (own is not None and own != n_channels) or (spec.kind == "dense" and spec.size % n_channels):
        raise ConfigError(
            f"`channels: {asked}` of `parts` of `{spec.name}` does not fit the shape {shape} in which {what} reads it; "
            "remove `channels`, or mend it."
        )
    is_whole = "float" not in spec.dtype
    if spec.kind != "dense":
        return SeriesForm(n_channels, None, is_whole)
    default = None if spec.default is None else np.broadcast_to(np.asarray(spec.default), shape).reshape(-1)
    return SeriesForm(n_channels, spec.size // n_channels, is_whole, default)


def absent_values(rows: pa.RecordBatch, feature: str, settings: WindowsConfig, form: SeriesForm) -> tuple[float, ...]:
    """What absent values of each channel become, (n_channels,): whole numbers in a series of such."""
    series = form.series(rows, feature)
    is_whole = series.values.dtype.kind != "f" if form.is_whole is None else form.is_whole
    if settings.absent == "mean":
        values = _means(series, form, settings)
        values = np.rint(values) if is_whole else values
    else:
        values = np.full(form.n_channels, 0.0 if settings.absent == "zero" else float(settings.absent))
    return tuple((values if is_whole else values.astype(np.float32)).astype(np.float64).tolist())


def _means(series: Ragged, form: SeriesForm, settings: WindowsConfig) -> npt.NDArray[np.float64]:
    """(n_channels,) means of finite values over all steps; 0 where there are none."""
    place = _places(series)
    n_values = np.repeat(form.real_steps(series, settings) * form.n_channels, series.lengths)
    counted = (place < n_values) & np.isfinite(series.values)
    channel, n = place[counted] % form.n_channels, form.n_channels
    sums = np.bincount(channel, series.values[counted].astype(np.float64), minlength=n)
    return np.asarray(sums / np.maximum(np.bincount(channel, minlength=n), 1))


def absent_series(
    rows: pa.RecordBatch, feature: str, settings: WindowsConfig, form: SeriesForm, absent: tuple[float, ...]
) -> pa.Array:
    """The series of rows where they are absent: of the rows' own numbers of steps, and their own padding."""
    series = form.series(rows, feature)
    place = _places(series)
    n_values = np.repeat(form.real_steps(series, settings) * form.n_channels, series.lengths)
    is_whole = series.values.dtype.kind != "f" if form.is_whole is None else form.is_whole
    instead = np.array(absent)[place % form.n_channels]
    # A model that takes floats may read rows of integers, so their type counts where that of the model is not known.
    values = np.where(place < n_values, instead, series.values).astype(np.int64 if is_whole else np.float32)
    return pa.LargeListArray.from_arrays(pa.array(series.row_splits, pa.int64()), pa.array(values))


def _places(series: Ragged) -> IntArray:
    """(n_values,) the place of each value in its series."""
    return np.arange(len(series.values)) - np.repeat(series.row_splits[:-1], series.lengths)
