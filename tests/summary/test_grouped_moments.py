"""Moments of rows: digits enough where they cancel, and no bit that depends on the order of rows."""

import numpy as np
import pytest
from scipy import stats

from tfx_explain.summary import binned_products
from tfx_explain.summary.grouped_moments import GroupedMoments


def moments(values, weights=None, batch=None):
    made, weights = GroupedMoments(1, values.shape[1], third=True), np.ones(len(values)) if weights is None else weights
    for start in range(0, len(values), batch or len(values)):
        rows = slice(start, start + (batch or len(values)))
        made.add(values[rows], weights[rows])
    return made


def skewness(made):
    return made.skewness(made.covariance_of_mean())[0]


@pytest.mark.parametrize("spread", [1.0, 1e-3, 1e-7])
def test_the_variance_of_a_small_spread_has_all_digits(spread):
    values = 1.0 + spread * np.random.default_rng(0).exponential(size=(400, 3))
    # Differences of numbers this near to each other are not rounded.
    expected = (values - 1.0).var(axis=0, ddof=1) / len(values)
    np.testing.assert_allclose(moments(values).covariance_of_mean()[0], expected, rtol=1e-9)


def test_skewness_is_that_of_the_sample_and_none_where_values_hardly_differ():
    deviations = np.random.default_rng(1).exponential(size=(500, 4))
    values = 1.0 + deviations * [1.0, 1e-2, 1e-6, 1e-9]
    expected = stats.skew(values - 1.0, axis=0, bias=False)
    np.testing.assert_allclose(skewness(moments(values))[:3], expected[:3], rtol=1e-8)
    assert skewness(moments(values))[3] == 0


def test_weights_are_those_of_a_ratio_mean():
    rng = np.random.default_rng(2)
    values, weights = rng.exponential(size=(300, 2)), rng.uniform(0.5, 3, 300)
    made, mean = moments(values, weights), np.average(values, axis=0, weights=weights)
    residual = weights[:, None] * (values - mean)
    n = weights.sum() ** 2 / np.square(weights).sum()
    variance = np.square(residual).sum(axis=0) * n / (n - 1) / weights.sum() ** 2
    np.testing.assert_allclose(made.covariance_of_mean()[0], variance, rtol=1e-12)
    of_mean = (residual**3).sum(axis=0) / weights.sum() ** 3 / variance**1.5
    np.testing.assert_allclose(skewness(made), of_mean * np.sqrt(n) * n**2 / ((n - 1) * (n - 2)), rtol=1e-9)


def test_rows_of_weight_1_may_come_before_others_or_after_them():
    rng = np.random.default_rng(3)
    values, weights = rng.normal(size=(90, 3)) + 5, np.where(np.arange(90) < 60, 1.0, rng.uniform(0.1, 4, 90))
    ahead, behind = moments(values, weights, batch=20), moments(values[::-1], weights[::-1], batch=20)
    np.testing.assert_array_equal(ahead.mean, behind.mean)
    np.testing.assert_array_equal(ahead.covariance_of_mean(), behind.covariance_of_mean())
    np.testing.assert_array_equal(skewness(ahead), skewness(behind))


def test_pairs_that_are_taken_a_few_at_a_time_have_the_same_covariances(monkeypatch):
    values = np.random.default_rng(4).normal(size=(40, 9)) * np.logspace(0, 12, 9)

    def covariances():
        made = GroupedMoments(1, 9, full=True)
        made.add(values[:25], np.ones(25))
        made.add(values[25:], np.ones(15))
        return made.covariance_of_mean()[0]

    at_once = covariances()
    np.testing.assert_allclose(at_once, np.cov(values.T) / len(values), rtol=1e-9)
    monkeypatch.setattr(binned_products, "_NUMBERS_AT_ONCE", 150)
    np.testing.assert_array_equal(covariances(), at_once)
