"""Images as features of rows: how models read them, and what absent means."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tfx_explain.config.parts import RegionsConfig
from tfx_explain.errors import ConfigError, InputError, UnreadableImageError
from tfx_explain.models import FeatureSpec, Model
from tfx_explain.models.pictures import decoded_picture
from tfx_explain.models.reading import read_values
from tfx_explain.regions import decode_image
from tfx_explain.regions.absent import absent_picture
from tfx_explain.regions.written import png_file
from tfx_explain.rows import column_or_nulls, list_lengths

Pixels = npt.NDArray[Any]

_LOOKS = "`parts` looks inside `{}`, which "
# Of files that are kept.
_LEVEL = 6


@dataclass(frozen=True)
class ImageForm:
    """How images lie in rows.

    Attributes:
      shape: (height, width) or (height, width, channels) of numbers; None of files.
    """

    shape: tuple[int, ...] | None = None

    @classmethod
    def of(cls, feature: str, models: Sequence[Model]) -> ImageForm:
        """As the models say; files where none does.

        Raises:
          ConfigError: a model reads no image, or another one than the other model.
        """
        specs = [(model.what, spec) for model in models for spec in model.features if spec.name == feature]
        forms = [_form(what, spec) for what, spec in specs]
        for (what, _), form in zip(specs, forms, strict=True):
            if form != forms[0]:
                raise ConfigError(
                    f"{_LOOKS.format(feature)}{specs[0][0]} and {what} read in different shapes; take it out of "
                    "`parts`."
                )
        return forms[0] if forms else cls()

    @property
    def height_and_width(self) -> tuple[int, int]:
        """Of images of numbers."""
        height, width = (self.shape or (0, 0))[:2]
        return height, width


def _form(what: str, spec: FeatureSpec) -> ImageForm:
    """As one model reads it."""
    if spec.dtype == "string" and spec.size == 1:
        return ImageForm()
    is_number = "float" in spec.dtype or "int" in spec.dtype
    if not is_number or spec.kind != "dense" or len(spec.shape) not in (2, 3) or not spec.size:
        raise ConfigError(
            f"{_LOOKS.format(spec.name)}{what} reads as {spec.dtype} of shape {spec.shape} and not as an image, one "
            "file or numbers of a fixed shape (height, width) or (height, width, channels); take it out of `parts`."
        )
    return ImageForm(spec.shape)


def read_file(file: bytes, channels: int = 0) -> Pixels:
    """The pixels (H, W, C) of a file, in 8 or 16 bits: as TensorFlow reads them, else in RGB as Pillow does.

    Args:
      file: of any kind that either reads.
      channels: see `decoded_picture`.

    Raises:
      UnreadableImageError: none does, or not in so many channels.
    """
    found = decoded_picture(file, channels)
    if found is not None:
        return found
    if channels not in (0, 3):
        raise UnreadableImageError(f"it cannot be read in {channels} channels.")
    return decode_image(file)


def files_of(rows: pa.RecordBatch, feature: str) -> list[bytes]:
    """The file of each row; without bytes where it has none."""
    return [bytes(values[0]) if values else b"" for values in column_or_nulls(rows, feature).to_pylist()]


def finite_picture(pixels: Pixels) -> Pixels:
    """The same.

    Raises:
      InputError: it has values that are not finite.
    """
    if pixels.dtype.kind == "f" and not np.isfinite(pixels).all():
        raise InputError("it has values that are not finite.")
    return pixels


def absent_images(
    rows: pa.RecordBatch, feature: str, settings: RegionsConfig, form: ImageForm, absent: tuple[float, ...]
) -> pa.Array:
    """The images of rows where they are absent; what is no whole image stays as it is.

    Args:
      rows: n of them.
      feature: the image.
      settings: what absent means.
      form: how images lie in rows.
      absent: the number that all become, if one.
    """
    column = column_or_nulls(rows, feature)
    if settings.absent == "background":
        return column
    if form.shape is None:
        return _absent_files(column, settings)
    found = read_values(rows, feature).ragged

    def instead(values: Pixels) -> Pixels:
        if absent or not np.isfinite(values).all():
            return np.full_like(values, absent[0]) if absent else values
        height, width = form.height_and_width
        return absent_picture(values.reshape(height, width, -1), settings.absent).reshape(-1)  # type: ignore[arg-type]

    size = int(np.prod(form.shape))
    images = np.split(found.values, found.row_splits[1:-1])
    made = [instead(values) if len(values) == size else values for values in images]
    values = np.concatenate([found.values[:0], *made])
    return pa.LargeListArray.from_arrays(pa.array(found.row_splits, pa.int64()), pa.array(values))


def one_number(rows: pa.RecordBatch, feature: str, settings: RegionsConfig, form: ImageForm) -> tuple[float, ...]:
    """What absent numbers all become: of rows the least (black), or the largest (white); () where they differ."""
    if settings.absent not in ("black", "white") or form.shape is None:
        return ()
    values = read_values(rows, feature).ragged.values
    finite = values[np.isfinite(values)] if values.dtype.kind == "f" else values
    choose: Callable[[Pixels], Any] = np.min if settings.absent == "black" else np.max
    return (float(choose(finite)),) if len(finite) else (0.0,)


def _absent_files(column: pa.Array, settings: RegionsConfig) -> pa.Array:
    made = []
    for values in column.to_pylist():
        try:
            own = read_file(bytes(values[0])) if values and len(values) == 1 and isinstance(values[0], bytes) else None
        except UnreadableImageError:
            own = None
        absent = None if own is None else absent_picture(own, settings.absent)  # type: ignore[arg-type]
        made.append(values if absent is None else [png_file(absent, level=_LEVEL)])
    return pa.array(made, column.type)


def check_masks(masks: str | None, rows: pa.RecordBatch, whose: str, split: str) -> None:
    """Refuses masks that no row has.

    Args:
      masks: the feature with regions; None where none is asked for.
      rows: the first ones of a split.
      whose: the setting, for messages.
      split: its name.

    Raises:
      ConfigError: there are none.
    """
    if masks is not None and not list_lengths(column_or_nulls(rows, masks)).any():
        raise ConfigError(
            f"`masks: {masks}` of {whose} names a feature that no example of split `{split}` has; name one that holds "
            "label maps."
        )
