"""What stands in the place of an image, or of a region of it, that is absent: its own blur, its mean, one colour."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from tfx_explain.regions.blurs import blurred
from tfx_explain.regions.optional import optional
from tfx_explain.regions.segments import reduced

Pixels = npt.NDArray[Any]

# The strongest of Blur IG: 50 pixels at 224 x 224.
_BLUR = 50 / 224
_WITH_ALPHA = (2, 4)

Absent = Literal["blur", "mean", "black", "white"]


def absent_picture(pixels: Pixels, absent: Absent) -> Pixels:
    """What takes the place of an image (H, W, C) of finite numbers, of its shape and type.

    `blur` is its own, so strong that little is left but where it is light and dark: a Gauss of 22 % of its side.
    `mean` is the mean of each channel. `black` and `white` are 0 and the largest number of its type, with all of it to
    be seen where there is a channel for that: for pictures of bytes.

    Source of the strength: Xu, Venugopalan and Sundararajan, "Attribution in scale and space", CVPR 2020.
    """
    if absent in ("black", "white"):
        largest = np.iinfo(pixels.dtype).max
        made = np.full_like(pixels, largest if absent == "white" else 0)
        if pixels.shape[2] in _WITH_ALPHA:
            made[..., -1] = largest
        return made
    values = pixels.astype(np.float64)
    if absent == "mean":
        made = np.broadcast_to(values.mean(axis=(0, 1)), values.shape)
    else:
        made = _blurred(values)
    return made.astype(pixels.dtype) if pixels.dtype.kind == "f" else np.rint(made).astype(pixels.dtype)


def _blurred(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """A large image is blurred small: nothing is left that this could lose."""
    small = reduced(values)
    (found,) = blurred(small, _BLUR * math.sqrt(small.shape[0] * small.shape[1]))
    if small.shape != values.shape:
        found = optional("skimage.transform").resize(found, values.shape, order=1, mode="edge", preserve_range=True)
    # What rounding adds at the ends of the range would wrap around in whole numbers.
    return np.asarray(np.clip(found, values.min(), values.max()), np.float64)
