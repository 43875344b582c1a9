"""Integrals along paths that are swept as wholes, of functions that are known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from known_paths import SweptKnown, accuracy, exact, gaps, network, rectifier
from tfx_explain.paths import Steps, integrate, step_weights, sweep

FIRST = 54


def relu_network(n_paths: int, seed: int) -> SweptKnown:
    made = network(n_paths, seed, lambda a: np.maximum(a, 0), lambda a: 1.0 * (a > 0))
    return SweptKnown(made.f, made.gradient, made.starts, made.ends)


def places(steps: Steps) -> np.ndarray:
    return np.sort(np.concatenate(steps.groups, axis=None))


def test_each_sweep_has_the_steps_that_the_one_before_lacks():
    def middles(n):
        return (np.arange(n) + 0.5) / n

    first = Steps(FIRST, True)
    np.testing.assert_allclose(places(first), middles(54), rtol=1e-12)
    np.testing.assert_allclose(np.sort(first.groups[0], axis=None), middles(6), rtol=1e-12)
    np.testing.assert_allclose(np.sort(np.concatenate(first.groups[:2], axis=None)), middles(18), rtol=1e-12)
    later = np.concatenate([places(first), places(Steps(162, False))])
    np.testing.assert_allclose(np.sort(later), middles(162), rtol=1e-12)
    for group in (*first.groups, *Steps(162, False).groups):
        assert (group // (1 / 6) == np.arange(6)[:, None]).all()


def test_weights_of_steps_add_up_to_1():
    of_old, of_new = step_weights(162)
    assert 54 * of_old + 108 * of_new == pytest.approx(1)


def test_polynomials_are_exact_with_the_first_steps():
    rng = np.random.default_rng(0)
    powers = np.arange(1, 5)
    polynomial = SweptKnown(
        lambda z: (z**powers).sum(axis=-1, keepdims=True),
        lambda z: (powers * z ** (powers - 1))[..., None],
        *rng.normal(size=(2, 5, 4)),
    )
    found = sweep(polynomial, accuracy(polynomial, max_gap=1e-9), FIRST)
    expected = polynomial.ends**powers - polynomial.starts**powers
    np.testing.assert_allclose(found.contributions[:, :, 0], expected, rtol=1e-9, atol=1e-9)
    assert found.is_complete.all()
    assert (found.n_steps == FIRST).all()


@pytest.mark.parametrize("max_gap", [0.1, 0.01, 0.001])
@pytest.mark.parametrize("first", [54, 162])
def test_each_output_of_each_path_is_within_the_bound(max_gap, first):
    function = relu_network(60, 1)
    found = sweep(function, accuracy(function, max_gap, max_steps=13_122), first)
    assert found.is_complete.all()
    np.testing.assert_allclose(found.gap, gaps(function, found), atol=1e-12)
    moved = np.abs(found.contributions).sum(axis=1)
    assert (np.abs(found.gap) <= max_gap * np.minimum(moved, 1 + np.abs(function.f(function.ends)))).all()
    np.testing.assert_array_equal(found.n_steps, function.n_steps)
    np.testing.assert_array_equal(found.n_values, function.n_values)


@pytest.fixture(scope="module")
def known_network():
    """With its integrals."""
    function = relu_network(100, 4)
    return function, exact(function)


@pytest.mark.parametrize("max_gap", [10.0, 0.01, 0.001])
def test_errors_are_as_large_as_they_are_said_to_be(known_network, max_gap):
    function, truth = known_network
    found = sweep(function, accuracy(function, max_gap, max_steps=4_374), FIRST)
    off, error = found.contributions - truth, np.sqrt(found.variance)
    assert 0.65 < np.sqrt(np.square(off).sum() / np.square(error).sum()) < 1.3
    covered = np.abs(off) <= stats.t.ppf(0.975, found.dof)[:, None, None] * error
    # Of 100 independent paths with few degrees of freedom each.
    assert 0.93 < covered.mean() < 0.99
    assert (found.dof >= 1).all()
    assert np.median(found.dof) <= 6


def test_errors_show_where_players_cancel_in_the_sum():
    f, gradient = rectifier(np.full(2, 0.3), np.array([1.0, -1.0]))
    function = SweptKnown(f, gradient, np.zeros((1, 2)), np.ones((1, 2)))
    found, finer = (sweep(function, accuracy(function, gap), FIRST) for gap in (0.01, 0.001))
    assert found.gap[0, 0] == 0
    assert (np.abs(found.contributions[0, :, 0] - [0.7, -0.7]) < 4 * np.sqrt(found.variance[0, :, 0])).all()
    assert (finer.variance < found.variance / 50).all()


def test_each_sweep_is_the_rule_of_all_its_steps():
    function = relu_network(60, 1)
    found = sweep(function, accuracy(function, 0.003, max_steps=13_122), FIRST)
    for n in (54, 162, 486):
        of_panels = function.along(np.arange(60), np.tile((np.arange(n) + 0.5) / n, (60, 1))).reshape(60, -1, 3, 6, 2)
        by_rule = np.einsum("pkmdc,m->pdc", of_panels, [3 / 8, 1 / 4, 3 / 8]) / (n / 3)
        is_swept = np.isclose(found.contributions, by_rule, rtol=1e-12, atol=1e-12).all(axis=(1, 2))
        assert 0 < is_swept.sum() <= (found.n_steps == n).sum()


@pytest.mark.parametrize("near", [1e-5, 1e-3, 1e-2])
@pytest.mark.parametrize("max_gap", [0.2, 0.1, 0.01])
@pytest.mark.parametrize("max_steps", [200, 512])
def test_paths_whose_change_is_all_in_one_place_are_cut_there(near, max_gap, max_steps):
    """As where a layer norm leaves zero."""
    weights = np.random.default_rng(0).normal(size=(3, 2))
    function = SweptKnown(
        lambda z: z / np.sqrt(z**2 + near**2) @ weights,
        lambda z: (near**2 / (z**2 + near**2) ** 1.5)[..., None] * weights,
        np.zeros((9, 3)),
        np.random.default_rng(1).uniform(0.5, 1, size=(9, 3)),
    )
    found = sweep(function, accuracy(function, max_gap, max_steps), FIRST)
    assert found.is_complete.all()
    assert (found.n_steps <= max_steps).all()
    np.testing.assert_array_equal(found.n_steps, function.n_steps)


@pytest.mark.parametrize(("max_gap", "max_steps"), [(0.01, 512), (0.003, 512), (0.003, 486)])
def test_hardly_more_paths_are_left_incomplete_than_by_segments_alone(max_gap, max_steps):
    function = relu_network(200, 8)
    of = accuracy(function, max_gap, max_steps)
    swept, cut = (np.mean(~found.is_complete) for found in (sweep(function, of, 162), integrate(function, of)))
    assert swept <= cut + 0.03


def test_no_more_steps_are_swept_where_they_change_nothing():
    """All of the change lies before the first step of either sweep."""
    near = 1e-5
    function = SweptKnown(
        lambda z: z / np.sqrt(z**2 + near**2),
        lambda z: (near**2 / (z**2 + near**2) ** 1.5)[..., None],
        np.zeros((1, 1)),
        np.ones((1, 1)),
    )
    found = sweep(function, accuracy(function, 0.2), FIRST)
    assert found.is_complete.all()
    assert found.n_steps[0] < 162


@pytest.mark.parametrize("max_steps", [54, 100, 161, 162, 300, 512])
def test_no_path_takes_more_steps_than_allowed_and_all_are_counted(max_steps):
    function = relu_network(30, 5)
    found = sweep(function, accuracy(function, 1e-6, max_steps), FIRST)
    assert (found.n_steps <= max_steps).all()
    np.testing.assert_array_equal(found.n_steps, function.n_steps)
    np.testing.assert_array_equal(found.n_values, function.n_values)


def test_segments_that_are_worse_are_not_taken_over():
    """Of many kinks few segments, which start anew, may say less than the steps before."""
    function = relu_network(30, 5)
    bounds = accuracy(function, 1e-6)

    def excess(found):
        error = np.maximum(np.abs(found.gap), np.sqrt(found.variance.sum(axis=1)))
        return (error / bounds.bound(np.arange(30), found.contributions)).max(axis=1)

    swept, cut = (sweep(function, accuracy(function, 1e-6, max_steps), FIRST) for max_steps in (54, 110))
    assert (cut.n_steps > 54).all()
    assert (excess(cut) <= excess(swept)).all()
    is_kept = (cut.contributions == swept.contributions).all(axis=(1, 2))
    assert 0 < is_kept.sum() < 30


def test_an_output_that_is_no_number_stops_the_path_and_no_other():
    kinks, starts, ends = np.array([0.3]), np.zeros((3, 1)), np.array([[1.0], [np.nan], [2.0]])
    function = SweptKnown(*rectifier(kinks, np.ones(1)), starts, ends)
    alone = SweptKnown(*rectifier(kinks, np.ones(1)), starts[::2], ends[::2])
    found, expected = (sweep(one, accuracy(one, 1e-4), FIRST) for one in (function, alone))
    assert found.n_steps[1] == FIRST
    assert np.isnan(found.contributions[1]).all()
    assert not found.is_complete[1]
    np.testing.assert_array_equal(found.contributions[::2], expected.contributions)
    np.testing.assert_array_equal(found.n_steps[::2], expected.n_steps)


def test_paths_are_the_same_whatever_their_neighbours():
    function = relu_network(20, 6)
    together = sweep(function, accuracy(function, 0.003), FIRST)
    assert len(np.unique(together.n_steps)) > 1
    for path in (0, 7, 19):
        alone = SweptKnown(function.f, function.gradient, function.starts[[path]], function.ends[[path]])
        found = sweep(alone, accuracy(alone, 0.003), FIRST)
        np.testing.assert_allclose(found.contributions[0], together.contributions[path], rtol=1e-12, atol=1e-12)
        assert found.n_steps[0] == together.n_steps[path]


def test_a_path_that_goes_nowhere_is_complete_at_once():
    function = SweptKnown(*rectifier(np.array([0.5]), np.ones(1)), np.ones((1, 1)), np.ones((1, 1)))
    found = sweep(function, accuracy(function, floor=0.0), FIRST)
    assert found.is_complete.all()
    assert found.n_steps[0] == FIRST
    assert not found.contributions.any()
    assert np.isinf(found.dof[0])
