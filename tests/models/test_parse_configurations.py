"""Every parse configuration that TensorFlow accepts: right past the parse op, right on examples, or one sentence."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf

from tfx_explain.errors import InputError, SignatureError
from tfx_explain.models import load_model

FLOAT = tf.float32
FIXED = tf.io.FixedLenFeature
STEPS = tf.io.FixedLenSequenceFeature
RAGGED = tf.io.RaggedFeature


def _save(path, serve):
    module = tf.Module()
    module.serve = tf.function(serve, input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    tf.saved_model.save(module, str(path), signatures={"serving_default": module.serve})
    return str(path)


def _weighed(value):
    """(n,) the sum of what a parse op gave, each place of it with a weight of its own."""
    if isinstance(value, tf.SparseTensor):
        value = tf.sparse.to_dense(value)
    if isinstance(value, tf.RaggedTensor):
        value = value.to_tensor()
    value = tf.cast(value, FLOAT)
    for _ in range(len(value.shape) - 1):
        value = tf.reduce_sum(value * (1.0 + tf.cast(tf.range(tf.shape(value)[-1]), FLOAT)), axis=-1)
    return value


def _scores(parsed):
    """(n, features) of everything parsed but `b`, times `b`."""
    return tf.stack([_weighed(parsed[name]) * parsed["b"] for name in sorted(parsed) if name != "b"], axis=1)


def _scores_of_one(parsed):
    expand = lambda v: tf.sparse.expand_dims(v, 0) if isinstance(v, tf.SparseTensor) else tf.expand_dims(v, 0)  # noqa: E731
    return _scores({name: expand(value) for name, value in parsed.items()})[0]


UNIFORM = RAGGED.UniformRowLength
# name -> (how it is parsed, numbers of values that an example may have); integers begin with n
TABLE = {
    "steps": (STEPS([], FLOAT, True, 2.0), (0, 1, 3)),
    "steps_of_1": (STEPS([1], FLOAT, True), (0, 1, 3)),
    "steps_of_2": (STEPS([2], FLOAT, True), (0, 2, 4, 6)),
    "n_steps_of_2": (STEPS([2], tf.int64, True), (2, 4)),
    "steps_of_2_by_3": (STEPS([2, 3], FLOAT, True, -9.0), (6, 12, 0)),
    "fixed": (FIXED([2, 2], FLOAT), (4,)),
    "fixed_default": (FIXED([2, 2], FLOAT, [[1.0, 2.0], [3.0, 4.0]]), (0, 4)),
    "sparse": (tf.io.VarLenFeature(FLOAT), (0, 1, 3)),
    "ragged": (RAGGED(FLOAT), (0, 1, 3)),
    "ragged_int64_splits": (RAGGED(FLOAT, row_splits_dtype=tf.int64), (0, 1, 3)),
    "ragged_in_2": (RAGGED(FLOAT, partitions=[UNIFORM(2)]), (0, 2, 4)),
    "ragged_in_2_by_3": (RAGGED(FLOAT, partitions=[UNIFORM(2), UNIFORM(3)]), (6, 12)),
    "ragged_again": (RAGGED(FLOAT, "ragged_in_2"), ()),
}


def _batch(rows):
    names = sorted({name for row in rows for name in row})
    types = {name: pa.large_list(pa.int64() if name.startswith("n") else pa.float32()) for name in names}
    return pa.RecordBatch.from_arrays([pa.array([row.get(name) for row in rows], types[name]) for name in names], names)


def _rows(lengths, n, seed=0):
    rng = np.random.default_rng(seed)

    def values(name, k):
        return rng.integers(0, 5, k).tolist() if name.startswith("n") else rng.normal(size=k).astype("f").tolist()

    rows = [{name: values(name, int(rng.choice(ks))) for name, ks in lengths.items()} for _ in range(n)]
    return [{name: row[name] for name in row if row[name]} | {"b": [float(np.float32(rng.normal()))]} for row in rows]


def _check(path, tools, rows, players, access, n=5):
    """Predictions and mixed rows are the signature's own."""
    model, call = load_model(path), tools.call_on_examples(path, "y")
    assert model.access == access
    x, b = (model.inputs(_batch(part)) for part in (rows[:n], rows[n:]))
    np.testing.assert_allclose(model.predict(x), call(rows[:n]), rtol=1e-5, atol=1e-5)
    blocks = tools.random_blocks(len(players), len(b))
    expected = tools.expected_block_values(call, rows[:n], rows[n:], players, blocks)
    np.testing.assert_allclose(model.block_values(x, b, players, blocks), expected, rtol=1e-5, atol=1e-5)
    assert np.ptp(expected) > 0.1
    return model


