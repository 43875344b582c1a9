"""A small transform graph, and models that take what it makes."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_transform as tft
import tensorflow_transform.beam as tft_beam
from tensorflow_transform.tf_metadata import dataset_metadata, metadata_io, schema_utils

RAW = {
    "income": tf.io.VarLenFeature(tf.float32),
    "race": tf.io.VarLenFeature(tf.string),
    "age": tf.io.FixedLenFeature([], tf.float32),
    "words": tf.io.VarLenFeature(tf.string),
    "tips": tf.io.VarLenFeature(tf.float32),
}
SCHEMA = {
    "income": ("float", 1, 1, 0.3),
    "race": ("string", 1, 1, 0.3),
    "age": ("float", 1, 1, 0.0),
    "words": ("string", 0, 3, 0.2),
    "tips": ("float", 1, 1, 0.2),
}
"""The same as test data: type, fewest values, most values, share of rows that miss it."""

WORDS = (b"red", b"green", b"blue", b"odd")
COLUMNS = {
    "income": tf.io.FixedLenFeature([1], tf.float32),
    "age": tf.io.FixedLenFeature([], tf.float32),
    "race_xf": tf.io.FixedLenFeature([], tf.int64),
    "cross": tf.io.FixedLenFeature([1, 1], tf.float32),
    "words_xf": tf.io.VarLenFeature(tf.int64),
    "tips_xf": tf.io.FixedLenFeature([], tf.int64),
}
"""How models parse what the graph makes, the label included, which none of them uses."""


def preprocessing_fn(inputs: dict[str, Any]) -> dict[str, Any]:
    """Names that stay and names that change; a column of one feature, of two, and of any number of values."""
    income, tips = _filled(inputs["income"], 0.0), _filled(inputs["tips"], 0.0)
    return {
        "income": tft.scale_to_z_score(income),
        "age": 2.0 * inputs["age"],
        "race_xf": tft.compute_and_apply_vocabulary(
            _filled(inputs["race"], ""), num_oov_buckets=1, vocab_filename="races"
        ),
        "cross": tf.tanh(income * inputs["age"]),
        "words_xf": tft.compute_and_apply_vocabulary(inputs["words"], vocab_filename="words"),
        "tips_xf": tf.cast(tips > 0.2 * income, tf.int64),
        "race_name": _filled(inputs["race"], ""),
        "ones": tf.ones_like(inputs["age"]) + tf.zeros([inputs["words"].dense_shape[0]]),
    }


def _filled(x: tf.SparseTensor, default: Any) -> tf.Tensor:
    one_each = tf.SparseTensor(x.indices, x.values, [x.dense_shape[0], 1])
    return tf.squeeze(tf.sparse.to_dense(one_each, default), axis=1)


def _analysed_rows() -> list[dict[str, Any]]:
    return [
        {
            "income": [float(i % 5)] if i % 3 else [],
            "race": [WORDS[i % 3]],
            "age": float(i),
            "words": list(WORDS[: i % 5]),
            "tips": [float(i % 2)],
        }
        for i in range(20)
    ]


def write_transform_graph(
    directory: Path,
    preprocess: Callable[[dict[str, Any]], dict[str, Any]] = preprocessing_fn,
    spec: Mapping[str, Any] = RAW,
    rows: Sequence[Mapping[str, Any]] = (),
    *,
    as_tf1: bool = False,
) -> str:
    """Analyses a few rows and writes what the Transform component writes."""
    metadata = dataset_metadata.DatasetMetadata(schema_utils.schema_from_feature_spec(spec))
    with tft_beam.Context(temp_dir=str(directory / "tmp"), force_tf_compat_v1=as_tf1):
        graph = (rows or _analysed_rows(), metadata) | tft_beam.AnalyzeDataset(preprocess)
        _ = graph | tft_beam.WriteTransformFn(str(directory / "graph"))
    metadata_io.write_metadata(metadata, str(directory / "graph" / "metadata"))
    return str(directory / "graph")


def score(columns: dict[str, Any]) -> Any:
    """(n, 1) probabilities from what the graph makes, but for the label."""
    column = {name: tf.reshape(tf.cast(columns[name], tf.float32), [-1]) for name in columns if name != "words_xf"}
    words = columns["words_xf"]
    is_sparse = isinstance(words, tf.SparseTensor)
    n_words = tf.sparse.reduce_sum(words, axis=1) if is_sparse else tf.reduce_sum(words, 1)
    total = 0.7 * column["income"] + 0.05 * column["age"] - 0.4 * column["race_xf"] + 0.6 * column["cross"]
    return tf.sigmoid(total + 0.3 * tf.cast(n_words, tf.float32))[:, None]


def make_rows(n: int, seed: int) -> list[dict[str, Any]]:
    """Raw rows, some without an income or words; the label that Transform makes is `won`, too."""
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(n):
        income = float(np.float32(rng.lognormal()))
        tips = float(np.float32(rng.exponential() * income * 0.3))
        rows.append(
            {
                "income": income,
                "race": WORDS[int(rng.integers(4))],
                "age": float(np.float32(rng.normal(2, 1))),
                "words": [WORDS[int(k)] for k in rng.integers(4, size=i % 3)] or None,
                "tips": tips,
                "won": int(tips > 0.2 * income),
                "id": i,
            }
        )
    return rows


def save_model(directory: Path) -> str:
    """`serving_default` parses transformed tf.Examples; `tensors` takes the columns themselves."""
    module = tf.Module()

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def serve(examples: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"p": score(tf.io.parse_example(examples, COLUMNS))}

    shapes = {"income": [None, 1], "age": [None], "race_xf": [None, 1], "cross": [None, 1], "words_xf": [None, None]}
    kinds = {"race_xf": tf.int32, "words_xf": tf.int64, "tips_xf": tf.int64}
    specs = {
        name: tf.TensorSpec(shapes.get(name, [None]), kinds.get(name, tf.float32), name=name)
        for name in (*shapes, "tips_xf")
    }

    @tf.function
    def take(**columns: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"p": score(columns)}

    module.serve, module.take = serve, take
    signatures = {"serving_default": serve, "tensors": take.get_concrete_function(**specs)}
    tf.saved_model.save(module, str(directory), signatures=signatures)
    return str(directory)
