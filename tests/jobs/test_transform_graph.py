"""Whole jobs with a transform graph: before the model, behind the label, and of no use."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
import tensorflow_transform as tft

import transforming
import worlds
from tfx_explain import ExplainConfig, errors, explain, records
from tfx_explain.config import ModelConfig
from tfx_explain.job.labels import choose_labels
from tfx_explain.job.model_handle import ModelHandle
from tfx_explain.job.request import ExplainRequest
from tfx_explain.job.transforming import are_raw_examples, graphs_of
from tfx_explain.models import load_model
from tfx_explain.models.transform.handle import TransformHandle
from tfx_explain.models.transform.joining import Front
from tfx_explain.reader import ExplanationReader

pytestmark = pytest.mark.usefixtures("without_statistics")

SETTINGS: dict[str, Any] = {"background": {"num_rows": 8}, "id_key": "id", "seed": 3}
METHODS = ["shapley", {"permutation_importance": {"num_donors": 2}}, "sage"]


@pytest.fixture(scope="module")
def graph(transform_graph: str) -> str:
    return transform_graph


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> str:
    return worlds.write_splits(tmp_path_factory.mktemp("examples"), transforming.make_rows, 60, 80)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return transforming.save_model(tmp_path_factory.mktemp("model") / "saved")


@pytest.fixture(scope="module")
def raw_model(tmp_path_factory: pytest.TempPathFactory, graph: str) -> str:
    """The same model as TFX's templates export it: its serving signature holds Transform's layer."""
    module = tf.Module()
    module.layer = tft.TFTransformOutput(graph).transform_features_layer()
    spec = {name: kind for name, kind in transforming.RAW.items() if name != "tips"}

    def serve(examples: tf.Tensor) -> dict[str, tf.Tensor]:
        made = module.layer(tf.io.parse_example(examples, spec))
        return {"p": transforming.score({name: made[name] for name in transforming.COLUMNS if name in made})}

    module.serve = tf.function(serve, input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    directory = str(tmp_path_factory.mktemp("raw") / "saved")
    tf.saved_model.save(module, directory, signatures={"serving_default": module.serve})
    return directory


@pytest.fixture(scope="module")
def joined(model: str, examples: str, graph: str, tmp_path_factory: pytest.TempPathFactory) -> ExplanationReader:
    """The model of transformed features, explained by all methods that need labels, which Transform makes."""
    config = {**SETTINGS, "label_key": "tips_xf", "methods": METHODS}
    out = str(tmp_path_factory.mktemp("joined") / "out")
    return explain(model=model, examples=examples, output_dir=out, config=config, transform_graph=graph)


@pytest.fixture(scope="module")
def inside(raw_model: str, examples: str, tmp_path_factory: pytest.TempPathFactory) -> ExplanationReader:
    """The model that has the transformation inside, with the label that the raw examples have."""
    config = {**SETTINGS, "label_key": "won", "methods": METHODS}
    out = str(tmp_path_factory.mktemp("inside") / "out")
    return explain(model=raw_model, examples=examples, output_dir=out, config=config)


def test_players_are_raw_features(joined: ExplanationReader, graph: str) -> None:
    assert sorted(joined.players) == ["age", "income", "race", "words"]
    assert {"tips", "won"} <= set(joined.manifest["unused_features"])
    used = joined.manifest["transform_graph"]
    assert (used["uri"], used["used_for"], len(used["digest"])) == (graph, ["model", "label"], 32)
    assert joined.manifest["label"] == {"key": "tips_xf", "from": "transform", "num_class_names": 0}


def test_a_joined_model_is_explained_as_one_with_the_transformation_inside(
    joined: ExplanationReader, inside: ExplanationReader
) -> None:
    ours, theirs = (done.attributions().set_index("example_id").sort_index() for done in (joined, inside))
    named = [name for name in ours if name.startswith("attribution_")]
    assert len(ours) == 80
    assert len(named) == 4
    # Both are float32 models of the same operations.
    np.testing.assert_allclose(ours[named], theirs[named], rtol=1e-4, atol=1e-5)


def test_labels_made_by_transform_give_the_losses_of_the_same_labels_in_the_examples(
    joined: ExplanationReader, inside: ExplanationReader
) -> None:
    assert inside.manifest["transform_graph"] is None
    assert inside.manifest["label"] == {"key": "won", "from": "examples", "num_class_names": 0}
    for method in ("permutation_importance", "sage"):
        ours, theirs = (done.manifest["method"][method] for done in (joined, inside))
        assert ours["mean_losses"] == pytest.approx(theirs["mean_losses"], rel=1e-4)
        assert ours["num_examples"] == 80
    tables = [done.importance_for(method="permutation_importance").set_index("player") for done in (joined, inside)]
    pd.testing.assert_series_equal(*(table["value"].sort_index() for table in tables), rtol=1e-3, atol=1e-5)


def test_a_model_that_takes_raw_examples_has_its_labels_from_transform(
    raw_model: str, examples: str, graph: str, joined: ExplanationReader, tmp_path: Path
) -> None:
    """As with TFX's templates; text labels are told apart by a vocabulary of the graph."""
    config = {**SETTINGS, "label_key": "tips_xf", "methods": METHODS[:2], "label_from": "transform"}
    done = explain(
        model=raw_model, examples=examples, output_dir=str(tmp_path / "out"), config=config, transform_graph=graph
    )
    assert done.manifest["transform_graph"]["used_for"] == ["label"]
    ours, theirs = (it.manifest["method"]["permutation_importance"]["mean_losses"]["loss"] for it in (done, joined))
    assert ours == pytest.approx(theirs, rel=1e-4)


