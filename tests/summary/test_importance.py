"""Importance accumulators: combiner algebra, numpy on the whole data, and honest intervals."""

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfx_explain.errors import ConfigError, InputError
from tfx_explain.summary import ImportanceAccumulator, Noise

D = 4


def _batch(rng, n, d=D, offset=0.0):
    phi = rng.normal(size=(n, d)) * np.logspace(0, -2, d) + offset
    phi[:, -1] = 0.0  # a feature that the model does not use
    return {
        "attributions": phi,
        "design_std_error": rng.uniform(0.0, 0.02, (n, d)),
        "background_std_error": rng.uniform(0.0, 0.05, (n, d)),
        "completeness_gap": rng.normal(size=n) * 1e-7,
        "prediction": rng.normal(size=n),
        "weights": rng.uniform(0.1, 3.0, n),
        "noise": np.zeros((n, d)),
        "design_ids": rng.integers(0, 8, n),
    }


def _take(batch, rows):
    return {name: values[rows] for name, values in batch.items()}


def _arguments(batch):
    figures = {name: values for name, values in batch.items() if name not in ("noise", "design_ids")}
    return {**figures, "noise": Noise(batch["noise"], batch["design_ids"])}


def _accumulate(batch):
    accumulator = ImportanceAccumulator(batch["attributions"].shape[1])
    accumulator.add(**_arguments(batch))
    return accumulator


def _assert_equal(a, b, rtol=1e-12):
    """Every field of two summaries agrees; `rtol` is relative to the largest entry of the field."""
    for name in type(a).__dataclass_fields__:
        left, right = np.asarray(getattr(a, name), dtype=float), np.asarray(getattr(b, name), dtype=float)
        scale = np.nanmax(np.abs(left), initial=1e-300)
        np.testing.assert_allclose(left, right, rtol=0, atol=rtol * scale, err_msg=name)


@settings(max_examples=20)
@given(
    seed=st.integers(0, 10_000),
    cuts=st.lists(st.integers(0, 60), max_size=6),
    order=st.randoms(use_true_random=False),
    weighted=st.booleans(),
    noisy=st.booleans(),
)
def test_any_split_in_any_order_with_empty_shards_gives_the_same_summary(seed, cuts, order, weighted, noisy):
    batch = _batch(np.random.default_rng(seed), 60)
    if not weighted:
        batch["weights"] = np.ones(60)
    if noisy:
        batch["noise"] = batch["design_std_error"]
    shards = [_accumulate(_take(batch, rows)) for rows in np.split(order.sample(range(60), 60), sorted(cuts))]
    shards += [ImportanceAccumulator(D), ImportanceAccumulator(D)]
    order.shuffle(shards)
    merged = ImportanceAccumulator(D)
    for shard in shards:
        merged.merge(pickle.loads(pickle.dumps(shard)))
    _assert_equal(_accumulate(batch).result(), merged.result(), rtol=0.0)


def test_few_examples_take_little_and_come_to_the_same_wherever_they_are_many():
    """Of 60 players the sums have 60 x 60 covariances; an example has 4 x 60 figures."""
    batch = _batch(np.random.default_rng(0), 90, d=60)
    whole, merged = _accumulate(batch), ImportanceAccumulator(60)
    for row in range(90):
        single = _accumulate(_take(batch, [row]))
        size = len(pickle.dumps(single))
        assert size < len(pickle.dumps(whole)) / 10
        merged.merge(single)
        assert len(pickle.dumps(single)) == size, "merging changed what was merged"
    _assert_equal(whole.result(), merged.result(), rtol=0.0)


