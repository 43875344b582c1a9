"""What is explained on both engines: every method that one model has, a baseline model, slices, weights, labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

import worlds
from tfx_explain import records, tables
from tfx_explain.reader import ExplanationReader

N_FEATURES = 5
NAMES = [f"x{i}" for i in range(N_FEATURES)]
SPEC = {name: tf.io.FixedLenFeature([], tf.float32) for name in NAMES}


def config(n_rows: int) -> dict[str, Any]:
    """Of a run that explains so many rows."""
    return {
        "background": {"num_rows": 12},
        "label_key": "label",
        "example_weight_key": "weight",
        "slicing_specs": [{"feature_keys": ["segment"]}],
        "min_slice_examples": 20,
        "max_examples": n_rows,
        "methods": [
            {"shapley": {"interactions": 2}},
            {"occlusion": {}},
            {"integrated_gradients": {}},
            {"expected_gradients": {"num_samples": 12}},
            {"partial_dependence": {"grid_size": 5, "num_ice": 3, "pairs": [["x0", "x1"]], "pair_grid_size": 4}},
            {"accumulated_local_effects": {"num_bins": 4}},
            {"interaction_strength": {"num_rows": 60}},
            {"permutation_importance": {}},
            {"sage": {}},
            {"faithfulness": {"num_examples": 120, "num_random": 2}},
        ],
    }


def make(root: Path, n_rows: int) -> dict[str, str]:
    """Both models and the examples, as `explain` takes them."""
    models = [
        worlds.save_serving_model(root / name, _score(sign), SPEC) for name, sign in (("model", 1.0), ("other", -0.5))
    ]
    return {
        "model": models[0],
        "baseline_model": models[1],
        "examples": worlds.write_splits(root / "examples", _rows, 500, n_rows, num_shards=4),
    }


def _score(sign: float) -> Any:
    def score(features: dict[str, Any]) -> Any:
        x = [features[name] for name in NAMES]
        return tf.nn.sigmoid(x[0] * x[1] + sign * tf.tanh(x[2]) - 0.3 * x[3])[:, None]

    return score


def _rows(n: int, seed: int) -> list[dict[str, Any]]:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(n, N_FEATURES)).astype(np.float32)
    return [
        {
            **dict(zip(NAMES, map(float, row), strict=True)),
            "label": int(row[0] * row[1] > 0),
            "weight": float(rng.integers(1, 4)) / 3,
            "segment": int(rng.integers(3)),
        }
        for row in values
    ]


def differences(
    ours: ExplanationReader, theirs: ExplanationReader, key: Sequence[str] = NAMES
) -> tuple[dict[str, int], list[str]]:
    """How many columns each file has, attributions among them, and which of them differ in any bit.

    Args:
      ours: one explanation.
      theirs: another one.
      key: columns that tell rows apart.
    """
    counted, different = {}, []
    for name, (one, other) in _tables(ours, theirs, key).items():
        counted[name] = len(one.columns)
        if list(one.columns) != list(other.columns) or len(one) != len(other):
            different.append(f"{name}: other rows or columns")
            continue
        different += [f"{name}: {column}" for column in one.columns if not one[column].equals(other[column])]
    return counted, different


def _tables(ours: ExplanationReader, theirs: ExplanationReader, key: Sequence[str]) -> dict[str, Any]:
    found = {}
    for table in tables.TABLES:
        if table.key and (Path(ours.uri) / table.file).exists():
            pair = [records.read_table(f"{reader.uri}/{table.file}") for reader in (ours, theirs)]
            found[table.file] = [one.sort_values(list(table.key), ignore_index=True) for one in pair]
    rows = [reader.attributions() for reader in (ours, theirs)]
    found["attributions"] = [one.sort_values(list(key), ignore_index=True) for one in rows]
    return found
