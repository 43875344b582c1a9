"""Models of every make give what their own signature gives, on plain and on mixed rows."""

from __future__ import annotations

import functools
import importlib
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfx_explain.models import load_model

PLAYERS = [["age", "rate"], ["color"], ["codes"], ["notes"]]


@pytest.mark.parametrize("output_space", ["raw", "probability", "logit"])
def test_functional_model_on_examples(mixed_model_dir, mixed_data, check_model, tools, output_space):
    model = load_model(mixed_model_dir, output_space=output_space)
    assert (model.access, model.output_space, model.output_space_note) == ("parse_cut", output_space, "")
    call = tools.call_on_examples(mixed_model_dir, "p")
    check_model(model, mixed_data, tools.logit(call) if output_space == "logit" else call, PLAYERS)


def test_features_are_those_the_output_depends_on(mixed_model_dir):
    features = {spec.name: spec for spec in load_model(mixed_model_dir).features}
    assert list(features) == ["age", "codes", "color", "notes", "rate"]
    assert {name: spec.kind for name, spec in features.items()} == {
        "age": "dense", "codes": "sparse", "color": "dense", "notes": "ragged", "rate": "dense",
    }  # fmt: skip
    assert (features["age"].shape, features["rate"].shape) == ((1,), ())
    np.testing.assert_array_equal(features["age"].default, np.float32([0.5]))
    assert features["color"].dtype == "string"
    assert features["color"].default.tolist() == [b""]


def test_features_of_no_player_come_from_the_example(mixed_model_dir, mixed_data, check_model, tools):
    model = load_model(mixed_model_dir, output_space="raw")
    check_model(model, mixed_data, tools.call_on_examples(mixed_model_dir, "p"), [["age"], ["codes", "unused"]])


def test_a_graph_that_cannot_be_cut_is_called_on_examples(mixed_model_dir, mixed_data, check_model, tools, caplog):
    model = load_model(mixed_model_dir, signature="whole", output_space="raw")
    assert model.access == "serialized"
    assert [record.levelname for record in caplog.records if "cannot be cut" in record.message] == ["WARNING"]
    assert {spec.name for spec in model.features} >= {"age", "rate", "color", "codes", "notes"}
    check_model(model, mixed_data, tools.call_on_examples(mixed_model_dir, "p", "whole"), PLAYERS)


def test_both_ways_to_call_a_model_agree(mixed_model_dir, mixed_data, tools):
    cut = load_model(mixed_model_dir, output_space="raw")
    whole = load_model(mixed_model_dir, signature="whole", output_space="raw")
    x, b = mixed_data.batch(mixed_data.rows(5, 1)), mixed_data.batch(mixed_data.rows(9, 2))
    blocks = tools.random_blocks(4, 9, seed=3)
    values = [m.block_values(m.inputs(x), m.inputs(b), PLAYERS, blocks) for m in (cut, whole)]
    np.testing.assert_allclose(*values, rtol=1e-5)


def test_artifact_root_serves_as_well(mixed_model_dir, tmp_path):
    (tmp_path / "Format-Serving").symlink_to(mixed_model_dir)
    assert load_model(str(tmp_path)).n_outputs == 1


class Subclassed(keras.Model):
    def __init__(self, n_outputs, activation):
        super().__init__()
        self.hidden = keras.layers.Dense(6, "tanh")
        self.last = keras.layers.Dense(n_outputs, activation)

    def call(self, inputs):
        joined = tf.concat([inputs["a"][:, None], inputs["b"], tf.cast(inputs["c"], tf.float32)], axis=1)
        return self.last(self.hidden(joined))


TENSORS = {"a": ("float", 1, 1, 0.0), "b": ("float", 3, 3, 0.0), "c": ("int", 1, 1, 0.0)}


def _tensor_signature(model):
    specs = {
        "a": tf.TensorSpec([None], tf.float32, "a"),
        "b": tf.TensorSpec([None, 3], tf.float32, "b"),
        "c": tf.TensorSpec([None, 1], tf.int32, "c"),
    }
    return tf.function(lambda a, b, c: {"out": model({"a": a, "b": b, "c": c})}).get_concrete_function(**specs)


def _call_on_tensors(path):
    loaded = tf.saved_model.load(path)

    def call(rows):
        a, b, c = ([row[name] for row in rows] for name in "abc")
        feeds = {"a": tf.constant(a)[:, 0], "b": tf.constant(b), "c": tf.constant(c, tf.int32)}
        call.loaded = loaded
        return loaded.signatures["serving_default"](**feeds)["out"].numpy().astype(float)

    return call


@pytest.mark.parametrize(("n_outputs", "activation"), [(1, "sigmoid"), (3, "softmax"), (2, None)])
def test_subclassed_model_on_tensors(tmp_path, check_model, tools, n_outputs, activation):
    keras.utils.set_random_seed(2)
    net = Subclassed(n_outputs, activation)
    tf.saved_model.save(net, str(tmp_path), signatures=_tensor_signature(net))
    model = load_model(str(tmp_path), output_space="raw")
    assert (model.access, model.n_outputs) == ("tensors", n_outputs)
    check_model(model, tools.Data(TENSORS), _call_on_tensors(str(tmp_path)), [["a"], ["b"], ["c"]])


