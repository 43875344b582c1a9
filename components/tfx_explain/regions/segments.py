"""Regions of an image that attributions may be given to: label maps at several scales, which overlap.

Every length is that of XRAI's own settings where the image has as many pixels as 224 x 224, and grows with the root of
the number of pixels, every area with their number: how far regions are dilated, the blur before colours are compared,
the smallest region, and how many pixels a region must add. Felzenszwalb's parameter stays as it is: pixels of a small
image differ more from their neighbours, by as much as it takes that its regions are about as many as those of the same
photograph at 224 x 224, and lie where those do. Elsewhere each image is squeezed to a square of 224 x 224, and the
lengths stay as they are whatever its size, so that on a picture of 8 x 8 every region is dilated to all of it.

Sources: A. Kapishnikov et al., "XRAI: better attributions through regions", ICCV 2019, for scales and dilation;
P. Felzenszwalb and D. Huttenlocher, "Efficient graph-based image segmentation", IJCV 2004.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import math
import os
import threading
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from tfx_explain.errors import InputError
from tfx_explain.regions.optional import optional
from tfx_explain.regions.sizes import nearest

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
LabelMap = npt.NDArray[np.int32]

SCALES = (50, 100, 150, 250, 500, 1200)
"""How large regions are, by Felzenszwalb's parameter: one label map each."""
MAX_LABELS = 2**16
"""Regions of a label map of one's own, and of a partition: what a 16-bit picture can hold."""

_N_PIXELS = 224 * 224  # what the next four belong to, and the most that are cut up
_SIGMA = 0.8
_MIN_PIXELS = 150
_RADIUS = 5
_MIN_NEW_PIXELS = 50

# Up to there it is faster to go through the pixels of a disk than through regions.
_MAX_REACH_OF_SHIFTS = 2

_ONE_AT_A_TIME = threading.Lock()


@dataclasses.dataclass(frozen=True)
class Segments:
    """n regions of one image, which may overlap.

    Attributes:
      maps: label maps (H, W); each has labels from 0 without gaps, -1 is in none of its regions.
      radius: in pixels; each region also takes what is no further than this from one of its pixels.
      min_new_pixels: a region that adds fewer to those that are taken already is not worth having.
    """

    maps: tuple[LabelMap, ...]
    radius: float
    min_new_pixels: int

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width."""
        height, width = self.maps[0].shape
        return height, width

    @property
    def is_disjoint(self) -> bool:
        """Whether no two regions have a pixel in common."""
        return len(self.maps) == 1 and self.radius < 1

    @functools.cached_property
    def members(self) -> tuple[IntArray, IntArray]:
        """(n + 1,) where the pixels of each region start, map after map, and (p,) these pixels, row by row."""
        parts = [self._of_one(labels) for labels in self.maps]
        counts = np.concatenate([counts for counts, _ in parts])
        return np.concatenate([[0], np.cumsum(counts)]), np.concatenate([pixels for _, pixels in parts])

    def _of_one(self, labels: LabelMap) -> tuple[IntArray, IntArray]:
        """(m,) numbers of pixels of one map's regions, and (q,) these pixels."""
        if self.radius < 1:
            flat = labels.ravel()
            inside = np.flatnonzero(flat >= 0)
            pixels = inside[np.argsort(flat[inside], kind="stable")]
            return np.bincount(flat[inside]).astype(np.int64), pixels
        if self.radius < _MAX_REACH_OF_SHIFTS + 1:
            return _shifted(labels, self.radius)
        found = [self._dilated(labels, label, box) for label, box in enumerate(ndimage.find_objects(labels + 1))]
        return np.array([len(pixels) for pixels in found], np.int64), np.concatenate(found)

    def _dilated(self, labels: LabelMap, label: int, box: tuple[slice, slice]) -> IntArray:
        """Pixels of one region with what is near it, looked for no further than around its bounding box."""
        reach = math.floor(self.radius)
        top, left = (max(side.start - reach, 0) for side in box)
        crop = labels[top : box[0].stop + reach, left : box[1].stop + reach]
        rows, columns = np.nonzero(ndimage.distance_transform_edt(crop != label) <= self.radius)
        return np.asarray((rows + top) * labels.shape[1] + columns + left, np.int64)


def find_segments(image: npt.ArrayLike) -> Segments:
    """The regions of an image at six scales, found by its colours alone.

    The scales are those of an image of 224 x 224 whose values are in [-1, 1]. One of more pixels is brought to as many,
    of the same proportions, cut up and brought back; a smaller one is cut up as it is, which takes less time than
    enlarged, and gives regions nearer to those of the same photograph at 224 x 224. So the smallest region is
    150 / 224**2 = 0.3 % of any image, a single pixel where it has fewer than 502; regions are dilated by 5 pixels at
    224 x 224, and not at all below 45 x 45. An image of one colour, or of one pixel, is one region. The range of values
    does not matter.

    Args:
      image: (H, W) or (H, W, C) of any number of channels: what the model sees, or a picture of it.

    Raises:
      ConfigError: scikit-image is not installed.
      InputError: not such an array, no pixel, or values that are not finite.

    Source: the parameters of PAIR `saliency`, which gives the same regions at 224 x 224.
    """
    pixels = normalised(image)
    height, width = pixels.shape[:2]
    area = height * width / _N_PIXELS
    maps: tuple[LabelMap, ...]
    if not pixels.any():
        maps = (np.zeros((height, width), np.int32),)
    elif area <= 1:
        maps = tuple(_felzenszwalb(pixels, area))
    else:
        maps = tuple(_brought_back(found, (height, width)) for found in _felzenszwalb(reduced(pixels), 1.0))
    return Segments(maps, _RADIUS * math.sqrt(area), max(1, round(_MIN_NEW_PIXELS * area)))


