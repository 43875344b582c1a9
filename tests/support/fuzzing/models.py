"""Small models for fuzzing, made in a second."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tensorflow as tf

import worlds


def linear(directory: Path, debt: float = 0.0) -> str:
    """`worlds.linear_output` as a SavedModel on serialized tf.Examples, its weight of `debt` moved by so much."""
    spec = {
        "age": tf.io.FixedLenFeature([], tf.float32),
        "income": tf.io.FixedLenFeature([], tf.float32),
        "debt": tf.io.FixedLenFeature([], tf.int64, default_value=0),
        "race": tf.io.FixedLenFeature([], tf.string, default_value=b"a"),
    }
    weights = {**worlds.LINEAR_WEIGHTS, "debt": worlds.LINEAR_WEIGHTS["debt"] + debt}

    def score(features: dict[str, Any]) -> Any:
        numeric = sum(weight * tf.cast(features[name], tf.float64) for name, weight in weights.items())
        return numeric + worlds.RACE_EFFECT[b"b"] * tf.cast(features["race"] == b"b", tf.float64)

    return worlds.save_serving_model(directory, score, spec)
