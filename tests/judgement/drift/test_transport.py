"""Bounds of the distance between two distributions of attributions."""

import math

import numpy as np
import pytest
from scipy import stats

from tfx_explain.judgement.drift.transport import wasserstein_bounds
from tfx_explain.judgement.drift.values import Levels, Scale, Values

N = 60
LEVELS = Levels(upper=0.95, lower=0.9)


def bounds_of_sizes(mean: float, n_draws: int):
    """Of evenly spread sizes about a mean against zeros: the distance is their mean, and its error that of a mean."""
    sizes = mean + np.linspace(-1.0, 1.0, N)
    sides = Values(np.zeros(N), np.ones(N)), Values(sizes, np.ones(N))
    return sizes, wasserstein_bounds(*sides, LEVELS, Scale(1.0), n_draws, np.random.default_rng(1))


def hall(confidence: float, sizes: np.ndarray) -> float:
    """Student's quantile, widened (Hall 1992) for the skewness that sizes of mean m and deviation s may have.

    That is 3 s / m to the right, and m / s - s / m to the left, but no more than 3.
    """
    q, relative = stats.t.ppf(confidence, N - 1), sizes.std(ddof=1) / sizes.mean()
    skewness = max(3 * relative, min(1 / relative - relative, 3)) / math.sqrt(N)
    return float(q + (1 + 2 * q**2) / 6 * skewness)


def test_bounds_reach_as_far_as_sizes_of_that_spread_may_be_skewed():
    """The same spread at several distances from zero: draws, pieces and noise are the same."""
    found = [bounds_of_sizes(mean, 500) for mean in (1.05, 1.3, 4.0)]
    assert [bounds.value for _, bounds in found] == pytest.approx([1.05, 1.3, 4.0])
    for side, confidence in (("low", LEVELS.lower), ("high", LEVELS.upper)):
        reach = np.array([abs(getattr(bounds, side) - bounds.value) for _, bounds in found])
        stretched = np.array([hall(confidence, sizes) for sizes, _ in found])
        np.testing.assert_allclose(reach / reach[0], stretched / stretched[0], rtol=1e-9)
        assert np.ptp(stretched) > 0.05 * stretched[0]


def test_the_upper_bound_is_that_of_a_skewed_mean():
    draws = 100_000
    sizes, bounds = bounds_of_sizes(1.0, draws)
    # A bootstrap divides by n where an error divides by n - 1; its quantile is as exact as so many draws are.
    expected = hall(LEVELS.upper, sizes) * stats.sem(sizes) * math.sqrt((N - 1) / N)
    z = stats.norm.ppf(LEVELS.upper)
    error = math.sqrt(LEVELS.upper * (1 - LEVELS.upper) / draws) / stats.norm.pdf(z) / z
    assert bounds.high - bounds.value == pytest.approx(expected, rel=4 * error)