def test_small_spread_around_a_large_mean_keeps_its_digits():
    rng = np.random.default_rng(1)
    batch = _batch(rng, 1000, offset=1e6)
    batch["weights"] = np.ones(1000)
    merged = ImportanceAccumulator(D)
    for rows in np.array_split(np.arange(1000), 17):
        merged.merge(_accumulate(_take(batch, rows)))
    expected = np.cov(np.abs(batch["attributions"]), rowvar=False) / 1000
    # One rounding of a value near 1e6 is 1e-10, against spreads of 1e-2 and more.
    np.testing.assert_allclose(merged.result().mean_abs_covariance, expected, rtol=1e-6, atol=1e-14)


def test_unweighted_figures_equal_numpy_on_the_whole_data():
    batch = _batch(np.random.default_rng(2), 500)
    phi, size = batch["attributions"], np.abs(batch["attributions"])
    error_squared = batch["design_std_error"] ** 2 + batch["background_std_error"] ** 2
    accumulator = ImportanceAccumulator(D)
    accumulator.add(**{name: values for name, values in _arguments(batch).items() if name != "weights"})
    summary = accumulator.result()
    assert summary.n_examples == summary.n_effective == 500
    np.testing.assert_allclose(summary.mean_abs, size.mean(0), rtol=1e-12)
    np.testing.assert_allclose(summary.mean_abs_covariance, np.cov(size, rowvar=False) / 500, rtol=1e-9, atol=1e-18)
    np.testing.assert_allclose(summary.mean_signed, phi.mean(0), rtol=1e-12)
    np.testing.assert_allclose(summary.mean_signed_std_error, phi.std(0, ddof=1) / np.sqrt(500), rtol=1e-12)
    np.testing.assert_allclose(summary.rms, np.sqrt((phi**2).mean(0)), rtol=1e-12)
    debiased = np.sqrt(np.maximum((phi**2 - error_squared).mean(0), 0))
    np.testing.assert_allclose(summary.rms_debiased, debiased, rtol=1e-12)
    np.testing.assert_allclose(summary.share, size.mean(0) / size.mean(0).sum(), rtol=1e-12)
    np.testing.assert_allclose(summary.mean_design_std_error, batch["design_std_error"].mean(0), rtol=1e-12)
    assert summary.rank.tolist() == [1, 2, 3, 4]
    assert summary.max_completeness_gap == np.abs(batch["completeness_gap"]).max()
    relative = np.abs(batch["completeness_gap"]) / (1 + np.abs(batch["prediction"]))
    assert summary.max_relative_completeness_gap == relative.max()


def test_a_whole_weight_counts_like_repeating_the_example():
    batch = _batch(np.random.default_rng(3), 40)
    batch["weights"] = np.tile([0.0, 1.0, 2.0, 3.0], 10)
    repeated = _take(batch, np.repeat(np.arange(40), batch["weights"].astype(int)))
    repeated["weights"] = np.ones(len(repeated["weights"]))
    weighted, unweighted = _accumulate(batch).result(), _accumulate(repeated).result()
    np.testing.assert_allclose(weighted.mean_abs, unweighted.mean_abs, rtol=1e-12)
    np.testing.assert_allclose(weighted.rms_debiased, unweighted.rms_debiased, rtol=1e-12)
    assert weighted.n_examples == 30


def test_scaling_all_weights_changes_nothing():
    batch = _batch(np.random.default_rng(4), 50)
    _assert_equal(_accumulate(batch).result(), _accumulate({**batch, "weights": batch["weights"] * 37.5}).result())


def test_weighted_standard_error_is_the_spread_over_repeated_samples():
    rng = np.random.default_rng(5)
    means, errors = [], []
    for _ in range(600):
        batch = _batch(rng, 200)
        summary = _accumulate(batch).result()
        means.append(summary.mean_abs[0])
        errors.append(summary.std_error[0])
    # The standard deviation of 600 draws is known to 1/sqrt(1200) = 2.9 %.
    assert np.mean(errors) == pytest.approx(np.std(means), rel=0.09)


