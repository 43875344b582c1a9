"""How skewed values are, accumulated in any order, and what is allowed for it."""

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tfx_explain.judgement.skewness import FEW, of_estimated_sum, of_estimates
from tfx_explain.summary import ImportanceAccumulator
from tfx_explain.summary.local_effects import AccumulatedLocalEffectsAccumulator
from tfx_explain.summary.moments import WeightedMoments
from tfx_explain.summary.partial_dependence import PartialDependenceAccumulator


def third(values, weights):
    moments = WeightedMoments.empty(values.shape[1], full=False, third=True)
    moments.add(values, weights)
    return moments


def skewness(moments):
    """As accumulators ask for it."""
    return moments.skewness(moments.covariance_of_mean())


@settings(max_examples=50)
@given(
    seed=st.integers(0, 10_000),
    cuts=st.lists(st.integers(0, 60), max_size=6),
    order=st.randoms(use_true_random=False),
    weighted=st.booleans(),
    offset=st.sampled_from([0.0, 1.0, -100.0]),
)
def test_any_split_in_any_order_with_empty_shards_gives_the_same_third_moments(seed, cuts, order, weighted, offset):
    rng = np.random.default_rng(seed)
    values = rng.exponential(size=(60, 3)) * [1.0, 0.1, 0.0] + [offset, offset, 7.0]
    weights = rng.uniform(0.0, 3.0, 60) * (rng.random(60) < 0.9) if weighted else np.ones(60)
    shards = [third(values[rows], weights[rows]) for rows in np.split(order.sample(range(60), 60), sorted(cuts))]
    shards += [WeightedMoments.empty(3, full=False, third=True), WeightedMoments.empty(3, full=False, third=True)]
    order.shuffle(shards)
    merged = WeightedMoments.empty(3, full=False, third=True)
    for shard in shards:
        merged.merge(pickle.loads(pickle.dumps(shard)))
    centred = values - weights @ values / weights.sum()
    n = weights.sum() ** 2 / (weights**2).sum()
    variance = (weights**2 @ centred**2) / weights.sum() ** 2 * n / (n - 1)
    of_mean = np.divide(
        weights**3 @ centred**3 / weights.sum() ** 3, variance**1.5, out=np.zeros(3), where=[True, True, False]
    )
    expected = of_mean * n**2.5 / ((n - 1) * (n - 2))
    np.testing.assert_allclose(skewness(merged), expected, rtol=1e-9, atol=1e-9)
    np.testing.assert_array_equal(skewness(merged), skewness(third(values, weights)))


def test_the_skewness_of_equal_weights_is_the_usual_one_of_samples():
    rng = np.random.default_rng(1)
    values = np.stack([rng.exponential(size=80), -rng.lognormal(size=80), rng.normal(size=80) + 1e6], axis=1)
    found = skewness(third(values, np.full(80, 2.5)))
    np.testing.assert_allclose(found, stats.skew(values, bias=False), rtol=1e-7)


def test_what_does_not_vary_is_not_skewed_and_two_values_tell_nothing():
    same = np.full((50, 1), 0.1)
    assert skewness(third(same, np.ones(50))).tolist() == [0.0]
    two = np.array([[1.0], [2.0]])
    assert np.isnan(skewness(third(two, np.ones(2)))).all()
    assert np.isnan(skewness(third(two[:0], np.ones(0)))).all()


