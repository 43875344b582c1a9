"""Which other output attributions are held against."""

from __future__ import annotations

import numpy as np

from tfx_explain.methods.faithfulness.other_outputs import drawn_others

N, K = 3_000, 4


def test_others_are_never_the_asked_one_and_all_equally_likely() -> None:
    draws = np.random.default_rng(0).integers(0, 2**63, N).astype(np.uint64)
    chosen = np.tile(np.arange(K), (N, 1))
    others = drawn_others(chosen, draws, K, 0)
    assert (others != chosen).all()
    for output in range(K):
        counts = np.bincount(others[:, output], minlength=K)
        left = np.delete(counts, output)
        # Four standard deviations of a binomial count.
        assert np.abs(left - N / (K - 1)).max() < 4 * np.sqrt(N * (1 / 3) * (2 / 3))
    assert np.array_equal(drawn_others(chosen[5:], draws[5:], K, 0), others[5:])
    assert (drawn_others(chosen, draws, K, 1) != others).any()


def test_of_two_outputs_it_is_the_other() -> None:
    chosen = np.array([[0], [1]])
    assert drawn_others(chosen, np.arange(2, dtype=np.uint64), 2, 0).tolist() == [[1], [0]]
