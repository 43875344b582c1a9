"""Expected gradients without XLA, by calls of pairs."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tfx_explain.models import path_pairs
from tfx_explain.models.path_calls import Lines
from tfx_explain.models.path_pairs import pair_by_pair
from tfx_explain.models.path_sums import ReferenceSums

N, B, S, PLAYERS, OUTPUTS = 7, 5, 4, 3, 2


def contributions(starts, ends, fixed, outputs, alphas):
    """(pairs, S, PLAYERS, OUTPUTS) that tell pairs, steps, players and outputs apart."""
    moved = np.sin(starts[:, None] + alphas[:, :, None] * (ends - starts)[:, None]) * fixed[:, None, None]
    return moved[..., None] + outputs[:, None, None]


@pytest.mark.parametrize(("figures", "n"), [(2**21, N), (2 * B * S * PLAYERS * OUTPUTS, N - 1)])
def test_pairs_come_to_the_sums_of_all_steps(figures, n, monkeypatch):
    monkeypatch.setattr(path_pairs, "_FIGURES", figures)
    rng, shapes = np.random.default_rng(0), list[int]()
    starts, ends, fixed = (rng.normal(size=shape) for shape in ((B, PLAYERS), (N, PLAYERS), N))
    outputs, weights = rng.integers(0, 9, (N, OUTPUTS)), rng.dirichlet(np.ones(B))
    alphas = (np.arange(S) + rng.random((N, B, S))) / S

    def steps(lines, places):
        shapes.append(places.shape[0])
        given = lines.starts, lines.ends, lines.fixed[0], lines.outputs, places
        return tf.constant(contributions(*(tensor.numpy() for tensor in given)))

    lines = Lines(*map(tf.constant, (starts, ends)), [tf.constant(fixed)], tf.constant(outputs))
    run = pair_by_pair(steps, 6 * S, PLAYERS)
    made = run(lines, tf.constant(alphas), tf.constant(weights), tf.constant(n)).numpy()
    row, reference = np.divmod(np.arange(n * B), B)
    each = contributions(starts[reference], ends[row], fixed[row], outputs[row], alphas[row, reference])
    whole = ReferenceSums.of_steps(each.reshape(n, B, *each.shape[1:]), alphas[:n], weights).sums
    np.testing.assert_array_equal(made[:, :n], whole)
    assert not made[:, n:].any()
    # Six pairs a call: 35 in six calls, or three times ten pairs of two examples in two.
    assert shapes == [6] * 6
