"""Where the method promises exact answers: against definitions written here and closed forms."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from tfx_explain.attribution import choose_estimator, minimum_budget


def _data(d, n=3, n_background=7, seed=0):
    rng = np.random.default_rng(seed)
    weights = rng.dirichlet(np.ones(n_background))
    return rng.normal(size=(n, d)), rng.normal(size=(n_background, d)), weights


@pytest.mark.parametrize("d", [1, 2, 3, 4, 6, 8])
def test_exact_equals_the_definition(games, d):
    model = games.random_mlp(d, seed=d, n_outputs=2)
    examples, background, weights = _data(d)
    got = games.explain("exact", model, examples, background, weights=weights, budget=2**d)
    for example, values in zip(examples, got.values, strict=True):
        expected = games.shapley(games.game_of(model, example, background, weights), d)
        np.testing.assert_allclose(values, expected, rtol=0, atol=1e-12)
    assert not got.design_std_error.any()


@pytest.mark.parametrize("d", [2, 3, 5, 7])
def test_exact_interactions_equal_the_definition(games, d):
    model = games.random_mlp(d, seed=d, n_outputs=2)
    examples, background, weights = _data(d, n=2)
    got = games.explain("exact", model, examples, background, weights=weights, budget=2**d, interactions=2)
    for example, values in zip(examples, got.interactions, strict=True):
        expected = games.shapley_interactions(games.game_of(model, example, background, weights), d)
        np.testing.assert_allclose(values, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("estimator", "d"), [("exact", 10), ("leverage", 13), ("permutation", 13), ("leverage", 40)])
def test_linear_model_has_its_closed_form(games, estimator, d):
    examples, background, weights = _data(d)
    slopes = np.random.default_rng(5).normal(size=(d, 3))
    got = games.explain(
        estimator, lambda x: x @ slopes + 4, examples, background, weights=weights, budget=minimum_budget(estimator, d)
    )
    expected = (examples - weights @ background)[:, :, None] * slopes
    np.testing.assert_allclose(got.values, expected, rtol=0, atol=1e-10)
    np.testing.assert_allclose(got.base_value, weights @ background @ slopes + 4, rtol=1e-12)
    if estimator != "permutation":
        np.testing.assert_allclose(got.design_std_error, 0, atol=1e-10)


def _pairwise(d, seed=1):
    """f = x' Q x + c'x, with the Shapley values and interactions of its game in closed form."""
    rng = np.random.default_rng(seed)
    q = np.triu(rng.normal(size=(d, d)), 1)
    c = rng.normal(size=d)

    def model(x):
        return (np.einsum("ni,ij,nj->n", x, q, x) + x @ c)[:, None]

    def truth(example, background, weights):
        phi = c * (example - weights @ background)
        interactions = []
        for i, j in itertools.combinations(range(d), 2):
            bi, bj = background[:, i], background[:, j]
            phi[i] += q[i, j] / 2 * (weights @ ((example[i] - bi) * (example[j] + bj)))
            phi[j] += q[i, j] / 2 * (weights @ ((example[j] - bj) * (example[i] + bi)))
            interactions.append(q[i, j] * (weights @ ((example[i] - bi) * (example[j] - bj))))
        return phi, np.array(interactions)

    return model, truth


@pytest.mark.parametrize("d", [5, 6, 11, 14, 31, 60])
@pytest.mark.parametrize("estimator", ["leverage", "permutation"])
def test_order_2_games_are_exact_at_the_least_budget(games, estimator, d):
    model, truth = _pairwise(d)
    examples, background, weights = _data(d)
    got = games.explain(estimator, model, examples, background, weights=weights, budget=minimum_budget(estimator, d))
    for example, values in zip(examples, got.values[..., 0], strict=True):
        expected, _ = truth(example, background, weights)
        assert np.linalg.norm(values - expected) <= 1e-8 * np.linalg.norm(expected)


@pytest.mark.parametrize("d", [6, 9, 12])
def test_leverage_interactions_of_order_2_games_are_exact(games, d):
    model, truth = _pairwise(d)
    examples, background, weights = _data(d)
    budget = minimum_budget("leverage", d, interactions=2)
    got = games.explain("leverage", model, examples, background, weights=weights, budget=budget, interactions=2)
    for example, values in zip(examples, got.interactions[..., 0], strict=True):
        _, expected = truth(example, background, weights)
        assert np.linalg.norm(values - expected) <= 1e-8 * np.linalg.norm(expected)


def _faith_shap(value, d):
    """Order-2 Faith-SHAP from its definition: the kernel-weighted fit with both ends held exactly."""
    terms = [()] + [t for size in (1, 2) for t in itertools.combinations(range(d), size)]
    sets = [s for size in range(d + 1) for s in itertools.combinations(range(d), size)]
    rows = np.array([[set(t) <= set(s) for t in terms] for s in sets], dtype=float)
    values = np.array([value(*s)[0] for s in sets])
    weights = np.array([1 / (math.comb(d, len(s)) * len(s) * (d - len(s))) if 0 < len(s) < d else 0.0 for s in sets])
    ends = rows[[0, -1]]
    kkt = np.block([[rows.T @ (weights[:, None] * rows), ends.T], [ends, np.zeros((2, 2))]])
    solved = np.linalg.solve(kkt, np.concatenate([rows.T @ (weights * values), values[[0, -1]]]))
    return solved[1 + d : len(terms)]


def test_leverage_interactions_estimate_faith_shap_of_any_game(games):
    d = 9
    model = games.random_mlp(d, seed=3)
    examples, background, weights = _data(d, n=1)
    expected = _faith_shap(games.game_of(model, examples[0], background, weights), d)

    def error(budget):
        errors = []
        for seed in range(8):
            got = games.explain(
                "leverage", model, examples, background, weights=weights, budget=budget, interactions=2, seed=seed
            )
            errors.append(np.linalg.norm(got.interactions[0, :, 0] - expected))
        return np.mean(errors) / np.linalg.norm(expected)

    assert error(500) < 0.05
    assert error(500) < 0.4 * error(minimum_budget("leverage", d, interactions=2))


@pytest.mark.parametrize("estimator", ["leverage", "permutation"])
def test_any_estimator_becomes_enumeration_at_full_budget(games, estimator):
    d = 6
    model = games.random_mlp(d, seed=2)
    examples, background, _ = _data(d)
    got = games.explain(estimator, model, examples, background, budget=2**d - 2)
    expected = games.explain("exact", model, examples, background, budget=2**d - 2)
    np.testing.assert_array_equal(got.values, expected.values)
    assert not got.design_std_error.any()


@pytest.mark.parametrize("estimator", ["exact", "leverage", "permutation"])
def test_one_player_takes_everything(games, estimator):
    model = games.random_mlp(1, seed=2, n_outputs=2)
    examples, background, weights = _data(1)
    got = games.explain(estimator, model, examples, background, weights=weights, budget=0, interactions=2)
    np.testing.assert_allclose(got.values[:, 0], model(examples) - weights @ model(background), atol=1e-14)
    assert got.interactions.shape == (3, 0, 2)


def test_auto_is_exact_up_to_ten_players(games):
    assert choose_estimator(10, 40, 128) == ("exact", 1022)
