"""Rough backgrounds, and how many examples there are in which game."""

import dataclasses

import numpy as np
import pytest

from tfx_explain.attribution.levels import Chain, Levels, Pilot, RoughBackground, choose_levels, representative_rows


def test_few_rows_stand_for_all_where_the_outputs_have_few_directions() -> None:
    rng = np.random.default_rng(0)
    values = 3.0 + rng.normal(size=(500, 2)) @ rng.normal(size=(2, 40))
    weights = rng.dirichlet(np.ones(40))
    few, rough = representative_rows(values, weights, [3, 12])
    assert len(few.rows) <= 3
    assert len(rough.rows) <= 12
    assert rough.weights.sum() == pytest.approx(1)
    assert (rough.weights > 0).all()
    error = np.std(values[:, rough.rows] @ rough.weights - values @ weights)
    drawn = np.std(values[:, :12].mean(axis=1) - values @ weights)
    assert error < 0.02 * drawn


def test_all_rows_and_rows_that_are_all_the_same() -> None:
    rng = np.random.default_rng(1)
    weights = rng.dirichlet(np.ones(5))
    values = rng.normal(size=(200, 5))
    (rough,) = representative_rows(values, weights, [9])
    np.testing.assert_allclose(values[:, rough.rows] @ rough.weights, values @ weights, atol=1e-3)
    for constant in (0.0, 2.0):
        (same,) = representative_rows(np.full((10, 5), constant), weights, [3])
        assert same.weights.sum() == pytest.approx(1)


ROUGH = RoughBackground(np.arange(8), np.full(8, 1 / 8))


def pilot(variance: float, *chains: Chain) -> Pilot:
    alone = Chain(np.array([128.0]), np.array([[variance, 0.1 * variance]]))
    return Pilot(256, 1.0, (alone, *chains))


def rough_chain(rough_variance: float, difference: float) -> Chain:
    return Chain(np.array([8.0, 128.0]), np.array([[rough_variance, 0.0], [0.0, difference]]), ROUGH)


def guessed_chain(missed: float) -> Chain:
    return Chain(np.array([1.0, 128.0]), np.array([[4.0, 0.1], [missed, 0.0]]), ROUGH, is_guessed=True)


def forecast(chain: Chain, *counts: float) -> float:
    """The standard error of the worst player."""
    return float(np.sqrt((chain.variances / np.array(counts)[:, None]).sum(axis=0).max()))


def cost(chain: Chain, *counts: float) -> float:
    return float(chain.costs @ np.array(counts))


def test_a_rough_game_that_is_alike_saves_rows_and_reaches_the_error() -> None:
    chain = rough_chain(4.0, 0.2)
    levels = choose_levels(pilot(4.0, chain), 100_000, 0.02, least=50)
    assert (levels.rough, levels.n_guessed) == (ROUGH, 0)
    assert forecast(chain, levels.n_rough, levels.n_full) <= 0.02
    assert cost(chain, levels.n_rough, levels.n_full) < 0.5 * 4.0 / 0.02**2 * 128
    assert levels.n_full < levels.n_rough <= 1.2 * 4.0 * 1.1 / 0.02**2


def test_guesses_between_examples_and_a_rough_game_save_more() -> None:
    two, guessed = rough_chain(4.0, 0.2), guessed_chain(0.5)
    variances = np.array([[4.0, 0.1], [0.5, 0.0], [0.0, 0.2]])
    three = Chain(np.array([1.0, 8.0, 128.0]), variances, ROUGH, is_guessed=True)
    levels = choose_levels(pilot(4.0, two, guessed, three), 100_000, 0.02, least=50)
    assert levels.n_full < levels.n_rough < levels.n_guessed
    counts = (levels.n_guessed, levels.n_rough, levels.n_full)
    assert forecast(three, *counts) <= 0.02
    alone = choose_levels(pilot(4.0, two), 100_000, 0.02, least=50)
    assert cost(three, *counts) < 0.8 * cost(two, alone.n_rough, alone.n_full)
    # The number of examples there are matters only as a bound.
    many = choose_levels(pilot(4.0, two, guessed, three), 10**8, 0.02, least=50)
    assert cost(three, many.n_guessed, many.n_rough, many.n_full) < 1.3 * cost(three, *counts)
    without = pilot(4.0, two, guessed, three).without_guesses()
    assert choose_levels(without, 100_000, 0.02, least=50) == alone


def test_cheap_games_that_are_not_alike_are_left_out() -> None:
    one = pilot(1.0, rough_chain(9.0, 8.0), guessed_chain(5.0))
    levels = choose_levels(one, 100_000, 0.02, least=50)
    assert levels.rough is None
    assert forecast(one.chains[0], levels.n_full) == pytest.approx(0.02 / np.sqrt(1.1))


def test_too_few_examples_ask_for_more_than_there_are() -> None:
    """More permutations are for what guesses miss; what examples differ by, they do not change."""
    levels = choose_levels(pilot(4.0, rough_chain(4.0, 0.2)), 500, 0.02, least=50)
    assert (levels.rough, levels.n_orders) == (None, 5)
    assert levels.n_full > 500
    for missed, n_orders in ((0.1, 1), (1.0, 2)):
        with_guesses = choose_levels(pilot(4.0, guessed_chain(missed)), 500, 0.02, least=50)
        assert (with_guesses.n_guessed, with_guesses.rough, with_guesses.n_orders) == (500, ROUGH, n_orders)
    assert choose_levels(pilot(4.0, guessed_chain(4.5)), 500, 0.02, least=50).n_guessed == 0


def test_at_least_so_many_examples() -> None:
    assert choose_levels(pilot(1e-9), 10_000, 0.02, least=50).n_full == 50
    assert choose_levels(pilot(0.0), 30, 0.02, least=50) == Levels(50.0)  # examples that are all alike, and few
    without_spread = dataclasses.replace(pilot(0.0), spread=0.0)
    assert choose_levels(without_spread, 10_000, 0.02, least=50).n_full == 10_000
