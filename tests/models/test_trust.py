"""Models that cannot be trusted row by row are refused before a job; those that only round otherwise are not."""

from __future__ import annotations

import itertools
import time

import keras
import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf

from tfx_explain.errors import ConfigError, ModelError
from tfx_explain.models import load_model, load_module_model
from tfx_explain.models.closeness import Closeness
from tfx_explain.models.effort import Effort
from tfx_explain.models.features import Inputs
from tfx_explain.models.trust import check_rows

FLOAT = tf.float32
FIXED = tf.io.FixedLenFeature([], FLOAT)
STEPS = tf.io.FixedLenSequenceFeature([], FLOAT, True)
SPEC = {"a": FIXED, "b": FIXED}
MEASURED = Effort.of


@pytest.fixture(autouse=True)
def effort(monkeypatch):
    """Models are tried as fast ones are, however busy the machine is."""
    monkeypatch.setattr(Effort, "of", lambda model, pair: Effort(1e-6))


def _random(values):
    return tf.random.normal(tf.shape(values))


def _net(parsed):
    hidden = tf.tanh(tf.stack([parsed["a"], parsed["b"]], 1) @ tf.constant([[1.0, 2.0], [0.5, -1.0]]))
    return tf.sigmoid(hidden @ tf.constant([[1.0], [-1.0]]))


def _example_model(path, score, spec=None, attached=None):
    module = tf.Module()
    module.attached = attached

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def serve(examples):
        return {"y": score(tf.io.parse_example(examples, spec or SPEC))}

    module.serve = serve
    tf.saved_model.save(module, str(path), signatures={"serving_default": serve})
    return load_model(str(path))


def _module_model(path, body):
    file = path / "model.py"
    file.write_text("import numpy as np\nFEATURES = {'a': 'float32', 'b': 'float32'}\ndef load_model(_):\n" + body)
    return load_module_model(str(file), str(path))


def _rows(model, n=48, seed=0):
    """Lists of 0 to 3 values, whose lengths only agree for `i`, `v` and `m` of one row."""
    rng = np.random.default_rng(seed)
    paired, rows = {"i", "v", "m"}, []
    for _ in range(n):
        k = int(rng.integers(0, 4))
        row = {}
        for feature in model.features:
            size = 1 if feature.kind == "dense" else k if feature.name in paired else int(rng.integers(0, 4))
            row[feature.name] = (rng.normal(size=size) + 2).astype("f").tolist()
        rows.append(row)
    names = [feature.name for feature in model.features]
    lists = pa.large_list(pa.float32())
    return model.inputs(pa.RecordBatch.from_arrays([pa.array([r[k] for r in rows], lists) for k in names], names))


def _check(model, rows=None, players=None):
    names = [feature.name for feature in model.features]
    check_rows(model, _rows(model) if rows is None else rows, players or [[name] for name in names])


@pytest.mark.parametrize(
    ("score", "message"),
    [
        (lambda p: p["a"] + p["b"] + 1e-3 * _random(p["a"]), "when it is called again.*draws random numbers"),
        (lambda p: p["a"] + p["b"] + 1e-2 * tf.random.normal([]), "when it is called again.*for each call"),
        (
            lambda p: p["a"] + p["b"] + 1e-3 * tf.random.stateless_normal(tf.shape(p["a"]), [1, 2]),
            "at another position.*by position",
        ),
        (lambda p: p["a"] - tf.reduce_mean(p["a"]) + p["b"], "among other rows than alone.*statistics of the batch"),
        (lambda p: p["a"] + p["b"] / tf.cast(tf.size(p["a"]), FLOAT), "among other rows than alone"),
    ],
)
def test_outputs_that_depend_on_more_than_the_row(tmp_path, score, message):
    model = _example_model(tmp_path, score)
    with pytest.raises(ModelError, match=message):
        _check(model)


def test_a_counter(tmp_path):
    counter = tf.Variable(0.0)
    model = _example_model(tmp_path, lambda p: p["a"] + p["b"] + counter.assign_add(0.01), attached=counter)
    with pytest.raises(ModelError, match=r"called again, by up to 0\.01.*counts its calls"):
        _check(model)


