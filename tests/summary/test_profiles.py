"""Profiles: closed forms, another library on the same grid, combiner algebra, and honest intervals."""

import dataclasses
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.inspection import partial_dependence

from tfx_explain.errors import InputError
from tfx_explain.summary import (
    AccumulatedLocalEffectsAccumulator,
    PartialDependenceAccumulator,
    choose_bins,
    choose_grid,
)
from tfx_explain.summary.grids import MAX_INTEGER_LEVELS

# --- grids ----------------------------------------------------------------------------------------------------------


def test_quantile_points_are_observed_values_that_each_stand_for_as_many_rows() -> None:
    values = np.random.default_rng(0).lognormal(size=1_001).astype(np.float32)
    grid = choose_grid("x", values, 0, 21)
    assert grid is not None
    assert grid.ordered
    assert set(grid.values) <= set(values.tolist())
    assert (grid.values[0], grid.values[-1]) == (values.min(), values.max())
    np.testing.assert_allclose(grid.numbers, np.quantile(values, np.linspace(0, 1, 21)), rtol=1e-6)
    # Inner points stand for a twentieth, give or take how values lie between them; no row is lost.
    assert sum(grid.fractions) == pytest.approx(1)
    assert np.ptp(grid.fractions[1:-2]) < 0.02
    # The mean of a line through the points is that of the rows.
    assert np.array(grid.fractions) @ (3 * grid.numbers + 1) == pytest.approx(3 * values.mean() + 1, rel=1e-5)


@pytest.mark.parametrize("seed", range(5))
def test_rows_between_points_count_for_both_and_missing_ones_for_their_own(seed: int) -> None:
    values = np.random.default_rng(seed).poisson(2.0, size=300) * 1.5
    grid = choose_grid("x", values, n_missing=100, size=4)
    assert grid is not None
    assert grid.values[-1] is None
    points = np.array(grid.values[:-1], float)
    assert len(points) <= 4
    assert (np.diff(points) > 0).all()
    hats = [np.interp(values, points, row).sum() for row in np.eye(len(points))]
    np.testing.assert_allclose(grid.fractions, [*np.array(hats) / 400, 0.25])
    every = choose_grid("x", values, n_missing=0, size=50)
    assert every is not None
    np.testing.assert_allclose(every.fractions, np.unique(values, return_counts=True)[1] / 300)


def test_text_has_its_most_frequent_levels_and_the_rest_are_counted() -> None:
    values = np.array([b"b"] * 5 + [b"a"] * 5 + [b"c"] * 8 + [b"rare", b"rarer"], object)
    grid = choose_grid("x", values, n_missing=4, size=3)
    assert grid is not None
    assert grid.values == (b"c", b"a", b"b", None)  # of equally frequent ones the first in order
    np.testing.assert_allclose(grid.fractions, np.array([8, 5, 5, 4]) / 22)
    assert (grid.n_levels_left_out, grid.ordered) == (2, False)
    assert grid.fraction_left_out == pytest.approx(2 / 24)
    assert np.isnan(grid.numbers).all()


def test_few_integers_are_levels_and_many_are_numbers() -> None:
    codes, many = np.arange(MAX_INTEGER_LEVELS), np.arange(MAX_INTEGER_LEVELS + 1)
    grid = choose_grid("x", codes, 0, 20)
    assert grid is not None
    assert (grid.values, grid.ordered) == (tuple(codes.tolist()), False)
    for values, size in ((many, 20), (codes, 5)):
        ordered = choose_grid("x", values, 0, size)
        assert ordered is not None
        assert ordered.ordered
        assert all(type(value) is int for value in ordered.values)


@pytest.mark.parametrize(
    "values", [np.full(9, 3.0), np.full(9, b"a", object), np.zeros(0), np.full(9, np.nan), np.zeros(0, object)]
)
def test_a_constant_has_no_curve_unless_it_is_missing_somewhere(values: np.ndarray) -> None:
    assert choose_grid("x", values, 0, 20) is None
    if values.dtype != object:
        assert choose_bins("x", values, 20) is None
    present = bool(len(values)) and values[0] == values[0]
    assert (choose_grid("x", values, 1, 20) is not None) == present


