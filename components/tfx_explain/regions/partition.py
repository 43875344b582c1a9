"""Images cut into as many regions as asked for, each pixel in one of them: players of a game over the image.

Simple linear iterative clustering (SLIC) finds about four times as many regions, of like size and along edges; those
next to each other whose colours and places differ least (Ward's criterion) are then joined, until as many are left.

Neither step does alone. SLIC gives far fewer regions than it is asked for, or more, and a single one of a strip two
pixels high. Felzenszwalb's regions, which XRAI ranks, are one of an image of one colour and hundreds of a
photograph, one of which may be half of it. An exact number makes rows comparable, and lets them share one design.

Sources: R. Achanta et al., "SLIC superpixels compared to state-of-the-art superpixel methods", PAMI 2012; J. Ward,
"Hierarchical grouping to optimize an objective function", JASA 1963.
"""

from __future__ import annotations

import heapq
import math
from typing import Any

import numpy as np
import numpy.typing as npt

from tfx_explain.errors import InputError
from tfx_explain.regions.optional import optional
from tfx_explain.regions.segments import MAX_LABELS, LabelMap, normalised, reduced

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_FINER = 4
# Of colours between 0 and 1: how much the distance of a region's width counts.
_COMPACTNESS = 0.1


def find_partition(image: npt.ArrayLike, n_regions: int) -> LabelMap:
    """A label map of an image, found by its colours and places alone.

    An image of more than 224 x 224 pixels is brought to as many first, of the same proportions, and so is its map. One
    of fewer pixels than regions has one a pixel; all others have exactly as many as asked for. The range of values does
    not matter.

    Args:
      image: (H, W) or (H, W, C) of any number of channels: what the model sees, or a picture of it.
      n_regions: 1 or more.

    Returns:
      (h, w) labels from 0 without gaps, in the order of their first pixels, row by row.

    Raises:
      ConfigError: scikit-image is not installed.
      InputError: not such an array, no pixel, or values that are not finite.
    """
    pixels = reduced((normalised(image) + 1) / 2)
    height, width = pixels.shape[:2]
    if n_regions < 1 or n_regions >= MAX_LABELS:
        raise InputError(f"An image is cut into 1 to {MAX_LABELS - 1:,} regions, not into {n_regions:,}.")
    fine = _fine(pixels, n_regions)
    side = math.sqrt(height * width / n_regions)
    places = np.moveaxis(np.mgrid[:height, :width], 0, -1) * (_COMPACTNESS / side)
    points = np.concatenate([pixels, places], axis=2).reshape(height * width, -1)
    joined = _joined(fine, points, n_regions)
    return in_order(joined[fine])


def in_order(labels: npt.NDArray[Any]) -> LabelMap:
    """The same regions with labels from 0 without gaps, in the order of their first pixels, row by row."""
    _, first, numbers = np.unique(labels, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int32)
    rank[np.argsort(first, kind="stable")] = np.arange(len(first))
    return rank[numbers.reshape(np.shape(labels))]


def _fine(pixels: FloatArray, n_regions: int) -> LabelMap:
    """More regions than asked for; of a small image its pixels."""
    height, width = pixels.shape[:2]
    n = _FINER * n_regions
    if height * width <= n:
        return np.arange(height * width, dtype=np.int32).reshape(height, width)
    found = optional("skimage.segmentation").slic(
        pixels, n, compactness=_COMPACTNESS, start_label=0, convert2lab=False, channel_axis=-1
    )
    found = in_order(found)
    # Of a strip it finds hardly any, of noise as many as there are pixels.
    return found if 2 * n_regions <= found.max() + 1 <= 2 * n else _blocks(height, width, n)


def _blocks(height: int, width: int, n: int) -> LabelMap:
    """About so many blocks of like sides, or more, of an image of more pixels."""
    side = math.sqrt(height * width / n)
    down = min(math.ceil(height / side), height)
    across = min(math.ceil(n / down), width)
    down = min(math.ceil(n / across), height)
    rows, columns = np.arange(height) * down // height, np.arange(width) * across // width
    return (rows[:, None] * across + columns).astype(np.int32)


def _joined(fine: LabelMap, points: FloatArray, n_regions: int) -> IntArray:
    """(m,) which of `n_regions` each of m fine regions belongs to, neighbours joined where that costs least."""
    n = int(fine.max()) + 1
    counts = np.bincount(fine.ravel(), minlength=n).astype(np.float64)
    sums = np.stack([np.bincount(fine.ravel(), column, minlength=n) for column in points.T], axis=1)
    near = _neighbours(fine, n)
    parent = np.arange(n)
    version = np.zeros(n, np.int64)

    def cost(one: int, other: int) -> float:
        apart = sums[one] / counts[one] - sums[other] / counts[other]
        return float(counts[one] * counts[other] / (counts[one] + counts[other]) * (apart @ apart))

    waiting = [(cost(one, other), one, other, 0, 0) for one in range(n) for other in near[one] if one < other]
    heapq.heapify(waiting)
    for _ in range(n - n_regions):
        while True:
            _, one, other, *seen = heapq.heappop(waiting)
            if parent[one] == one and parent[other] == other and seen == [version[one], version[other]]:
                break
        sums[one] += sums[other]
        counts[one] += counts[other]
        parent[other] = one
        version[one] += 1
        near[one] = (near[one] | near[other]) - {one, other}
        for neighbour in sorted(near[one]):
            near[neighbour] = near[neighbour] - {other} | {one}
            pair = (one, neighbour) if one < neighbour else (neighbour, one)
            heapq.heappush(waiting, (cost(*pair), *pair, int(version[pair[0]]), int(version[pair[1]])))
    while not np.array_equal(parent, parent[parent]):
        parent = parent[parent]
    return parent.astype(np.int64)


def _neighbours(fine: LabelMap, n: int) -> list[set[int]]:
    """Of each region those that have a side of a pixel in common with it."""
    pairs = np.concatenate(
        [np.stack([fine[:, 1:].ravel(), fine[:, :-1].ravel()]), np.stack([fine[1:].ravel(), fine[:-1].ravel()])], axis=1
    )
    pairs = np.unique(pairs[:, pairs[0] != pairs[1]], axis=1)
    near: list[set[int]] = [set() for _ in range(n)]
    for one, other in pairs.T.tolist():
        near[one].add(other)
        near[other].add(one)
    return near
