"""Squares slid over an image, by their definition."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfx_explain.regions.patches import Patches, PatchGrid

SIDES = st.integers(1, 23)


def squares(grid: PatchGrid) -> list[np.ndarray]:
    """(height, width) pixels of each, one after the other."""
    size = grid.stride * grid.n_strides
    found = []
    for top in range(0, max(grid.height - size, 0) + grid.stride, grid.stride):
        for left in range(0, max(grid.width - size, 0) + grid.stride, grid.stride):
            inside = np.zeros((grid.height, grid.width), bool)
            inside[top : top + size, left : left + size] = True
            found.append(inside)
    return found


@given(height=SIDES, width=SIDES, stride=st.integers(1, 9), n_strides=st.integers(1, 4))
def test_pixels_have_the_mean_of_the_squares_over_them(height: int, width: int, stride: int, n_strides: int) -> None:
    grid = Patches(stride * n_strides, stride).grid(height, width)
    expected = squares(grid)
    assert len(grid) == len(expected)
    labels = grid.labels()
    sizes = np.bincount(labels.ravel())
    assert len(sizes) == grid.n_cells
    assert sizes.min() > 0
    hidden = grid.hidden(np.arange(len(grid)))
    np.testing.assert_array_equal(hidden[:, labels], np.stack(expected))

    values = np.random.default_rng(0).normal(size=(2, len(grid), 3))
    inside = np.stack(expected).astype(np.float64)
    each = values / inside.sum(axis=(1, 2))[:, None]
    pixels = np.einsum("phw,npk->nhwk", inside, each) / inside.sum(axis=0)[..., None]
    cells = np.stack([pixels[:, labels == cell].sum(axis=1) for cell in range(grid.n_cells)], axis=1)
    np.testing.assert_allclose(grid.spread(values), cells, rtol=1e-12, atol=1e-12)


def test_squares_that_do_not_overlap_keep_their_values() -> None:
    grid = Patches(5, 5).grid(13, 12)
    values = np.random.default_rng(0).normal(size=(9, 1))
    np.testing.assert_array_equal(grid.spread(values), values)


@pytest.mark.parametrize(
    ("size", "stride", "sides", "expected"),
    [
        (0.25, 0.125, (224, 320), (28, 2)),
        (0.1, 0.1, (28, 28), (3, 1)),
        (0.01, 0.01, (12, 12), (1, 1)),
        # Of half the side, whatever the strides are rounded to.
        (0.5, 0.03125, (12, 12), (1, 6)),
        (0.5, 0.1, (16, 40), (2, 4)),
        (8, 4, (3, 3), (4, 2)),
    ],
)
def test_shares_are_of_the_shorter_side(size: float, stride: float, sides: tuple, expected: tuple) -> None:
    grid = Patches(size, stride).grid(*sides)
    assert (grid.stride, grid.n_strides) == expected


@pytest.mark.parametrize(("size", "stride", "expected"), [(8, 3, 0), (2, 4, 0), (0.3, 0.1, 3), (7, 7, 1)])
def test_sizes_are_whole_numbers_of_strides(size: float, stride: float, expected: int) -> None:
    assert Patches(size, stride).n_strides == expected
