"""Pictures in bytes: those that examples hold, and label maps that explanations do.

Pillow reads and writes them; it comes with the extra `images`.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from tfx_explain.errors import InputError, UnreadableImageError
from tfx_explain.regions.optional import optional
from tfx_explain.regions.segments import MAX_LABELS, LabelMap

if TYPE_CHECKING:
    from PIL import Image

Picture = npt.NDArray[np.uint8]

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP")
"""Kinds of pictures that are read, whatever a name or a MIME type says."""
MAX_PIXELS = 50_000_000
"""Of the largest picture that is read: 150 MB of colours."""

# Of maps of figures: which value is 0, how many there are on either side of it, and where their size stands.
_ZERO, _MOST_STEPS, _SCALE = 32_768, 32_767, "scale"
_MODES_OF_16_BITS = ("I;16", "I;16B", "I;16L", "I")


def decode_image(data: bytes, *, max_pixels: int = MAX_PIXELS) -> Picture:
    """The colours of a picture as stored, (H, W, 3).

    Of an animation it is the first picture; of 16 bits the upper 8, as TensorFlow reads them; grey and CMYK become RGB.
    What is transparent is white, as on a page. A camera's note that the picture is to be turned is left alone, since
    models see the pixels as they are stored, and so do maps of them.

    Args:
      data: of any of `FORMATS`.
      max_pixels: of the picture.

    Raises:
      ConfigError: Pillow is not installed.
      UnreadableImageError: no such picture, a part of one, or more pixels.
    """
    pillow = optional("PIL.Image")
    if not data:
        raise UnreadableImageError("An image has no bytes.")
    try:
        with pillow.open(io.BytesIO(data), formats=FORMATS) as picture:
            width, height = picture.size
            if width * height <= max_pixels:
                return _rgb(picture)
    except pillow.UnidentifiedImageError as error:
        raise UnreadableImageError(
            f"An image of {len(data):,} bytes is none of {', '.join(FORMATS)}: its first bytes are {data[:8]!r}."
        ) from error
    except (pillow.DecompressionBombError, pillow.DecompressionBombWarning) as error:
        raise UnreadableImageError(f"An image has more than {max_pixels:,} pixels: make it smaller.") from error
    except Exception as error:
        # What a decoder raises at damaged bytes is any of a dozen classes.
        raise UnreadableImageError(f"An image of {len(data):,} bytes is damaged or cut off: {error}.") from error
    raise UnreadableImageError(
        f"An image has {width:,} x {height:,} pixels, more than {max_pixels:,}: make it smaller."
    )


def encode_labels(labels: npt.ArrayLike) -> bytes:
    """A PNG of 16-bit grey whose values are the labels.

    Args:
      labels: (H, W) integers from 0 to 65,535.

    Raises:
      ConfigError: Pillow is not installed.
      InputError: other labels.
    """
    given = np.asarray(labels)
    if given.ndim != 2 or not given.size or given.dtype.kind not in "iu":
        raise InputError(f"A label map is an array (height, width) of integers, not {given.shape} of {given.dtype}.")
    if given.min() < 0 or given.max() >= MAX_LABELS:
        raise InputError(f"Labels are from 0 to {MAX_LABELS - 1:,}, not from {given.min():,} to {given.max():,}.")
    written = io.BytesIO()
    optional("PIL.Image").fromarray(given.astype(np.uint16)).save(written, "PNG")
    return written.getvalue()


def decode_labels(data: bytes) -> LabelMap:
    """The labels (H, W) of what `encode_labels` made.

    Raises:
      ConfigError: Pillow is not installed.
      UnreadableImageError: no PNG of 16-bit grey, or a part of one.
    """
    pillow = optional("PIL.Image")
    try:
        with pillow.open(io.BytesIO(data), formats=("PNG",)) as picture:
            mode, values = picture.mode, np.asarray(picture)
    except Exception as error:
        # As in `decode_image`.
        raise UnreadableImageError(f"A label map of {len(data):,} bytes is no whole PNG: {error}.") from error
    if mode not in _MODES_OF_16_BITS:
        raise UnreadableImageError(f"A label map is a PNG of 16-bit grey, not of mode {mode}.")
    return values.astype(np.int32)


def encode_values(values: npt.ArrayLike) -> bytes:
    """A PNG of 16-bit grey whose values are figures of pixels, to a 65,534th of the range from -m to m.

    m is the largest size; 32,768 is 0, and the size of a step is the text `scale` of the file.

    Args:
      values: (H, W) finite ones.

    Raises:
      ConfigError: Pillow is not installed.
      InputError: other values.
    """
    given = np.asarray(values, np.float64)
    if given.ndim != 2 or not given.size or not np.isfinite(given).all():
        raise InputError(f"A map of pixels is an array (height, width) of finite numbers, not {given.shape}.")
    scale = float(np.abs(given).max()) / _MOST_STEPS
    steps = np.rint(given / scale) if scale > 0 else np.zeros_like(given)
    told = optional("PIL.PngImagePlugin").PngInfo()
    told.add_text(_SCALE, repr(scale))
    written = io.BytesIO()
    codes = (np.clip(steps, -_MOST_STEPS, _MOST_STEPS) + _ZERO).astype(np.uint16)
    optional("PIL.Image").fromarray(codes).save(written, "PNG", pnginfo=told)
    return written.getvalue()


def decode_values(data: bytes) -> npt.NDArray[np.float64]:
    """The figures (H, W) of what `encode_values` made.

    Raises:
      ConfigError: Pillow is not installed.
      UnreadableImageError: no such PNG, or a part of one.
    """
    pillow = optional("PIL.Image")
    try:
        with pillow.open(io.BytesIO(data), formats=("PNG",)) as picture:
            mode, codes, scale = picture.mode, np.asarray(picture), float(picture.info[_SCALE])
    except Exception as error:
        # As in `decode_image`.
        raise UnreadableImageError(f"A map of pixels of {len(data):,} bytes is no whole PNG: {error}.") from error
    if mode not in _MODES_OF_16_BITS or not 0 <= scale < np.inf:
        raise UnreadableImageError(f"A map of pixels is a PNG of 16-bit grey with a scale, not of mode {mode}.")
    return (codes.astype(np.float64) - _ZERO) * scale


def _rgb(picture: Image.Image) -> Picture:
    """The first picture in RGB, on white."""
    if picture.mode in _MODES_OF_16_BITS:
        # Pillow's own conversion takes all above 255 for white.
        upper = (np.asarray(picture).astype(np.uint16) >> 8).astype(np.uint8)
        return np.repeat(upper[:, :, None], 3, axis=2)
    if picture.has_transparency_data:
        above = picture.convert("RGBA")
        white = optional("PIL.Image").new("RGBA", above.size, "white")
        picture = optional("PIL.Image").alpha_composite(white, above)
    return np.array(picture.convert("RGB"), np.uint8)
