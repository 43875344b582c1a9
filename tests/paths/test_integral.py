"""Integrals along paths of functions that are known, against what they are."""

from __future__ import annotations

import numpy as np
import pytest

from known_paths import FloatArray, IntArray, Known, accuracy, exact, gaps, network, rectifier
from tfx_explain.paths import integrate


def test_polynomials_are_exact_with_the_first_steps():
    rng = np.random.default_rng(0)
    powers = np.arange(1, 9)
    starts, ends = rng.normal(size=(2, 5, 8))
    polynomial = Known(
        lambda z: (z**powers).sum(axis=-1, keepdims=True),
        lambda z: (powers * z ** (powers - 1))[..., None],
        starts,
        ends,
    )
    found = integrate(polynomial, accuracy(polynomial, max_gap=1e-9))
    np.testing.assert_allclose(found.contributions[:, :, 0], ends**powers - starts**powers, rtol=1e-9, atol=1e-9)
    assert found.is_complete.all()
    assert (found.n_steps == 24).all()
    assert np.sqrt(found.variance).max() < 1e-9 * np.abs(found.contributions).max()


@pytest.mark.parametrize("max_gap", [0.1, 0.01, 0.001])
def test_each_output_of_each_path_is_within_the_bound(max_gap):
    function = network(60, 1, lambda a: np.maximum(a, 0), lambda a: 1.0 * (a > 0))
    found = integrate(function, accuracy(function, max_gap, max_steps=4_096))
    assert found.is_complete.all()
    moved = np.abs(found.contributions).sum(axis=1)
    gap = gaps(function, found)
    np.testing.assert_allclose(found.gap, gap, atol=1e-12)
    assert (np.abs(gap) <= max_gap * np.minimum(moved, 1 + np.abs(function.f(function.ends)))).all()


def test_a_smooth_network_is_exact_to_many_digits():
    function = network(20, 2, np.tanh, lambda a: 1 / np.cosh(a) ** 2)
    found = integrate(function, accuracy(function))
    truth = exact(function)
    assert np.linalg.norm(found.contributions - truth) <= 1e-4 * np.linalg.norm(truth)


def test_a_kink_is_bracketed_and_the_rest_left_alone():
    rng = np.random.default_rng(3)
    kinks = rng.uniform(0.05, 0.95, size=(40, 1))
    for number, kink in enumerate(kinks):
        function = Known(*rectifier(kink, np.ones(1)), np.zeros((1, 1)), np.ones((1, 1)))
        found = integrate(function, accuracy(function, max_gap=1e-4, max_steps=512))
        assert found.is_complete.all(), number
        np.testing.assert_allclose(found.contributions[0, 0, 0], 1 - kink[0], atol=1e-4)
        # Halving everything takes steps in proportion to 1 / gap: thousands.
        assert found.n_steps[0] <= 24 + 32 * np.log2(1e4)


@pytest.mark.parametrize("max_gap", [10.0, 0.01, 0.001])
def test_errors_are_as_large_as_they_are_said_to_be(max_gap):
    function = network(200, 4, lambda a: np.maximum(a, 0), lambda a: 1.0 * (a > 0))
    found = integrate(function, accuracy(function, max_gap, max_steps=4_096))
    off = found.contributions - exact(function, 4_000)
    # Means over 3,600 figures of a few degrees of freedom each, and the choice of segments by their gaps.
    assert 0.65 < np.sqrt(np.square(off).sum() / found.variance.sum()) < 1.3
    assert 0.4 < np.median(np.abs(off) / np.sqrt(found.variance)) < 1.4
    assert (found.dof >= 1).all()
    assert np.median(found.dof) < 10


def test_errors_show_where_players_cancel_in_the_sum():
    kinks, slopes = np.full(2, 0.3), np.array([1.0, -1.0])
    function = Known(*rectifier(kinks, slopes), np.zeros((1, 2)), np.ones((1, 2)))
    found = integrate(function, accuracy(function))
    off = np.abs(found.contributions[0, :, 0] - [0.7, -0.7])
    assert found.gap[0, 0] == 0
    assert (off > 1e-3).all()
    assert (off < 4 * np.sqrt(found.variance[0, :, 0])).all()
    finer = integrate(function, accuracy(function, 1e-4))
    assert finer.n_steps[0] > found.n_steps[0]
    assert (np.abs(finer.contributions[0, :, 0] - [0.7, -0.7]) < 1e-3).all()


@pytest.mark.parametrize("max_steps", [3, 5, 6, 11, 12, 23, 24, 25, 40, 100])
def test_no_path_takes_more_steps_than_allowed_and_all_are_counted(max_steps):
    function = network(30, 5, lambda a: np.maximum(a, 0), lambda a: 1.0 * (a > 0))
    found = integrate(function, accuracy(function, 1e-6, max_steps))
    assert (found.n_steps <= max_steps).all()
    assert not found.is_complete.any()
    np.testing.assert_array_equal(found.n_steps, function.n_steps)
    np.testing.assert_array_equal(found.n_values, function.n_values)
    assert np.isfinite(found.contributions).all()
    assert (found.dof >= 1).all()