@pytest.mark.parametrize("hidden", [False, True])
def test_each_way_to_parse_one_feature(hidden, tmp_path, tools):
    spec = {name: how for name, (how, _) in TABLE.items()} | {"b": FIXED([], FLOAT)}

    def cut(examples):
        return {"y": _scores(tf.io.parse_example(examples, spec))}

    def one_by_one(examples):
        one = lambda example: _scores_of_one(tf.io.parse_single_example(example, spec))  # noqa: E731
        return {"y": tf.map_fn(one, examples, fn_output_signature=tf.TensorSpec([len(TABLE)], FLOAT))}

    lengths = {name: counts for name, (_, counts) in TABLE.items() if counts}
    players = [[name] for name in (*lengths, "b")]
    path = _save(tmp_path, one_by_one if hidden else cut)
    model = _check(path, tools, _rows(lengths, 10), players, "serialized" if hidden else "parse_cut")
    specs = {feature.name: feature for feature in model.features}
    assert set(specs) == {*lengths, "b"}
    assert (specs["fixed"].default is None, specs["fixed_default"].default is None) == (True, False)
    assert (specs["fixed"].shape, specs["steps_of_2_by_3"].shape) == ((2, 2), (2, 3))


# name -> (how it is parsed, the values beside those of the name itself that parts of the given sizes have)
PAIRED = {
    "lengths": (lambda k: RAGGED(FLOAT, k, [RAGGED.RowLengths(f"n_{k}")]), lambda sizes: [sizes]),
    "splits": (lambda k: RAGGED(FLOAT, k, [RAGGED.RowSplits(f"n_{k}")]), lambda sizes: [np.cumsum([0, *sizes])]),
    "starts": (lambda k: RAGGED(FLOAT, k, [RAGGED.RowStarts(f"n_{k}")]), lambda sizes: [np.cumsum([0, *sizes])[:-1]]),
    "limits": (lambda k: RAGGED(FLOAT, k, [RAGGED.RowLimits(f"n_{k}")]), lambda sizes: [np.cumsum(sizes)]),
    "row_ids": (
        lambda k: RAGGED(FLOAT, k, [RAGGED.ValueRowIds(f"n_{k}")]),
        lambda sizes: [np.repeat(np.arange(len(sizes)), sizes)],
    ),
    "lengths_of_2": (
        lambda k: RAGGED(FLOAT, k, [RAGGED.RowLengths(f"n_{k}"), UNIFORM(1)]),
        lambda sizes: [sizes],
    ),
    "indices": (lambda k: tf.io.SparseFeature(f"n_{k}", k, FLOAT, 12), lambda sizes: [2 * np.arange(sum(sizes))]),
    "two_indices": (
        lambda k: tf.io.SparseFeature([f"n_{k}", f"n_{k}_2"], k, FLOAT, [9, 4]),
        lambda sizes: [np.arange(sum(sizes)), np.arange(sum(sizes)) % 4],
    ),
}


def test_each_way_to_parse_features_that_belong_together(tmp_path, tools):
    spec = {f"x_{key}": how(key) for key, (how, _) in PAIRED.items()} | {"b": FIXED([], FLOAT)}
    path = _save(tmp_path, lambda examples: {"y": _scores(tf.io.parse_example(examples, spec))})
    rng, rows = np.random.default_rng(1), []
    for _ in range(10):
        row = {"b": [float(np.float32(rng.normal()))]}
        for key, (_, beside) in PAIRED.items():
            sizes = rng.integers(1, 4, 2).tolist()
            row[key] = rng.normal(size=sum(sizes)).astype("f").tolist()
            values = [np.asarray(column).tolist() for column in beside(sizes)]
            row |= dict(zip((f"n_{key}", f"n_{key}_2"), values, strict=False))
        rows.append(row)
    players = [[key, f"n_{key}", *([f"n_{key}_2"] if key == "two_indices" else [])] for key in PAIRED]
    _check(path, tools, rows, [*players, ["b"]], "parse_cut")


