"""What single keys of other systems become, and how files that cannot be converted are refused."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfx_explain.config import ExplainConfig
from tfx_explain.conversion import Converted, Fate, System, convert_file
from tfx_explain.errors import ConfigError

FILES = Path(__file__).parents[1] / "fixtures/conversion"


def converted(directory: Path, data: Any, system: System, feature: str | None = None) -> Converted:
    file = directory / "file.json"
    file.write_text(data if isinstance(data, str) else json.dumps(data))
    return convert_file(str(file), system, feature)


def config_of(directory: Path, data: Any, system: System, feature: str | None = None) -> dict[str, Any]:
    """What differs from the defaults."""
    config = converted(directory, data, system, feature).config.model_dump(mode="json", exclude_defaults=True)
    return {name: value for name, value in config.items() if name not in ("max_examples", "model")}


def lost(made: Converted) -> dict[str, str]:
    return {note.key: note.says for note in made.notes if note.fate in (Fate.LOST, Fate.UNKNOWN)}


@pytest.mark.parametrize("file", sorted(FILES.iterdir()), ids=lambda file: file.name)
def test_the_text_is_the_configuration(file: Path) -> None:
    made = convert_file(str(file), "clarify" if file.name.startswith("clarify") else "vertex")
    assert ExplainConfig.from_yaml(made.text) == made.config
    for note in made.notes:
        assert note.fate is Fate.CARRIED or f"# - {note}\n" in made.text


names = st.text(st.characters(codec="utf-8"), min_size=1).filter(str.strip) | st.sampled_from(
    ["no", "1e3", "089", "0x1F", "12:30", "~", "a: b", "#", "1_000", "2026-01-01", "=", "<<", ".inf", "null", "'", '"']
)


@given(names, names)
def test_any_name_is_read_as_it_was_written(tmp_path_factory: pytest.TempPathFactory, label: str, feature: str) -> None:
    data = {"label": label, "methods": {"shap": {"features_to_explain": [feature]}}}
    made = converted(tmp_path_factory.mktemp("names"), data, "clarify")
    assert ExplainConfig.from_yaml(made.text) == made.config
    assert (made.config.label_key, made.config.features.include) == (label, (feature,))


def test_indices_need_headers(tmp_path: Path) -> None:
    shap = {"features_to_explain": [0, 1]}
    known = {"headers": ["y", "a", "b"], "label": 0, "methods": {"shap": shap}}
    assert config_of(tmp_path, known, "clarify") == {"label_key": "y", "features": {"include": ["y", "a"]}}
    for headers in ([], ["y"]):
        made = converted(tmp_path, {**known, "headers": headers, "label": 1}, "clarify")
        assert set(lost(made)) == {"label", "methods.shap.features_to_explain"}
        assert made.config.label_key is None
        assert made.config.features.include is None


def test_the_label_of_json_is_the_header_behind_the_features(tmp_path: Path) -> None:
    data = {"dataset_type": "application/jsonlines", "label": "l", "methods": {"shap": {}}}
    assert config_of(tmp_path, data, "clarify") == {"label_key": "l"}
    data |= {"headers": ["a", "b", "target"]}
    assert config_of(tmp_path, data, "clarify") == {"label_key": "target"}
    data |= {"headers": ["a", "b", "target", "guess"], "predicted_label": "g"}
    assert config_of(tmp_path, data, "clarify") == {"label_key": "target"}
    del data["headers"]
    assert set(lost(converted(tmp_path, {**data, "label": "max(a, b)"}, "clarify"))) == {"label", "predicted_label"}


@pytest.mark.parametrize(
    ("expression", "name"),
    [("id", "id"), ("[*].id", "id"), ("[].id", "id"), ("[].a.id", "id"), ('[]."item-id"', None), ("item-id", None),
     ("a || id", None), ("max(id)", None)],
)  # fmt: skip
def test_an_expression_names_a_feature_where_it_is_a_path(tmp_path: Path, expression: str, name: str | None) -> None:
    data = {"time_series_data_config": {"item_id": expression}, "methods": {"asymmetric_shapley_value": {}}}
    made = converted(tmp_path, data, "clarify")
    assert made.config.id_key == name
    assert ("time_series_data_config.item_id" in lost(made)) == (name is None)
    data = {"joinsource_name_or_index": expression, "dataset_type": "application/jsonlines", "methods": {"shap": {}}}
    made = converted(tmp_path, data, "clarify")
    assert made.config.id_key == (None if ".a." in expression else name)


@pytest.mark.parametrize(
    ("values", "specs"),
    [
        (None, [{"feature_keys": ["sex"]}]),
        ([], [{"feature_keys": ["sex"]}]),
        (["m"], [{"feature_values": {"sex": "m"}}]),
        ([0, 1], [{"feature_values": {"sex": 0}}, {"feature_values": {"sex": 1}}]),
        ([0], []),
        (0.5, []),
    ],
)
def test_one_number_of_a_facet_may_be_a_threshold(tmp_path: Path, values: Any, specs: list[Any]) -> None:
    facet = {"name_or_index": "sex", "value_or_threshold": values}
    made = converted(tmp_path, {"facet": [facet], "methods": {"shap": {}}}, "clarify")
    got = [spec.model_dump(mode="json", exclude_defaults=True) for spec in made.config.slicing_specs]
    assert got == [{}, *specs]
    assert ("facet[0].value_or_threshold" in lost(made)) == (values is not None and not specs)


def test_segments_of_one_value_are_slices(tmp_path: Path) -> None:
    config = [
        {"name_or_index": "age", "segments": [["[1, 4]"], ["(4, 9]"]]},
        {"name_or_index": "job", "segments": [["a", "b"]]},
    ]
    made = converted(tmp_path, {"segment_config": config, "methods": {"shap": {}}}, "clarify")
    assert len(made.config.slicing_specs) == 1
    assert len(lost(made)) == 4


def test_a_text_is_found_by_its_baseline_or_by_name(tmp_path: Path) -> None:
    shap = {
        "text_config": {"granularity": "sentence", "language": "en"},
        "baseline": [["x", "[MASK]"]],
        "num_samples": 9,
    }
    data = {"headers": ["title", "body"], "methods": {"shap": shap}}
    made = converted(tmp_path, data, "clarify")
    assert {"methods.shap.text_config.granularity", "methods.shap.num_samples"} <= set(lost(made))
    assert not made.config.shapley.parts
    named = converted(tmp_path, data, "clarify", "body")
    assert named.config.shapley.parts["body"].model_dump(exclude_defaults=True) == {
        "unit": "sentence",
        "absent": "[MASK]",
    }
    assert "64" in lost(named)["methods.shap.num_samples"]


@pytest.mark.parametrize(
    ("baseline", "absent"),
    [
        ([["x", ""]], None),
        ([["x", "_"], ["y", "_"]], "_"),
        # A word that is a keyword here, several words, and what is no row of texts: told, never taken for another.
        ([["x", "delete"]], "told"),
        ([["x", "_"], ["x", "?"]], "told"),
        ([["x", 3]], "told"),
        ([["_"]], "told"),
        ([{"features": ["x", "_"]}], "told"),
        ("s3://bucket/baseline.csv", "told"),
    ],
)
def test_what_stands_for_absent_parts_of_a_text(tmp_path: Path, baseline: Any, absent: str | None) -> None:
    shap = {"text_config": {"granularity": "token"}, "baseline": baseline}
    data = {"headers": ["title", "body"], "methods": {"shap": shap}}
    made = converted(tmp_path, data, "clarify", "body")
    is_told = absent == "told"
    assert made.config.shapley.parts["body"].absent == (absent if absent and not is_told else "delete")
    assert ("`absent` of `methods.shapley.parts.body`" in lost(made).get("methods.shap.baseline", "")) == is_told


@pytest.mark.parametrize("segments", [None, []])
def test_a_column_without_segments_is_no_slice(tmp_path: Path, segments: Any) -> None:
    data = {"segment_config": [{"name_or_index": "age", "segments": segments}], "methods": {"shap": {}}}
    made = converted(tmp_path, data, "clarify")
    assert len(made.config.slicing_specs) == 1
    assert "`segments` does not say" in lost(made)["segment_config[0].name_or_index"]
    assert "segment_config[0].segments" not in lost(made)


def test_a_series_is_absent_as_the_file_says_or_it_is_told(tmp_path: Path) -> None:
    names = {"target_time_series": "sales.series", "related_time_series": ["cost.series"]}
    baseline = {"target_time_series": "median", "related_time_series": "zero"}
    data = {"time_series_data_config": names, "methods": {"asymmetric_shapley_value": {"baseline": baseline}}}
    made = converted(tmp_path, data, "clarify")
    assert set(lost(made)) == {
        "methods.asymmetric_shapley_value.baseline.target_time_series",
        "time_series_data_config.related_time_series",
    }
    assert [*made.config.shapley.parts] == ["series"]


def test_baselines_of_one_row_are_references_of_gradients(tmp_path: Path) -> None:
    def references(*baselines: Any) -> Any:
        inputs = {f"f{i}": {} if one is None else {"inputBaselines": one} for i, one in enumerate(baselines)}
        data = {"parameters": {"integratedGradientsAttribution": {}}, "metadata": {"inputs": inputs}}
        return converted(tmp_path, data, "vertex").config.method("integrated_gradients").references

    assert references([0], [[0, 0.0]], [""]) == "zero"
    assert references([0], None) == {"f0": 0}
    assert references([1.5], [[1, 2]]) == {"f0": 1.5, "f1": (1, 2)}
    assert references([1.5], [[[1], [2]]]) == {"f0": 1.5}
    assert references([0], [0, 1]) == "background"
    assert references(None, None) == "background"


def test_paths_are_counted_by_the_features_they_permute(tmp_path: Path) -> None:
    inputs = {name: {} for name in "abcde"} | {"f": {"groupName": "g"}, "h": {"groupName": "g"}}
    data = {"parameters": {"sampledShapleyAttribution": {"pathCount": 3}}, "metadata": {"inputs": inputs}}
    shapley = converted(tmp_path, data, "vertex").config.shapley
    assert (shapley.estimator, shapley.budget) == ("permutation", 4 * 5)  # of 6 players, in pairs
    del data["metadata"]
    made = converted(tmp_path, data, "vertex")
    assert made.config.shapley.budget == "auto"
    assert set(lost(made)) == {"parameters.sampledShapleyAttribution.pathCount"}
    data["metadata"] = {"inputs": {"a": {}}, "outputs": {name: {"outputTensorName": name} for name in "pq"}}
    made = converted(tmp_path, data, "vertex")
    assert (made.config.shapley.budget, made.config.model.output_key) == ("auto", "p")
    assert set(lost(made)) == {"metadata.outputs.q.outputTensorName"}


@pytest.mark.parametrize(
    ("parameters", "classes"),
    [
        ({}, "predicted"),
        ({"topK": 1}, "predicted"),
        ({"topK": -1}, None),
        ({"topK": 3}, None),
        ({"outputIndices": [2.0, 0]}, (2, 0)),
        ({"outputIndices": [[0, 1]]}, None),
        ({"outputIndices": [1.5, -1]}, None),
        ({"outputIndices": [1], "topK": 2}, (1,)),
    ],
)
def test_outputs_that_are_explained(tmp_path: Path, parameters: dict[str, Any], classes: Any) -> None:
    data = {"parameters": {"xraiAttribution": {}, **parameters}}
    made = converted(tmp_path, data, "vertex")
    assert made.config.model.classes == classes
    told = {note.key: note.fate for note in made.notes}
    assert (told.get("parameters.topK") is Fate.CHANGED) == (parameters == {"topK": 3})
    assert set(told) >= {f"parameters.{name}" for name in parameters}


def test_an_infinite_number_is_no_output(tmp_path: Path) -> None:
    made = converted(tmp_path, "parameters: {xraiAttribution: {}, outputIndices: [.inf]}", "vertex")
    assert (made.config.model.classes, [*lost(made)]) == (None, ["parameters.outputIndices"])


def test_colours_of_an_image(tmp_path: Path) -> None:
    def xrai(*baselines: Any, **more: Any) -> Any:
        image = {"modality": "image", "inputBaselines": list(baselines), **more}
        data = {"parameters": {"xraiAttribution": {"stepCount": 17}}, "metadata": {"inputs": {"picture": image}}}
        return converted(tmp_path, data, "vertex").config.method("xrai")

    assert (xrai(0).feature, xrai(0).num_steps, xrai(0).references) == ("picture", 32, ("black",))
    assert xrai([[0, 0]], [[1, 1]]).references == ("black", "white")
    assert xrai(7.5, featureValueDomain={"maxValue": 7.5}).references == ("white",)
    assert xrai(0.3).references == ("black", "white")
    # What the file says of the values decides: of 0 to 255 an image of 1 is nearly black, of -1 to 1 one of 0 is grey.
    assert xrai(1, featureValueDomain={"maxValue": 255}).references == ("black", "white")
    assert xrai(0, featureValueDomain={"minValue": -1, "maxValue": 1}).references == ("black", "white")
    assert xrai([[-1]], domain={"min": -1, "max": 1}).references == ("black",)


def test_what_the_sdk_prints_is_read_in_each_of_its_forms(tmp_path: Path) -> None:
    """Vertex AI's own classes: with and without defaults, enumerations as names and numbers, both cases of letters."""
    types = pytest.importorskip("google.cloud.aiplatform_v1.types")
    data = {
        "parameters": {"integratedGradientsAttribution": {"stepCount": 20}, "outputIndices": [1]},
        "metadata": {
            "inputs": {
                "bag": {"encoding": "BAG_OF_FEATURES", "indexFeatureMapping": ["a", "b"], "inputTensorName": "x"},
                "age": {"inputBaselines": [30.5]},
            },
            "outputs": {"score": {"outputTensorName": "score", "indexDisplayNameMapping": ["n", "y"]}},
        },
    }
    spec = types.ExplanationSpec.from_json(json.dumps(data))
    printed: list[Any] = [type(spec).to_dict(spec), type(spec).to_dict(spec, use_integers_for_enums=False)]
    printed += [type(spec).to_json(spec), type(spec).to_json(spec, use_integers_for_enums=False, indent=None)]
    first, *others = [converted(tmp_path, one, "vertex").config for one in printed]
    settings = first.method("integrated_gradients")
    assert (settings.max_steps, settings.references, [*settings.parts]) == (20, {"age": 30.5}, ["x"])
    assert first.model.output_key == "score"
    assert all(other == first for other in others)