def own_segments(labels: npt.ArrayLike) -> Segments:
    """The regions of a label map: pixels with the same label are one region, however far apart.

    Args:
      labels: (H, W) integers; pixels with negative ones are in no region.

    Raises:
      InputError: not such an array, no pixel, or more labels than a stored label map can hold.
    """
    given = np.asarray(labels)
    if given.ndim != 2 or not given.size or not (np.issubdtype(given.dtype, np.integer) or given.dtype == np.bool_):
        raise InputError(f"A label map is an array (height, width) of integers, not {given.shape} of {given.dtype}.")
    found, numbers = np.unique(given, return_inverse=True)
    n_without = int((found < 0).sum())
    if len(found) - n_without >= MAX_LABELS:
        raise InputError(f"A label map has fewer than {MAX_LABELS:,} regions, not {len(found) - n_without:,}.")
    compact = np.maximum(numbers.reshape(given.shape) - n_without, -1).astype(np.int32)
    return Segments((compact,), radius=0.0, min_new_pixels=1)


def normalised(image: npt.ArrayLike) -> FloatArray:
    """(H, W, C) with values from -1 to 1; all 0 where they are all the same."""
    values = np.asarray(image)
    if values.ndim not in (2, 3) or not values.size or values.dtype.kind not in "buif":
        raise InputError(
            f"An image is an array (height, width) or (height, width, channels) of numbers, not {values.shape} of "
            f"{values.dtype}."
        )
    pixels = np.atleast_3d(values).astype(np.float64)
    low, high = pixels.min(), pixels.max()
    with np.errstate(over="ignore", invalid="ignore"):
        span = high - low
    if not np.isfinite(span):
        raise InputError("An image has values that are not finite, or too large: its regions cannot be found.")
    return np.zeros_like(pixels) if span == 0 else (pixels - low) / span * 2 - 1


def _shifted(labels: LabelMap, radius: float) -> tuple[IntArray, IntArray]:
    """As `Segments._of_one`, by a disk of few pixels: labels are shifted to each of them, all regions at once."""
    height, width = labels.shape
    n_labels, n_pixels, reach = int(labels.max()) + 1, labels.size, math.floor(radius)
    around = np.pad(labels, reach, constant_values=-1)
    # The last row is of pixels in no region.
    is_near, pixels = np.zeros((n_labels + 1, n_pixels), bool), np.arange(n_pixels)
    for down, right in np.argwhere(np.hypot(*np.ogrid[-reach : reach + 1, -reach : reach + 1]) <= radius):
        is_near[around[down : down + height, right : right + width].ravel(), pixels] = True
    regions, near = np.divmod(np.flatnonzero(is_near[:n_labels]), n_pixels)
    return np.bincount(regions, minlength=n_labels).astype(np.int64), near.astype(np.int64)


def reduced(pixels: FloatArray) -> FloatArray:
    """An image (H, W, C) of more than 224 x 224 pixels brought to as many, of the same proportions; others as given."""
    height, width, n_channels = pixels.shape
    factor = math.sqrt(_N_PIXELS / (height * width))
    if factor >= 1:
        return pixels
    shape = (max(1, round(height * factor)), max(1, round(width * factor)), n_channels)
    resized = optional("skimage.transform").resize(
        pixels, shape, order=3, mode="edge", preserve_range=True, anti_aliasing=True
    )
    return np.asarray(resized, np.float64)


def _felzenszwalb(pixels: FloatArray, area: float) -> list[LabelMap]:
    """One label map for each scale; `area` in units of what the parameters are for."""
    segmentation = optional("skimage.segmentation")
    sigma, min_size = _SIGMA * math.sqrt(area), max(1, round(_MIN_PIXELS * area))

    def found(scale: float) -> LabelMap:
        return np.asarray(segmentation.felzenszwalb(pixels, scale=scale, sigma=sigma, min_size=min_size), np.int32)

    # Most of it holds no lock of Python's: scales are looked at side by side.
    n_threads = min(len(SCALES), len(os.sched_getaffinity(0)))
    with _without_remarks(pixels.shape[2]), ThreadPoolExecutor(n_threads) as threads:
        return list(threads.map(found, SCALES))


@contextlib.contextmanager
def _without_remarks(n_channels: int) -> Iterator[None]:
    """Does not pass on that more than three channels may not be meant as colours."""
    if n_channels <= 3:
        yield
        return
    # What is ignored is ignored in all threads: two that overlap would leave it so for good.
    with _ONE_AT_A_TIME, warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        yield


def _brought_back(labels: LabelMap, shape: tuple[int, int]) -> LabelMap:
    """The label map at the size of the image, each pixel with the label of where its centre is."""
    _, compact = np.unique(nearest(labels, shape), return_inverse=True)
    return compact.reshape(shape).astype(np.int32)
