"""Batches of which no row can be explained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tensorflow as tf

import tfx_explain
import worlds


def score(features: dict[str, Any]) -> Any:
    return tf.math.log(features["age"])[:, None] + features["debt"][:, None]


def test_a_file_without_a_usable_row_costs_only_its_rows(tmp_path: Path) -> None:
    def rows(n: int, seed: int) -> list[dict[str, float]]:
        # Every other row, and so one of the two files, has an output that is no number.
        return [{"age": -1.0 if i % 2 and seed else 1.0 + i, "debt": float(i % 5)} for i in range(n)]

    spec = {name: tf.io.FixedLenFeature([], tf.float32) for name in ("age", "debt")}
    model = worlds.save_serving_model(tmp_path / "model", score, spec)
    examples = worlds.write_splits(tmp_path / "examples", rows, 16, 12, num_shards=2)
    methods: list[Any] = ["shapley", "integrated_gradients", "expected_gradients", "partial_dependence"]
    config = {"methods": methods, "max_failed_fraction": 0.6, "model": {"output_space": "raw"}, "max_examples": None}
    made = tfx_explain.explain(
        model=model,
        examples=examples,
        output_dir=str(tmp_path / "out"),
        config={**config, "background": {"num_rows": 8}},
    )
    assert len(made.attributions()) == 6
    assert len(made.dead_letters()) == 6
