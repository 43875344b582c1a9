"""The JSON of a card is what the Model Card Toolkit's published schema v0.0.2 asks for."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tfx_explain import ConfigError
from tfx_explain.card import OwnerDetails, make_card, to_model_card
from tfx_explain.card.toolkit import JSON_START, as_text

SCHEMA = json.loads((Path(__file__).parents[1] / "fixtures/model_card_toolkit/model_card.schema.json").read_text())
EVERYTHING = {
    name: field.examples[0] for name, field in OwnerDetails.model_fields.items() if field.examples is not None
}


def closed(schema: Any) -> Any:
    """The schema, refusing names that it does not know at every level, as the toolkit's own reader does."""
    if isinstance(schema, dict):
        schema = {key: closed(value) for key, value in schema.items()}
        return {**schema, "additionalProperties": False} if "properties" in schema else schema
    return schema


@pytest.mark.parametrize("details", [OwnerDetails(), OwnerDetails.from_dict(EVERYTHING)], ids=["nothing", "everything"])
@pytest.mark.parametrize("made", ["today", "earlier"])
def test_it_is_valid(made: str, details: OwnerDetails, request: pytest.FixtureRequest) -> None:
    explained = request.getfixturevalue(made)
    card = make_card(explained.explanation, explained.validation, details)
    written = as_text(to_model_card(card, explained.explanation, details))
    assert written.startswith(JSON_START)
    read = json.loads(written)
    jsonschema.Draft7Validator(closed(SCHEMA), format_checker=jsonschema.FormatChecker()).validate(read)
    jsonschema.Draft7Validator(SCHEMA).validate(read)
    assert read["model_details"]["name"] == (details.name or explained.explanation.manifest["model"]["uri"])
    assert ("owners" in read["model_details"]) == bool(details.owners)


def test_metrics_hold_all_digits_of_the_tables(today: Any) -> None:
    read = to_model_card(make_card(today.explanation, today.validation), today.explanation)
    metrics = read["quantitative_analysis"]["performance_metrics"]
    importance = today.explanation.importance_for(method="shapley").set_index("player")
    (income,) = [
        one
        for one in metrics
        if one["type"].startswith("importance of income to output score by shapley (importance.parquet, value)")
        and one["slice"] == "overall"
    ]
    assert float(income["value"]) == importance["value"]["income"]
    assert float(income["confidence_interval"]["lower_bound"]) == importance["ci_low"]["income"]
    findings = [one for one in metrics if "findings.json" in one["type"]]
    assert len(findings) == len(today.validation.findings)
    assert {one["value"] for one in findings if ": skipped," in one["type"]} == {"unknown"}


def test_what_nobody_said_is_named(today: Any) -> None:
    said = to_model_card(make_card(today.explanation), today.explanation)["model_details"]["documentation"]
    assert said.startswith("No verdict was given")
    assert all(one.what in said.rpartition("To be filled in by the owner: ")[2] for one in OwnerDetails.asked)


def test_details_that_cannot_be_used_are_told() -> None:
    with pytest.raises(ConfigError, match="did you mean `intended_purpose`"):
        OwnerDetails.from_dict({"intended_purpse": "x"})
    with pytest.raises(ConfigError, match="a reference is a URI"):
        OwnerDetails.from_dict({"references": ["see our wiki"]})
