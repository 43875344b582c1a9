"""Calls of many points of paths, in tiles."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tfx_explain.models.path_calls import Lines
from tfx_explain.models.path_tiles import in_tiles, over_examples, tile_by_tile


def products(lines, low, high):
    """(tile, 2, c): two figures of each segment, and how many segments the tile has."""
    first = low * lines.fixed[0] + tf.reduce_sum(lines.starts, axis=1)
    figures = tf.stack([first, high * tf.reduce_sum(lines.ends, axis=1)], axis=1)
    return figures[:, :, None] + tf.cast(lines.outputs[:, None], tf.float64) + 1_000.0 * low.shape[0]


def segments(n):
    rng = np.random.default_rng(0)
    tables = (rng.normal(size=(n, 3)), rng.normal(size=(n, 3)), rng.normal(size=n))
    starts, ends, fixed = (tf.constant(table) for table in tables)
    lines = Lines(starts, ends, [fixed], tf.constant(rng.integers(0, 9, (n, 2))))
    return lines, *map(tf.constant, rng.random((2, n)))


@pytest.mark.parametrize("compiled", [True, False])
def test_as_many_tiles_as_hold_work_are_worked_off(compiled):
    given, expected = segments(12), products(*segments(12)) - 1_000.0 * (12 - 4)
    run = tf.function(in_tiles(products, 4, 2), jit_compile=True) if compiled else tile_by_tile([products], 4)
    made = run(*given, tf.constant(2))
    np.testing.assert_allclose(made[:8], expected[:8], rtol=1e-12)
    assert not made[8:].numpy().any()


def test_examples_are_taken_a_tile_at_a_time():
    def sums(lines, alphas, weights):
        made = tf.einsum("q,pqs,pn->pn", weights, alphas, lines.ends)
        made += lines.fixed[0][:, None] + 1_000.0 * lines.ends.shape[0]
        return tf.stack([made[:, :, None] * tf.cast(lines.outputs[:, None], tf.float64) * k for k in range(4)])

    rng = np.random.default_rng(0)
    ends, fixed = (tf.constant(rng.normal(size=shape)) for shape in ((12, 3), (12,)))
    lines = Lines(tf.zeros([5, 3]), ends, [fixed], tf.ones([12, 2], tf.int64))
    steps = tf.constant(rng.random((12, 5, 4))), tf.constant(rng.random(5))
    whole = sums(lines, *steps) - 1_000.0 * (12 - 4) * np.arange(4)[:, None, None, None]
    # Of 20 points an example, 4 go together; behind the fifth are copies.
    made = over_examples(sums, 90, 3)(lines, *steps, tf.constant(5))
    np.testing.assert_allclose(made[:, :8], whole[:, :8], rtol=1e-9)
    assert not made[:, 8:].numpy().any()
