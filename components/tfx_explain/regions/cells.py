"""Cells of an image, equal parts of its height and width, by which images of different sizes are laid on each other."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import sparse

from tfx_explain.regions.segments import LabelMap

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

MAX_SIDE = 32
"""Cells along a side, at most: 1,024 of an image."""


def grid_of(shape: tuple[int, int]) -> tuple[int, int]:
    """How many cells there are along the height and the width of an image: a pixel each, or `MAX_SIDE`."""
    return min(shape[0], MAX_SIDE), min(shape[1], MAX_SIDE)


def shares_of_cells(labels: LabelMap, n_regions: int) -> sparse.csr_matrix:
    """(cells, R) how much of each region's area lies in each cell; columns add up to 1, of regions of no pixel to 0.

    Args:
      labels: (H, W) which of R regions each pixel is of.
      n_regions: R.

    Example:
      >>> shares_of_cells(np.array([[0, 0], [0, 1]], np.int32), 2).toarray().round(3).tolist()
      [[0.333, 0.0], [0.333, 0.0], [0.333, 0.0], [0.0, 1.0]]
    """
    n_down, n_across = grid_of((labels.shape[0], labels.shape[1]))
    pixels = np.bincount(labels.ravel(), minlength=n_regions)
    area = np.zeros(n_down * n_across * n_regions)
    for down, of_down in _cells_of_axis(labels.shape[0], n_down):
        for across, of_across in _cells_of_axis(labels.shape[1], n_across):
            cells = down[:, None] * n_across + across
            weights = of_down[:, None] * of_across
            area += np.bincount((cells * n_regions + labels).ravel(), weights.ravel(), minlength=len(area))
    return sparse.csr_matrix(area.reshape(-1, n_regions) / np.maximum(pixels, 1))


def _cells_of_axis(n_pixels: int, n_cells: int) -> list[tuple[IntArray, FloatArray]]:
    """One or two times (n_pixels,) a cell that each pixel lies in, and how much of it lies there.

    A pixel is no longer than a cell, so that it lies in two at most.
    """
    edges = np.arange(n_pixels + 1) * n_cells
    first, last = edges[:-1] // n_pixels, (edges[1:] - 1) // n_pixels
    in_first = (np.minimum(edges[1:], (first + 1) * n_pixels) - edges[:-1]) / n_cells
    if (first == last).all():
        return [(first, in_first)]
    return [(first, in_first), (last, np.where(first == last, 0.0, 1.0 - in_first))]


def summed(values: FloatArray, n_down: int, n_across: int) -> FloatArray:
    """(n_down, n_across) sums of a map (H, W) over as many equal parts; what lies in two is shared by area.

    Args:
      values: of an image.
      n_down: of the parts, no more than H.
      n_across: no more than W.

    Example:
      >>> summed(np.array([[1.0, 2.0, 3.0]]), 1, 2).tolist()
      [[2.0, 4.0]]
    """
    cells = np.zeros((n_down, n_across))
    for down, of_down in _cells_of_axis(values.shape[0], n_down):
        for across, of_across in _cells_of_axis(values.shape[1], n_across):
            np.add.at(cells, (down[:, None], across), values * of_down[:, None] * of_across)
    return cells