def test_a_jump_has_no_gradient_and_is_left_as_it_is():
    function = Known(lambda z: 1.0 * (z > 0.4), lambda z: np.zeros((*z.shape, 1)), np.zeros((1, 1)), np.ones((1, 1)))
    found = integrate(function, accuracy(function))
    assert not found.is_complete.any()
    assert found.gap[0, 0] == -1.0
    # The segment around it is given up where 32-bit floats have no more points in it.
    assert found.n_steps[0] < 300


def test_few_steps_go_where_the_gap_is_largest():
    # The second kink is in the last segment, the small ones are in the others.
    kinks, slopes = np.array([0.1, 0.8, 0.4]), np.array([0.2, 3.0, 0.3])
    function = Known(*rectifier(kinks, slopes), np.zeros((1, 3)), np.ones((1, 3)))
    few, more = (integrate(function, accuracy(function, 1e-6, max_steps)) for max_steps in (24, 32))
    changed = np.abs(more.contributions - few.contributions)[0, :, 0]
    assert changed[1] > 1e-3
    assert changed[[0, 2]].max() < 1e-12


def test_an_output_that_is_no_number_stops_the_path():
    f, gradient = rectifier(np.array([0.3]), np.ones(1))
    function = Known(
        lambda z: np.concatenate([f(z), np.full_like(z, np.nan)], axis=-1),
        lambda z: np.concatenate([gradient(z), np.full((*z.shape, 1), np.nan)], axis=-1),
        np.zeros((1, 1)),
        np.ones((1, 1)),
    )
    found = integrate(function, accuracy(function, 1e-6))
    assert not found.is_complete[0]
    assert found.n_steps[0] == 24


def test_a_path_of_numbers_that_are_none_leaves_the_others_alone():
    kinks, starts, ends = np.array([0.3]), np.zeros((3, 1)), np.array([[1.0], [np.nan], [2.0]])
    function = Known(*rectifier(kinks, np.ones(1)), starts, ends)
    alone = Known(*rectifier(kinks, np.ones(1)), starts[::2], ends[::2])
    found = integrate(function, accuracy(function))
    expected = integrate(alone, accuracy(alone))
    np.testing.assert_array_equal(found.is_complete, [True, False, True])
    assert found.n_steps[1] == 24
    assert np.isnan(found.contributions[1]).all()
    np.testing.assert_array_equal(found.contributions[::2], expected.contributions)
    np.testing.assert_array_equal(found.n_steps[::2], expected.n_steps)


def test_paths_are_the_same_whatever_their_neighbours():
    function = network(20, 6, lambda a: np.maximum(a, 0), lambda a: 1.0 * (a > 0))
    together = integrate(function, accuracy(function))
    for path in (0, 7, 19):
        alone = Known(function.f, function.gradient, function.starts[[path]], function.ends[[path]])
        found = integrate(alone, accuracy(alone))
        np.testing.assert_allclose(found.contributions[0], together.contributions[path], rtol=1e-12, atol=1e-12)
        assert found.n_steps[0] == together.n_steps[path]


def test_a_path_that_goes_nowhere_is_complete_at_once():
    function = Known(*rectifier(np.array([0.5]), np.ones(1)), np.ones((1, 1)), np.ones((1, 1)))
    found = integrate(function, accuracy(function, floor=0.0))
    assert found.is_complete.all()
    assert found.n_steps[0] == 24
    assert not found.contributions.any()
    assert np.isinf(found.dof[0])


class WithParts(Known):
    """The same function, whose first player consists of two parts that cancel all but it."""

    def along(self, paths: IntArray, alphas: FloatArray) -> FloatArray:
        own = super().along(paths, alphas)
        return np.concatenate([own, 1_001 * own[:, :, :1], -1_000 * own[:, :, :1]], axis=2)


def test_what_players_consist_of_changes_nothing_and_adds_up_to_them():
    plain = network(6, 3, np.tanh, lambda z: 1 / np.cosh(z) ** 2)
    parted = WithParts(plain.f, plain.gradient, plain.starts, plain.ends)
    expected, found = (integrate(one, accuracy(one, 1e-5)) for one in (plain, parted))
    np.testing.assert_array_equal(found.contributions[:, :6], expected.contributions)
    np.testing.assert_array_equal(found.gap, expected.gap)
    np.testing.assert_array_equal(found.n_steps, expected.n_steps)
    np.testing.assert_array_equal(found.dof, expected.dof)
    np.testing.assert_array_equal(found.is_complete, expected.is_complete)
    sums = found.contributions[:, 6:].sum(axis=1)
    np.testing.assert_allclose(sums, found.contributions[:, 0], atol=1e-12 * np.abs(found.contributions).max())
    ratio = found.variance[:, 6] / found.variance[:, 0]
    np.testing.assert_allclose(ratio[np.isfinite(ratio)], 1_001.0**2, rtol=1e-6)


def test_what_players_consist_of_makes_no_path_complete():
    plain = network(40, 3, np.tanh, lambda z: 1 / np.cosh(z) ** 2)
    parted = WithParts(plain.f, plain.gradient, plain.starts, plain.ends)
    n_complete = []
    for max_gap in np.geomspace(1e-7, 1e-2, 21):
        expected, found = (integrate(one, accuracy(one, max_gap, 12)) for one in (plain, parted))
        np.testing.assert_array_equal(found.is_complete, expected.is_complete)
        n_complete.append(int(found.is_complete.sum()))
    assert 0 < np.median(n_complete) < 40
