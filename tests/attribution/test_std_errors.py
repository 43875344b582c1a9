"""Standard errors: intervals that cover, shapes that fit, and errors that fall with the budget."""

from __future__ import annotations

import numpy as np
import pytest

from tfx_explain.attribution import make_design
from tfx_explain.errors import EstimationError

D = 10
MODELS = ["mlp", "products", "trees"]
ROUNDING = 1e-12


def _model(games, name, d=D):
    return {
        "mlp": lambda: games.random_mlp(d, 1, scale=2),
        "products": lambda: games.random_products(d, 4, 2),
        "trees": lambda: games.random_trees(d, 3),
    }[name]()


def _covered(interval, truth):
    low, high = interval
    return (low - ROUNDING <= truth) & (truth <= high + ROUNDING)


@pytest.mark.parametrize(
    ("name", "estimator", "budget", "n_background"),
    [
        *[(name, "leverage", 8 * D, n) for name in MODELS for n in (1, 15)],
        *[(name, "permutation", 8 * D, n) for name in MODELS for n in (1, 15)],
        ("mlp", "leverage", 4 * D, 1),
        ("products", "leverage", 4 * D, 15),
        ("trees", "permutation", 4 * (D - 1), 15),
    ],
)
def test_design_intervals_cover_the_attributions_of_this_background(games, name, estimator, budget, n_background):
    rng = np.random.default_rng(4)
    model = _model(games, name)
    examples, background = rng.normal(size=(4, D)), rng.normal(size=(n_background, D))
    weights = rng.dirichlet(np.full(n_background, 3.0))
    truth = games.explain("exact", model, examples, background, weights=weights, budget=2**D).values
    covered, variances, squares = [], [], []
    for seed in range(20):
        got = games.explain(estimator, model, examples, background, weights=weights, budget=budget, seed=seed)
        covered.append(_covered(got.interval(of="background"), truth))
        variances.append(got.design_std_error**2)
        squares.append((got.values - truth) ** 2)
    assert 0.90 <= np.mean(covered) <= 0.99
    assert 0.85 <= np.sqrt(np.mean(variances) / np.mean(squares)) <= 1.35


@pytest.mark.parametrize(
    ("estimator", "budget"),
    [("exact", 2**7), ("leverage", 28), ("leverage", 56), ("permutation", 12), ("permutation", 56)],
)
@pytest.mark.parametrize(("n_background", "weighted"), [(12, True), (40, False)])
def test_intervals_cover_the_attributions_of_the_population(games, estimator, budget, n_background, weighted):
    """Truth against 3000 rows; each estimate draws its own few of them, 40 in 32 blocks where they are exact."""
    d = 7
    rng = np.random.default_rng(5)
    model = _model(games, "products", d)
    examples, population = rng.normal(size=(3, d)), rng.normal(size=(3000, d))
    truth = games.explain("exact", model, examples, population, budget=2**d).values
    covered, variances, squares = [], [], []
    for seed in range(40):
        background = population[rng.integers(0, len(population), n_background)]
        weights = rng.dirichlet(np.full(n_background, 4.0)) if weighted else games.uniform(n_background)
        got = games.explain(estimator, model, examples, background, weights=weights, budget=budget, seed=seed)
        covered.append(_covered(got.interval(), truth))
        variances.append(got.std_error**2)
        squares.append((got.values - truth) ** 2)
    assert 0.90 <= np.mean(covered) <= 0.99
    assert 0.85 <= np.sqrt(np.mean(variances) / np.mean(squares)) <= 1.2


def test_design_and_background_errors_are_told_apart(games):
    """A background that hardly varies has design error only; a linear model has background error only."""
    rng = np.random.default_rng(6)
    examples, background = rng.normal(size=(3, D)), rng.normal(size=(32, D))
    still = background[:1] + 1e-9 * background
    for estimator in ("leverage", "permutation"):
        design_only = games.explain(estimator, _model(games, "mlp"), examples, still, budget=8 * D)
        assert np.median(design_only.background_std_error / design_only.design_std_error) < 0.5
        background_only = games.explain(estimator, lambda x: x[:, :1] + x[:, 1:2], examples, background, budget=8 * D)
        np.testing.assert_allclose(background_only.design_std_error, 0, atol=ROUNDING)
        expected = background[:, :2].std(axis=0, ddof=1) / np.sqrt(32)
        np.testing.assert_allclose(background_only.background_std_error[:, :2, 0], [expected] * 3, rtol=1e-9)


def test_exact_blocks_know_the_error_of_a_mean(games):
    """64 rows in 32 blocks of 2, in any order: on average the standard error of a mean of 64."""
    rng = np.random.default_rng(7)
    background = np.sort(rng.normal(size=(64, 2)), axis=0)
    estimates = [
        games.explain(
            "exact", lambda x: x[:, :1], background[:1], background, budget=2, seed=seed
        ).background_std_error[0, 0, 0]
        ** 2
        for seed in range(200)
    ]
    assert np.sqrt(np.mean(estimates)) == pytest.approx(background[:, 0].std(ddof=1) / 8, rel=0.05)


def test_very_unequal_weights_leave_the_variance_unbiased(games, monkeypatch):
    """Independent rows with fixed weights: the variance of their weighted mean is sigma^2 times the sum of squares."""
    monkeypatch.setattr("tfx_explain.attribution.exact._MAX_BLOCKS", 5)
    rng = np.random.default_rng(3)
    weights = np.array([0.8] + [0.02] * 10)
    estimates = []
    for seed in range(1000):
        background = rng.normal(size=(11, 2))
        got = games.explain(
            "exact", lambda x: x[:, :1], background[:1], background, weights=weights, budget=2, seed=seed
        )
        estimates.append(got.background_std_error[0, 0, 0] ** 2)
    assert np.mean(estimates) == pytest.approx(np.sum(weights**2), rel=0.15)


