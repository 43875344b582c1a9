"""A map of an image drawn on the image, for a person to look at.

Colours are ordered by lightness, so that a map says the same in grey print and to whoever cannot tell hues apart:
lowest darkest, highest lightest. Signed maps are grey where they are 0, blue and darker below, yellow and lighter
above; maps without a sign go from dark blue, which is 0, to the same yellow. The image shows through in grey.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from tfx_explain.errors import InputError
from tfx_explain.regions.optional import optional
from tfx_explain.regions.segments import FloatArray
from tfx_explain.regions.sizes import nearest

if TYPE_CHECKING:
    from PIL import Image

MAX_SIDE = 640
"""Pixels of the longer side of what is drawn, unless another bound is given."""

_SIGNED = ((16, 42, 130), (128, 128, 128), (255, 232, 90))  # at -limit, 0, limit
_UNSIGNED = ((16, 24, 72), (255, 232, 90))  # at 0, limit
_SHARE_OF_MAP = 0.7


def overlay(
    picture: npt.ArrayLike,
    values: npt.ArrayLike,
    *,
    signed: bool = True,
    limit: float | None = None,
    max_side: int = MAX_SIDE,
) -> bytes:
    """A PNG of a map on its image, no larger than the image or `max_side`.

    Args:
      picture: (H, W) or (H, W, C) the image: bytes of colours as they are, any other numbers from their lowest, which
        is drawn black, to their highest, white.
      values: (h, w) the map, at any resolution.
      signed: whether the map is about 0; without, values below 0 are drawn as 0.
      limit: the value that has the strongest colour, as have those beyond; unless given, the largest there is. The same
        for several maps makes them comparable.
      max_side: of what is drawn, in pixels.

    Raises:
      ConfigError: Pillow is not installed.
      InputError: no such arrays, or values that are not finite.
    """
    found = np.asarray(values, np.float64)
    if found.ndim != 2 or not found.size or not np.isfinite(found).all():
        raise InputError(f"A map is an array (height, width) of finite numbers, not {found.shape}.")
    image, grey = optional("PIL.Image"), _grey(picture)
    factor = min(1.0, max_side / max(grey.size))
    width, height = (max(1, round(side * factor)) for side in grey.size)
    if factor < 1:
        grey = grey.resize((width, height), image.Resampling.BOX)
    under = np.asarray(grey, np.float64)[:, :, None]
    colours = colours_of(nearest(found, (height, width)), signed=signed, limit=limit)
    mixed = np.rint(_SHARE_OF_MAP * colours + (1 - _SHARE_OF_MAP) * under).astype(np.uint8)
    written = io.BytesIO()
    image.fromarray(mixed).save(written, "PNG")
    return written.getvalue()


def colours_of(values: FloatArray, *, signed: bool = True, limit: float | None = None) -> FloatArray:
    """(..., 3) red, green and blue, 0 to 255, of values (...); the rest as for `overlay`."""
    if limit is not None and not 0 <= limit < np.inf:
        raise InputError(f"The value with the strongest colour is 0 or a finite number above it, not {limit}.")
    largest = float(np.abs(values).max(initial=0.0)) if limit is None else limit
    # All are 0 where the largest is, so that any scale will do.
    scaled = np.clip(values, -largest, largest) / (largest or 1.0)
    stops = np.array(_SIGNED if signed else _UNSIGNED, np.float64)
    places = np.linspace(-1 if signed else 0, 1, len(stops))
    return np.stack([np.interp(scaled, places, channel) for channel in stops.T], axis=-1)


def _grey(picture: npt.ArrayLike) -> Image.Image:
    """An image in 8 bits of grey."""
    given = np.asarray(picture)
    if given.ndim not in (2, 3) or not given.size or given.dtype.kind not in "buif":
        raise InputError(
            f"An image is an array (height, width) or (height, width, channels) of numbers, not {given.shape} of "
            f"{given.dtype}."
        )
    image = optional("PIL.Image")
    if given.dtype == np.uint8 and given.shape[2:] in ((), (3,)):
        # Large photographs are left in bytes.
        return image.fromarray(given).convert("L")
    with np.errstate(over="ignore"):
        grey = np.atleast_3d(given).mean(axis=2, dtype=np.float64) / 2
    low, high = (0.0, 127.5) if given.dtype == np.uint8 else (grey.min(), grey.max())
    if not np.isfinite([low, high]).all():
        raise InputError("An image has values that are not finite: it cannot be drawn.")
    scaled = (grey - low) / (high - low) if high > low else np.full_like(grey, 0.5)
    return image.fromarray(np.rint(255 * scaled).astype(np.uint8))


def heat(values: npt.ArrayLike, *, signed: bool = True, side: int = 192) -> bytes:
    """A PNG of a map alone, in the colours of `overlay`, whose longer side has `side` pixels or a few less.

    Args:
      values: (h, w) finite numbers.
      signed: whether the map is about 0.
      side: pixels.

    Raises:
      ConfigError: Pillow is not installed.
      InputError: no such array.
    """
    found = np.asarray(values, np.float64)
    if found.ndim != 2 or not found.size or not np.isfinite(found).all():
        raise InputError(f"A map is an array (height, width) of finite numbers, not {found.shape}.")
    times = max(side // max(found.shape), 1)
    colours = np.rint(colours_of(found, signed=signed)).astype(np.uint8)
    written = io.BytesIO()
    optional("PIL.Image").fromarray(np.repeat(np.repeat(colours, times, axis=0), times, axis=1)).save(written, "PNG")
    return written.getvalue()