def test_softmax_gives_logits(tmp_path, tools):
    keras.utils.set_random_seed(2)
    net = Subclassed(3, "softmax")
    tf.saved_model.save(net, str(tmp_path), signatures=_tensor_signature(net))
    model, data = load_model(str(tmp_path)), tools.Data(TENSORS)
    rows = data.rows(5, 0)
    logits, p = model.predict(model.inputs(data.batch(rows))), _call_on_tensors(str(tmp_path))(rows)
    assert model.output_space == "logit"
    exp = np.exp(logits)
    np.testing.assert_allclose(exp / exp.sum(axis=1, keepdims=True), p, rtol=1e-5)


def test_no_final_activation_means_raw_with_a_note(tmp_path):
    net = Subclassed(2, None)
    tf.saved_model.save(net, str(tmp_path), signatures=_tensor_signature(net))
    model = load_model(str(tmp_path), output_space="logit")
    assert model.output_space == "raw"
    assert "sigmoid" in model.output_space_note


def test_integers_become_floats_on_tensor_signatures(tmp_path, tools):
    net = Subclassed(1, None)
    tf.saved_model.save(net, str(tmp_path), signatures=_tensor_signature(net))
    model = load_model(str(tmp_path))
    rows = [{"a": [2], "b": [1, 2, 3], "c": [4]}]
    batch = tools.Data({"a": ("int", 1, 1, 0), "b": ("int", 3, 3, 0), "c": ("int", 1, 1, 0)}).batch(rows)
    as_floats = [{"a": [2.0], "b": [1.0, 2.0, 3.0], "c": [4]}]
    np.testing.assert_allclose(
        model.predict(model.inputs(batch)), _call_on_tensors(str(tmp_path))(as_floats), rtol=1e-6
    )


def test_keras_export_keeps_feature_names(tmp_path, check_model, tools):

    keras.utils.set_random_seed(3)
    inputs = {name: keras.Input((1,), name=name) for name in ("u", "v")}
    net = keras.Model(
        inputs, keras.layers.Dense(1)(keras.layers.Dense(4, "tanh")(keras.layers.Concatenate()(list(inputs.values()))))
    )
    net.export(str(tmp_path), verbose=False)
    loaded = tf.saved_model.load(str(tmp_path))

    def call(rows):
        feeds = {name: tf.constant([row[name] for row in rows]) for name in ("u", "v")}
        return loaded.signatures["serving_default"](**feeds)["output_0"].numpy().astype(float)

    data = tools.Data({"u": ("float", 1, 1, 0.0), "v": ("float", 1, 1, 0.0)})
    check_model(load_model(str(tmp_path)), data, call, [["u"], ["v"]])


@pytest.fixture(scope="module")
def legacy_model(tmp_path_factory):
    """A model that Keras 2 saved."""
    import tf_keras

    path = str(tmp_path_factory.mktemp("legacy"))
    tf_keras.utils.set_random_seed(4)
    inputs = {name: tf_keras.Input((1,), name=name) for name in ("u", "v")}
    joined = tf_keras.layers.Concatenate()(list(inputs.values()))
    net = tf_keras.Model(inputs, tf_keras.layers.Dense(1, "sigmoid")(tf_keras.layers.Dense(4, "tanh")(joined)))
    spec = {name: tf.io.FixedLenFeature([1], tf.float32) for name in inputs}
    specs = [tf.TensorSpec([None], tf.string, name="examples")]
    serve = tf.function(lambda examples: {"p": net(tf.io.parse_example(examples, spec))}, input_signature=specs)
    net.save(path, save_format="tf", signatures={"serving_default": serve})
    return path


LEGACY_NOISE = pytest.mark.filterwarnings("ignore:non-integer arguments to randrange:DeprecationWarning")


@LEGACY_NOISE
def test_legacy_keras_model(legacy_model, check_model, tools):
    data = tools.Data({"u": ("float", 1, 1, 0.0), "v": ("float", 1, 1, 0.0)})
    call = tools.logit(tools.call_on_examples(legacy_model, "p"))
    check_model(load_model(legacy_model), data, call, [["u"], ["v"]])


@LEGACY_NOISE
def test_legacy_keras_model_in_a_process_that_never_imported_it(legacy_model):
    code = f"from tfx_explain.models import load_model; assert load_model({legacy_model!r}).access == 'parse_cut'"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_what_an_old_export_needs_is_imported(mixed_model_dir, monkeypatch):
    imported, load, import_module = [], tf.saved_model.load, importlib.import_module

    def load_if_registered(path):
        if "tf_keras" not in imported:
            raise AttributeError("'_UserObject' object has no attribute 'add_slot'")
        return load(path)

    monkeypatch.setattr(tf.saved_model, "load", load_if_registered)
    monkeypatch.setattr(importlib, "import_module", lambda name: imported.append(name) or import_module(name))
    assert load_model(mixed_model_dir).n_outputs == 1


