"""Orders, cuts, areas and correlations against plain loops."""

from __future__ import annotations

import numpy as np
import pytest

from tfx_explain.methods.faithfulness import orders

SIZES = np.array([[4.0, 1.0, 5.0, 0.0], [1.0, 1.0, 1.0, 1.0]])


IN_ORDER = np.tile(np.arange(4), (2, 1))


def test_the_largest_score_stands_first_and_parts_that_are_not_there_last() -> None:
    scores = np.array([[1.0, 3.0, 3.0, 9.0], [0.0, -1.0, 2.0, 2.0]])[..., None]
    np.testing.assert_array_equal(orders.ranks_of(scores, SIZES, IN_ORDER)[:, 0], [[2, 0, 1, 3], [2, 3, 0, 1]])
    # Equal ones stand by the places that are given for it.
    np.testing.assert_array_equal(orders.ranks_of(scores, SIZES, IN_ORDER[:, ::-1])[:, 0], [[2, 1, 0, 3], [2, 3, 1, 0]])


def test_random_orders_are_uniform_and_follow_from_the_row_alone() -> None:
    hashes = np.arange(4_000, dtype=np.uint64)
    sizes = np.tile([1.0, 2.0, 3.0, 0.0], (4_000, 1))
    ranks = orders.random_ranks(hashes, sizes, 3, seed=1, name="x")
    assert (np.sort(ranks, axis=2) == np.arange(4)).all()
    assert (ranks[..., 3] == 3).all()
    counts = np.array([[(ranks[..., part] == place).sum() for place in range(3)] for part in range(3)])
    # Each of 12,000 places has a binomial count around 4,000.
    assert np.abs(counts - 4_000).max() < 5 * np.sqrt(12_000 * (1 / 3) * (2 / 3))
    some = orders.random_ranks(hashes[5:7], sizes[5:7], 3, seed=1, name="x")
    np.testing.assert_array_equal(some, ranks[5:7])
    assert (orders.random_ranks(hashes, sizes, 3, seed=2, name="x") != ranks).any()


def test_cuts_come_nearest_to_equal_shares_of_what_is_there() -> None:
    ranks = orders.ranks_of(np.array([[3.0, 2.0, 1.0, 0.0], [4.0, 3.0, 2.0, 1.0]])[..., None], SIZES, IN_ORDER)
    cuts, shares = orders.cuts_of(ranks, SIZES, 4)
    np.testing.assert_array_equal(cuts[:, 0], [[0, 1, 2, 2, 3], [0, 1, 2, 3, 4]])
    np.testing.assert_allclose(shares[:, 0], [[0, 0.4, 0.5, 0.5, 1], [0, 0.25, 0.5, 0.75, 1]], atol=1e-15)


def test_areas_and_steps_are_those_of_piecewise_linear_curves() -> None:
    rng = np.random.default_rng(0)
    shares = np.sort(rng.uniform(size=(20, 6)), axis=1)
    shares[:, 0], shares[:, -1] = 0.0, 1.0
    shares[3, 2] = shares[3, 3]
    values = rng.normal(size=(20, 6))
    values[3, 2] = values[3, 3]
    expected = [np.sum(np.diff(x) * (y[1:] + y[:-1]) / 2) for x, y in zip(shares, values, strict=True)]
    np.testing.assert_allclose(orders.areas(shares, values), expected, rtol=1e-13)
    wanted = [np.interp(np.linspace(0, 1, 6), x, y) for x, y in zip(shares, values, strict=True)]
    np.testing.assert_allclose(orders.at_steps(shares, values), wanted, rtol=1e-9, atol=1e-12)


def test_chunks_are_disjoint_fifths_of_the_parts_that_are_there() -> None:
    sizes = np.array([[1.0] * 12, [1.0] * 3 + [0.0] * 9])
    ranks = orders.random_ranks(np.array([1, 2], np.uint64), sizes, 4, seed=0, name="x")
    chunks, counts = orders.chunks_of(ranks, sizes)
    np.testing.assert_array_equal(chunks.sum(axis=3)[0], 2)
    assert chunks.sum(axis=2).max() == 1
    np.testing.assert_array_equal(counts, [[True] * 5, [True] * 3 + [False] * 2])
    assert not chunks[1, :, :, 3:].any()


def test_correlation_is_weighted_and_unknown_without_spread() -> None:
    rng = np.random.default_rng(2)
    first, second = rng.normal(size=(2, 4, 9))
    weights = (rng.uniform(size=(4, 9)) < 0.7).astype(float)
    found = orders.correlation(first, second, weights)
    for row in range(4):
        kept = weights[row] > 0
        assert found[row] == pytest.approx(np.corrcoef(first[row, kept], second[row, kept])[0, 1], abs=1e-12)
    still = np.full((1, 9), 3.0) + 1e-9 * rng.normal(size=(1, 9))
    assert np.isnan(orders.correlation(still, second[:1], np.ones((1, 9)))).all()