def test_bins_are_half_open_and_have_no_empty_width() -> None:
    bins = choose_bins("x", np.array([0.0] * 50 + [1.0] * 30 + [2.0, 3.0, np.inf, np.nan]), 3)
    assert bins is not None
    assert bins.edges == (0.0, 1.0, 2.0, 3.0)
    values = [-5.0, 0.0, 0.5, 1.0, 1.0001, 2.0, 3.0, 99.0, np.nan, np.inf]
    found, places = bins.bin_of(values)
    assert found.tolist() == [0, 0, 0, 0, 1, 1, 2, 2, -1, -1]
    np.testing.assert_allclose(places, [0, 0, 0.5, 1, 0.0001, 1, 1, 1, 0, 0], atol=1e-9)
    fewer = choose_bins("x", np.array([0.0] * 50 + [1.0] * 30 + [2.0, 3.0, 4.0, 5.0]), 3)
    assert fewer is not None
    assert fewer.edges == (0.0, 1.0, 5.0)


# --- partial dependence ---------------------------------------------------------------------------------------------


def _curves(function, x, column, points):
    """(n, n_points) outputs with one column set to each point, by definition."""
    repeated = np.repeat(x[:, None], len(points), axis=1)
    repeated[:, :, column] = points
    return function(repeated)


def _dependence(curves, fractions=None, **kwargs):
    n_points = curves.shape[1]
    accumulator = PartialDependenceAccumulator([[1 / n_points] * n_points if fractions is None else fractions])
    accumulator.add([curves], **kwargs)
    return accumulator.result(0)


def test_a_linear_model_has_exactly_its_line() -> None:
    rng = np.random.default_rng(0)
    x, points = rng.normal(size=(200, 3)), np.linspace(-2, 2, 9)
    weights = np.array([0.5, -2.0, 0.25])
    curve = _dependence(_curves(lambda rows: rows @ weights, x, 1, points))
    np.testing.assert_allclose(curve.value, -2 * points + x[:, [0, 2]].mean(0) @ weights[[0, 2]], atol=1e-12)
    np.testing.assert_allclose(curve.centred_value, -2 * points, atol=1e-12)
    np.testing.assert_allclose(curve.centred_std_error, 0, atol=1e-12)  # all rows have the same shape
    np.testing.assert_allclose(curve.std_error, (x[:, [0, 2]] @ weights[[0, 2]]).std(ddof=1) / np.sqrt(200))


class _Function(RegressorMixin, BaseEstimator):
    def fit(self, *_):
        self.fitted_ = True
        return self

    def predict(self, x):
        return np.tanh(x[:, 0] * x[:, 1]) + x[:, 2] ** 2


def test_partial_dependence_and_ice_agree_with_scikit_learn_on_the_same_grid() -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(80, 3))
    x[:, 0] = rng.integers(-3, 4, size=80) / 2
    theirs = partial_dependence(_Function().fit(), x, [0], kind="both", method="brute", percentiles=(0, 1))
    grid = choose_grid("x", x[:, 0], 0, 20)
    assert grid is not None
    points = theirs["grid_values"][0]
    np.testing.assert_array_equal(grid.numbers, points)
    curves = _curves(lambda rows: np.tanh(rows[..., 0] * rows[..., 1]) + rows[..., 2] ** 2, x, 0, points)
    accumulator = PartialDependenceAccumulator([grid.fractions], num_ice=80)
    ids = np.array([f"{i}" for i in range(80)], object)
    accumulator.add([curves], draws=np.arange(80, dtype=np.uint64), example_ids=ids)
    np.testing.assert_allclose(accumulator.result(0).value, theirs["average"][0], rtol=0, atol=1e-12)
    np.testing.assert_allclose(accumulator.ice(0).values, theirs["individual"][0], rtol=0, atol=1e-12)


