"""Slices against the rest: subtraction is exact, tests agree with scipy, and no difference is rarely called one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tfx_explain.summary.moments import WeightedMoments
from tfx_explain.summary.sizes import NoisyMoments
from tfx_explain.summary.slices import MIN_COMPARED, compare_with_rest, false_discovery_q_values


def moments(values, weights=None, *, full=True):
    found = WeightedMoments.empty(values.shape[1], full=full)
    found.add(values, np.ones(len(values)) if weights is None else weights)
    return found


def exact(values, weights=None, *, full=True):
    """The same of values without noise."""
    weights = np.ones(len(values)) if weights is None else weights
    found = NoisyMoments.empty(values.shape[1], full=full)
    found.add(values, weights, np.zeros_like(values), np.zeros_like(values), np.zeros(len(values), np.int64))
    return found


def compare(values, inside, weights=None, *, full=True):
    weights = np.ones(len(values)) if weights is None else weights
    return compare_with_rest(exact(values, weights, full=full), exact(values[inside], weights[inside], full=full))


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10_000), n_in=st.integers(1, 39), offset=st.sampled_from([0.0, 1e4]), full=st.booleans())
def test_the_rest_is_what_was_not_in_the_part(seed, n_in, offset, full):
    rng = np.random.default_rng(seed)
    values, weights = rng.normal(size=(40, 3)) + offset, rng.uniform(0.1, 3, 40)
    rest = moments(values, weights, full=full).without(moments(values[:n_in], weights[:n_in], full=full))
    expected = moments(values[n_in:], weights[n_in:], full=full)
    assert rest.n_effective == expected.n_effective
    np.testing.assert_array_equal(rest.mean, expected.mean)
    # Both are right to 2^-75 of the largest square, over the least squared weight.
    atol = 2.0**-75 * (4 + offset) ** 2 * 1200
    np.testing.assert_allclose(rest.covariance_of_mean(), expected.covariance_of_mean(), rtol=1e-14, atol=atol)


def test_rows_of_weight_zero_add_nothing():
    values = np.arange(8.0).reshape(4, 2)
    with_zeros = moments(values, np.array([0.0, 1.0, 0.0, 2.0]))
    without = moments(values[[1, 3]], np.array([1.0, 2.0]))
    assert with_zeros.mean.tolist() == without.mean.tolist()
    assert with_zeros.n_effective == without.n_effective
    assert moments(values, np.zeros(4)).weight == 0


def test_tests_agree_with_scipy():
    rng = np.random.default_rng(1)
    values, inside = rng.gamma(2, size=(200, 4)), np.arange(200) < 30
    values[inside] *= [1.0, 1.3, 2.0, 0.5]
    got = compare(values, inside)
    welch = stats.ttest_ind(values[inside], values[~inside], equal_var=False)
    student = stats.ttest_ind(values[inside], values[~inside], equal_var=True)
    np.testing.assert_allclose(got.statistic, welch.statistic, rtol=1e-9)
    np.testing.assert_allclose(got.p_value, np.maximum(welch.pvalue, student.pvalue), rtol=1e-8)
    np.testing.assert_allclose(got.difference, values[inside].mean(0) - values[~inside].mean(0), rtol=1e-9)
    np.testing.assert_allclose(got.difference / got.pooled_std_error, student.statistic, rtol=1e-9)
    assert got.degrees_of_freedom.tolist() == [29.0] * 4
    assert (welch.pvalue > student.pvalue).any()
    assert (welch.pvalue < student.pvalue).any()


def test_weights_scale_out_and_whole_weights_move_the_means_like_repetition():
    rng = np.random.default_rng(2)
    values, weights, inside = rng.gamma(2, size=(300, 2)), rng.integers(1, 4, 300).astype(float), np.arange(300) < 90
    got, scaled = compare(values, inside, weights), compare(values, inside, 7.5 * weights)
    np.testing.assert_allclose(got.p_value, scaled.p_value, rtol=1e-9)
    mean = np.average(values[inside], axis=0, weights=weights[inside])
    rest = np.average(values[~inside], axis=0, weights=weights[~inside])
    np.testing.assert_allclose(got.difference, mean - rest, rtol=1e-9)


def test_q_values_agree_with_the_step_up_procedure():
    rng = np.random.default_rng(3)
    p = np.concatenate([rng.uniform(size=60), rng.uniform(0, 1e-3, 10)])
    q = false_discovery_q_values(p)
    for rate in (0.01, 0.05, 0.3):
        # Benjamini and Hochberg's own words: reject the k smallest, k the largest i with p_(i) <= i / m * rate.
        passes = np.flatnonzero(np.sort(p) <= np.arange(1, 71) / 70 * rate)
        assert (q <= rate).sum() == (passes[-1] + 1 if len(passes) else 0)
    if hasattr(stats, "false_discovery_control"):
        np.testing.assert_allclose(q, stats.false_discovery_control(p), rtol=1e-12)
    with_unknown = false_discovery_q_values(np.append(p, np.nan))
    assert np.isnan(with_unknown[-1])
    np.testing.assert_array_equal(with_unknown[:-1], q)
    assert false_discovery_q_values([]).shape == (0,)


def rare(rng, n):
    """Large in three rows of a hundred, as the attributions of a rare category are."""
    return np.where(rng.uniform(size=n) < 0.03, 1.0, 0.01) * rng.uniform(0.9, 1.1, n)


SPREADS = {
    "normal": lambda rng, n: np.abs(rng.normal(size=n)),
    "heavy": lambda rng, n: rng.lognormal(sigma=1.5, size=n),
    "rare": rare,
}


@pytest.mark.parametrize("n_in", [10, 30, 300])
@pytest.mark.parametrize("spread", SPREADS)
def test_no_difference_is_rarely_called_one(spread, n_in):
    values = SPREADS[spread](np.random.default_rng(4), 600 * 2000).reshape(600, 2000)
    p = compare(values, np.arange(600) < n_in, full=False).p_value
    # 2000 p-values: 5 % are known to 0.5 %, so that 6.5 % are three errors too many.
    assert (p < 0.05).mean() <= 0.065


@pytest.mark.parametrize("spread", SPREADS)
def test_false_discoveries_stay_within_their_rate(spread):
    rng = np.random.default_rng(5)
    values, slices = SPREADS[spread](rng, 600 * 8 * 150).reshape(600, 8 * 150), rng.integers(0, 6, 600)
    p = np.stack([compare(values, slices == key, full=False).p_value for key in range(6)])
    tables = p.reshape(6, 150, 8).transpose(1, 0, 2).reshape(150, 48)
    wrong = [(false_discovery_q_values(table) < 0.05).any() for table in tables]
    # Under no difference at all every discovery is false: the rate is the chance of any. 150 runs know 5 % to 1.8 %.
    assert np.mean(wrong) <= 0.05 + 3 * 0.018


def test_true_differences_are_found():
    rng = np.random.default_rng(6)
    values, inside = np.abs(rng.normal(size=(1000, 2))), np.arange(1000) < 200
    values[inside, 0] *= 1.5
    p = compare(values, inside).p_value
    assert p[0] < 1e-6
    assert p[1] > 0.01


def test_small_slices_and_small_rests_are_not_compared():
    values = np.abs(np.random.default_rng(7).normal(size=(100, 2)))
    for n_in in (1, MIN_COMPARED - 1, 100 - MIN_COMPARED + 1, 99):
        got = compare(values, np.arange(100) < n_in)
        assert np.isnan(got.p_value).all()
        assert np.isfinite(got.difference).all()
    everything = compare(values, np.ones(100, bool))
    assert np.isnan(everything.difference).all()
    np.testing.assert_allclose(everything.value, values.mean(0))


def test_constant_attributions_differ_surely_or_not_at_all():
    values = np.ones((60, 3)) * [0.0, 0.3, 0.3]
    inside = np.arange(60) < 20
    values[inside, 1] = 0.7
    values[inside, 2] *= 1 + 1e-8
    got = compare(values, inside)
    assert got.difference.tolist() == pytest.approx([0, 0.4, 0])
    assert got.p_value[0] == 1
    assert got.p_value[1] < 1e-100
    assert got.p_value[2] == 1
