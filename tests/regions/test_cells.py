"""Cells of an image, against the same image cut into pieces that lie in one cell each."""

import math

import numpy as np
import pytest

from tfx_explain.regions.cells import MAX_SIDE, grid_of, shares_of_cells


@pytest.mark.parametrize("shape", [(1, 1), (8, 8), (MAX_SIDE, MAX_SIDE), (33, 100), (224, 224), (45, 7), (63, 64)])
def test_each_region_lies_where_its_pixels_do(shape: tuple[int, int]) -> None:
    labels = np.random.default_rng(0).integers(0, 5, shape).astype(np.int32)
    labels[labels == 3] = 2  # a region of no pixel
    found = shares_of_cells(labels, 5).toarray()
    down, across = grid_of(shape)
    assert (down, across) == tuple(min(side, MAX_SIDE) for side in shape)
    height, width = math.lcm(shape[0], down), math.lcm(shape[1], across)
    fine = np.repeat(np.repeat(labels, height // shape[0], axis=0), width // shape[1], axis=1)
    cells = (np.arange(height) * down // height)[:, None] * across + np.arange(width) * across // width
    for region in range(5):
        inside = fine == region
        expected = np.bincount(cells[inside], minlength=down * across) / max(inside.sum(), 1)
        np.testing.assert_allclose(found[:, region], expected, atol=1e-12)
