"""Every key of the other systems has a row, and every row is true."""

import copy
import json
import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from tfx_explain import documents
from tfx_explain.config import ExplainConfig
from tfx_explain.config.mistakes import models_in
from tfx_explain.conversion import KEYS, Fate, System, convert_file
from tfx_explain.errors import ConfigError

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "tests/fixtures/conversion").iterdir())
CARRIED = (Fate.CARRIED, Fate.CHANGED)

DOCUMENTED = """
version dataset_type dataset_uri headers label predicted_label features predicted_label_dataset_uri
predicted_label_headers joinsource_name_or_index excluded_columns probability_threshold label_values_or_threshold
facet[].name_or_index facet[].value_or_threshold group_variable facet_dataset_uri facet_headers
segment_config[].config_name segment_config[].name_or_index segment_config[].segments segment_config[].display_aliases
time_series_data_config.item_id time_series_data_config.timestamp time_series_data_config.dataset_format
time_series_data_config.target_time_series time_series_data_config.related_time_series
time_series_data_config.static_covariates
methods.pre_training_bias.methods methods.post_training_bias.methods
methods.shap.baseline methods.shap.features_to_explain methods.shap.num_clusters methods.shap.num_samples
methods.shap.seed methods.shap.use_logit methods.shap.save_local_shap_values methods.shap.agg_method
methods.shap.text_config.granularity methods.shap.text_config.language methods.shap.text_config.max_top_tokens
methods.shap.image_config.model_type methods.shap.image_config.max_objects methods.shap.image_config.context
methods.shap.image_config.iou_threshold methods.shap.image_config.num_segments
methods.shap.image_config.segment_compactness methods.shap.image_config.feature_extraction_method
methods.shap.image_config.debug.image_names methods.shap.image_config.debug.class_ids
methods.shap.image_config.debug.sample_from methods.shap.image_config.debug.sample_to
methods.pdp.features methods.pdp.top_k_features methods.pdp.grid_resolution
methods.asymmetric_shapley_value.direction methods.asymmetric_shapley_value.granularity
methods.asymmetric_shapley_value.num_samples methods.asymmetric_shapley_value.baseline.related_time_series
methods.asymmetric_shapley_value.baseline.static_covariates methods.asymmetric_shapley_value.baseline.target_time_series
methods.report.name methods.report.title
predictor.model_name predictor.endpoint_name_prefix predictor.initial_instance_count predictor.instance_type
predictor.endpoint_name predictor.target_model predictor.custom_attributes predictor.content_type predictor.accept_type
predictor.content_template predictor.record_template predictor.label predictor.label_headers predictor.probability
predictor.accelerator_type predictor.time_series_predictor_config.forecast
"""
"""What AWS's page "Analysis Configuration Files" and the schema of SageMaker's Python SDK name."""


def system_of(file: Path) -> System:
    return "clarify" if file.name.startswith("clarify") else "vertex"


def test_every_key_of_clarify_has_a_row() -> None:
    assert {key.path for key in KEYS["clarify"].values() if not key.is_section} == set(DOCUMENTED.split())


def _fields(message: Any, path: str) -> Iterator[str]:
    """The keys of a protocol buffer: its fields, and those of the messages in them."""
    for name, field in message.meta.fields.items():
        inner, at = field.message, f"{path}.{name}" if path else name
        if getattr(inner, "__name__", "").endswith("Entry"):  # a mapping of names to messages
            yield from _fields(inner.meta.fields["value"].message, f"{at}.*")
        elif hasattr(inner, "meta"):
            yield from _fields(inner, f"{at}[]" if field.repeated else at)
        else:
            yield at


@pytest.mark.parametrize("version", ["aiplatform_v1", "aiplatform_v1beta1"])
def test_every_key_of_vertex_has_a_row(version: str) -> None:
    types = pytest.importorskip(f"google.cloud.{version}.types")
    fields = set(_fields(types.ExplanationSpec, ""))
    assert len(fields) > 40
    assert not fields - set(KEYS["vertex"])


def _is_key(path: str) -> bool:
    """Whether an ExplainConfig has such a key."""
    models: list[type[BaseModel]] = [ExplainConfig]
    for name in path.split("."):
        if name.startswith("<"):
            continue
        fields = [one.model_fields[name] for one in models if name in one.model_fields]
        if not fields:
            return False
        models = [inner for field in fields for inner in models_in(field.annotation)]
    return True


def test_rows_lead_to_keys_that_there_are() -> None:
    for table in KEYS.values():
        for key in table.values():
            if key.fate in CARRIED:
                assert key.is_section or key.to, key.path
                assert all(_is_key(to) for to in key.to.split(", ") if to), key.path
            else:
                assert key.says, key.path
            assert not key.says.endswith("."), key.path


def _without(data: Any, place: str) -> tuple[Any, Any]:
    """A copy of a file without one of its keys, and what stood there."""
    data = copy.deepcopy(data)
    inner, names = data, place.replace("[", ".[").split(".")
    for name in names[:-1]:
        inner = inner[int(name[1:-1])] if name.startswith("[") else inner[name]
    return data, inner.pop(names[-1])


OF_OTHERS = {"headers", "dataset_type", "predicted_label", "baseline", "value_or_threshold"}
OF_OTHERS |= {"modality", "encoding", "indexFeatureMapping"}
"""Keys that are not carried over themselves, but say what others mean."""
DEFAULTS = {"topK": 1, "granularity": "token", "use_logit": False}
"""Keys that say what is so without them."""


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_what_is_carried_over_matters(file: Path, tmp_path: Path) -> None:
    """The configuration of a file without a key is another one, if and only if that key is carried over."""
    data = documents.parse_yaml(file.read_text())
    whole = convert_file(str(file), system_of(file))
    other = tmp_path / file.name
    wrong = []
    for note in whole.notes:
        name = note.key.split(".")[-1]
        without, value = _without(data, note.key)
        if name in OF_OTHERS or DEFAULTS.get(name) == value or not (value or value == 0):
            continue
        other.write_text(json.dumps(without))
        try:
            same = convert_file(str(other), system_of(file)).config == whole.config
        except ConfigError:
            same = False  # nothing is asked for without it
        if same is (note.fate in CARRIED):
            wrong.append(note)
    assert not wrong


def test_the_files_have_what_can_be_carried_over() -> None:
    found = {note.to for file in FILES for note in convert_file(str(file), system_of(file)).notes}
    rows = {key.to for table in KEYS.values() for key in table.values() if key.fate in CARRIED and not key.is_section}
    places = {place.replace("Comments", "<text>") for place in found}
    assert {place for place in rows if "<" not in place} <= places


def test_the_page_is_made_from_the_tables() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "tools")
        page = runpy.run_path(str(ROOT / "tools/conversion_page.py"))["page"]
    assert (ROOT / "docs/conversion.md").read_text(encoding="utf-8") == page(), "run `make conversion-page`"