@pytest.mark.parametrize("which", ["level", "shape"])
def test_intervals_hold_the_truth_as_often_as_they_say(which: str) -> None:
    """f(x1, x2) = x1 x2 + x2^2 with x2 standard normal: level 1, shape 0 everywhere, whatever x1 is set to."""
    rng, points, n_runs = np.random.default_rng(2), np.array([-1.0, 1.0]), 1_000
    hits = np.zeros(2)
    for _ in range(n_runs):
        x = rng.normal(size=(60, 2))
        curve = _dependence(_curves(lambda rows: rows[..., 0] * rows[..., 1] + rows[..., 1] ** 2, x, 0, points))
        low, high = (curve.ci_low, curve.ci_high) if which == "level" else (curve.centred_ci_low, curve.centred_ci_high)
        truth = 1.0 if which == "level" else 0.0
        hits += (low <= truth) & (truth <= high)
    # The squares are skewed, which costs a little; the simulation's own error is 0.7 %.
    assert (hits / n_runs >= 0.91).all()
    assert (hits / n_runs <= 0.97).all()


def test_centring_uses_the_distribution_of_the_feature() -> None:
    fractions = [0.7, 0.2, 0.1]
    curve = _dependence(np.random.default_rng(3).normal(size=(30, 3)), fractions)
    assert curve.centred_value @ fractions == pytest.approx(0, abs=1e-12)
    np.testing.assert_allclose(curve.centred_value, curve.value - curve.value @ fractions, atol=1e-12)


def test_weights_are_repetitions_for_the_mean_and_zero_is_absence() -> None:
    rng = np.random.default_rng(4)
    curves, weights = rng.normal(size=(40, 3)), rng.integers(0, 4, size=40)
    weighted = _dependence(curves, weights=weights)
    np.testing.assert_allclose(weighted.value, _dependence(np.repeat(curves, weights, axis=0)).value, atol=1e-12)
    assert weighted.n_examples == (weights > 0).sum()
    ones = _dependence(curves[:20], weights=np.ones(20))
    assert ones.std_error.tolist() == _dependence(curves[:20]).std_error.tolist()


def test_rows_without_a_finite_output_are_left_out() -> None:
    curves = np.array([[1.0, 2.0], [3.0, np.nan], [np.inf, 1.0], [5.0, 8.0]])
    curve = _dependence(curves)
    assert (curve.n_examples, curve.value.tolist()) == (2, [3.0, 5.0])
    effects = AccumulatedLocalEffectsAccumulator([[0.0, 1.0]])
    effects.add([[1.0, np.nan, 3.0, 7.0]], [[0, 0, 0, -1]])
    assert effects.result(0).n_examples == 2


def test_one_row_has_a_curve_without_error_and_none_has_nothing() -> None:
    one, none = _dependence(np.array([[1.0, 2.0]])), _dependence(np.zeros((0, 2)))
    assert one.value.tolist() == [1.0, 2.0]
    assert np.isnan([*one.std_error, *one.ci_low, *none.value, *none.std_error]).all()
    with pytest.raises(InputError, match=r"`curves` must have shapes \[\(3, 2\)\], got \[\(3, 1\)\]"):
        PartialDependenceAccumulator([[0.5, 0.5]]).add([np.zeros((3, 1))])
    with pytest.raises(InputError, match="0 or more"):
        PartialDependenceAccumulator([[1.0]]).add([np.zeros((3, 1))], weights=[-1.0, 1.0, 1.0])


def test_steps_are_paired_by_row_and_their_intervals_hold_the_truth() -> None:
    """f = 10 x2 + (1 + x3) x1: the level differs far more between rows than the step from 0 to 1, which is 1."""
    rng, hits = np.random.default_rng(7), 0
    for _ in range(400):
        x = np.concatenate([np.zeros((50, 1)), rng.normal(size=(50, 2))], axis=1)
        curve = _dependence(
            _curves(lambda r: 10 * r[..., 1] + (1 + r[..., 2]) * r[..., 0], x, 0, np.array([0.0, 1.0, 3.0]))
        )
        hits += abs(curve.step[1] - 1) <= 2.01 * curve.step_std_error[1]
    assert np.isnan([curve.step[0], curve.step_std_error[0]]).all()
    np.testing.assert_allclose(curve.step[1:], np.diff(curve.value))
    slope = 1 + x[:, 2]
    np.testing.assert_allclose(curve.step_std_error[1:], np.array([1, 2]) * slope.std(ddof=1) / np.sqrt(50))
    assert curve.step_std_error[1] < curve.std_error[1] / 5
    assert 0.92 <= hits / 400 <= 0.98