def test_one_permutation_pair_per_row_bounds_the_design_error(games):
    rng = np.random.default_rng(8)
    model = _model(games, "products")
    examples, background = rng.normal(size=(3, D)), rng.normal(size=(24, D))
    truth = games.explain("exact", model, examples, background, budget=2**D).values
    runs = [games.explain("permutation", model, examples, background, budget=2 * (D - 1), seed=s) for s in range(30)]
    for run in runs:
        assert not run.background_std_error.any()
        np.testing.assert_array_equal(run.std_error, run.design_std_error)
    mean_variance = np.mean([run.design_std_error**2 for run in runs], axis=0)
    mean_square = np.mean([(run.values - truth) ** 2 for run in runs], axis=0)
    assert (mean_variance >= 0.9 * mean_square).mean() > 0.9


@pytest.mark.parametrize(
    ("estimator", "budget", "n_background", "design_known", "background_known"),
    [
        ("exact", 2**D, 3, True, False),
        ("exact", 2**D, 4, True, True),
        ("leverage", 4 * D, 1, True, False),
        ("leverage", 4 * D, 4, True, True),
        ("permutation", 6 * (D - 1), 1, False, False),
        ("permutation", 8 * (D - 1), 1, True, False),
        ("permutation", 2 * (D - 1), 3, False, False),
        ("permutation", 2 * (D - 1), 4, True, True),
    ],
)
def test_errors_are_refused_below_four_independent_estimates(
    games, estimator, budget, n_background, design_known, background_known
):
    rng = np.random.default_rng(9)
    got = games.explain(
        estimator, _model(games, "mlp"), rng.normal(size=(1, D)), rng.normal(size=(n_background, D)), budget=budget
    )
    assert np.isfinite(got.values).all()
    assert np.isnan(got.design_std_error).all() != design_known
    assert np.isnan(got.background_std_error).all() != background_known
    assert np.isnan(got.interval()[0]).all() != background_known


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("estimator", ["leverage", "permutation"])
def test_error_falls_at_least_like_the_root_of_the_budget(games, name, estimator):
    rng = np.random.default_rng(10)
    model = _model(games, name)
    examples, background = rng.normal(size=(4, D)), rng.normal(size=(6, D))
    truth = games.explain("exact", model, examples, background, budget=2**D).values

    def error(budget):
        runs = [games.explain(estimator, model, examples, background, budget=budget, seed=s) for s in range(12)]
        return np.sqrt(np.mean([(run.values - truth) ** 2 for run in runs]))

    assert error(16 * D) <= 1.15 * error(4 * D) / 2


@pytest.mark.parametrize("name", MODELS)
def test_a_design_per_background_row_beats_one_for_all(games, name, monkeypatch):
    rng = np.random.default_rng(11)
    model = _model(games, name)
    examples, background = rng.normal(size=(4, D)), rng.normal(size=(24, D))
    truth = games.explain("exact", model, examples, background, budget=2**D).values

    def error():
        runs = [games.explain("leverage", model, examples, background, budget=8 * D, seed=s) for s in range(12)]
        return np.median([np.linalg.norm(run.values - truth) for run in runs])

    own = error()
    monkeypatch.setattr("tfx_explain.attribution.partition._MAX_MAP_ELEMENTS", 0)
    monkeypatch.setattr("tfx_explain.attribution.partition._MIN_BLOCKS", 1)
    assert own <= 0.85 * error()


@pytest.mark.parametrize("estimator", ["exact", "leverage", "permutation"])
def test_shapes(games, estimator):
    d, n, k, budget = 6, 5, 3, {"exact": 62, "leverage": 24, "permutation": 20}[estimator]
    rng = np.random.default_rng(0)
    background = rng.normal(size=(9, d))
    got = games.explain(
        estimator, games.random_mlp(d, 1, n_outputs=k), rng.normal(size=(n, d)), background, budget=budget
    )
    for array in (got.values, got.design_std_error, got.background_std_error, got.std_error, *got.interval(0.9)):
        assert array.shape == (n, d, k)
        assert array.dtype == np.float64
    assert got.base_value.shape == (k,)
    assert got.completeness_gap.shape == (n, k)
    assert got.interactions is None


def _arguments(games, n=2):
    design = make_design("leverage", n_players=12, budget=48, background_weights=games.uniform(5), seed=0)
    return design, np.zeros((n, design.n_blocks, design.n_coalitions, 1)), np.zeros((n, 1)), np.zeros((5, 1))


def test_no_examples_no_attributions(games):
    design, *arguments = _arguments(games, n=0)
    assert design.solve(*arguments).values.shape == (0, 12, 1)


@pytest.mark.parametrize(
    ("position", "value", "sentence"),
    [
        (0, np.zeros((2, 5, 47, 1)), r"block values have the shape \(2, 5, 47, 1\)"),
        (1, np.zeros(2), r"predictions must have the shape \(examples, outputs\)"),
        (2, np.zeros((6, 1)), "background predictions have the shape"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(games, position, value, sentence):
    design, *arguments = _arguments(games)
    arguments[position] = value
    with pytest.raises(EstimationError, match=sentence):
        design.solve(*arguments)


def test_an_interval_needs_a_confidence(games):
    design, *arguments = _arguments(games)
    got = design.solve(*arguments)
    with pytest.raises(EstimationError, match="between 0 and 1"):
        got.interval(95)
    with pytest.raises(EstimationError, match="of='population' or 'background'"):
        got.interval(of="sample")
