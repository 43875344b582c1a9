"""Label maps that examples bring along: which region of one's own each pixel of an image is in."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import numpy.typing as npt

from tfx_explain.errors import InputError, UnreadableImageError
from tfx_explain.regions.optional import optional
from tfx_explain.regions.segments import LabelMap

_MODES = ("1", "L", "P", "I", "I;16", "I;16B", "I;16L")


def read_mask(values: list[Any], shape: tuple[int, int]) -> LabelMap:
    """The labels (H, W) of an image.

    Args:
      values: of the feature: one PNG file, whose values, or indices into a palette, are the labels; or H x W integers.
      shape: of the image.

    Raises:
      ConfigError: Pillow is not installed.
      InputError: something else, or of another size.
    """
    if not values:
        raise InputError("there is none.")
    if not isinstance(values[0], bytes):
        labels = np.asarray(values)
        if labels.dtype.kind not in "iu" or labels.size != shape[0] * shape[1]:
            raise InputError(
                f"it has {labels.size} values, where the image has {shape[0]} x {shape[1]} pixels, each with a whole "
                "number."
            )
        return _checked(labels.reshape(shape))
    if len(values) > 1:
        raise InputError(f"it has {len(values)} files and not one.")
    return _checked(_of_file(values[0], shape))


def _of_file(file: bytes, shape: tuple[int, int]) -> npt.NDArray[Any]:
    pillow = optional("PIL.Image")
    try:
        with pillow.open(io.BytesIO(file), formats=("PNG",)) as picture:
            mode, size = picture.mode, picture.size[::-1]
            # The size says enough of a large one.
            labels = np.asarray(picture) if mode in _MODES and size == shape else None
    except pillow.UnidentifiedImageError as error:
        raise UnreadableImageError(f"its {len(file):,} bytes are no PNG: the first ones are {file[:8]!r}.") from error
    except Exception as error:
        # What a decoder raises at damaged bytes is any of a dozen classes.
        raise UnreadableImageError(f"its {len(file):,} bytes are no whole PNG: {error}.") from error
    if size != shape:
        raise InputError(f"it is {size[0]} x {size[1]}, where the image is {shape[0]} x {shape[1]}.")
    if labels is None:
        raise InputError(f"it is a picture of mode {mode}, whose values are no single whole numbers.")
    return labels


def _checked(labels: npt.NDArray[Any]) -> LabelMap:
    _, numbers = np.unique(labels, return_inverse=True)
    return np.asarray(numbers.reshape(labels.shape), np.int32)