# --- accumulated local effects --------------------------------------------------------------------------------------


def _effects(function, x, column, bins, weights=None):
    edges, (of_row, places) = np.array(bins.edges), bins.bin_of(x[:, column])
    low, high = x.copy(), x.copy()
    low[:, column], high[:, column] = edges[of_row], edges[of_row + 1]
    accumulator = AccumulatedLocalEffectsAccumulator([bins.edges])
    accumulator.add([function(high) - function(low)], [of_row], [places], weights)
    return accumulator


def test_a_linear_model_has_exactly_its_slope_even_where_bins_are_empty() -> None:
    rng = np.random.default_rng(5)
    x = rng.normal(size=(500, 2))
    bins = choose_bins("x", x[:, 0], 20)
    assert bins is not None
    inside = x[bins.bin_of(x[:, 0])[0] != 7]
    for rows in (x, inside):
        curve = _effects(lambda rows: 3 * rows[:, 0] + rows[:, 1], rows, 0, bins).result(0)
        np.testing.assert_allclose(np.diff(curve.value) / np.diff(bins.edges), 3.0, atol=1e-6)
        np.testing.assert_allclose(curve.value, 3 * (np.array(bins.edges) - rows[:, 0].mean()), atol=1e-6)
        # What is uncertain is where the examples are, not the slope.
        np.testing.assert_allclose(curve.std_error, 3 * rows[:, 0].std(ddof=1) / np.sqrt(len(rows)), rtol=1e-6)


@pytest.mark.parametrize("mean", [0.0, 2.0])
def test_a_product_has_the_other_factors_mean_as_slope(mean: float) -> None:
    """Independent x1, x2: ALE1 = E[x2] (x1 - E[x1])."""
    rng = np.random.default_rng(6)
    misses = []
    for _ in range(200):
        x = rng.uniform(size=(400, 2)) + np.array([0.0, mean - 0.5])
        bins = choose_bins("x", rng.uniform(size=2_000), 10)
        assert bins is not None
        curve = _effects(lambda rows: rows[:, 0] * rows[:, 1], x, 0, bins).result(0)
        misses.append(np.abs(curve.value - mean * (np.array(bins.edges) - 0.5)) / curve.std_error)
    assert (np.array(misses) <= 3).mean() >= 0.99
    assert 0.92 <= (np.array(misses) <= 1.96).mean() <= 0.98


def test_an_empty_bin_and_a_thin_one_leave_the_other_errors_known() -> None:
    accumulator = AccumulatedLocalEffectsAccumulator([[0.0, 1.0, 2.0, 3.0]])
    accumulator.add([[1.0, 2.0, 3.0, 5.0]], [[0, 0, 0, 2]])
    curve = accumulator.result(0)
    assert np.isfinite(curve.std_error).all()
    assert np.diff(curve.value).tolist() == pytest.approx([2.0, 3.5, 5.0])
    assert curve.n_examples_of_point.tolist() == [0, 3, 0, 1]
    # A step is the bin's own mean: 1, 2, 3 in the first bin, 5 in the last, and the middle one between them.
    assert curve.step[1:].tolist() == pytest.approx([2.0, 3.5, 5.0])
    assert curve.step_std_error[1] == pytest.approx(1 / np.sqrt(3))
    nothing = AccumulatedLocalEffectsAccumulator([[0.0, 1.0]]).result(0)
    assert np.isnan([*nothing.value, *nothing.std_error]).all()


# --- combiner algebra -----------------------------------------------------------------------------------------------


