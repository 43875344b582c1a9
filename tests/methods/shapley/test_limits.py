"""The largest budget that fits, and the smallest one that there is."""

import pytest

from tfx_explain.attribution import choose_estimator
from tfx_explain.config.shapley import ShapleyConfig
from tfx_explain.methods.shapley.limits import cheaper, cheapest, nominal_budget

N_BACKGROUND = 32


@pytest.mark.parametrize("n_players", [2, 4, 8, 10, 11, 30, 80])
@pytest.mark.parametrize("settings", [{}, {"interactions": 2}, {"estimator": "permutation"}, {"budget": 1_000}])
def test_the_largest_budget_that_fits_is_taken(n_players: int, settings: dict[str, object]) -> None:
    asked = ShapleyConfig(**settings)
    if n_players > 2 and asked.interactions and asked.estimator == "permutation":
        return
    nominal = nominal_budget(asked, n_players, N_BACKGROUND)
    least = nominal_budget(cheapest(asked, n_players, N_BACKGROUND), n_players, N_BACKGROUND)
    assert least <= nominal
    for budget in {least, (least + nominal) // 4 * 2, nominal - 1, nominal}:
        found = cheaper(asked, n_players, N_BACKGROUND, budget * N_BACKGROUND + N_BACKGROUND - 1)
        if budget < least:
            assert found is None
            continue
        assert found is not None
        taken = nominal_budget(found, n_players, N_BACKGROUND)
        # Budgets are even.
        assert budget - 1 <= taken <= budget
        # What is taken can be made.
        choose_estimator(
            n_players, found.budget, N_BACKGROUND, estimator=found.estimator, interactions=found.interactions
        )
    assert cheaper(asked, n_players, N_BACKGROUND, least * N_BACKGROUND - 1) is None


def test_an_estimator_that_is_named_is_kept() -> None:
    exact = ShapleyConfig(estimator="exact")
    assert cheaper(exact, 6, N_BACKGROUND, 61 * N_BACKGROUND) is None
    assert cheapest(exact, 6, N_BACKGROUND) == exact
    assert cheaper(ShapleyConfig(estimator="leverage"), 8, N_BACKGROUND, 30 * N_BACKGROUND) is None
    fewer = cheaper(ShapleyConfig(max_relative_error=0.1), 8, N_BACKGROUND, 30 * N_BACKGROUND)
    assert (fewer.estimator, fewer.budget, fewer.max_relative_error) == ("permutation", 30, None)