def test_weights_that_follow_the_attributions_get_the_linearised_error():
    batch = _batch(np.random.default_rng(13), 300)
    size = np.abs(batch["attributions"])
    w = batch["weights"] = 0.1 + size[:, 0] ** 2
    summary = _accumulate(batch).result()
    mean = w @ size / w.sum()
    n = w.sum() ** 2 / (w**2).sum()
    residual = w[:, None] * (size - mean) / w.sum()
    np.testing.assert_allclose(summary.mean_abs, mean, rtol=1e-12)
    np.testing.assert_allclose(summary.mean_abs_covariance, residual.T @ residual * n / (n - 1), rtol=1e-9, atol=1e-18)
    assert summary.n_effective == pytest.approx(n)


@pytest.mark.parametrize("n", [50, 400])
def test_intervals_cover_the_truth_as_often_as_they_say(n):
    rng = np.random.default_rng(6)
    scales = np.array([1.0, 0.4, 0.1])
    true_abs = scales * np.sqrt(2 / np.pi)
    true_share = true_abs / true_abs.sum()
    covered_abs, covered_share, n_runs = np.zeros(3), np.zeros(3), 500
    for _ in range(n_runs):
        common = rng.normal(size=(n, 1))
        phi = (0.7 * common + np.sqrt(0.51) * rng.normal(size=(n, 3))) * scales
        accumulator = ImportanceAccumulator(3)
        accumulator.add(phi, np.zeros((n, 3)), np.zeros((n, 3)), np.zeros(n), np.zeros(n))
        summary = accumulator.result(confidence=0.95)
        covered_abs += (summary.ci_low <= true_abs) & (true_abs <= summary.ci_high)
        covered_share += (summary.share_ci_low <= true_share) & (true_share <= summary.share_ci_high)
    for coverage in (covered_abs / n_runs, covered_share / n_runs):
        assert ((coverage >= 0.90) & (coverage <= 0.99)).all(), coverage


def test_share_standard_error_agrees_with_the_interval_when_examples_abound():
    batch = _batch(np.random.default_rng(7), 20_000)
    summary = _accumulate(batch).result()
    half_width = (summary.share_ci_high - summary.share_ci_low) / 2
    np.testing.assert_allclose(half_width[:3], 1.96 * summary.share_std_error[:3], rtol=0.01)


def test_noise_in_attributions_inflates_mean_abs_but_not_the_debiased_rms():
    rng = np.random.default_rng(8)
    n = 40_000
    phi, error = rng.normal(size=(n, 1)), np.full((n, 1), 0.5)
    accumulator = ImportanceAccumulator(1)
    noisy = phi + rng.normal(size=phi.shape) * 0.5
    accumulator.add(noisy, error * 0.6, error * 0.8, np.zeros(n), np.zeros(n))
    summary = accumulator.result()
    assert summary.rms[0] == pytest.approx(np.sqrt(1.25), rel=0.02)
    assert summary.rms_debiased[0] == pytest.approx(1.0, rel=0.02)


def test_a_player_that_is_never_used_has_exactly_no_importance_and_no_error():
    summary = _accumulate(_batch(np.random.default_rng(9), 30)).result()
    figures = [summary.mean_abs, summary.std_error, summary.ci_high, summary.share, summary.share_std_error]
    assert [float(figure[-1]) for figure in figures] == [0.0] * 5
    assert summary.share_ci_high[-1] == 0.0
    assert not summary.mean_abs_covariance[-1].any()


def test_equal_importances_share_the_best_rank():
    accumulator = ImportanceAccumulator(4)
    zeros = np.zeros((2, 4))
    accumulator.add([[1, -3, 1, 0], [1, 3, -1, 0]], zeros, zeros, [0, 0], [0, 0])
    assert accumulator.result().rank.tolist() == [2, 1, 2, 4]