def _assert_same(left, right):
    for field in dataclasses.fields(left):
        a, b = np.asarray(getattr(left, field.name), float), np.asarray(getattr(right, field.name), float)
        np.testing.assert_array_equal(a, b, err_msg=field.name)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    cuts=st.lists(st.integers(0, 60), max_size=6),
    order=st.randoms(use_true_random=False),
    weighted=st.booleans(),
)
def test_any_split_in_any_order_with_empty_shards_gives_the_same_curves(seed, cuts, order, weighted) -> None:
    rng = np.random.default_rng(seed)
    curves = [rng.normal(size=(60, 4)) + 5, rng.normal(size=(60, 3))]
    curves[1][rng.uniform(size=60) < 0.1, 1] = np.nan
    differences, bins, places = rng.normal(size=(2, 60)), rng.integers(-1, 3, size=(2, 60)), rng.uniform(size=(2, 60))
    weights = rng.uniform(0, 3, size=60) if weighted else np.ones(60)
    weights[5] = 0.0
    hashes, ids = rng.permutation(60).astype(np.uint64), np.array([f"{i}".encode() for i in range(60)], object)
    fractions, edges = [[0.1, 0.2, 0.3, 0.4], [0.2, 0.5, 0.3]], [[0.0, 1.0, 3.0, 4.0], [-1.0, 0.0, 1.0, 2.0]]

    def accumulated(rows, features=(0, 1)):
        of_rows = weights[rows]
        pair = (
            PartialDependenceAccumulator([fractions[place] for place in features], num_ice=7),
            AccumulatedLocalEffectsAccumulator([edges[place] for place in features]),
        )
        pair[0].add([curves[place][rows] for place in features], of_rows, hashes[rows], ids[rows])
        pair[1].add(*(of[list(features)][:, rows] for of in (differences, bins, places)), of_rows)
        return pair

    nothing = np.zeros(0, int)
    shards = [accumulated(rows) for rows in np.split(np.array(order.sample(range(60), 60)), sorted(cuts))]
    shards += [accumulated(nothing), accumulated(nothing)]
    order.shuffle(shards)
    merged = accumulated(nothing)
    for shard in shards:
        for mine, theirs in zip(merged, pickle.loads(pickle.dumps(shard)), strict=True):
            mine.merge(theirs)
    for place in range(2):
        alone = accumulated(np.arange(60), [place])
        for mine, theirs in zip(merged, alone, strict=True):
            _assert_same(mine.result(place), theirs.result(0))
        single = merged[0].ice(place)
        assert single.example_ids.tolist() == alone[0].ice(0).example_ids.tolist()
        np.testing.assert_array_equal(single.values, alone[0].ice(0).values)
        there = (weights > 0) & np.isfinite(curves[place]).all(axis=1)
        assert single.example_ids.tolist() == ids[np.argsort(np.where(there, hashes, 99))][:7].tolist()
        np.testing.assert_allclose(single.centred_values @ fractions[place], 0, atol=1e-12)


def test_whole_numbers_that_are_one_float64_are_points_of_their_own_and_edges_together() -> None:
    near = 2**53 + np.arange(1, 9)
    values = np.repeat(np.array([-(2**63), *near, 2**63 - 1], np.int64), np.arange(1, 11))
    grid = choose_grid("id", values, 0, 12)
    assert grid is not None
    assert grid.values == (-(2**63), *near.tolist(), 2**63 - 1)
    np.testing.assert_allclose(grid.fractions, np.arange(1, 11) / 55)
    between = choose_grid("id", np.array([2**60, 2**60 + 1, 2**60 + 2, 2**60 + 4], np.int64), 0, 3)
    assert between is not None
    assert np.isfinite(between.fractions).all()
    bins = choose_bins("id", values, 20)
    assert bins is not None
    assert (np.diff(np.array(bins.edges, np.float64)) > 0).all()
    assert np.isfinite(bins.bin_of(values)[1]).all()
    assert choose_bins("id", near[:1].repeat(3), 4) is None


def test_the_largest_floats_have_places_too() -> None:
    values = np.array([-1.7e308, -1.0, 0.0, 5.0, 1.7e308])
    grid, bins = choose_grid("x", values, 0, 3), choose_bins("x", values, 2)
    assert grid is not None
    assert bins is not None
    assert np.sum(grid.fractions) == pytest.approx(1.0)
    assert np.isfinite(bins.bin_of(values)[1]).all()