def test_summaries_and_curves_tell_how_skewed_they_are():
    rng = np.random.default_rng(2)
    phi = rng.exponential(size=(90, 2)) * [1.0, -2.0] + [-0.5, 1.0]
    importance = ImportanceAccumulator(2)
    importance.add(phi, np.zeros((90, 2)), np.zeros((90, 2)), np.zeros(90), np.zeros(90))
    found = importance.result()
    np.testing.assert_allclose(found.skewness, stats.skew(np.abs(phi), bias=False))
    np.testing.assert_allclose(found.signed_skewness, stats.skew(phi, bias=False))
    dependence = PartialDependenceAccumulator([[0.5, 0.25, 0.25]])
    dependence.add([np.cumsum(np.hstack([rng.normal(size=(90, 1)), phi]), axis=1)])
    np.testing.assert_allclose(dependence.result(0).step_skewness, [np.nan, *stats.skew(phi, bias=False)])
    effects = AccumulatedLocalEffectsAccumulator([[0.0, 1.0, 2.0, 3.0]])
    bins = np.repeat([0, 2, 1], [50, 38, 2])
    for part in np.split(np.arange(90), [20, 70]):
        effects.add([phi[part, 0]], [bins[part]])
    by_bin = [stats.skew(phi[bins == 0, 0], bias=False), np.nan, stats.skew(phi[bins == 2, 0], bias=False)]
    np.testing.assert_allclose(effects.result(0).step_skewness, [np.nan, *by_bin])


def test_attributions_that_may_be_rounding_have_no_skewness():
    phi = np.random.default_rng(4).exponential(size=(90, 3)) * [1.0, 1e-8, 0.0]
    importance = ImportanceAccumulator(3)
    importance.add(phi, np.zeros((90, 3)), np.zeros((90, 3)), np.zeros(90), np.zeros(90))
    found = importance.result()
    for skewness_of in (found.skewness, found.signed_skewness):
        np.testing.assert_array_equal(np.isnan(skewness_of), [False, True, True])


def test_an_estimate_widens_the_longer_tail_alone():
    left, right = of_estimates([1.5, -3.0, 0.0], 100, (0.4, 0.4))
    np.testing.assert_allclose(right, [2.8 * 1.5 / 10, 0.0, 0.0])
    np.testing.assert_allclose(left, [0.0, 2.8 * 3.0 / 10, 0.0])


def test_what_is_not_known_or_from_few_values_is_allowed_for_as_before():
    left, right = of_estimates([np.nan, 1.0], 100, (0.3, 0.4))
    assert (left[0], right[0]) == (0.3, 0.4)
    left, right = of_estimates([0.0, 2.0], FEW - 1, (0.3, 0.4))
    assert (left.tolist(), right[0]) == ([0.3, 0.3], 0.4)
    assert right[1] > 1.0


def test_a_sum_is_as_skewed_as_its_parts_where_they_go_together():
    x = np.random.default_rng(3).exponential(size=200)
    parts = np.stack([x, 3 * x], axis=1)
    own = of_estimates(stats.skew(x, bias=False), 200, (0.0, 0.0))
    for chosen in (parts, parts[:, :1]):
        of_sum = of_estimated_sum(
            stats.skew(chosen, bias=False), np.cov(chosen, rowvar=False).reshape(2 * [chosen.shape[1]]), 200, (0.0, 0.0)
        )
        np.testing.assert_allclose(of_sum, own)


@pytest.mark.parametrize("mirrored", [False, True])
def test_independent_parts_of_a_sum_add_their_third_moments(mirrored):
    sign = -1 if mirrored else 1
    found = of_estimated_sum(sign * np.array([2.0, 0.0, 1.0]), np.diag([1.0, 1.0, 4.0]), 400, (9.0, 9.0))
    tail, other = found[::sign][::-1]
    assert other == 0
    assert tail == pytest.approx(2.4 * (2.0 + 8.0) / 6.0**1.5 / 20)


def test_a_sum_of_which_a_part_is_unknown_is_allowed_for_from_above():
    assert of_estimated_sum([1.0, np.nan], np.eye(2), 200, (0.3, 0.4)) == (0.3, 0.4)
    assert of_estimated_sum([0.0, 0.0], np.zeros((2, 2)), 200, (0.3, 0.4)) == (0.0, 0.0)
    # Of parts that cancel the sum is no more skewed than a sample can be.
    assert of_estimated_sum([2.0, 0.0], [[1.0, -0.999], [-0.999, 1.0]], 400, (0.0, 0.0))[1] == 2.4