def test_no_example_leaves_everything_unknown_and_one_leaves_the_error_unknown():
    accumulator = ImportanceAccumulator(2)
    empty = np.zeros((0, 2))
    accumulator.add(empty, empty, empty, [], [])
    nothing = accumulator.result()
    assert nothing.n_examples == 0
    assert np.isnan(nothing.mean_abs).all()
    accumulator.add([[1.0, -2.0]], [[0, 0]], [[0, 0]], [0.0], [1.0])
    one = accumulator.result()
    assert one.mean_abs.tolist() == [1.0, 2.0]
    assert np.isnan(one.std_error).all()
    assert np.isnan(one.ci_low).all()
    assert np.isnan(one.share_ci_high).all()


def test_all_zero_attributions_have_share_zero():
    accumulator = ImportanceAccumulator(2)
    zeros = np.zeros((5, 2))
    accumulator.add(zeros, zeros, zeros, np.zeros(5), np.ones(5))
    assert accumulator.result().share.tolist() == [0.0, 0.0]


def test_unknown_standard_errors_leave_the_importance_and_the_errors_of_others():
    batch = _batch(np.random.default_rng(10), 20)
    batch["design_std_error"][:, 0] = batch["noise"][:, 0] = np.nan
    summary = _accumulate(batch).result()
    assert np.isfinite(summary.mean_abs).all()
    assert np.isnan(summary.std_error).tolist() == [True, False, False, False]
    assert np.isnan(summary.rms_debiased).tolist() == [True, False, False, False]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"attributions": np.full((3, D), np.nan)}, "not finite in row 0"),
        ({"attributions": np.zeros((3, D + 1))}, "shape"),
        ({"prediction": np.zeros(2)}, "`prediction` must have shape"),
        ({"completeness_gap": np.array([0.0, np.inf, 0.0])}, "not finite in row 1"),
        ({"weights": np.array([1.0, -1.0, 1.0])}, "negative"),
    ],
)
def test_unusable_batches_are_refused_in_one_sentence(change, words):
    batch = _take(_batch(np.random.default_rng(11), 3), np.arange(3))
    with pytest.raises(InputError, match=words):
        _accumulate_as({**batch, **change})


def _accumulate_as(batch):
    ImportanceAccumulator(D).add(**_arguments(batch))


def test_other_players_and_other_confidences_are_refused():
    with pytest.raises(InputError, match="cannot merge the importance of 3 players"):
        ImportanceAccumulator(2).merge(ImportanceAccumulator(3))
    with pytest.raises(ConfigError, match="at least one player"):
        ImportanceAccumulator(0)
    with pytest.raises(ConfigError, match="between 0 and 1"):
        ImportanceAccumulator(2).result(confidence=95)


def test_columns_are_one_figure_per_player():
    columns = _accumulate(_batch(np.random.default_rng(12), 9)).result().columns()
    assert {"value", "std_error", "ci_low", "ci_high", "rank", "share", "mean_signed"} <= set(columns)
    assert {values.shape for values in columns.values()} == {(D,)}


@pytest.mark.parametrize("ulps", [0, 1, 10**6])
def test_players_that_differ_by_rounding_have_covariances_that_figures_can_have(ulps):
    rng = np.random.default_rng(0)
    phi = np.column_stack(
        [rng.normal(size=22), *np.full((2, 22), 0.6) * (1 + ulps * 2.0**-52 * rng.normal(size=(2, 22)))]
    )
    zeros = np.zeros_like(phi)
    accumulator = ImportanceAccumulator(3)
    accumulator.add(phi, zeros, zeros, np.zeros(22), np.zeros(22))
    covariance = accumulator.absolute.covariance_of_mean()
    spread = np.sqrt(np.diag(covariance))
    scale = np.where(spread > 0, spread, 1.0)
    correlation = covariance / np.outer(scale, scale)
    assert np.linalg.eigvalsh(correlation).min() > -1e-12
    assert spread[0] == pytest.approx(np.abs(phi[:, 0]).std(ddof=1) / 22**0.5, rel=1e-12)
