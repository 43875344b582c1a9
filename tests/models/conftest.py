"""Small models of every make, and an oracle that knows nothing of how we call them.

The oracle builds each mixed row as a plain dictionary, encodes it as a tf.Example (or as tensors) by hand, and calls
the SavedModel's own signature.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace

import keras
import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf

from tfx_explain.attribution import make_design

ARROW = {"float": pa.float32(), "int": pa.int64(), "string": pa.large_binary()}


@dataclass
class Data:
    """Random rows of a schema: name -> (type, fewest values, most values, share of rows that miss it)."""

    schema: dict

    def rows(self, n, seed):
        rng = np.random.default_rng(seed)
        draw = {
            "float": lambda k: rng.normal(size=k).astype(np.float32).tolist(),
            "int": lambda k: rng.integers(0, 5, k).tolist(),
            "string": lambda k: [str(word).encode() for word in rng.choice(["red", "green", "blue", "odd"], k)],
        }
        return [
            {
                name: draw[kind](rng.integers(low, high + 1))
                for name, (kind, low, high, missing) in self.schema.items()
                if rng.random() >= missing
            }
            for _ in range(n)
        ]

    def batch(self, rows, *, empty_for_missing=False):
        """The Arrow batch tfx_bsl would decode; CsvExampleGen writes a missing value as an empty list."""
        absent = [] if empty_for_missing else None
        names = [name for name in self.schema if empty_for_missing or any(name in row for row in rows)]
        types = [pa.large_list(ARROW[self.schema[name][0]]) for name in names]
        arrays = [pa.array([row.get(name, absent) for row in rows], t) for name, t in zip(names, types, strict=False)]
        return pa.RecordBatch.from_arrays(arrays, names)


def to_example(row):
    features = {}
    for name, values in row.items():
        if not values:
            continue
        if isinstance(values[0], float):
            features[name] = tf.train.Feature(float_list=tf.train.FloatList(value=values))
        elif isinstance(values[0], int):
            features[name] = tf.train.Feature(int64_list=tf.train.Int64List(value=values))
        else:
            features[name] = tf.train.Feature(bytes_list=tf.train.BytesList(value=values))
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


def call_on_examples(path, key, signature="serving_default"):
    """The oracle's model: from rows to the signature's own output, through serialised tf.Examples."""
    loaded = tf.saved_model.load(path)
    function = loaded.signatures[signature]
    name = next(iter(function.structured_input_signature[1]))

    def call(rows):
        outputs = function(**{name: tf.constant([to_example(row) for row in rows])})[key]
        call.loaded = loaded
        return outputs.numpy().astype(np.float64).reshape(len(rows), -1)

    return call


def random_blocks(n_players, n_background, *, n_blocks=3, n_coalitions=5, n_rows=2, seed=0):
    rng = np.random.default_rng(seed)
    return SimpleNamespace(
        coalitions=rng.random((n_blocks, n_coalitions, n_players)) < 0.5,
        background_index=rng.integers(0, n_background, (n_blocks, n_rows)).astype(np.int32),
        background_weight=rng.random((n_blocks, n_rows)) + 0.1,
    )


def expected_block_values(call, examples, background, players, blocks):
    """The definition of block values: mixed rows made one at a time, then one call of the model."""
    owners = {name: p for p, names in enumerate(players) for name in names}
    mixed = []
    for example in examples:
        for coalitions, index in zip(blocks.coalitions, blocks.background_index, strict=True):
            for coalition in coalitions:
                for b in index:
                    sources = {
                        n: example if n not in owners or coalition[owners[n]] else background[b]
                        for n in set(example) | set(background[b])
                    }
                    mixed.append({name: source[name] for name, source in sources.items() if name in source})
    outputs = call(mixed).reshape(len(examples), *blocks.coalitions.shape[:2], blocks.background_index.shape[1], -1)
    shares = blocks.background_weight / blocks.background_weight.sum(axis=1, keepdims=True)
    return np.einsum("ngmrk,gr->ngmk", outputs, shares)


@pytest.fixture
def check_model():
    """Asserts that a model predicts, and mixes rows, exactly as its own signature does on rows made by hand.

    And that the attributions made of these values add up to prediction - base value.
    """

    def check(model, data, call, players, *, rtol=1e-5, atol=1e-6, n_examples=4, n_background=6, seed=0):
        examples, background = data.rows(n_examples, seed + 1), data.rows(n_background, seed + 2)
        blocks = random_blocks(len(players), n_background, seed=seed)
        for empty in (False, True):
            x, b = (model.inputs(data.batch(rows, empty_for_missing=empty)) for rows in (examples, background))
            np.testing.assert_allclose(model.predict(x), call(examples), rtol=rtol, atol=atol)
            values = model.block_values(x, b, players, blocks)
            expected = expected_block_values(call, examples, background, players, blocks)
            np.testing.assert_allclose(values, expected, rtol=rtol, atol=atol)
            assert values.dtype == np.float64
            weights = np.full(n_background, 1 / n_background)
            exact = make_design(
                "exact", n_players=len(players), budget=2 ** len(players), background_weights=weights, seed=seed
            )
            prediction, of_background = model.predict(x), model.predict(b)
            made = exact.solve(model.block_values(x, b, players, exact), prediction, of_background)
            total = prediction - of_background.mean(axis=0)
            assert (abs(made.values.sum(axis=1) - total) <= 1e-6 * (1 + abs(prediction))).all()
            assert (made.completeness_gap <= 1e-6 * (1 + abs(prediction))).all()
            assert np.ptp(expected) > 1e-3, "the oracle's values do not vary: the test shows nothing"

    return check


@pytest.fixture(scope="session")
def tools():
    """The helpers above, for tests that put them together themselves."""
    return SimpleNamespace(
        Data=Data,
        to_example=to_example,
        call_on_examples=call_on_examples,
        random_blocks=random_blocks,
        expected_block_values=expected_block_values,
        logit=lambda call: lambda rows: (lambda p: np.log(p) - np.log1p(-p))(call(rows)),
    )


MIXED = {
    "age": ("float", 1, 1, 0.2),
    "rate": ("float", 1, 1, 0.2),
    "color": ("string", 1, 1, 0.2),
    "codes": ("int", 0, 3, 0.2),
    "notes": ("float", 0, 3, 0.2),
    "unused": ("float", 1, 1, 0.0),
}


@pytest.fixture(scope="session")
def mixed_data():
    return Data(MIXED)


@pytest.fixture(scope="session")
def mixed_model_dir(tmp_path_factory):
    """A Keras 3 functional model on tf.Examples with dense, string, sparse and ragged features.

    Signatures: `serving_default`; `whole`, whose graph cannot be cut after its parse op; `multi`, of several outputs.
    """

    keras.utils.set_random_seed(1)
    inputs = {name: keras.Input((1,), name=name) for name in ("age", "rate", "color", "codes", "notes")}
    hidden = keras.layers.Dense(8, "tanh")(keras.layers.Concatenate()(list(inputs.values())))
    net = keras.Model(inputs, keras.layers.Dense(1, "sigmoid")(hidden))
    words = tf.lookup.KeyValueTensorInitializer(["red", "green"], tf.constant([0, 1], tf.int64))
    net.table = tf.lookup.StaticVocabularyTable(words, 2)
    spec = {
        "age": tf.io.FixedLenFeature([1], tf.float32, default_value=[0.5]),
        "rate": tf.io.FixedLenFeature([], tf.float32, default_value=-1.0),
        "color": tf.io.FixedLenFeature([1], tf.string, default_value=[""]),
        "codes": tf.io.VarLenFeature(tf.int64),
        "notes": tf.io.RaggedFeature(tf.float32),
        "unused": tf.io.FixedLenFeature([1], tf.float32, default_value=[0.0]),
    }

    def predict(parsed):
        column = lambda x: tf.reshape(tf.cast(x, tf.float32), (-1, 1))  # noqa: E731
        return net(
            {
                "age": parsed["age"],
                "rate": column(parsed["rate"]),
                "color": tf.cast(net.table.lookup(parsed["color"]), tf.float32),
                "codes": column(tf.sparse.reduce_sum(parsed["codes"], axis=1)),
                "notes": column(tf.reduce_sum(parsed["notes"], axis=1)),
            }
        )

    def whole(examples):
        def one(example):
            parsed = tf.io.parse_single_example(example, {**spec, "notes": tf.io.VarLenFeature(tf.float32)})
            codes, notes = (tf.reshape(tf.sparse.reduce_sum(parsed[k]), [1]) for k in ("codes", "notes"))
            flat = {"age": parsed["age"], "rate": tf.reshape(parsed["rate"], [1])}
            color = tf.cast(net.table.lookup(parsed["color"]), tf.float32)
            return {**flat, "color": color, "codes": tf.cast(codes, tf.float32), "notes": notes}

        kinds = dict.fromkeys(inputs, tf.TensorSpec([1], tf.float32))
        return {"p": net(tf.map_fn(one, examples, fn_output_signature=kinds))}

    def multi(examples):
        p = predict(tf.io.parse_example(examples, spec))
        return {"p": p, "twice": 2.0 * p, "class_id": tf.cast(p > 0.5, tf.int64), "total": tf.reduce_sum(p)}

    serialized = [tf.TensorSpec([None], tf.string, name="examples")]
    archive = keras.export.ExportArchive()
    archive.track(net)
    archive.add_endpoint(
        "serving_default",
        tf.function(lambda examples: {"p": predict(tf.io.parse_example(examples, spec))}, input_signature=serialized),
    )
    archive.add_endpoint("whole", tf.function(whole, input_signature=serialized))
    archive.add_endpoint("multi", tf.function(multi, input_signature=serialized))
    path = str(tmp_path_factory.mktemp("mixed"))
    archive.write_out(path, verbose=False)
    return path


@pytest.fixture(autouse=True)
def _logs_are_heard(caplog):
    """Other tests quieten the logs of the whole process, as the command line does."""
    caplog.set_level("INFO")