@pytest.mark.parametrize(
    ("system", "text", "said"),
    [
        ("clarify", '{"methods": {"shap": {}}, "methods": {}}', "has the key 'methods' twice in one mapping"),
        ("clarify", "[]", "holds no mapping of keys to values; check that it is a configuration of SageMaker Clarify"),
        ("clarify", "methods: {shap: {}}", "is not valid JSON"),
        ("clarify", '{"methods": []}', "`methods` is a mapping, got []"),
        ("clarify", '{"methods": {"shap": {"num_samples": "many"}}}', "num_samples` is a whole number, got 'many'"),
        ("clarify", '{"methods": {"shap": {"use_logit": 1}}}', "`methods.shap.use_logit` is true or false, got 1"),
        ("clarify", '{"methods": {"post_training_bias": {"methods": "all"}}}', "the file asks for no explanation"),
        ("clarify", '{"facet": [{"name_or_index": true}], "methods": {}}', "[0].name_or_index` is a name or an index"),
        ("vertex", '{"parameters": {"examples": {"neighborCount": 3}}}', "examples like each row alone"),
        ("vertex", '{"inputs": {"a": {"groupName": 3}}}', "`inputs.a.groupName` is a text, got 3"),
        ("vertex", '{"topK": 1, "top_k": 1}', "`top_k` is there in two spellings; keep one of them"),
        ("vertex", '{"a": 1}', "the file has neither a method nor inputs"),
        (
            "vertex",
            '{"parameters": {"xraiAttribution": {}, "sampledShapleyAttribution": {}}}',
            "`parameters.sampled_shapley_attribution` and `parameters.xrai_attribution`; keep one of them",
        ),
        ("vertex", "a: &a [*a]", "contains itself"),
        ("vertex", '{"inputs": {"a": {}, "b": {"inputTensorName": "a"}}}', "'a' and 'b' are both the feature 'a'"),
        (
            "vertex",
            '{"parameters": {"xraiAttribution": {"stepCount": 16, "numIntegralSteps": 32}}}',
            "`parameters.xrai_attribution.step_count` and `parameters.xrai_attribution.num_integral_steps` would be",
        ),
        (
            "clarify",
            '{"methods": {"shap": {"text_config": {}, "image_config": {}}}}',
            "`methods.shap.text_config` and `methods.shap.image_config` would be one setting; keep one of them",
        ),
    ],
)  # fmt: skip
def test_files_that_cannot_be_converted(tmp_path: Path, system: System, text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        converted(tmp_path, text, system)
    message = str(caught.value)
    assert said in message
    assert message.startswith(str(tmp_path / "file.json"))
    assert message.endswith(".")


def test_what_is_not_known_or_empty_is_told(tmp_path: Path) -> None:
    data = {"methods": {"shap": {"num_sample": 3}, "report": {}}, "Headers": []}
    made = converted(tmp_path, data, "clarify")
    assert [(note.key, note.fate) for note in made.notes] == [
        ("methods.shap.num_sample", Fate.UNKNOWN),
        ("methods.report", Fate.NEEDLESS),
        ("Headers", Fate.UNKNOWN),
    ]
    spec = {"parameters": {"xraiAttribution": {}}, "metadatas": {}}
    made = converted(tmp_path, {"explanationSpec": spec, "name": "x"}, "vertex")
    assert {note.key: note.fate for note in made.notes} == {
        "explanationSpec.parameters.xraiAttribution": Fate.CHANGED,
        "explanationSpec.metadatas": Fate.UNKNOWN,
        "name": Fate.NEEDLESS,
    }
