"""Means over rows of which some have no figures; and shares of regions by hand."""

import numpy as np
import pytest

from tfx_explain.summary.region_shares import FIGURES, MAX_RANK, region_shares
from tfx_explain.summary.row_means import RowMeans


def test_rows_without_figures_are_left_out_and_counted() -> None:
    rng = np.random.default_rng(0)
    values, weights = rng.normal(size=(40, 3)), rng.integers(0, 3, 40).astype(float)
    values[::7] = np.nan
    one, other = RowMeans(3), RowMeans(3)
    one.add(values[:10], weights[:10])
    other.add(values[10:], weights[10:])
    one.merge(other)
    there = ~np.isnan(values[:, 0])
    assert (one.n_examples, one.n_left_out) == (((weights > 0) & there).sum(), ((weights > 0) & ~there).sum())
    w, x = weights[there], values[there]
    mean, n = np.average(x, axis=0, weights=w), w.sum() ** 2 / np.square(w).sum()
    np.testing.assert_allclose(one.means(), mean, rtol=1e-12)
    variance = (np.square(w)[:, None] * np.square(x - mean)).sum(axis=0) * n / (n - 1) / w.sum() ** 2
    np.testing.assert_allclose(one.std_errors(), np.sqrt(variance), rtol=1e-12)


def test_a_figure_that_is_unknown_of_a_row_is_unknown_alone() -> None:
    sums = RowMeans(2)
    sums.add(np.array([[1.0, 2.0], [3.0, np.nan]]), np.ones(2))
    assert (sums.n_examples, sums.n_left_out) == (2, 0)
    assert sums.means()[0] == 2.0
    assert np.isnan(sums.means()[1])
    assert np.isnan(RowMeans(2).means()).all()


def test_regions_are_ranked_in_each_image_by_hand() -> None:
    values = np.array([[1.0], [-6.0], [3.0], [2.0], [2.0], [0.0], [0.0], [4.0], [3.0], [3.0]])
    errors = np.array([[0.0], [1.0], [0.0], [np.nan], *[[0.0]] * 6])
    pixels = np.array([50.0, 10.0, 40.0, 25.0, 75.0, 1.0, 9.0, 50.0, 10.0, 40.0])
    lengths = np.array([3, 0, 2, 2, 3])
    found = region_shares(values, errors, pixels, lengths)[..., 0]
    named = {figure: found[:, place] for place, figure in enumerate(FIGURES)}
    assert named["share", 1].tolist() == pytest.approx([0.6, np.nan, 0.5, np.nan, 0.4], nan_ok=True)
    assert named["share", 3].tolist() == pytest.approx([0.1, np.nan, 0.0, np.nan, 0.3], nan_ok=True)
    assert named["area", 1].tolist() == pytest.approx([0.1, np.nan, 0.25, np.nan, 0.5], nan_ok=True)
    # Five sixths of the densest region; the first of two that have a half each; one, and half of the next densest.
    assert named["half_area", 0].tolist() == pytest.approx([0.1 * 5 / 6, np.nan, 0.25, np.nan, 0.35], nan_ok=True)
    assert named["num_regions", 0].tolist() == pytest.approx([3.0, np.nan, 2.0, np.nan, 3.0], nan_ok=True)
    assert named["noise", 0].tolist() == pytest.approx(
        [0.08 / np.sqrt(np.pi / 2) / 0.8, *[np.nan] * 3, 0.0], nan_ok=True
    )


def test_what_has_no_pixels_is_no_region() -> None:
    values, pixels = np.array([[1.0], [9.0], [3.0], [9.0]]), np.array([2.0, 0.0, 2.0, 0.0])
    found = region_shares(values, values / 9, pixels, np.array([3, 1]))
    without = region_shares(values[[0, 2]], values[[0, 2]] / 9, pixels[[0, 2]], np.array([2, 0]))
    np.testing.assert_array_equal(found, without)
    assert np.isnan(found[1]).all()


def test_more_regions_than_ranks_and_even_images() -> None:
    n = 4 * MAX_RANK
    found = region_shares(np.full((n, 2), -0.5), np.zeros((n, 2)), np.full(n, 3.0), np.array([n]))
    assert found.shape == (1, len(FIGURES), 2)
    assert found[0, : 2 * MAX_RANK] == pytest.approx(1 / n)
    assert found[0, 2 * MAX_RANK] == pytest.approx(0.5)