def test_text_is_told_apart_by_a_vocabulary_of_the_graph_as_transform_tells_it_apart(graph: str) -> None:
    batches, _ = records.decode_examples([worlds.to_example(row) for row in transforming.make_rows(40, 5)])
    handle, rows = TransformHandle(graph).identified(), {"eval": batches[0]}
    by_name = choose_labels(ExplainConfig(label_key="race", class_names="races"), 4, rows, handle)
    by_graph = choose_labels(ExplainConfig(label_key="race_xf"), 4, rows, handle)
    assert by_name is not None
    assert by_graph is not None
    assert (by_name.transform, by_graph.transform) == (None, handle)
    expected = by_graph.of(batches[0])
    assert set(expected) == {0, 1, 2, 3}
    # The last one is Transform's bucket of what is out of the vocabulary.
    np.testing.assert_array_equal(by_name.of(batches[0]), np.where(expected == 3, np.nan, expected))


REFUSED: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "of no use": ({}, errors.ConfigError, "is of no use: the model takes raw examples already"),
    "no such column": (
        {"label_key": "fare_xf", "label_from": "transform"},
        errors.ConfigError,
        "makes no column `fare_xf`; it makes age, cross, income",
    ),
    "neither has it": (
        {"label_key": "fare_xf"},
        errors.MissingFeatureError,
        "`label_key: fare_xf` names neither a feature of the examples nor a column that the transform graph",
    ),
    "text without names": (
        {"label_key": "race_name", "methods": METHODS[:2]},
        errors.InputError,
        "needs labels that are numbers, but `race_name` of split `eval` is text",
    ),
    "more classes than outputs": (
        {"label_key": "race_name", "class_names": "races"},
        errors.ConfigError,
        "names 3 classes, but the model has one output",
    ),
    "no such vocabulary": (
        {"label_key": "race_name", "class_names": "colours"},
        errors.InputError,
        "colours",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_work_is_one_sentence(case: str, raw_model: str, examples: str, graph: str, tmp_path: Path) -> None:
    config, error, message = REFUSED[case]
    with pytest.raises(error, match=message) as caught:
        explain(
            model=raw_model,
            examples=examples,
            output_dir=str(tmp_path / "out"),
            config={**SETTINGS, **config},
            transform_graph=graph,
        )
    assert "\n" not in str(caught.value)


def test_examples_without_what_the_label_is_made_of_are_refused(model: str, graph: str, tmp_path: Path) -> None:
    """Transform fills in what is missing: a label of unlabelled rows looks like any other."""

    def unlabelled(n: int, seed: int) -> list[dict[str, Any]]:
        return [{**row, "tips": None} for row in transforming.make_rows(n, seed)]

    examples = worlds.write_splits(tmp_path / "examples", unlabelled, 20, 20)
    config = {**SETTINGS, "label_key": "tips_xf", "methods": METHODS}
    with pytest.raises(errors.MissingFeatureError, match="makes the label `tips_xf` of `tips`, which no example"):
        explain(model=model, examples=examples, output_dir=str(tmp_path / "out"), config=config, transform_graph=graph)


@pytest.fixture(scope="module")
def transformed_examples(graph: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """What Transform makes of the same rows, as it writes them."""
    layer = tft.TFTransformOutput(graph).transform_features_layer()

    def rows(n: int, seed: int) -> list[dict[str, Any]]:
        serialized = [worlds.to_example(row) for row in transforming.make_rows(n, seed)]
        made = layer(tf.io.parse_example(serialized, transforming.RAW))
        words = tf.RaggedTensor.from_sparse(made.pop("words_xf")).to_list()
        columns = {name: column.numpy().tolist() for name, column in made.items()}
        return [
            {**{name: column[i] for name, column in columns.items()}, "words_xf": words[i] or None, "id": i}
            for i in range(n)
        ]

    return worlds.write_splits(tmp_path_factory.mktemp("transformed"), rows, 60, 80)


def test_columns_of_transformed_examples_are_led_back_to_raw_features(
    model: str, transformed_examples: str, graph: str, joined: ExplanationReader, tmp_path: Path
) -> None:
    config = {
        **SETTINGS,
        "label_key": "tips_xf",
        "methods": METHODS[:2],
        "features": {"groups": {"one": ["words", "race"]}},
    }
    out = str(tmp_path / "out")
    done = explain(model=model, examples=transformed_examples, output_dir=out, config=config, transform_graph=graph)
    players = {"age": ["age"], "age+income": ["cross"], "income": ["income"], "one": ["race_xf", "words_xf"]}
    assert done.manifest["players"] == players
    assert done.manifest["transform_graph"]["used_for"] == ["players"]
    assert done.manifest["label"]["from"] == "examples"
    ours, theirs = (it.manifest["method"]["permutation_importance"]["mean_losses"]["loss"] for it in (done, joined))
    assert ours == pytest.approx(theirs, rel=1e-4)


def test_which_side_of_the_graph_examples_are_on(graph: str) -> None:
    handle = TransformHandle(graph).identified()

    def told(*rows: dict[str, Any], config: dict[str, Any] | None = None) -> bool:
        batches = [records.decode_examples([worlds.to_example(row)])[0][0] for row in rows]
        return are_raw_examples(ExplainConfig(**config or {}), handle, {"eval": batches[0]}, batches[-1])

    raw, made = {"income": 1.0, "age": 2.0, "race": b"red"}, {"income": 1.0, "age": 2.0, "race_xf": 1}
    assert told(raw)
    assert told({**raw, "tips_xf": 1})
    assert not told(made)
    with pytest.raises(errors.ConfigError, match=r"nothing tells whether the examples are raw .* set `examples_are`"):
        told({"income": 1.0, "age": 2.0})
    assert told({"income": 1.0}, config={"examples_are": "raw"})
    assert not told({"income": 1.0}, config={"examples_are": "transformed"})
    with pytest.raises(
        errors.InputError, match=r"split `train .background.` has raw examples and split `eval` transfo"
    ):
        told(made, raw)
    with pytest.raises(errors.ConfigError, match="give `transform_graph`, or remove it"):
        are_raw_examples(ExplainConfig(examples_are="raw"), None, {}, None)
    with pytest.raises(errors.ConfigError, match=r"`model.takes` says what is on which side"):
        are_raw_examples(ExplainConfig(model={"takes": "raw"}), None, {}, None)


def test_a_model_of_raw_examples_is_not_given_transformed_ones(
    raw_model: str, transformed_examples: str, graph: str, tmp_path: Path
) -> None:
    """All of its features may be missing, so it would give something."""
    with pytest.raises(
        errors.ConfigError, match=r"the model reads `race`, which the transform graph at .* does not make"
    ):
        explain(
            model=raw_model,
            examples=transformed_examples,
            output_dir=str(tmp_path / "out"),
            config=SETTINGS,
            transform_graph=graph,
        )


def test_a_baseline_model_stands_behind_the_graph_that_it_was_trained_with(
    model: str, examples: str, transformed_examples: str, graph: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Another vocabulary, in which words have other numbers."""
    words = [
        {"income": [1.0], "race": [word], "age": 1.0, "words": [word] * (i + 1), "tips": []}
        for i, word in enumerate(transforming.WORDS)
    ]
    earlier = transforming.write_transform_graph(tmp_path / "earlier", rows=[*words, *words[2:]])
    handles = {name: TransformHandle(path).identified() for name, path in (("now", graph), ("earlier", earlier))}

    def request(of_baseline: TransformHandle, pattern: str) -> ExplainRequest:
        return ExplainRequest.build(
            config=ExplainConfig(**SETTINGS),
            models=[ModelHandle(model, ModelConfig(), transform=it) for it in graphs_of(handles["now"], of_baseline)],
            example_patterns={"eval": f"{pattern}/Split-eval/*"},
            background_pattern=f"{pattern}/Split-train/*",
            explanation_dir=str(tmp_path / "out"),
            attributions_dir=str(tmp_path / "out"),
        )

    batch = records.decode_examples([worlds.to_example(row) for row in transforming.make_rows(20, 4)])[0][0]
    ours, theirs = (it.predict(it.inputs(batch)) for it in request(handles["earlier"], examples).loaded)
    for made, name in ((ours, "now"), (theirs, "earlier")):
        alone = load_model(model, transform=Front(handles[name].acquire()))
        np.testing.assert_array_equal(made, alone.predict(alone.inputs(batch)))
    assert abs(ours - theirs).max() > 0.1
    assert "baseline_transform_graph" not in caplog.text
    assert graphs_of(handles["now"], None) == [handles["now"], handles["now"]]
    request(handles["now"], examples)
    assert "give `baseline_transform_graph` where that was another one" in caplog.text
    with pytest.raises(errors.ConfigError, match="which models of two transform graphs cannot share"):
        request(handles["earlier"], transformed_examples)
    with pytest.raises(errors.ConfigError, match="`baseline_transform_graph` says what the baseline model"):
        graphs_of(None, handles["earlier"])
