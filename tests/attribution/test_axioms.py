"""The axioms of Shapley values, for every estimator and any game."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfx_explain.attribution import minimum_budget

ESTIMATORS = ["exact", "leverage", "permutation"]
EXAMPLES = settings(max_examples=15, derandomize=True)

cases = st.fixed_dictionaries(
    {
        "estimator": st.sampled_from(ESTIMATORS),
        "d": st.integers(1, 9),
        "n_background": st.integers(1, 9),
        "seed": st.integers(0, 10_000),
    }
)


def _run(games, model, case, examples=None, background=None):
    rng = np.random.default_rng(case["seed"])
    drawn = rng.normal(size=(2, case["d"])), rng.normal(size=(case["n_background"], case["d"]))
    examples = drawn[0] if examples is None else examples
    background = drawn[1] if background is None else background
    return (
        examples,
        background,
        games.explain(
            case["estimator"],
            model,
            examples,
            background,
            weights=rng.dirichlet(np.ones(len(background))),
            budget=minimum_budget(case["estimator"], case["d"]),
            seed=case["seed"],
        ),
    )


@EXAMPLES
@given(case=cases)
def test_completeness(games, case):
    model = games.random_mlp(case["d"], case["seed"], n_outputs=2)
    examples, _, got = _run(games, model, case)
    np.testing.assert_allclose(got.values.sum(axis=1), model(examples) - got.base_value, atol=1e-12)
    np.testing.assert_allclose(got.completeness_gap, 0, atol=1e-12)


@EXAMPLES
@given(case=cases)
def test_dummy_players_get_nothing_where_the_estimator_sees_it(games, case):
    """Exact and permutation designs promise it for any game; leverage on average only."""
    if case["estimator"] == "leverage":
        case = {**case, "estimator": "exact"}
    inner = games.random_mlp(case["d"], case["seed"])
    dummy = case["seed"] % case["d"]
    keep = np.arange(case["d"]) != dummy
    _, _, got = _run(games, lambda x: inner(x * keep), case)
    np.testing.assert_allclose(got.values[:, dummy], 0, atol=1e-12)
    np.testing.assert_allclose(np.nan_to_num(got.std_error[:, dummy]), 0, atol=1e-12)


@EXAMPLES
@given(case=cases)
def test_symmetric_players_get_the_same(games, case):
    """Exactly for enumeration; for pairs of equal players in a game of order 2 for all."""
    d = max(case["d"], 2)
    case = {**case, "d": d}
    rng = np.random.default_rng(case["seed"])
    examples, background = rng.normal(size=(2, d)), rng.normal(size=(case["n_background"], d))
    examples[:, 1], background[:, 1] = examples[:, 0], background[:, 0]
    full, order2 = games.random_mlp(d, case["seed"]), games.random_products(d, 2, case["seed"])
    inner = full if case["estimator"] == "exact" else order2

    def model(x):
        swapped = x.copy()
        swapped[:, [0, 1]] = x[:, [1, 0]]
        return inner(x) + inner(swapped)

    _, _, got = _run(games, model, case, examples, background)
    np.testing.assert_allclose(got.values[:, 0], got.values[:, 1], atol=1e-10)


@EXAMPLES
@given(case=cases, a=st.floats(-3, 3), b=st.floats(-3, 3))
def test_linearity(games, case, a, b):
    """The same design for both models: attributions add up, whatever their error."""
    f, g = games.random_mlp(case["d"], case["seed"]), games.random_products(case["d"], 4, case["seed"])
    _, _, of_f = _run(games, f, case)
    _, _, of_g = _run(games, g, case)
    _, _, of_sum = _run(games, lambda x: a * f(x) + b * g(x), case)
    np.testing.assert_allclose(of_sum.values, a * of_f.values + b * of_g.values, atol=1e-10)


@EXAMPLES
@given(case=cases, scale=st.floats(0.1, 10), shift=st.floats(-5, 5))
def test_errors_scale_with_the_model_and_ignore_its_offset(games, case, scale, shift):
    f = games.random_mlp(case["d"], case["seed"])
    _, _, plain = _run(games, f, case)
    _, _, moved = _run(games, lambda x: scale * f(x) + shift, case)
    np.testing.assert_allclose(moved.design_std_error, scale * plain.design_std_error, atol=1e-12)
    np.testing.assert_allclose(moved.std_error, scale * plain.std_error, atol=1e-7)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_examples_and_outputs_do_not_touch_each_other(games, estimator):
    d, budget = 6, {"exact": 62, "leverage": 24, "permutation": 30}[estimator]
    rng = np.random.default_rng(0)
    examples, background = rng.normal(size=(4, d)), rng.normal(size=(9, d))
    model = games.random_mlp(d, 1, n_outputs=3)
    together = games.explain(estimator, model, examples, background, budget=budget)
    alone = games.explain(estimator, lambda x: model(x)[:, 2:], examples[1:2], background, budget=budget)
    for name in ("values", "design_std_error", "background_std_error"):
        np.testing.assert_allclose(getattr(together, name)[1:2, :, 2:], getattr(alone, name), atol=1e-14)


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_are_not_finite_stay_with_their_example(games, estimator, bad):
    d, budget = 6, {"exact": 62, "leverage": 24, "permutation": 30}[estimator]
    rng = np.random.default_rng(0)
    examples, background = rng.normal(size=(3, d)), rng.normal(size=(9, d))
    inner = games.random_mlp(d, 1)
    good = games.explain(estimator, inner, examples, background, budget=budget)
    broken = games.explain(
        estimator, lambda x: np.where(x[:, :1] == examples[1, 0], bad, inner(x)), examples, background, budget=budget
    )
    assert not np.isfinite(broken.values[1]).any()
    np.testing.assert_array_equal(broken.values[[0, 2]], good.values[[0, 2]])
