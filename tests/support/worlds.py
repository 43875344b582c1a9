"""Small real models and examples that the tests share."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

import tfx_explain

LINEAR_WEIGHTS = {"age": 0.5, "income": -2.0, "debt": 0.25}
LINEAR_INTERCEPT = 0.75
RACE_EFFECT = {b"a": 0.0, b"b": 1.5}
FEATURES = {
    "age": tf.io.FixedLenFeature([], tf.float32),
    "income": tf.io.FixedLenFeature([], tf.float32),
    "debt": tf.io.FixedLenFeature([], tf.int64, default_value=0),
    "race": tf.io.FixedLenFeature([], tf.string, default_value=b"a"),
}
"""How a model parses the rows of `make_rows`."""


def to_example(row: Mapping[str, Any]) -> bytes:
    """A serialized tf.Example; None and absent keys are missing, an empty list is a key without values."""
    features = {}
    for name, value in row.items():
        if value is None:
            continue
        values = value if isinstance(value, list) else [value]
        if values and isinstance(values[0], bytes):
            features[name] = tf.train.Feature(bytes_list=tf.train.BytesList(value=values))
        elif values and isinstance(values[0], int):
            features[name] = tf.train.Feature(int64_list=tf.train.Int64List(value=values))
        else:
            features[name] = tf.train.Feature(float_list=tf.train.FloatList(value=values))
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString(deterministic=True)


def write_records(directory: Path, records: Sequence[bytes], num_shards: int = 1) -> str:
    """Writes gzipped TFRecords as ExampleGen does; returns the pattern of the files."""
    directory.mkdir(parents=True, exist_ok=True)
    for shard in range(num_shards):
        path = directory / f"data_tfrecord-{shard:05d}-of-{num_shards:05d}.gz"
        with tf.io.TFRecordWriter(str(path), "GZIP") as writer:
            for record in records[shard::num_shards]:
                writer.write(record)
    return str(directory / "*")


def write_splits(
    directory: Path,
    rows: Callable[[int, int], Sequence[Mapping[str, Any]]],
    n_train: int,
    n_eval: int,
    num_shards: int = 1,
) -> str:
    """Writes `rows(n, seed)` of the splits train (seed 0) and eval (seed 1); returns the directory."""
    for seed, (split, n) in enumerate((("train", n_train), ("eval", n_eval))):
        write_records(directory / f"Split-{split}", [to_example(row) for row in rows(n, seed)], num_shards)
    return str(directory)


def make_rows(n: int, seed: int) -> list[dict[str, Any]]:
    """Rows for the linear model below, with an id, a label, and a feature that no model reads."""
    rng = np.random.default_rng(seed)
    return [
        {
            "age": float(np.float32(rng.normal(4, 1))),
            "income": float(np.float32(rng.lognormal())),
            "debt": int(rng.integers(0, 9)),
            "race": [b"a", b"b"][int(rng.integers(2))],
            "unused": float(i),
            "application_id": i,
            "approve": int(rng.integers(2)),
        }
        for i in range(n)
    ]


def linear_output(row: Mapping[str, Any]) -> float:
    """What the linear model gives for a row, in float64."""
    numeric = sum(weight * row[name] for name, weight in LINEAR_WEIGHTS.items())
    return numeric + RACE_EFFECT[row["race"]] + LINEAR_INTERCEPT


def save_serving_model(directory: Path, score: Callable[[dict[str, Any]], Any], spec: Mapping[str, Any]) -> str:
    """A SavedModel whose `serving_default` parses serialized tf.Examples by `spec` and returns score(features)."""
    module = tf.Module()

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def serve(examples):
        return {"score": score(tf.io.parse_example(examples, spec))}

    module.serve = serve
    tf.saved_model.save(module, str(directory), signatures={"serving_default": serve})
    return str(directory)


def explain_by_id(model_dir: str, examples: str, output: Path, **config: Any) -> tfx_explain.ExplanationReader:
    """Explains with a small background, by row id."""
    settings = {"background": {"num_rows": 20}, "id_key": "application_id", **config}
    return tfx_explain.explain(model=model_dir, examples=examples, output_dir=str(output), config=settings)
