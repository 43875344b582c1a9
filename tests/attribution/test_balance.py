"""Balanced coalitions: what exchanges must keep, what they gain, and what the error estimate knows of it."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from tfx_explain.attribution import make_design
from tfx_explain.attribution.balance import balance_pairs
from tfx_explain.attribution.maps import centre, kernel_weights
from tfx_explain.attribution.reference import variance_ratio
from tfx_explain.attribution.sampling import RandomWords, allocate_pairs, draw_pairs, n_pairs_of_size
from tfx_explain.errors import EstimationError


def _drawn(d, n_pairs, n_blocks, seed=0):
    strata = allocate_pairs(d, n_pairs)
    streams = [RandomWords(seed, d, 2 * n_pairs, block, 0) for block in range(n_blocks)]
    halves = np.stack([draw_pairs(random, strata) for random in streams])
    return halves, strata, np.concatenate([random.orders(1, d) for random in streams])


def _balanced(d, n_pairs, n_blocks, seed=0):
    halves, strata, orders = _drawn(d, n_pairs, n_blocks, seed)
    return halves, balance_pairs(halves, strata, kernel_weights(strata), orders), strata


@pytest.mark.parametrize(("d", "n_pairs"), [(6, 16), (7, 40), (11, 24), (12, 60), (30, 60), (61, 130)])
def test_sizes_strata_and_distinct_pairs_stay(d, n_pairs):
    halves, balanced, strata = _balanced(d, n_pairs, 5)
    np.testing.assert_array_equal(
        np.minimum(s := balanced.sum(axis=2), d - s), np.minimum(t := halves.sum(axis=2), d - t)
    )
    whole = strata.per_pair([n == all_of for n, all_of in zip(strata.counts, strata.populations, strict=True)]) > 0
    np.testing.assert_array_equal(balanced[:, whole], halves[:, whole])
    for block in balanced:
        both = np.concatenate([block, ~block])
        assert len(np.unique(np.packbits(both, axis=1), axis=0)) == 2 * n_pairs
    middle = 2 * balanced.sum(axis=2) == d
    assert balanced[..., 0][middle].all()
    assert (balanced != halves).any()


@pytest.mark.parametrize(("d", "n_pairs"), [(11, 24), (30, 60), (30, 240), (60, 120)])
def test_the_gram_matrix_comes_near_a_multiple_of_the_identity(d, n_pairs):
    halves, balanced, strata = _balanced(d, n_pairs, 3)
    weights = kernel_weights(strata)

    def excess(coalitions):
        grams = [centre(block).T @ (weights[:, None] * centre(block)) for block in coalitions]
        eigenvalues = np.array([np.linalg.eigvalsh(gram)[1:] for gram in grams])
        return np.mean(eigenvalues.mean(axis=1) * (1 / eigenvalues).mean(axis=1)) - 1

    assert excess(balanced) < 0.5 * excess(halves)


def test_every_pair_stays_equally_likely():
    d, n_blocks = 6, 4000
    _, balanced, strata = _balanced(d, 12, n_blocks)
    codes = balanced @ 2 ** np.arange(d)
    seen = np.bincount(np.minimum(codes, 2**d - 1 - codes).ravel(), minlength=2**d)
    for size, count in enumerate(strata.counts, start=1):
        members = [c for c in range(2**d) if min(n := c.bit_count(), d - n) == size and c < 2**d - 1 - c]
        expected = n_blocks * count / n_pairs_of_size(d, size)
        assert np.abs(seen[members] - expected).max() <= 5 * math.sqrt(expected)


def test_more_pairs_than_balance_is_worth_are_left_as_drawn(monkeypatch):
    def fails(*_):
        raise AssertionError("too many pairs to balance")

    monkeypatch.setattr("tfx_explain.attribution.leverage.balance_pairs", fails)
    monkeypatch.setattr("tfx_explain.attribution.leverage.variance_ratio", fails)
    design = make_design("leverage", n_players=14, budget=33 * 14, background_weights=np.ones(1), seed=0)
    assert design.estimator == "leverage"
    with pytest.raises(AssertionError, match="too many"):
        make_design("leverage", n_players=14, budget=32 * 14, background_weights=np.ones(1), seed=0)


def test_more_pairs_than_there_are_cannot_be_spread():
    with pytest.raises(EstimationError, match="4 players have fewer than 8 pairs"):
        allocate_pairs(4, 8)


@pytest.mark.parametrize("name", ["random_mlp", "random_trees", "random_products"])
@pytest.mark.parametrize("budget", [48, 96])
def test_balance_cuts_the_error(games, name, budget, monkeypatch):
    d = 12
    rng = np.random.default_rng(3)
    arguments = {"random_mlp": (d, 1), "random_trees": (d, 3), "random_products": (d, 3, 2)}[name]
    model = getattr(games, name)(*arguments)
    examples, background = rng.normal(size=(4, d)), rng.normal(size=(8, d))
    truth = games.explain("exact", model, examples, background, budget=2**d).values

    def error():
        runs = [games.explain("leverage", model, examples, background, budget=budget, seed=s) for s in range(8)]
        return np.sqrt(np.mean([(run.values - truth) ** 2 for run in runs]))

    with_balance = error()
    monkeypatch.setattr("tfx_explain.attribution.leverage.balance_pairs", lambda halves, *_: halves)
    assert with_balance < 0.85 * error()


@pytest.mark.parametrize(("d", "budget"), [(8, 32), (11, 88), (20, 160)])
def test_the_variance_ratio_is_that_of_random_games_of_order_three(d, budget):
    rng = np.random.default_rng(5)
    design = make_design("leverage", n_players=d, budget=budget, background_weights=np.ones(1), seed=1)
    half = design.coalitions[:, : budget // 2]
    factors = np.ones(budget // 2)
    expected = variance_ratio(half, design.linear_map, design.leverages, factors)
    triples = np.array(list(itertools.combinations(range(d), 3)))
    codes = 2.0 * half[0] - 1
    products = codes[:, triples].prod(axis=2)
    membership = np.zeros((d, len(triples)))
    membership[triples.T, np.arange(len(triples))] = 2 / 3
    linear_map, share = design.linear_map[0], codes.sum(axis=1) / d
    squares, sandwich = 0.0, 0.0
    for _ in range(3000):
        game = rng.normal(size=len(triples))
        odd = products @ game - share * game.sum()
        fitted = linear_map @ odd
        truth = membership @ game
        squares += np.sum((fitted - truth + truth.mean()) ** 2)
        residuals = odd - centre(half[0]) @ fitted
        sandwich += np.sum(linear_map**2 @ (residuals**2 / (1 - design.leverages[0])))
    assert expected == pytest.approx(squares / sandwich, rel=0.05)
    assert expected < 0.8
