"""How steps are shared among references, and degrees of freedom."""

from __future__ import annotations

import numpy as np
import pytest

from tfx_explain.paths import choose_strata, satterthwaite_dof, second_difference_dof


@pytest.mark.parametrize(("n_samples", "n_references", "expected"), [(400, 128, 3), (1_600, 100, 16), (400, 1, 400)])
def test_all_references_serve_where_there_are_three_samples_for_each(n_samples, n_references, expected):
    weights = np.random.default_rng(0).dirichlet(np.ones(n_references))
    chosen = choose_strata(n_samples, weights)
    assert chosen.n_strata == expected
    np.testing.assert_array_equal(chosen.references, np.arange(n_references))
    np.testing.assert_allclose(chosen.weights, weights)


def test_else_the_heaviest_do_and_the_first_of_equal_ones():
    weights = np.array([0.1, 0.4, 0.2, 0.3])
    chosen = choose_strata(7, weights)
    np.testing.assert_array_equal(chosen.references, [1, 3])
    np.testing.assert_allclose(chosen.weights, [4 / 7, 3 / 7])
    assert chosen.n_strata == 3
    equal = choose_strata(11, np.full(128, 1 / 128))
    np.testing.assert_array_equal(equal.references, [0, 1, 2])
    np.testing.assert_allclose(equal.weights, 1 / 3)


@pytest.mark.parametrize("n_strata", [3, 4, 6, 20])
def test_second_differences_vary_as_a_chi_square_of_their_degrees_of_freedom(n_strata):
    rng = np.random.default_rng(n_strata)
    noise = rng.normal(size=(40_000, 5, n_strata))
    squares = np.square(noise[..., :-2] - 2 * noise[..., 1:-1] + noise[..., 2:]).mean(axis=(1, 2)) / 6
    # The mean of 40,000 squares is known to 1 %, and so is their variance, to about 3 %.
    assert squares.mean() == pytest.approx(1.0, rel=0.02)
    assert 2 * squares.mean() ** 2 / squares.var() == pytest.approx(second_difference_dof(5, n_strata), rel=0.08)


def test_degrees_of_freedom_of_equal_parts_are_their_number():
    np.testing.assert_allclose(satterthwaite_dof([6.0, 3.0, 0.0], [12.0, 9.0, 0.0]), [3.0, 1.0, np.inf])
