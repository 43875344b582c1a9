"""Models of transformed features behind the transform graph that they were trained with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_transform as tft

import transforming
from tfx_explain.errors import ConfigError, ModelError, SignatureError
from tfx_explain.models import Model, load_model
from tfx_explain.models.features import FeatureSpec
from tfx_explain.models.graph import Port
from tfx_explain.models.transform.graph import TransformGraph, misfit
from tfx_explain.models.transform.joining import Front
from tfx_explain.models.trust import check_rows

Rows = list[dict[str, Any]]
READ = ("age", "income", "race", "words")


@pytest.fixture(scope="module", params=["tf2", "tf1"])
def any_graph(request: pytest.FixtureRequest, transform_graph: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    if request.param == "tf2":
        return transform_graph
    return transforming.write_transform_graph(tmp_path_factory.mktemp("tf1"), as_tf1=True)


@pytest.fixture(scope="module")
def graph(transform_graph: str) -> str:
    return transform_graph


@pytest.fixture(scope="module")
def model_dir(tmp_path_factory: pytest.TempPathFactory) -> str:
    return transforming.save_model(tmp_path_factory.mktemp("model") / "saved")


def transformed(graph: str, rows: Rows, to_example: Callable[[Mapping[str, Any]], bytes]) -> dict[str, Any]:
    """What Transform itself makes of rows, in NumPy; lists as lists."""
    layer = tft.TFTransformOutput(graph).transform_features_layer()
    examples = [to_example({**row, "age": row.get("age") or [0.0]}) for row in rows]
    made = layer(tf.io.parse_example(examples, transforming.RAW))
    ragged = tf.RaggedTensor.from_sparse(made.pop("words_xf")).to_list()
    return {name: column.numpy() for name, column in made.items()} | {"words_xf": ragged}


@pytest.mark.parametrize("signature", ["serving_default", "tensors"])
def test_a_joined_model_gives_what_the_two_give_one_after_the_other(
    signature: str, any_graph: str, model_dir: str, check_model: Any, tools: Any
) -> None:
    function = tf.saved_model.load(model_dir).signatures["serving_default"]

    def call(rows: Rows) -> np.ndarray:
        columns = transformed(any_graph, rows, tools.to_example)
        one_by_one = [
            {name: np.ravel(columns[name][i]).tolist() for name in transforming.COLUMNS} for i in range(len(rows))
        ]
        return np.asarray(function(examples=tf.constant(list(map(tools.to_example, one_by_one))))["p"], np.float64)

    model = load_model(model_dir, signature=signature, transform=Front(TransformGraph(any_graph)))
    assert (model.access, model.output_space, model.is_joined) == ("parse_cut", "logit", True)
    assert tuple(spec.name for spec in model.features) == READ
    data = tools.Data(transforming.SCHEMA)
    check_model(model, data, tools.logit(call), [["income"], ["race"], ["age", "words"]])
    check_rows(model, model.inputs(data.batch(data.rows(40, 9))), [[name] for name in READ])


def test_the_judge_is_the_signature_itself(graph: str, model_dir: str, tools: Any) -> None:
    data = tools.Data(transforming.SCHEMA)
    for signature in ("serving_default", "tensors"):
        model = load_model(model_dir, signature=signature, transform=Front(TransformGraph(graph)))
        inputs = model.inputs(data.batch(data.rows(30, 3)))
        assert model.own is not None
        np.testing.assert_allclose(model.own.signature.outputs(inputs), model.own.ours(inputs), rtol=1e-5)


UNFIT = {
    "race_xf": (tf.io.FixedLenFeature([], tf.string), "is string, where the model takes int64"),
    "age": (tf.io.VarLenFeature(tf.float32), "has any number of values, where the model takes 1"),
    "cross": (tf.io.FixedLenFeature([2], tf.float32), "has 2 values, where the model takes 1"),
    "words_xf": (tf.io.VarLenFeature(tf.float32), "is float32, where the model takes int64"),
    "income": (tf.io.SparseFeature("i", "v", tf.float32, 3), "is a SparseFeature"),
}


def test_a_column_that_the_graph_does_not_make_as_the_model_takes_it_is_said(graph: str, model_dir: str) -> None:
    transform = TransformGraph(graph)
    whole = dict(transform.columns)
    for name, (made, why) in UNFIT.items():
        transform.columns = {**whole, name: made}
        with pytest.raises(SignatureError, match=rf"column '{name}' of the transform graph at .* {why}"):
            load_model(model_dir, transform=Front(transform))
    transform.columns = {name: made for name, made in whole.items() if name != "cross"}
    with pytest.raises(SignatureError, match=r"takes feature 'cross', which the transform graph .* does not make; it"):
        load_model(model_dir, transform=Front(transform))


def test_integers_are_cast_as_in_training_but_floats_never() -> None:
    def fault(made: tf.DType, taken: str) -> str:
        port = Port(FeatureSpec("x", taken, "dense"), "dense", ("x:0",))
        return misfit(port, tf.io.FixedLenFeature([], made))

    assert not any(fault(tf.int64, taken) for taken in ("int32", "float32", "int64"))
    assert all((fault(tf.float32, "int64"), fault(tf.string, "int64"), fault(tf.int64, "string")))


def save_raw_model(directory: Path, graph: str, names: Sequence[str], *, has_layer: bool) -> str:
    """A model of raw features that columns are called like, with the transformation inside or without any."""
    layer = tft.TFTransformOutput(graph).transform_features_layer()
    spec = {name: transforming.RAW[name] for name in names}

    def serve(examples: tf.Tensor) -> dict[str, tf.Tensor]:
        parsed = tf.io.parse_example(examples, spec)
        made = layer(parsed) if has_layer else {name: transforming._filled(x, 0.0) for name, x in parsed.items()}
        return {"p": tf.sigmoid(tf.add_n([made[name] for name in names]))[:, None]}

    module = tf.Module()
    module.layer = layer
    module.serve = tf.function(serve, input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    tf.saved_model.save(module, str(directory), signatures={"serving_default": module.serve})
    return str(directory)


def test_a_model_of_raw_features_is_loaded_as_it_is_where_columns_have_their_names(graph: str, tmp_path: Path) -> None:
    """The layer inside tells a model of one number that is one number behind the graph, too; else how it is parsed."""
    for names, has_layer in ((["age"], True), (["income"], False)):
        model_dir = save_raw_model(tmp_path / names[0], graph, names, has_layer=has_layer)
        model = load_model(model_dir, transform=Front(TransformGraph(graph)))
        assert not model.is_joined
        assert [spec.name for spec in model.features] == names


def test_a_model_that_may_take_either_is_not_guessed_about(graph: str, tmp_path: Path, tools: Any) -> None:
    """One number with the same name before and behind the graph: its double is made there."""
    module = tf.Module()
    module.take = tf.function(lambda age: {"y": 3.0 * age}, input_signature=[tf.TensorSpec([None, 1], name="age")])
    tf.saved_model.save(module, str(tmp_path / "model"), signatures={"serving_default": module.take})

    def load(takes: str | None) -> Model:
        front = Front(TransformGraph(graph), takes)
        return load_model(str(tmp_path / "model"), output_space="raw", transform=front)

    with pytest.raises(ConfigError, match=r"nothing tells whether .* set `model.takes` to `raw` or `transformed`"):
        load(None)
    batch = tools.Data(transforming.SCHEMA).batch([{"age": [2.0]}])
    for takes, expected in (("raw", 6.0), ("transformed", 12.0)):
        model = load(takes)
        assert model.predict(model.inputs(batch)) == expected


def test_what_is_no_transform_graph_is_said(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"is no transform graph: it lacks transform_fn/saved_model.pb; name what"):
        TransformGraph(str(tmp_path))
