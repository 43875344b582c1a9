"""The pointing game: whether what a map says is strongest lies in a box that somebody drew.

Source: J. Zhang et al., "Top-down neural attention by excitation backprop", ECCV 2016.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tfx_explain.content_sample import copy_keys, stream_of, uniform_of
from tfx_explain.part_records import PartRows
from tfx_explain.regions import decode_labels
from tfx_explain.rows import HashArray, column_or_nulls, items_of, list_lengths

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

_N_SIDES = 4
# Edges of boxes that are a whole number of pixels come from divisions.
_ROUNDING = 1e-6


class Boxes(NamedTuple):
    """Boxes of n rows, N in all.

    Attributes:
      lengths: (n,) how many each row has; those of a row stand together.
      corners: (N, 4) ymin, xmin, ymax, xmax, as parts of the image's height and width.
      is_right: (n,) whether those of a row are boxes inside an image.
    """

    lengths: IntArray
    corners: FloatArray
    is_right: BoolArray

    @classmethod
    def of(cls, rows: pa.RecordBatch, feature: str) -> Boxes:
        """What a feature of numbers holds, four for each box."""
        column = column_or_nulls(rows, feature)
        n_values = list_lengths(column)
        flat = column.flatten()
        numbers = pa.types.is_floating(flat.type) or pa.types.is_integer(flat.type)
        values = flat.to_numpy(zero_copy_only=False).astype(np.float64) if numbers else np.full(len(flat), np.nan)
        is_whole = n_values % _N_SIDES == 0
        corners = values[np.repeat(is_whole, n_values)].reshape(-1, _N_SIDES)
        lengths = np.where(is_whole, n_values // _N_SIDES, 0)
        low, high = corners[:, :2], corners[:, 2:]
        good = ((low >= -_ROUNDING) & (low < high) & (high <= 1 + _ROUNDING)).all(axis=1)
        bad = np.bincount(np.repeat(np.arange(len(lengths)), lengths)[~good], minlength=len(lengths)) > 0
        return cls(lengths, corners, is_whole & ~bad)

    def take(self, rows: IntArray) -> Boxes:
        """The given rows, (k,) integers."""
        return Boxes(self.lengths[rows], self.corners[items_of(self.lengths, rows)], self.is_right[rows])

    def of_row(self, row: int) -> FloatArray:
        """(k, 4) those of one row."""
        stop = int(self.lengths[: row + 1].sum())
        return self.corners[stop - int(self.lengths[row]) : stop]


def no_boxes(feature: str) -> str:
    """Why a row has none that could be pointed at."""
    return (
        f"`{feature}` holds no boxes: four numbers each, in the order ymin, xmin, ymax, xmax with ymin < ymax and "
        "xmin < xmax, as parts of the image's height and width, from 0 to 1"
    )


class Pointed(NamedTuple):
    """What n rows say of boxes; NaN where a row has none, or no map.

    Attributes:
      hits: (n, c) 1 where a pixel of the strongest region lies in a box, 0 where none does.
      areas: (n,) part of the image that lies in boxes.
      has_no_box: (n,) which rows have a map and no box.
    """

    hits: FloatArray
    areas: FloatArray
    has_no_box: BoolArray


def is_covered(corners: FloatArray, shape: tuple[int, ...]) -> BoolArray:
    """(H, W) which pixels have their centres in one of some boxes (k, 4)."""
    down, right = ((np.arange(length) + 0.5) / length for length in shape)
    rows = (corners[:, 0, None] <= down) & (down <= corners[:, 2, None])
    columns = (corners[:, 1, None] <= right) & (right <= corners[:, 3, None])
    return np.asarray((rows[:, :, None] & columns[:, None, :]).any(axis=0))


def point(parts: PartRows, boxes: Boxes, draws: HashArray, seed: int) -> Pointed:
    """Plays the game once for each row and output.

    What is pointed at is a pixel at random of those whose regions have the highest attribution per pixel, so that
    on maps that know nothing of the image the share of hits is that of the area.

    Args:
      parts: regions of n rows, whose first column says their pixels.
      boxes: of the rows.
      draws: (n,) random numbers of the rows.
      seed: of the job.
    """
    n, n_outputs = len(parts.lengths), parts.attributions.shape[1]
    hits, areas = np.full((n, n_outputs), np.nan), np.full(n, np.nan)
    keys = copy_keys(draws[:, None], np.arange(n_outputs)[None], stream_of(seed, "faithfulness pointing"))
    uniform = uniform_of(keys)
    # What is left of an image without its regions is a part without pixels: nothing to point at.
    n_pixels = parts.where[:, :1]
    densities = np.where(n_pixels > 0, parts.attributions / np.maximum(n_pixels, 1), -np.inf)
    firsts = np.cumsum(parts.lengths) - parts.lengths
    has_map = parts.lengths > 0
    maps = np.full(n, b"", object) if parts.maps is None else parts.maps
    for row in np.flatnonzero(has_map & (boxes.lengths > 0)).tolist():
        labels = decode_labels(maps[row])
        covered = is_covered(boxes.of_row(row), labels.shape)
        of_regions = densities[firsts[row] : firsts[row] + parts.lengths[row]]
        areas[row] = covered.mean()
        for output in range(n_outputs):
            strongest = of_regions[:, output] == of_regions[:, output].max()
            inside = covered[strongest[labels]]
            hits[row, output] = inside[int(uniform[row, output] * len(inside))]
    return Pointed(hits, areas, has_map & (boxes.lengths == 0))