def _save_module(path, serve):
    module = tf.Module()
    module.serve = tf.function(serve, input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    tf.saved_model.save(module, str(path), signatures={"serving_default": module.serve})


def test_sequences_padded_by_the_parse_op(tmp_path, check_model, tools):
    spec = {
        "steps": tf.io.FixedLenSequenceFeature([], tf.float32, allow_missing=True, default_value=-9.0),
        "x": tf.io.FixedLenFeature([1], tf.float32, default_value=[0.5]),
    }

    def serve(examples):
        parsed = tf.io.parse_example(examples, spec)
        real = tf.cast(parsed["steps"] > -9.0, tf.float32)
        return {"p": tf.reduce_sum(tf.tanh(parsed["steps"] * parsed["x"]) * real, axis=1, keepdims=True)}

    _save_module(tmp_path, serve)
    model = load_model(str(tmp_path))
    assert model.access == "parse_cut"
    data = tools.Data({"steps": ("float", 0, 4, 0.2), "x": ("float", 1, 1, 0.2)})
    check_model(model, data, tools.call_on_examples(str(tmp_path), "p"), [["steps"], ["x"]])


def test_first_version_of_the_parse_op(tmp_path, check_model, tools):
    def serve(examples):
        parsed = tf.raw_ops.ParseExample(
            serialized=examples,
            names=[],
            sparse_keys=["codes"],
            dense_keys=["x", "y"],
            dense_defaults=[tf.constant([0.25]), tf.constant([], tf.float32)],
            sparse_types=[tf.int64],
            dense_shapes=[[1], []],
        )
        codes = tf.SparseTensor(parsed.sparse_indices[0], parsed.sparse_values[0], parsed.sparse_shapes[0])
        total = tf.cast(tf.sparse.reduce_sum(codes, axis=1), tf.float32)
        return {"p": tf.sin(total) * parsed.dense_values[0][:, 0] + parsed.dense_values[1]}

    _save_module(tmp_path, serve)
    model = load_model(str(tmp_path))
    assert model.access == "parse_cut"
    assert {spec.name: spec.default is None for spec in model.features} == {"codes": True, "x": False, "y": True}
    data = tools.Data({"codes": ("int", 0, 3, 0.2), "x": ("float", 1, 1, 0.2), "y": ("float", 1, 1, 0.0)})
    check_model(model, data, tools.call_on_examples(str(tmp_path), "p"), [["codes"], ["x"], ["y"]])


@pytest.mark.parametrize("use_resource", [False, True])
def test_estimator_export(tmp_path, check_model, tools, use_resource):
    v1 = tf.compat.v1
    variable = functools.partial(v1.get_variable, use_resource=use_resource)
    path = str(tmp_path / "model")
    with tf.Graph().as_default(), v1.Session() as session:
        examples = v1.placeholder(tf.string, [None], name="input_example_tensor")
        spec = {
            "x": tf.io.FixedLenFeature([1], tf.float32, default_value=[0.25]),
            "word": tf.io.VarLenFeature(tf.string),
        }
        parsed = v1.parse_example(examples, spec)
        words = tf.lookup.KeyValueTensorInitializer(["red", "green"], tf.constant([1, 2], tf.int64))
        table = tf.lookup.StaticHashTable(words, 0)
        ids = tf.sparse.to_dense(table.lookup(parsed["word"]))
        embedding = variable("e", [3, 2], initializer=v1.random_normal_initializer(seed=1))
        kernel = variable("k", [3, 1], initializer=v1.random_normal_initializer(seed=2))
        known = tf.cast(ids > 0, tf.float32)[:, :, None]
        joined = tf.concat([tf.reduce_sum(tf.gather(embedding, ids) * known, axis=1), parsed["x"]], axis=1)
        logistic = tf.sigmoid(tf.matmul(tf.tanh(joined), kernel))
        session.run([v1.global_variables_initializer(), v1.tables_initializer()])
        builder = v1.saved_model.Builder(path)
        build = v1.saved_model.build_tensor_info
        signature = v1.saved_model.build_signature_def({"examples": build(examples)}, {"p": build(logistic)}, "predict")
        builder.add_meta_graph_and_variables(
            session, ["serve"], {"serving_default": signature}, main_op=v1.tables_initializer()
        )
        builder.save()
    model = load_model(path)
    assert (model.access, model.output_space) == ("parse_cut", "logit")
    data = tools.Data({"x": ("float", 1, 1, 0.3), "word": ("string", 1, 2, 0.0)})
    check_model(model, data, tools.logit(tools.call_on_examples(path, "p")), [["x"], ["word"]])
