"""Models of many kinds: contributions along a path add up to the difference of what `Model.predict` gives."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.eager import context

from midpoints import midpoint_sums
from tfx_explain.models import load_model
from tfx_explain.models.features import Inputs
from tfx_explain.models.path_derivatives import with_derivatives
from tfx_explain.models.row_values import values_per_row
from worlds import save_serving_model

WORDS = ["red", "green", "blue"]
SCHEMAS = {
    "word": ("string", 1, 1, 0.0),
    "words": ("string", 0, 3, 0.2),
    "ids": ("int", 0, 3, 0.2),
    "count": ("int", 1, 1, 0.0),
    "maybe": ("float", 1, 1, 0.4),
    "vector": ("float", 4, 4, 0.0),
    "series": ("float", 15, 15, 0.0),
    "image": ("float", 75, 75, 0.0),
    "x": ("float", 1, 1, 0.0),
}
SPECS = {
    "word": tf.io.FixedLenFeature([1], tf.string),
    "words": tf.io.VarLenFeature(tf.string),
    "ids": tf.io.RaggedFeature(tf.int64),
    "count": tf.io.FixedLenFeature([1], tf.int64),
    "maybe": tf.io.FixedLenFeature([1], tf.float32, default_value=[float("nan")]),
    "vector": tf.io.FixedLenFeature([4], tf.float32),
    "series": tf.io.FixedLenFeature([5, 3], tf.float32),
    "image": tf.io.FixedLenFeature([5, 5, 3], tf.float32),
    "x": tf.io.FixedLenFeature([1], tf.float32),
}


def weights(*shape):
    return tf.constant(np.random.default_rng(len(shape) + sum(shape)).normal(size=shape).astype(np.float32))


def hashed(words, n=7):
    return tf.strings.to_hash_bucket_fast(words, n)


def masked_mean(ids):
    """Of the embeddings of all ids but 0: the same ids are embedded and masked."""
    wide = ids.to_tensor(shape=[None, 4])
    mask = tf.cast(wide != 0, tf.float32)[..., None]
    return tf.reduce_sum(tf.gather(weights(6, 3), wide) * mask, axis=1) / (tf.reduce_sum(mask, axis=1) + 1e-3)


def bag(words):
    """How often each word is there."""
    places = tf.sparse.to_dense(tf.SparseTensor(words.indices, hashed(words.values), words.dense_shape), -1)
    return tf.reduce_sum(tf.one_hot(places, 7), axis=1)


def embedded(ids):
    return tf.gather(weights(6, 3), ids)


def normalised(v):
    return (v - tf.reduce_mean(v, 1, True)) * tf.math.rsqrt(tf.math.reduce_variance(v, 1, True) + 1e-3)


def summed_in_a_loop(series):
    """Over steps, in a function of its own, where training has no gradient."""
    return tf.foldl(lambda total, step: total + tf.stop_gradient(step), tf.transpose(series, [1, 0, 2]))


def filled(maybe):
    missing = tf.math.is_nan(maybe)
    return tf.concat([tf.where(missing, 0.3, maybe), tf.cast(missing, tf.float32)], axis=1)


# From each feature to (n, width); they meet in `x` times a network of these.
TOWERS = {
    "indicator": ("word", lambda word: tf.one_hot(hashed(word)[:, 0], 7)),
    "embedding": ("word", lambda word: tf.gather(weights(7, 3), hashed(word)[:, 0])),
    "multi_hot": ("words", bag),
    "ragged": ("ids", lambda ids: tf.reduce_sum(tf.ragged.map_flat_values(embedded, ids), 1)),
    "embedded_and_masked": ("ids", masked_mean),
    "list_length": ("ids", lambda ids: tf.cast(ids.row_lengths(), tf.float32)[:, None]),
    "quantity": ("count", lambda count: tf.math.log1p(tf.cast(count, tf.float32))),
    "buckets": ("x2", None),
    "missing": ("maybe", filled),
    "vector": ("vector", lambda vector: vector - 0.5),
    "norm": ("vector", normalised),
    "conv": ("image", lambda image: tf.reduce_max(tf.nn.conv2d(image, weights(3, 3, 3, 2), 1, "SAME"), axis=[1, 2])),
    "stopped": ("series", summed_in_a_loop),
}  # fmt: skip
TOWERS["buckets"] = ("maybe", lambda m: tf.one_hot(tf.raw_ops.Bucketize(input=m, boundaries=[-0.5, 0.5])[:, 0], 3))
NUMBERS = ("quantity", "vector", "norm", "conv", "stopped")


def check(model, rows, players, n_steps=512, atol=2e-3):
    """Adds up contributions; returns the paths."""
    x, b = (model.inputs(rows(seed)) for seed in (1, 2))
    paths = model.paths(b, players)
    ends, starts = paths.enter(x), paths.enter(b)
    outputs = np.tile(np.arange(model.n_outputs), (len(x), 1))
    made = midpoint_sums(paths, starts, ends, n_steps, outputs)
    difference = model.predict(x) - model.predict(b)
    assert abs(difference).max() > 0.05, "the outputs hardly differ: the test shows nothing"
    np.testing.assert_allclose(made.sum(axis=1), difference, atol=atol * abs(difference).max())
    assert (abs(made).max(axis=(0, 2)) > 1e-6).all(), "a player contributes nothing"
    return paths


def rows_of(tools, *names, n=6):
    data = tools.Data({name: SCHEMAS[name] for name in names})
    return lambda seed: data.batch(data.rows(n, seed))


def test_functions_with_other_gradients_are_known_before_anything_calls_them(tmp_path):
    def score(columns):
        return summed_in_a_loop(columns["series"])[:, 0] * columns["x"][:, 0]

    path = save_serving_model(tmp_path, score, {key: SPECS[key] for key in ("series", "x")})
    functions = with_derivatives(load_model(path, output_space="raw")._engine._graph).graph_def.library.function
    assert functions
    assert all(context.context().has_function(function.signature.name) for function in functions)


@pytest.mark.parametrize("kind", TOWERS)
def test_towers(kind, tmp_path, tools):
    name, tower = TOWERS[kind]

    def score(columns):
        made = tower(columns[name])
        return tf.tanh(made @ weights(made.shape[-1] or 1, 4) * columns["x"]) @ weights(4, 2)

    path = save_serving_model(tmp_path, score, {key: SPECS[key] for key in (name, "x")})
    model = load_model(path, output_space="raw")
    paths = check(model, rows_of(tools, name, "x"), [[name], ["x"]])
    assert paths.note == ""
    if kind == "norm":
        assert paths._runner.compiles
    if kind in NUMBERS:
        # A number moves itself, not what the model makes of it.
        assert_half_way(model, rows_of(tools, name, "x"), paths)


def assert_half_way(model, rows, paths):
    """Half-way along a path is the row half-way between both rows."""
    x, b = (model.inputs(rows(seed)) for seed in (1, 2))
    middle = {}
    for name, column in x.columns.items():
        if column.dtype.kind == "i":
            column[:], b.columns[name][:] = 2 * column, 2 * b.columns[name]
        middle[name] = ((column + b.columns[name]) / 2).astype(column.dtype)
    outputs = np.tile(np.arange(model.n_outputs), (len(x), 1))
    made = paths.values(paths.enter(b), paths.enter(x), np.full((len(x), 1), 0.5), outputs)
    np.testing.assert_allclose(made[:, 0], model.predict(Inputs(len(x), middle)), rtol=1e-4, atol=1e-4)


def test_an_embedding_and_its_mask_move_as_one(tmp_path, tools):
    path = save_serving_model(
        tmp_path,
        lambda c: tf.tanh(masked_mean(c["ids"]) @ weights(3, 1) * c["x"]),
        {key: SPECS[key] for key in ("ids", "x")},
    )
    paths = check(load_model(path, output_space="raw"), rows_of(tools, "ids", "x"), [["ids"], ["x"]])
    assert len(paths._moving.owners) <= 1 + 3


def test_groups_add_up_what_their_features_contribute(tmp_path, tools):
    def score(c):
        return tf.tanh(c["vector"] @ weights(4, 1) * c["x"] + tf.gather(weights(7, 1), hashed(c["word"])[:, 0]))

    path = save_serving_model(tmp_path, score, {key: SPECS[key] for key in ("vector", "word", "x")})
    model, rows = load_model(path, output_space="raw"), rows_of(tools, "vector", "word", "x")
    x, b = (model.inputs(rows(seed)) for seed in (1, 2))
    made = []
    for players in ([["x"], ["vector"], ["word"]], [["word", "x"], ["vector"]]):
        paths = model.paths(b, players)
        ends = paths.enter(b), paths.enter(x)
        made.append(midpoint_sums(paths, *ends, 32, np.zeros((6, 1), np.int64)))
    np.testing.assert_allclose(made[1][:, 0], made[0][:, 0] + made[0][:, 2], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(made[1][:, 1], made[0][:, 1], rtol=1e-4, atol=1e-6)


def test_features_crossed_within_a_group_move_together(tmp_path, tools):
    def score(c):
        crossed = tf.strings.join([c["word"], tf.strings.as_string(c["count"])])
        return tf.gather(weights(7, 1), hashed(crossed)[:, 0]) * c["x"]

    path = save_serving_model(tmp_path, score, {key: SPECS[key] for key in ("word", "count", "x")})
    check(load_model(path, output_space="raw"), rows_of(tools, "word", "count", "x"), [["count", "word"], ["x"]])


LAYERS = keras.layers


def embedded_words(a):
    return LAYERS.Flatten()(LAYERS.Embedding(4, 3)(LAYERS.StringLookup(vocabulary=WORDS)(a)))


KERAS = {
    "lstm": ("series", lambda a: LAYERS.LSTM(3)(a)),
    "masked_gru": ("series", lambda a: LAYERS.GRU(3)(LAYERS.Masking()(a))),
    "layer_norm": ("vector", lambda a: LAYERS.LayerNormalization()(LAYERS.Dense(5, "silu")(a))),
    "string_lookup": ("word", lambda a: embedded_words(a)),
    "one_hot": ("word", lambda a: LAYERS.StringLookup(vocabulary=WORDS, output_mode="multi_hot")(a)),
}  # fmt: skip


@pytest.mark.parametrize("kind", KERAS)
def test_keras_models_in_log_odds(kind, tmp_path, tools):
    name, tower = KERAS[kind]
    keras.utils.set_random_seed(7)
    spec = SPECS[name]
    inputs = {
        name: keras.Input(tuple(spec.shape), name=name, dtype=spec.dtype.name),
        "x": keras.Input((1,), name="x"),
    }
    hidden = LAYERS.Dense(4, "tanh")(LAYERS.Concatenate()([tower(inputs[name]), inputs["x"]]))
    keras.Model(inputs, LAYERS.Dense(3, "softmax")(hidden)).export(str(tmp_path), verbose=False)
    model = load_model(str(tmp_path))
    assert model.output_space == "logit"
    paths = check(model, rows_of(tools, name, "x"), [["x"], [name]])
    if kind == "lstm":
        # Five steps, each with four gates of three units.
        assert values_per_row(paths._cut.graph) >= 5 * 12


@pytest.mark.filterwarnings("ignore:non-integer arguments to randrange:DeprecationWarning")
def test_legacy_keras_model(tmp_path, tools):
    import tf_keras

    tf_keras.utils.set_random_seed(4)
    layers = tf_keras.layers
    inputs = {"vector": tf_keras.Input((4,), name="vector"), "x": tf_keras.Input((1,), name="x")}
    hidden = layers.Dense(4, "swish")(layers.BatchNormalization()(layers.Concatenate()(list(inputs.values()))))
    tf_keras.Model(inputs, layers.Dense(1, "sigmoid")(hidden)).save(str(tmp_path), save_format="tf")
    check(load_model(str(tmp_path)), rows_of(tools, "vector", "x"), [["x"], ["vector"]])


def test_estimator_like_export(tmp_path, tools):
    """Feature columns of TF1: a vocabulary in a table, an indicator, a shared hidden layer, made in a TF1 graph."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        serialized = tf.compat.v1.placeholder(tf.string, [None])
        parsed = tf.io.parse_example(serialized, {key: SPECS[key] for key in ("words", "x")})
        table = tf.lookup.StaticVocabularyTable(
            tf.lookup.KeyValueTensorInitializer(WORDS, tf.constant([0, 1, 2], tf.int64)), 1
        )
        dense = tf.sparse.to_dense(
            tf.SparseTensor(parsed["words"].indices, table.lookup(parsed["words"].values), parsed["words"].dense_shape),
            default_value=-1,
        )
        bag = tf.reduce_sum(tf.one_hot(dense, 4), axis=1)
        hidden = tf.tanh(tf.concat([bag, parsed["x"]], axis=1) @ weights(5, 4))
        outputs = {"scores": hidden @ weights(4, 1)}
        session.run(tf.compat.v1.tables_initializer())
        tf.compat.v1.saved_model.simple_save(
            session, str(tmp_path / "m"), {"examples": serialized}, outputs, tf.compat.v1.tables_initializer()
        )
    model = load_model(str(tmp_path / "m"), output_space="raw")
    check(model, rows_of(tools, "words", "x"), [["words"], ["x"]])


def test_players_side_by_side_move_as_one_tensor(tmp_path, tools):
    """Scaling and a concatenation change no path; the columns of nobody in it stay those of the end."""

    def score(c):
        joined = tf.concat([(c["vector"] - 0.5) / 2.0, c["x"], 3.0 * tf.cast(c["count"], tf.float32)], axis=1)
        return tf.tanh(joined @ weights(6, 2))

    path = save_serving_model(tmp_path, score, {key: SPECS[key] for key in ("vector", "count", "x")})
    model, rows = load_model(path, output_space="raw"), rows_of(tools, "vector", "count", "x")
    paths = check(model, rows, [["x"], ["count"], ["vector"]])
    assert paths._moving.widths == (6,)
    assert_half_way(model, rows, paths)
    x, b = (model.inputs(rows(seed)) for seed in (1, 2))
    some = model.paths(b, [["x"], ["vector"]])
    starts = some.values(some.enter(b), some.enter(x), np.zeros((6, 1)), np.zeros((6, 1), np.int64))
    mixed = model.predict(Inputs(6, {**b.columns, "count": x.columns["count"]}))
    np.testing.assert_allclose(starts[:, 0, 0], mixed[:, 0], rtol=1e-5, atol=1e-6)