@pytest.mark.parametrize(
    ("layer", "message"), [(keras.layers.Dropout(0.3), "called again"), (keras.layers.BatchNormalization(), "alone")]
)
def test_keras_layers_left_in_training(tmp_path, layer, message):
    inputs = {name: keras.Input((1,), name=name) for name in "ab"}
    hidden = layer(keras.layers.Dense(16)(keras.layers.Concatenate()(list(inputs.values()))), training=True)
    keras.Model(inputs, keras.layers.Dense(1)(hidden)).export(str(tmp_path), verbose=False)
    with pytest.raises(ModelError, match=message):
        _check(load_model(str(tmp_path)))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            "    rng = np.random.default_rng(1)\n"
            "    return lambda c: c['a'] * c['b'] + 1e-3 * rng.normal(size=len(c['a']))\n",
            "called again.*random numbers",
        ),
        ("    return lambda c: c['a'] * c['b'] + 1e-3 * np.arange(len(c['a']))\n", "another position"),
        ("    return lambda c: c['a'] - c['a'].mean() + c['b']\n", "than alone"),
    ],
)
def test_python_models(tmp_path, body, message):
    with pytest.raises(ModelError, match=message):
        _check(_module_model(tmp_path, body))


def test_lists_filled_up_to_the_longest_of_the_batch(tmp_path):
    spec = {"a": FIXED, "s": STEPS}
    model = _example_model(tmp_path / "mean", lambda p: p["a"] * tf.reduce_mean(p["s"], 1) + p["a"], spec)
    with pytest.raises(ModelError, match=r"than alone.*filled up to the longest of the batch"):
        _check(model)
    _check(_example_model(tmp_path / "sum", lambda p: p["a"] * tf.reduce_sum(p["s"], 1) + p["a"], spec))


def test_as_many_outputs_as_the_longest_list_has_values(tmp_path):
    module = tf.Module()
    lists = tf.TensorSpec([None, None], FLOAT, "s")
    module.serve = tf.function(lambda s: {"y": 2.0 * s}).get_concrete_function(s=lists)
    tf.saved_model.save(module, str(tmp_path), signatures={"serving_default": module.serve})
    with pytest.raises(ModelError, match="outputs for some batches and 1 for others"):
        _check(load_model(str(tmp_path)))


@pytest.mark.parametrize(
    "score",
    [
        _net,
        lambda p: p["a"] + p["b"] + 1e4,
        lambda p: tf.math.log(p["a"] - 2.0) + p["b"],  # NaN for half of the rows, the first among them
        lambda p: tf.where(p["a"] > 2.0, -1e9, p["b"]),
        lambda p: 0.0 * p["a"] + 0.0 * p["b"],
        lambda p: tf.cast(tf.cast(p["a"], tf.float16) * tf.cast(p["b"], tf.float16), FLOAT),
    ],
)
def test_models_that_can_be_trusted(tmp_path, score):
    _check(_example_model(tmp_path, score))


def test_sums_in_another_order_are_not_chance(tmp_path):
    """A float32 sum of 10,000 terms, whose order depends on the row's place and on the number of rows."""
    body = """
    terms = np.random.default_rng(0).normal(size=10_000).astype(np.float32)
    def call(c):
        n = len(c['a'])
        orders = [np.random.default_rng(1000 * n + i).permutation(len(terms)) for i in range(n)]
        return np.array([np.cumsum(a * terms[order])[-1] for a, order in zip(c['a'], orders)]) + c['b']
    return call
"""
    model = _module_model(tmp_path, body)
    rows = _rows(model)
    outputs = model.outputs(rows)
    assert (outputs[:24] != model.outputs(rows.take(np.arange(24)))).any(), "the order does not show"
    _check(model, rows)


def test_a_slow_model_is_asked_about_few_rows(tmp_path, monkeypatch):
    model = _module_model(tmp_path, "    return lambda c: c['a'] * c['b']\n")
    rows, clock = _rows(model), itertools.count()
    monkeypatch.setattr(Effort, "of", MEASURED)
    monkeypatch.setattr(time, "perf_counter", lambda: float(next(clock)))
    asked = []
    call = model.outputs
    monkeypatch.setattr(model, "outputs", lambda inputs: asked.append(len(inputs)) or call(inputs))
    _check(model, rows)
    assert sum(asked) <= 40


