"""Expected gradients: how near they come to what they estimate, and whether their errors say so."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from scipy.special import stdtrit

from attributing import Attributing, floats, model_of
from tfx_explain.methods.path_gradients import expected_gradients
from tfx_explain.methods.path_gradients.draws import StratifiedPlaces, stratified_alphas
from tfx_explain.methods.path_gradients.rows import AskedSide, PathEstimates
from tfx_explain.summary import ImportanceAccumulator

NAMES = tuple("abcdefghijklmn")
EXACT = {"integrated_gradients": {"max_completeness_gap": 1e-4, "max_steps": 4_096}}


def rows_of(n: int, seed: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    return {name: rng.normal(size=n).astype(np.float32) for name in NAMES}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A network 64-64 of rectifiers with a sigmoid, of 14 features."""
    rng = np.random.default_rng(0)
    shapes = [(14, 64), (64, 64), (64, 1)]
    weights = [tf.constant(rng.normal(size=shape) * (2 / shape[0]) ** 0.5, tf.float32) for shape in shapes]

    def score(*columns: Any) -> Any:
        hidden = tf.stack(columns, axis=1)
        for weight in weights[:2]:
            hidden = tf.nn.relu(hidden @ weight)
        return tf.sigmoid(hidden @ weights[2])

    return model_of(tmp_path_factory.mktemp("network"), score, floats(*NAMES))


def expected(model: Any, background: Any, config: Any = None, **settings: Any) -> Attributing:
    return Attributing([model], background, {"expected_gradients": settings}, config or {})


@functools.cache
def truth(model: Any) -> np.ndarray:
    """Of 30 rows against 100 background rows: other draws, 32 times the steps of 1,600 samples."""
    at_work = expected(model, rows_of(100, 1), {"seed": 99}, num_samples=32 * 1_600)
    return at_work.explain(rows_of(30, 2)).sides[0].attributions


def test_error_at_1600_gradients(model):
    result = expected(model, rows_of(100, 1), num_samples=1_600).explain(rows_of(30, 2))
    assert result.counts["expected_gradients_gradient_rows"] == 1_600 * 30
    found, exact = result.sides[0].attributions, truth(model)
    assert np.median(np.linalg.norm(found - exact, axis=1) / np.linalg.norm(exact, axis=1)) <= 0.01


@pytest.mark.parametrize("num_samples", [300, 400, 1_600])
def test_intervals_of_the_steps_hold_what_more_steps_find(model, num_samples):
    (rows,) = expected(model, rows_of(100, 1), num_samples=num_samples).explain(rows_of(30, 2)).sides
    half_width = stdtrit(rows.design_dof, 0.975)[:, None, None] * rows.design_std_error
    held = np.abs(rows.attributions - truth(model)) <= half_width
    # Of 420 figures, nearly independent, 95 % hold; three standard errors of that are 3 %, what steps see is a trend.
    assert 0.9 <= held.mean() <= 0.99


def test_the_background_is_a_sample_and_its_error_is_without_that_of_the_steps(model):
    rows = rows_of(30, 2)
    few, many = (
        expected(model, rows_of(40, 3), num_samples=40 * steps).explain(rows).sides[0].background_std_error
        for steps in (3, 96)
    )
    # The same error of the same background, however noisy the steps are.
    assert np.sqrt(np.square(few).mean()) == pytest.approx(np.sqrt(np.square(many).mean()), rel=0.04)
    # It is how far backgrounds are from a larger one.
    others = [
        expected(model, rows_of(40, 10 + i), num_samples=640).explain(rows).sides[0].attributions for i in range(6)
    ]
    spread = np.std(others, axis=0, ddof=1)
    # A spread of 6 is known to 30 % for each figure; rows share backgrounds.
    assert np.sqrt(np.square(many).mean()) == pytest.approx(np.sqrt(np.square(spread).mean()), rel=0.3)


def test_gaps_are_noise_of_the_size_that_errors_say(model):
    (rows,) = expected(model, rows_of(100, 1), num_samples=400).explain(rows_of(200, 4)).sides
    gap = rows.attributions.sum(axis=1) - (rows.prediction - rows.base_value)
    np.testing.assert_allclose(rows.completeness_gap, gap, atol=1e-7)
    # Players' errors of one row go together, one way or the other, so their sum is no sum of independent errors.
    size = np.sqrt(np.square(gap).mean() / np.square(rows.design_std_error).sum(axis=1).mean())
    assert 0.3 < size < 3
    assert abs(gap.mean()) < 4 * gap.std() / np.sqrt(200)


def test_rows_that_miss_the_error_get_more_steps(model):
    rows, background = rows_of(30, 2), rows_of(20, 5)
    plain = expected(model, background, num_samples=60).explain(rows)
    at_work = expected(model, background, num_samples=60, max_relative_error=0.02)
    result = at_work.explain(rows)
    error = np.sqrt(np.square(result.sides[0].design_std_error).sum(axis=1))
    assert (error <= 0.02 * np.linalg.norm(result.sides[0].attributions, axis=1)).all()
    counts = result.counts
    assert counts["expected_gradients_above_max_relative_error"] == 0
    assert 0 < counts["expected_gradients_refined"] <= 30
    assert counts["expected_gradients_gradient_rows"] > plain.counts["expected_gradients_gradient_rows"]
    never = expected(model, background, num_samples=60, max_relative_error=1e-7).explain(rows_of(2, 2))
    assert never.counts["expected_gradients_above_max_relative_error"] == 2
    assert never.counts["expected_gradients_gradient_rows"] == 2 * 60 * (2**7 - 1)


