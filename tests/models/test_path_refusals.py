"""Models that paths cannot lead through: one sentence, before any row is explained."""

from __future__ import annotations

import re

import numpy as np
import pytest
import tensorflow as tf

from midpoints import midpoint_sums
from tfx_explain.errors import ModelError
from tfx_explain.models import load_model
from tfx_explain.models.features import Inputs
from worlds import save_serving_model

SCHEMAS = {
    "s": ("string", 1, 1, 0.0),
    "r": ("string", 1, 1, 0.0),
    "i": ("int", 1, 1, 0.0),
    "j": ("int", 1, 1, 0.0),
    "x": ("float", 1, 1, 0.0),
    "y": ("float", 1, 1, 0.0),
    "image": ("float", 12, 12, 0.0),
}
SPECS = {
    **{name: tf.io.FixedLenFeature([1], tf.string) for name in "sr"},
    **{name: tf.io.FixedLenFeature([1], tf.int64) for name in "ij"},
    **{name: tf.io.FixedLenFeature([1], tf.float32) for name in "xy"},
    "image": tf.io.FixedLenFeature([2, 2, 3], tf.float32),
}


def hashed(words):
    return tf.strings.to_hash_bucket_fast(words, 5)


def one_hot(words):
    return tf.reduce_sum(tf.one_hot(hashed(words)[:, 0], 5) * tf.range(5.0), axis=1, keepdims=True)


def best(*columns):
    return tf.cast(tf.argmax(tf.concat(columns, axis=1), axis=1), tf.float32)[:, None]


def area(image, x):
    resized = tf.compat.v1.image.resize_area(tf.tanh(image * x[:, None, None]), [1, 1])
    return tf.reduce_sum(resized, [1, 2])


QUANTITY = "takes feature 's' for a quantity.*StringToHashBucketFast"
REFUSED = {
    "a hash as a number": (lambda s, x: tf.cast(hashed(s), tf.float32) * x, QUANTITY),
    "a scaled hash": (lambda s, x: tf.tanh(tf.cast(hashed(s) + 1, tf.float32) / 5) * x, QUANTITY),
    "argmax": (lambda x, y: best(x, y), "has no gradient by feature 'x', as ArgMax '.*' has none"),
    "steps": (lambda x, y: tf.round(x * y) + y, "has no gradient by feature 'x', as Round '"),
    "signs": (lambda x, y: tf.sign(x * y), "has no gradient by feature 'x', as Sign '"),
    "crossed": (lambda s, r, x: one_hot(tf.strings.join([s, r])) * x, "combines feature 'r' with others in StringJoin"),
    "integers only": (lambda i, j: tf.cast(i * j, tf.float32), "combines feature 'i' with others in Mul '"),
    "no gradient known": (area, "no gradient for ResizeArea '.*', on the way from feature 'image' to"),
}


def load(score, directory):
    names = score.__code__.co_varnames[: score.__code__.co_argcount]
    path = save_serving_model(
        directory, lambda columns: score(*(columns[name] for name in names)), {name: SPECS[name] for name in names}
    )
    return load_model(path, output_space="raw"), [[name] for name in names]


def rows(tools, players, seed=0):
    data = tools.Data({name: SCHEMAS[name] for names in players for name in names})
    return data.batch(data.rows(5, seed))


@pytest.mark.parametrize("why", REFUSED)
def test_refused(why, tmp_path, tools):
    score, sentence = REFUSED[why]
    model, players = load(score, tmp_path)
    with pytest.raises(ModelError, match=sentence) as raised:
        model.paths(model.inputs(rows(tools, players)), players)
    assert "use `shapley`" in str(raised.value)


NOTED = {
    "argmax beside": (lambda x, y: best(x, y) + x * y, r"feature 'x' \(past ArgMax '.*'\), feature 'y' \(past ArgMax"),
    "crossed beside": (
        lambda s, r, x: (one_hot(tf.strings.join([s, r])) + one_hot(s) + one_hot(r)) * x,
        r"feature 'r' \(past StringJoin '.*'\), feature 's' \(past StringJoin",
    ),
    "a threshold": (lambda x, y: tf.where(x + y > 0, x + y, x * y), r"feature 'x' \(past Greater '"),
    "straight-through": (lambda x, y: x * y + tf.stop_gradient(tf.round(x + y) - x), r"feature 'x' \(past Round '"),
}


@pytest.mark.parametrize("why", NOTED)
def test_noted(why, tmp_path, tools):
    score, sentence = NOTED[why]
    model, players = load(score, tmp_path)
    paths = model.paths(model.inputs(rows(tools, players)), players)
    assert paths.note.endswith("use `shapley`.")
    assert re.search(sentence, paths.note)