def test_a_fast_model_is_tried_in_full_though_the_machine_was_busy_for_a_moment(tmp_path, monkeypatch):
    model = _module_model(tmp_path, "    return lambda c: c['a'] * c['b']\n")
    pair = _rows(model, 2)
    clock = iter([0.0, 1.0, 1.0, 1.001, 2.0, 2.001])
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock))
    assert MEASURED(model, pair).is_full


def _sparse_pair(parsed):
    i, v = parsed["i"], parsed["v"]
    return tf.sparse.reduce_sum(tf.SparseTensor(i.indices, i.values * v.values, i.dense_shape), 1) * parsed["a"]


def _ragged_pair(parsed):
    return tf.reduce_sum(parsed["i"] * parsed["v"], 1) + parsed["a"] * tf.reduce_sum(parsed["s"], 1)


def _cut_off_pair(parsed):
    """Right for lists of the same lengths; else values of one row meet those of the next, without an error."""
    i, v = parsed["i"], parsed["v"]
    n = tf.minimum(tf.size(i.flat_values), tf.size(v.flat_values))
    product = tf.pad(i.flat_values[:n] * v.flat_values[:n], [[0, tf.size(i.flat_values) - n]])
    return tf.reduce_sum(i.with_flat_values(product), 1) + parsed["a"]


SPARSE, RAGGED = tf.io.VarLenFeature(FLOAT), tf.io.RaggedFeature(FLOAT)


@pytest.mark.parametrize(
    ("score", "spec"),
    [
        (_sparse_pair, {"a": FIXED, "i": SPARSE, "v": SPARSE}),
        (_ragged_pair, {"a": FIXED, "i": RAGGED, "v": RAGGED, "s": RAGGED}),
        (_cut_off_pair, {"a": FIXED, "i": RAGGED, "v": RAGGED}),
        (lambda p: tf.reduce_sum(p["i"] * p["v"], 1) * p["a"], {"a": FIXED, "i": STEPS, "v": STEPS}),
    ],
)
def test_lists_that_are_paired_up(tmp_path, score, spec):
    model = _example_model(tmp_path, score, spec)
    with pytest.raises(
        ConfigError, match=r"put `i` and `v` in one group: `features: \{groups: \{i_v: \[i, v\]\}\}`\.$"
    ):
        _check(model)
    _check(model, players=[["i", "v"], *([name] for name in spec if name not in "iv")])


def test_lists_that_have_nothing_to_do_with_each_other(tmp_path):
    score = lambda p: tf.reduce_sum(p["s"], 1) * tf.reduce_sum(p["t"], 1) + p["a"]  # noqa: E731
    _check(_example_model(tmp_path, score, {"a": FIXED, "s": RAGGED, "t": RAGGED}))


def test_three_lists_and_a_name_that_yaml_would_not_take(tmp_path):
    spec = {"a": FIXED, "i": RAGGED, "v": RAGGED, "m": RAGGED, "x: y": FIXED, "y": FIXED}

    def score(p):
        tf.debugging.assert_less(tf.abs(p["x: y"] - p["y"]), 1e-3)
        return tf.reduce_sum(p["i"] * p["v"] * p["m"], 1) + p["x: y"] + p["y"]

    model = _example_model(tmp_path, score, spec)
    rows = _rows(model)
    rows = Inputs(len(rows), {**rows.columns, "x: y": rows.columns["y"]})
    groups = r"`features: \{groups: \{i_m_v: \[i, m, v\], \"x: y_y\": \[\"x: y\", y\]\}\}`"
    with pytest.raises(
        ConfigError, match=r"put `i`, `m` and `v` in one group; put `x: y` and `y` in one group: " + groups
    ):
        _check(model, rows)


