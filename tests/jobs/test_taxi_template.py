"""TFX's own taxi template as it is: its label is made in Transform, its Keras model takes what Transform makes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_transform as tft
from scipy import special
from tfx.experimental.templates.taxi.models import preprocessing
from tfx.experimental.templates.taxi.models.keras_model import model as template

import transforming
import worlds
from tfx_explain import explain, records
from tfx_explain.models import load_model
from tfx_explain.models.transform.graph import TransformGraph
from tfx_explain.models.transform.joining import Front

RAW = {
    **dict.fromkeys(("trip_miles", "pickup_latitude", "fare", "tips"), tf.io.VarLenFeature(tf.float32)),
    "trip_start_hour": tf.io.VarLenFeature(tf.int64),
}
READ = ["pickup_latitude", "trip_miles", "trip_start_hour"]


def make_rows(n: int, seed: int) -> list[dict[str, Any]]:
    """Trips, one in seven without a pickup."""
    rng = np.random.default_rng(seed)
    return [
        {
            "trip_miles": float(miles),
            "pickup_latitude": float(latitude) if i % 7 else None,
            "trip_start_hour": int(rng.integers(24)),
            "fare": float(3 + 2 * miles),
            "tips": float(rng.exponential(2.0)),
        }
        for i, (miles, latitude) in enumerate(zip(rng.lognormal(size=n), rng.normal(41.9, 0.05, n), strict=True))
    ]


class Taxi(NamedTuple):
    graph: str
    model: str
    examples: str


@pytest.fixture(scope="module")
def taxi(tmp_path_factory: pytest.TempPathFactory) -> Taxi:
    """The template's `serving_default` and `transform_features`, and `columns` of the Keras model itself."""
    root = tmp_path_factory.mktemp("taxi")
    rows = [{name: [] if value is None else [value] for name, value in row.items()} for row in make_rows(100, 7)]
    graph = transforming.write_transform_graph(root, preprocessing.preprocessing_fn, RAW, rows)
    keras.utils.set_random_seed(2)
    net = template._build_keras_model(hidden_units=[4], learning_rate=0.1)
    output = tft.TFTransformOutput(graph)

    @tf.function
    def columns(**made: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"outputs": net(made)}

    specs = {it.name: tf.TensorSpec([None, 1], it.dtype, name=it.name) for it in net.inputs}
    signatures = {
        "serving_default": template._get_tf_examples_serving_signature(net, output),
        "transform_features": template._get_transform_features_signature(net, output),
        "columns": columns.get_concrete_function(**specs),
    }
    tf.saved_model.save(net, str(root / "model"), signatures=signatures)
    return Taxi(graph, str(root / "model"), worlds.write_splits(root / "examples", make_rows, 40, 60))


def call(taxi: Taxi, signature: str, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    loaded = tf.saved_model.load(taxi.model)
    made = loaded.signatures[signature](examples=tf.constant([worlds.to_example(row) for row in rows]))
    return {name: value.numpy().ravel() for name, value in made.items()}


def test_methods_that_need_labels_use_the_one_that_transform_makes(taxi: Taxi, tmp_path: Path) -> None:
    methods = ["shapley", "permutation_importance", "sage"]
    config = {"background": {"num_rows": 8}, "label_key": "tips_xf", "methods": methods}
    out = str(tmp_path / "out")
    done = explain(model=taxi.model, examples=taxi.examples, output_dir=out, config=config, transform_graph=taxi.graph)
    assert sorted(done.players) == READ
    assert done.manifest["label"]["from"] == "transform"
    rows = make_rows(60, 1)
    label = call(taxi, "transform_features", rows)["tips_xf"]
    p = call(taxi, "serving_default", rows)["outputs"].astype(np.float64)
    assert set(label) == {0, 1}
    expected = -np.log(np.where(label == 1, p, 1 - p)).mean()
    for method in ("permutation_importance", "sage"):
        assert done.manifest["method"][method]["mean_losses"]["loss"] == pytest.approx(expected, rel=1e-5)
        assert np.isfinite(done.importance_for(method=method)[["value", "ci_low", "ci_high"]]).all(axis=None)


def test_the_keras_model_alone_is_the_serving_model_behind_the_transform_graph(taxi: Taxi) -> None:
    """Its inputs are int32, where Transform makes int64, as in training."""
    joined = load_model(taxi.model, signature="columns", transform=Front(TransformGraph(taxi.graph)))
    assert [feature.name for feature in joined.features] == READ
    rows = make_rows(30, 3)
    ((batch, _),) = records.decode_records([worlds.to_example(row) for row in rows])[0]
    ours = special.expit(joined.predict(joined.inputs(batch))[:, 0])
    np.testing.assert_allclose(ours, call(taxi, "serving_default", rows)["outputs"], rtol=1e-5)
