"""How many rows calls of a model have."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from attributing import floats, model_of
from tfx_explain.models.chunks import Chunks, plan_chunks, rows_that_round_alike, tile_size
from tfx_explain.models.features import Inputs


def test_calls_have_no_room_for_examples_that_never_come():
    assert plan_chunks(17, 29, 1, 2**18) == Chunks(528, 17, 29)
    assert plan_chunks(17, 29, 1, 2**18, (128,)) == Chunks(128, 17, 29)
    assert plan_chunks(256, 29, 1, 2**18, (8,)) == Chunks(8, 256, 29)


def test_tiles_divide_what_they_are_tiles_of_or_are_not_worth_it():
    assert tile_size(45, 5_800) == 5
    assert tile_size(100, 480) == 50
    assert tile_size(3, 10) == 3  # all at once is still small
    assert tile_size(101, 2_000) == 101  # a tile of one would be too small
    assert tile_size(7, 100_000) == 1


@pytest.mark.parametrize(
    ("blocks", "max_rows", "expected"),
    [
        ((4, 10, 5), 1000, Chunks(5, 4, 10)),
        ((4, 10, 5), 199, Chunks(1, 2, 10)),
        ((4, 10, 5), 150, Chunks(1, 2, 10)),
        ((4, 10, 5), 49, Chunks(1, 1, 2)),  # 12 rows a call for 10; with 5 coalitions 48 for 25
        ((4, 10, 5), 1, Chunks(1, 1, 1)),
        # Five examples make a tile of 32,768 rows.
        ((100, 58, 1), 2**18, Chunks(45, 100, 58)),
        ((100, 58, 1), 2**18 - 5_800, Chunks(40, 100, 58)),
        # Calls of 16 rows need no copies, those of 20 would get 4.
        ((1, 240, 1), 20, Chunks(1, 1, 16)),
    ],
)
def test_chunks_are_even_and_as_large_as_allowed(blocks, max_rows, expected):
    assert plan_chunks(*blocks, max_rows) == expected


def test_uncompiled_calls_have_as_many_rows_as_round_alike(tmp_path):
    """A model that gives the number of rows of its call, beside what its own row says."""

    def count_rows(x, y):
        n_rows = tf.fill(tf.shape(x), tf.cast(tf.shape(x)[0], tf.float32))
        return tf.stack([n_rows, tf.math.cumsum(tf.stack([x, y], axis=1), axis=1)[:, 1]], axis=1)

    model = model_of(tmp_path, count_rows, floats("x", "y"))
    x, b = (Inputs(n, {name: np.full(n, n, np.float32) for name in "xy"}) for n in (4, 2))
    assert set(model.predict(x)[:, 0]) == {1_056.0}
    coalitions = np.array([[0, 0], [1, 0], [0, 1], [1, 1], [0, 0]], bool)
    blocks = SimpleNamespace(
        coalitions=coalitions[None], background_index=np.array([[0, 1]]), background_weight=np.ones((1, 2))
    )
    found = model.block_values(x, b, [["x"], ["y"]], blocks, typical_examples=(2,))
    assert set(found[..., 0].flat) == {16_416.0}  # 1,638 examples of 10 rows each
    np.testing.assert_array_equal(found[..., 1], np.tile([4.0, 6.0, 6.0, 8.0, 4.0], (4, 1, 1)))


@pytest.mark.parametrize("n", [1, 5, 8, 16, 20, 33, 100, 200, 1000, 1024])
@pytest.mark.parametrize("is_transposed", [True, False])
def test_rows_of_products_round_alike(n, is_transposed):
    """Those of most of these numbers do not as they are, on processors without AVX-512."""
    size = int(rows_that_round_alike(n))
    assert n <= size < n + 48
    rng = np.random.default_rng(0)
    rows_alike = tf.constant(np.repeat(rng.normal(size=(1, 30)).astype(np.float32), size, axis=0))
    kernel = rng.normal(size=(64, 30) if is_transposed else (30, 64)).astype(np.float32)
    made = tf.matmul(rows_alike, tf.constant(kernel), transpose_b=is_transposed)
    assert len(np.unique(made, axis=0)) == 1