def test_few_samples_take_few_references(model):
    background = rows_of(50, 6)
    at_work = expected(model, background, num_samples=31)
    assert at_work.described()["num_references"] == 10
    assert at_work.described()["steps_per_reference"] == 3
    first = expected(model, {name: values[:10] for name, values in background.items()}, num_samples=31)
    rows = rows_of(5, 7)
    (some,), (alone,) = at_work.explain(rows).sides, first.explain(rows).sides
    np.testing.assert_array_equal(some.base_value, alone.base_value)
    np.testing.assert_allclose(some.attributions, alone.attributions, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(some.background_dof, 9)
    heavy = expected(model, background, {"background": {"strategy": "medoids", "num_rows": 50}}, num_samples=30)
    assert heavy.plan.per_method["expected_gradients"].rows.weights.sum() == pytest.approx(1)


def test_one_reference_is_no_sample(model):
    (rows,) = expected(model, rows_of(1, 8), num_samples=200).explain(rows_of(5, 9)).sides
    assert not rows.background_std_error.any()
    (integrated,) = Attributing([model], rows_of(1, 8), EXACT).explain(rows_of(5, 9)).sides
    error = np.hypot(rows.design_std_error, integrated.design_std_error)
    assert np.mean(np.abs(rows.attributions - integrated.attributions) <= 4 * error) > 0.95


def test_bits_do_not_depend_on_the_batch(model):
    at_work, rows = expected(model, rows_of(9, 10), num_samples=50, max_relative_error=0.05), rows_of(30, 11)
    together = at_work.explain(rows).sides[0]
    for part in ([4], [29, 3], list(range(17))):
        alone = at_work.explain(rows, part).sides[0]
        for name in vars(alone).keys() - {"parts"}:
            np.testing.assert_array_equal(getattr(alone, name), getattr(together, name)[part], err_msg=name)


def test_steps_follow_from_seed_and_row_and_are_one_to_a_stratum():
    hashes = np.random.default_rng(0).integers(0, 2**63, 500).astype(np.uint64)
    alphas = stratified_alphas(hashes, np.arange(7), 4, seed=3)
    strata = alphas * 4
    np.testing.assert_array_equal(np.floor(strata), np.broadcast_to(np.arange(4), strata.shape))
    within = (strata % 1).ravel()
    # Uniform: 14,000 draws have a mean within four standard errors of 1/2, and a variance of 1/12 to 2 %.
    assert abs(within.mean() - 0.5) < 4 * np.sqrt(1 / 12 / len(within))
    assert within.var() == pytest.approx(1 / 12, rel=0.05)
    assert len(np.unique(within)) == len(within)
    np.testing.assert_array_equal(alphas[[5]], stratified_alphas(hashes[[5]], np.arange(7), 4, seed=3))
    np.testing.assert_array_equal(alphas[:, [2, 6]], stratified_alphas(hashes, np.array([2, 6]), 4, seed=3))
    assert (alphas != stratified_alphas(hashes, np.arange(7), 4, seed=4)).all()


def test_places_of_some_rows_and_references_are_those_among_all():
    hashes = np.random.default_rng(0).integers(0, 2**63, 20).astype(np.uint64)
    numbers = np.array([3, 1, 8, 5])
    places, rows, references = StratifiedPlaces(hashes, numbers, 4, 3), np.array([7, 7, 0, 19]), np.array([2, 0, 2])
    alphas = stratified_alphas(hashes, numbers, places.n_steps, seed=3)
    np.testing.assert_array_equal(places.of(rows, references), alphas[np.ix_(rows, references)])


def test_rows_enter_the_cut_some_at_a_time(model, monkeypatch):
    at_work, rows = expected(model, rows_of(9, 10), num_samples=50), rows_of(30, 11)
    together = at_work.explain(rows).sides[0]
    monkeypatch.setattr(expected_gradients, "_POINTS", 14 * 7)
    in_parts = at_work.explain(rows).sides[0]
    for name in vars(together).keys() - {"parts"}:
        np.testing.assert_array_equal(getattr(in_parts, name), getattr(together, name), err_msg=name)


def test_importance_holds_what_exact_attributions_would_say():
    """Noise that is independent between rows, which rows of one number share no more of than others."""
    rng, n = np.random.default_rng(0), 200
    scale, shift, noise = np.array([[1.0, 0.3, 0.1, 1.0], [0.0, 0.2, 0.0, 1.0], [0.1, 0.1, 0.1, 0.3]])
    typical = np.abs(rng.normal(size=(200_000, 1)) * scale + shift).mean(axis=0)
    ones, everything = np.ones((n, 1)), np.ones(n, np.bool_)
    asked = AskedSide(np.zeros((n, 1), np.int64), ones, ones, 1e-7 * ones)
    held = []
    for _ in range(300):
        values = rng.normal(size=(n, 4)) * scale + shift + noise * rng.normal(size=(n, 4))
        variances = np.broadcast_to(np.square(noise), (n, 4))
        estimates = PathEstimates(values[..., None], variances[..., None], 0 * values[..., None], ones[:, 0], 1.0)
        rows = estimates.rows(asked, rng.integers(0, 2**63, n).astype(np.uint64), everything)
        accumulator = ImportanceAccumulator(4)
        accumulator.add(*rows.importance(0, np.arange(n), np.ones(n)))
        found = accumulator.result()
        held.append((found.ci_low <= typical) & (typical <= found.ci_high))
    # 300 intervals of 95 %, two standard errors of 1.3 % to either side; allowing for bias makes the noisy ones wider.
    assert np.mean(held, axis=0).min() >= 0.925
    assert np.mean(held, axis=0)[[0, 3]].max() <= 0.98