def test_a_feature_parsed_in_two_ways(tmp_path, tools):
    def serve(examples):
        dense = tf.io.parse_example(examples, {"a": FIXED([2], FLOAT, [1.0, 2.0]), "b": FIXED([], FLOAT)})
        return {"y": _scores(dense | {"again": tf.io.parse_example(examples, {"a": RAGGED(FLOAT)})["a"]})}

    _check(_save(tmp_path, serve), tools, _rows({"a": (0, 2)}, 10), [["a"], ["b"]], "serialized")


def test_lists_that_end_within_an_item_are_refused(tmp_path):
    spec = {"a": STEPS([2], FLOAT, True)}
    path = _save(tmp_path, lambda examples: {"y": _weighed(tf.io.parse_example(examples, spec)["a"])})
    model, batch = load_model(path), _batch([{"a": [1.0, 2.0]}, {"a": [1.0, 2.0, 3.0]}])
    message = "feature 'a' has 3 values where the model takes a multiple of 2."
    assert model.row_errors(batch) == {1: message}
    with pytest.raises(InputError, match="multiple of 2"):
        model.inputs(batch)


def test_tensors_of_any_number_of_items(tmp_path, tools):
    module = tf.Module()
    specs = {"a": tf.TensorSpec([None, None, 2], FLOAT, "a"), "b": tf.TensorSpec([None], FLOAT, "b")}
    module.serve = tf.function(lambda a, b: {"y": _weighed(a) * b}).get_concrete_function(**specs)
    tf.saved_model.save(module, str(tmp_path), signatures={"serving_default": module.serve})
    model, rows = load_model(str(tmp_path)), _rows({"a": (0, 2, 4, 6)}, 10)

    def call(rows):
        lists = [row.get("a", []) for row in rows]
        longest = max(map(len, lists))
        a = np.array([[*values, *[0.0] * (longest - len(values))] for values in lists], np.float32)
        b = np.array([row["b"][0] for row in rows], np.float32)
        return np.asarray(_weighed(a.reshape(len(rows), -1, 2)) * b)[:, None]

    x, b = (model.inputs(_batch(part)) for part in (rows[:5], rows[5:]))
    np.testing.assert_allclose(model.predict(x), call(rows[:5]), rtol=1e-5, atol=1e-5)
    blocks = tools.random_blocks(2, 5)
    expected = tools.expected_block_values(call, rows[:5], rows[5:], [["a"], ["b"]], blocks)
    np.testing.assert_allclose(model.block_values(x, b, [["a"], ["b"]], blocks), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("hidden", [False, True])
def test_sequence_examples_are_refused_by_name(tmp_path, hidden):
    features = {"context_features": {"b": FIXED([], FLOAT)}, "sequence_features": {"a": STEPS([], FLOAT)}}

    def one(example):
        context, steps = tf.io.parse_single_sequence_example(example, **features)
        return context["b"] + tf.reduce_sum(steps["a"])

    def serve(examples):
        if hidden:
            return {"y": tf.map_fn(one, examples, fn_output_signature=tf.TensorSpec([], FLOAT))}
        context, steps, _ = tf.io.parse_sequence_example(examples, **features)
        return {"y": context["b"] + tf.reduce_sum(steps["a"], axis=1)}

    path = _save(tmp_path, serve)
    with pytest.raises(SignatureError, match=r"parses tf\.SequenceExamples, where the examples are tf\.Examples"):
        load_model(path)


def test_other_messages_are_refused_by_name(tmp_path):
    def serve(examples):
        decoded = tf.io.decode_proto(examples, "tensorflow.GraphDef", ["version"], [tf.int32])
        return {"y": tf.cast(decoded.values[0][:, 0], FLOAT)}

    path = _save(tmp_path, serve)
    with pytest.raises(SignatureError, match=r"parses `tensorflow\.GraphDef` messages"):
        load_model(path)
