"""Square windows that are slid over an image, and the cells of the grid that they are made of.

A patch is a square of cells; the next one starts a cell, the stride, further. Where patches overlap, each pixel is in
several of them, and has the mean of what these say of it.

Sources: Zeiler and Fergus, "Visualizing and understanding convolutional networks", ECCV 2014; the mean over patches
that overlap is that of `Occlusion` in Captum.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tfx_explain.regions.segments import LabelMap

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

_WHOLE = 1e-6


@dataclass(frozen=True)
class Patches:
    """Square windows, whatever the size of the image.

    Attributes:
      size: pixels of a side; below 1 the part of the shorter side of the image.
      stride: from each window to the next, in the same unit; the size is a whole number of strides.
    """

    size: float
    stride: float

    @property
    def n_strides(self) -> int:
        """Strides along the side of a window; 0 where that is no whole number of them."""
        n = self.size / self.stride
        return round(n) if abs(n - round(n)) <= _WHOLE * n else 0

    def grid(self, height: int, width: int) -> PatchGrid:
        """The windows over an image of so many pixels, at least one a side."""
        if self.stride >= 1:
            return PatchGrid(height, width, int(self.stride), self.n_strides)
        shorter = min(height, width)
        stride = max(round(self.stride * shorter), 1)
        # Strides are rounded to whole pixels, so that as many of them as of the parts might be far off the size.
        return PatchGrid(height, width, stride, max(round(self.size * shorter / stride), 1))


@dataclass(frozen=True)
class PatchGrid:
    """The windows over one image, row by row from the top left. Those at the right and at the bottom may be narrower.

    Attributes:
      height: pixels down.
      width: pixels across.
      stride: pixels of the side of a cell.
      n_strides: cells along the side of a window.
    """

    height: int
    width: int
    stride: int
    n_strides: int

    @functools.cached_property
    def down(self) -> Slide:
        """Along the height."""
        return Slide.of(self.height, self.stride, self.n_strides)

    @functools.cached_property
    def across(self) -> Slide:
        """Along the width."""
        return Slide.of(self.width, self.stride, self.n_strides)

    @property
    def n_cells(self) -> int:
        """Of the grid: parts of the image."""
        return len(self.down.is_covered) * len(self.across.is_covered)

    def __len__(self) -> int:
        """How many windows there are."""
        return self.down.is_covered.shape[1] * self.across.is_covered.shape[1]

    def labels(self) -> LabelMap:
        """(height, width) the cell of each pixel, numbered row by row; images of one size share it."""
        return _labels(self)

    def hidden(self, windows: IntArray) -> BoolArray:
        """(n, n_cells) which cells each of n windows covers."""
        down, across = np.divmod(windows, self.across.is_covered.shape[1])
        rows, columns = self.down.is_covered.T[down], self.across.is_covered.T[across]
        return (rows[:, :, None] & columns[:, None, :]).reshape(len(windows), -1)

    def spread(self, values: FloatArray) -> FloatArray:
        """(..., n_cells, K) what cells have of what windows (..., n_windows, K) have.

        The value of a window is spread evenly over its pixels, a pixel has the mean of the windows over it, and a cell
        the sum of its pixels. So where windows do not overlap, cells have just their values.
        """
        *outer, _, n_outputs = values.shape
        found = values.reshape(-1, self.down.is_covered.shape[1], self.across.is_covered.shape[1], n_outputs)
        # Without BLAS, whose sums depend on the machine's threads.
        found = np.einsum("ri,nijk->nrjk", self.down.shares, found)
        found = np.einsum("cj,nrjk->nrck", self.across.shares, found)
        return np.asarray(found.reshape(*outer, self.n_cells, n_outputs))


@dataclass(frozen=True, eq=False)
class Slide:
    """Windows along one side of an image.

    Attributes:
      is_covered: (n_cells, n_windows) which cells each window covers.
      shares: (n_cells, n_windows) pixels of the cell for each pixel of the window, over how many windows cover it.
    """

    is_covered: BoolArray
    shares: FloatArray

    @classmethod
    def of(cls, n_pixels: int, stride: int, n_strides: int) -> Slide:
        """Windows of so many strides; a shorter side has a single one."""
        n_cells = math.ceil(n_pixels / stride)
        first = np.arange(max(n_cells - n_strides, 0) + 1)
        place = np.arange(n_cells)[:, None]
        is_covered = (first <= place) & (place < first + n_strides)
        pixels = np.minimum(stride, n_pixels - stride * np.arange(n_cells))
        of_windows = pixels @ is_covered
        return cls(is_covered, is_covered * (pixels[:, None] / of_windows) / is_covered.sum(axis=1, keepdims=True))


@functools.lru_cache(maxsize=16)
def _labels(grid: PatchGrid) -> LabelMap:
    row, column = (np.arange(side, dtype=np.int32) // grid.stride for side in (grid.height, grid.width))
    labels: LabelMap = row[:, None] * np.int32(len(grid.across.is_covered)) + column
    labels.setflags(write=False)
    return labels