def test_mixtures_that_the_model_refuses(tmp_path):
    """Counties are numbered within their state: a number of one state is none of a smaller one."""
    spec = {"state": tf.io.FixedLenFeature([], tf.int64), "county": tf.io.FixedLenFeature([], tf.int64), "x": FIXED}
    first, effects = tf.constant([0, 3, 11], tf.int64), tf.random.stateless_normal([13], [0, 1])
    score = lambda p: tf.gather(effects, tf.gather(first, p["state"]) + p["county"]) * p["x"]  # noqa: E731
    model = _example_model(tmp_path, score, spec)
    rng = np.random.default_rng(0)
    state = rng.integers(0, 3, 48)
    county = rng.integers(0, np.array([3, 8, 2])[state])
    rows = Inputs(48, {"state": state, "county": county, "x": rng.normal(size=48).astype("f")})
    with pytest.raises(ConfigError, match=r"it fails on them.*county_state: \[county, state\]"):
        _check(model, rows)
    _check(model, rows, [["state", "county"], ["x"]])


def test_rows_that_the_model_refuses_are_left_out(tmp_path):
    spec = {"s": tf.io.FixedLenFeature([], tf.string), "a": FIXED}
    model = _example_model(tmp_path, lambda p: tf.strings.to_number(p["s"]) * p["a"], spec)
    rng = np.random.default_rng(0)
    words = np.array([f"{value:.3f}".encode() for value in rng.normal(size=48)], object)
    words[[0, 7]] = b"n/a"
    rows = {"s": words, "a": rng.normal(size=48).astype("f")}
    _check(model, Inputs(48, rows))
    with pytest.raises(ModelError, match="could not correctly convert string"):
        _check(model, Inputs(48, {**rows, "s": np.full(48, b"n/a", object)}))


def test_a_cut_that_changes_the_model_is_refused(tmp_path, monkeypatch):
    model = _example_model(tmp_path, _net)
    ours = model.own.ours
    monkeypatch.setattr(model, "own", type(model.own)(model.own.signature, lambda inputs: ours(inputs) * 1.01))
    with pytest.raises(ModelError, match="does not give what its own signature gives"):
        _check(model)


@pytest.mark.parametrize("coalition", [0, 1, 2])
def test_mixing_that_changes_the_model_is_refused(tmp_path, monkeypatch, coalition):
    model = _example_model(tmp_path, _net)
    block_values = model.block_values

    def wrong(*args):
        values = block_values(*args)
        values[:, :, coalition] *= 1.01
        return values

    monkeypatch.setattr(model, "block_values", wrong)
    with pytest.raises(ModelError, match="gives mixed rows other outputs"):
        _check(model)


def test_before_the_output_space(tmp_path):
    """The signature is compared before the final sigmoid is undone, whatever comes after it."""
    model = _example_model(tmp_path, lambda p: tf.reshape(tf.identity(_net(p)), [-1]))
    rows = _rows(model)
    assert model.output_space == "logit"
    probability = 1 / (1 + np.exp(-model.outputs(rows)))
    np.testing.assert_allclose(model.own.ours(rows), probability, rtol=1e-5)
    np.testing.assert_allclose(model.own.signature.outputs(rows), probability, rtol=1e-5)


def test_fillers_do_not_hide_noise():
    outputs = np.concatenate([np.full((20, 1), -1e9), np.linspace(0, 1, 28)[:, None]])
    closeness = Closeness.of(outputs, 2.0**-23)
    assert closeness.spread[0] < 1.5
    assert closeness.differing(outputs, outputs + 1e-3)[20:].all()
    assert not closeness.differing(outputs, outputs * (1 + 2.0**-23)).any()
    infinite = np.where(outputs < 0, -np.inf, outputs)
    assert not closeness.differing(infinite, infinite).any()
    assert closeness.differing(infinite, outputs)[:20].all()


def test_classes_that_are_sure_of_most_rows_may_round():
    """Logits of some ten, rounded by layers in between, move probabilities by more than what most rows lie within."""
    probabilities = np.full((48, 10), 1e-8)
    probabilities[np.arange(48), np.arange(48) % 10] = 1 - 9e-8
    probabilities[::12, :2] = 0.3, 0.7
    closeness = Closeness.of(probabilities, 2.0**-23)
    assert not closeness.differing(probabilities, probabilities * (1 + 1e-5)).any()
    assert closeness.differing(probabilities, probabilities * 1.001).all()