def test_gradients_are_derivatives_whatever_stands_in_the_graph(tmp_path, tools):
    """Training's ways around derivatives count for nothing: stopped and replaced gradients."""

    @tf.custom_gradient
    def reversed_gradient(x):
        return tf.identity(x), lambda upstream: -upstream

    model, players = load(lambda x, y: reversed_gradient(x * y) + tf.stop_gradient(2.0 * x), tmp_path)
    x, b = (model.inputs(rows(tools, players, seed)) for seed in (1, 2))
    paths = model.paths(b, players)
    made = midpoint_sums(paths, paths.enter(b), paths.enter(x), 1, np.zeros((5, 1), np.int64))
    np.testing.assert_allclose(made.sum(axis=1), model.predict(x) - model.predict(b), rtol=1e-4, atol=1e-5)
    assert paths.note == ""


def test_shapes_are_no_ways(tmp_path, tools):
    """What an op reads the shape of alone, it does not depend on."""

    def score(i, x, y):
        count = tf.reshape(tf.cast(i, tf.float32), tf.stack([tf.shape(i)[0], 1]))
        return tf.reshape(count * x * y, tf.shape(x)) + tf.zeros_like(x * y)

    model, players = load(score, tmp_path)
    assert model.paths(model.inputs(rows(tools, players)), players).note == ""


def test_what_is_rounded_side_by_side_is_so_at_every_point(tmp_path, tools):
    def score(x, y):
        rounded = tf.cast(tf.cast(10.0 * tf.concat([x, y], axis=1), tf.int32), tf.float32)
        return x * y + tf.reduce_sum(rounded, axis=1, keepdims=True)

    model, players = load(score, tmp_path)
    x, b = (model.inputs(rows(tools, players, seed)) for seed in (1, 2))
    paths = model.paths(b, players)
    assert "past Cast" in paths.note
    middle = Inputs(5, {name: (column + b.columns[name]) / 2 for name, column in x.columns.items()})
    made = paths.values(paths.enter(b), paths.enter(x), np.full((5, 1), 0.5), np.zeros((5, 1), np.int64))
    np.testing.assert_allclose(made[:, 0], model.predict(middle), rtol=1e-5, atol=1e-5)


def test_ids_looked_up_are_no_quantity(tmp_path, tools):
    module = tf.Module()
    ids = tf.constant([3, 1, 2], tf.int64)
    module.table = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(ids, tf.range(3, dtype=tf.int64)), -1)

    def serve(examples):
        columns = tf.io.parse_example(examples, {name: SPECS[name] for name in "ix"})
        return {"score": tf.cast(module.table.lookup(columns["i"]), tf.float32) * columns["x"]}

    module.serve = tf.function(serve, input_signature=[tf.TensorSpec([None], tf.string)])
    tf.saved_model.save(module, str(tmp_path), signatures={"serving_default": module.serve})
    model, players = load_model(str(tmp_path), output_space="raw"), [["i"], ["x"]]
    with pytest.raises(ModelError, match=r"takes feature 'i' for a quantity.*LookupTableFindV2"):
        model.paths(model.inputs(rows(tools, players)), players)


def test_models_of_serialised_examples_have_no_gradients(mixed_model_dir, mixed_data):
    model = load_model(mixed_model_dir, signature="whole", output_space="raw")
    with pytest.raises(ModelError, match="has no gradients; use `shapley`"):
        model.paths(model.inputs(mixed_data.batch(mixed_data.rows(3, 0))), [["age"]])


def test_a_vocabulary_s_numbers_are_no_quantity(mixed_model_dir, mixed_data):
    model = load_model(mixed_model_dir)
    background = model.inputs(mixed_data.batch(mixed_data.rows(6, 0)))
    with pytest.raises(ModelError, match=r"takes feature 'color' for a quantity.*LookupTableFindV2"):
        model.paths(background, [["age"], ["color"], ["codes"], ["notes"], ["rate"]])
    assert model.paths(background, [["age"], ["codes"], ["notes"], ["rate"]]).note == ""


def test_rows_of_another_shape_than_the_background_s_are_refused(tmp_path, tools):
    spec = {"w": tf.io.VarLenFeature(tf.float32), "x": SPECS["x"]}

    def score(columns):
        wide = tf.sparse.to_dense(columns["w"])
        return tf.reduce_sum(tf.sin(wide * columns["x"]), axis=1, keepdims=True)

    model = load_model(save_serving_model(tmp_path, score, spec), output_space="raw")
    data = tools.Data({"w": ("float", 1, 4, 0), "x": ("float", 1, 1, 0)})
    with pytest.raises(ModelError, match="has no float tensor of feature 'w' alone, with one row for each example"):
        model.paths(model.inputs(data.batch(data.rows(8, 0))), [["w"], ["x"]])
