"""From contributions of steps to sums over references."""

from __future__ import annotations

import numpy as np
import pytest

from tfx_explain.models.path_sums import ReferenceSums


@pytest.mark.parametrize("shape", [(1, 1), (3, 2)])
def test_sums_of_a_row_have_the_same_bits_alone_and_among_others(shape):
    rng, weights = np.random.default_rng(0), np.random.default_rng(1).dirichlet(np.ones(100))
    contributions, alphas = rng.normal(size=(20, 100, 4, *shape)), (np.arange(4) + rng.random((20, 100, 4))) / 4
    together = ReferenceSums.of_steps(contributions, alphas, weights).sums
    for row in (0, 7, 19):
        alone = ReferenceSums.of_steps(contributions[[row]], alphas[[row]], weights).sums
        np.testing.assert_array_equal(alone[:, 0], together[:, row])
