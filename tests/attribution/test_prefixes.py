"""Coalitions that permutations pass through, against the same as an array."""

from __future__ import annotations

import numpy as np
import pytest

from tfx_explain.attribution import make_design
from tfx_explain.attribution.prefixes import PrefixCoalitions

N_BLOCKS, N_PERMUTATIONS, D = 3, 4, 7


@pytest.fixture(scope="module")
def permutations():
    return np.random.default_rng(0).permuted(np.tile(np.arange(D), (N_BLOCKS, N_PERMUTATIONS, 1)), axis=2)


@pytest.fixture(scope="module")
def as_array(permutations):
    """The first players of each permutation, by its definition; then all complements."""
    halves = np.zeros((N_BLOCKS, N_PERMUTATIONS, D - 1, D), bool)
    for block, of_block in enumerate(permutations):
        for place, order in enumerate(of_block):
            for length in range(1, D):
                halves[block, place, length - 1, order[:length]] = True
    halves = halves.reshape(N_BLOCKS, -1, D)
    return np.concatenate([halves, ~halves], axis=1)


@pytest.mark.parametrize(
    "places",
    [
        np.s_[:],
        np.s_[1],
        np.s_[:, :24],
        np.s_[:, 24:],
        np.s_[1:2, 20:29],
        np.s_[np.array([0, 2, 2])[:, None], np.array([5, 40, 40, 23])],
        np.s_[np.array([2, 0]), np.array([47, 0])],
    ],
    ids=str,
)
def test_parts_are_those_of_the_array(permutations, as_array, places):
    found = PrefixCoalitions.of(permutations)[places]
    assert found.dtype == bool
    np.testing.assert_array_equal(found, as_array[places])


def test_all_of_them_are_an_array_where_one_is_asked_for(permutations, as_array):
    made = PrefixCoalitions.of(permutations)
    assert (made.shape, made.size) == (as_array.shape, as_array.size)
    np.testing.assert_array_equal(np.asarray(made), as_array)


def test_a_wide_design_takes_the_memory_of_its_permutations():
    """With 2,500 players and 4 background rows the array would have 1.6e9 booleans."""
    design = make_design("permutation", n_players=2_500, budget=159_936, background_weights=np.full(4, 0.25), seed=0)
    assert design.coalitions.size == 4 * 159_936 * 2_500
    assert design.coalitions.positions.nbytes == 4 * 32 * 2_500 * 2
