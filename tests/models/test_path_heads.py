"""Points of paths that are made behind the affine start of a graph."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from midpoints import whole
from path_models import GivenPlaces, rows, tensors_model
from tfx_explain.models.path_heads import AtCut, BehindAffine
from tfx_explain.paths import Steps

WIDTH = 12
FEATURES = tuple(f"f{i:02}" for i in range(WIDTH))
RNG = np.random.default_rng(0)
FIRST, SECOND, BIAS = (RNG.normal(size=shape).astype(np.float32) / 2 for shape in ((WIDTH, 16), (16, 3), (16,)))
WIDE = SECOND.astype(np.float64)


def head_of(model, players=None):
    paths = model.paths(rows(3, 0, FEATURES), players or [[name] for name in FEATURES])
    return paths, paths._path_calls[True]._head


def joined(*columns):
    return tf.stack(columns, axis=1)


BEHIND = {
    "dense": lambda *columns: tf.tanh(joined(*columns) @ FIRST + BIAS) @ SECOND,
    "two layers without an activation": lambda *columns: tf.tanh((joined(*columns) @ FIRST + BIAS) @ FIRST.T) @ FIRST,
    "normalised": lambda *columns: tf.tanh(((joined(*columns) - 1.0) / 3.0) @ FIRST * 2.0 + BIAS) @ SECOND,
    "two towers": lambda *columns: tf.concat(
        [tf.nn.relu(joined(*columns) @ FIRST), tf.tanh(joined(*columns[:8]) @ FIRST[:8])], axis=1
    ),
    "a way past the layer": lambda *columns: (
        tf.tanh(joined(*columns) @ FIRST) @ SECOND + tf.square(joined(*columns)) @ FIRST[:, :3]
    ),
    "reshaped": lambda *columns: tf.nn.relu(tf.reshape(joined(*columns), [-1, 3, 4]) @ FIRST[:4, :4])[:, 0],
}
AT_CUT = {
    "no weights": lambda *columns: tf.tanh(joined(*columns)) @ FIRST,
    "much wider behind": lambda *columns: tf.nn.relu(
        tf.repeat(joined(*columns), 20, axis=1) * np.arange(20 * WIDTH, dtype=np.float32)
    ),
    "a product of features": lambda *columns: tf.tanh(joined(*columns) * columns[0][:, None]) @ FIRST,
    "sums in 64 bits": lambda *columns: tf.tanh(tf.cast(joined(*columns) @ FIRST, tf.float64) + 1e7) @ WIDE,
    # Not affine: which row is the first.
    "the first row": lambda *columns: tf.tanh((joined(*columns) - joined(*columns)[:1]) @ FIRST),
}


def both(paths, call):
    """What a call gives, compiled behind the head and not compiled at the cut."""
    made = []
    for compiled in (True, False):
        paths._runner.compiles = compiled
        made.append(call())
    return made


@pytest.mark.parametrize("name", BEHIND)
def test_gradients_behind_the_affine_start_are_those_at_the_cut(tmp_path, name):
    model = tensors_model(tmp_path, BEHIND[name], FEATURES)
    paths, head = head_of(model)
    assert isinstance(head, BehindAffine)
    ends, starts, outputs = (
        paths.enter(rows(5, 1, FEATURES)),
        paths.enter(rows(5, 2, FEATURES)),
        np.tile([[2, 0]], (5, 1)),
    )
    alphas = np.sort(np.random.default_rng(1).random((5, 5, 4)), axis=2)
    calls = (
        lambda: paths.values(starts, ends, alphas[0], outputs),
        lambda: paths.sweep(starts, ends, whole(5), outputs, Steps(54, True))[1],
        lambda: paths.expected(starts, ends, np.full(5, 0.2), GivenPlaces(alphas), outputs).values,
        lambda: paths.expected(starts, ends, np.full(5, 0.2), GivenPlaces(alphas), outputs).design_variance,
        lambda: paths.gradients(ends, outputs),
    )
    for call in calls:
        ours, theirs = both(paths, call)
        np.testing.assert_allclose(ours, theirs, rtol=2e-4, atol=2e-5 * np.abs(theirs).max())


@pytest.mark.parametrize("name", AT_CUT)
def test_where_nothing_is_won_or_lines_do_not_stay_straight_points_are_made_at_the_cut(tmp_path, name):
    model = tensors_model(tmp_path, AT_CUT[name], FEATURES)
    assert isinstance(head_of(model)[1], AtCut)


def test_columns_of_nobody_keep_points_at_the_cut(tmp_path):
    model = tensors_model(tmp_path, BEHIND["dense"], FEATURES)
    assert isinstance(head_of(model, [[name] for name in FEATURES[1:]])[1], AtCut)


@pytest.mark.parametrize("large", [1e30, np.finfo(np.float32).max])
def test_numbers_near_overflow_are_not_multiplied_behind_the_head(tmp_path, large):
    """Outputs are finite, and so is every point at the cut."""
    model = tensors_model(tmp_path, BEHIND["dense"], FEATURES)
    paths, _ = head_of(model)
    x = rows(3, 1, FEATURES)
    x.columns[FEATURES[0]][1] = large
    ends, starts = paths.enter(x), paths.enter(rows(3, 2, FEATURES))
    outputs = np.zeros((3, 1), np.int64)
    made = paths.sweep(starts, ends, whole(3), outputs, Steps(54, True))[:2]
    assert all(np.isfinite(part).all() for part in made)
    np.testing.assert_allclose(made[0][:, 1], model.predict(x)[:, :1], rtol=1e-5, atol=1e-5)
