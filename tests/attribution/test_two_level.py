"""Rough backgrounds, and how many examples meet which."""

import numpy as np
import pytest

from tfx_explain.attribution.two_level import (
    Levels,
    Pilot,
    RoughBackground,
    RoughGame,
    choose_levels,
    representative_rows,
)


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


def pilot(variance: float, rough_variance: float, difference: float, n_rows: int = 8) -> Pilot:
    background = RoughBackground(np.arange(n_rows), np.full(n_rows, 1 / n_rows))
    game = RoughGame(background, np.array([rough_variance, 0.0]), np.array([0.0, difference]))
    return Pilot(256, 1.0, np.array([variance, 0.1]), (game,))


def forecast(levels: Levels, one: Pilot) -> float:
    """The standard error of the worst player."""
    if levels.rough is None:
        return float(np.sqrt(one.variance.max() / levels.n_full))
    game = one.rough[0]
    return float(np.sqrt((game.variance / levels.n_rough + game.difference_variance / levels.n_full).max()))


def test_a_rough_game_that_is_alike_saves_rows_and_reaches_the_error() -> None:
    one = pilot(4.0, 4.0, 0.2)
    levels = choose_levels(one, 128, 100_000, 0.02, least=50)
    assert levels.rough is not None
    assert forecast(levels, one) <= 0.02
    assert levels.n_rough * 8 + levels.n_full * 128 < 0.5 * 4.0 / 0.02**2 * 128
    assert levels.n_full < levels.n_rough <= 1.09 * 4.0 * 1.1 / 0.02**2


def test_a_rough_game_that_is_not_alike_is_left_out() -> None:
    one = pilot(1.0, 9.0, 8.0)
    levels = choose_levels(one, 128, 100_000, 0.02, least=50)
    assert levels.rough is None
    assert forecast(levels, one) == pytest.approx(0.02 / np.sqrt(1.1))


def test_too_few_examples_ask_for_more_than_there_are() -> None:
    levels = choose_levels(pilot(4.0, 4.0, 0.2), 128, 500, 0.02, least=50)
    assert levels.rough is None
    assert levels.n_full > 500


def test_at_least_so_many_examples() -> None:
    assert choose_levels(pilot(1e-9, 1e-9, 1e-12), 128, 10_000, 0.02, least=50).n_full == 50
    assert choose_levels(Pilot(256, 0.0, np.zeros(2), ()), 128, 10_000, 0.02, least=50).n_full == 10_000
