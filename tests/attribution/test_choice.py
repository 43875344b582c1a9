"""The resolution of `auto`."""

from __future__ import annotations

import pytest

from tfx_explain.attribution import choose_estimator, make_design, minimum_budget
from tfx_explain.errors import EstimationError


@pytest.mark.parametrize(
    ("n_players", "budget", "expected"),
    [
        (1, None, ("exact", 0)),
        (10, "auto", ("exact", 1022)),
        (10, 50, ("exact", 1022)),
        (11, None, ("leverage", 44)),
        (14, 2**14, ("exact", 2**14 - 2)),
        (14, 2**14 - 3, ("leverage", 2**14 - 4)),
        (60, None, ("leverage", 240)),
        (60, 241, ("leverage", 240)),
        (60, 239, ("surrogate", 238)),
        (30, 4, ("surrogate", 4)),
        (61, 200, ("surrogate", 200)),
        (201, 500, ("permutation", 500)),
        (61, None, ("permutation", 240)),
        (61, 5000, ("permutation", 5000)),
    ],
)
def test_auto(n_players, budget, expected):
    assert choose_estimator(n_players, budget, 128) == expected


@pytest.mark.parametrize("n_background", [1, 3, 20, 128, 1000])
@pytest.mark.parametrize("n_players", [11, 25, 60, 61, 300])
def test_the_automatic_budget_follows_the_background(games, n_players, n_background):
    estimator, budget = choose_estimator(n_players, None, n_background)
    per_player = budget / n_players
    assert 3.9 <= per_player <= 64
    assert per_player * n_background <= 512 or per_player <= 4
    design = make_design(
        estimator, n_players=n_players, budget=budget, background_weights=games.uniform(min(n_background, 4)), seed=0
    )
    assert design.n_coalitions == budget


def test_a_fixed_estimator_is_kept():
    assert choose_estimator(5, None, 128, estimator="exact") == ("exact", 30)
    assert choose_estimator(100, None, 128, estimator="leverage") == ("leverage", 400)
    assert choose_estimator(20, None, 128, estimator="permutation") == ("permutation", 76)
    with pytest.raises(EstimationError, match="at least 400"):
        choose_estimator(100, 300, 128, estimator="leverage")
    with pytest.raises(EstimationError, match="at most 20 players"):
        choose_estimator(30, None, 128, estimator="exact")


def test_interactions_raise_the_automatic_budget():
    least = minimum_budget("leverage", 20, interactions=2)
    assert least == 3 * (20 + 190)
    assert choose_estimator(20, None, 128, interactions=2) == ("leverage", least)
    assert choose_estimator(70, None, 128, interactions=2)[0] == "leverage"


def test_too_small_a_budget_names_the_least():
    with pytest.raises(EstimationError, match="set `budget` to at least 38"):
        choose_estimator(20, 30, 31)
    with pytest.raises(EstimationError, match="surrogate attributions of 20 players; set `budget` to at least 4"):
        choose_estimator(20, 2, 128)
    with pytest.raises(EstimationError, match="set `budget` to at least 16"):
        choose_estimator(60, 14, 32)
    with pytest.raises(EstimationError, match="give at least one of each"):
        choose_estimator(20, 30, 0)
