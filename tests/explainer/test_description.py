"""What an explanation says of itself: in the log, and to ML Metadata."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from tfx_explain.explainer.description import MAX_CONFIG, describe_explanation, log_explanation


def test_the_log_says_how_many_rows_what_counts_and_where_to_look(caplog: pytest.LogCaptureFixture) -> None:
    manifest: Any = {
        "counts": {"eval": {"explained": 48, "read": 50}},
        "failures": {"eval": {"no number": 2}},
        "top_players": ["age", "ra\u200bce"],
    }
    with caplog.at_level(logging.INFO, "absl"):
        log_explanation(manifest, "/explanation/3")
    assert caplog.messages == [
        "eval: 48 of 50 rows explained, 2 failed.",
        "Most important: age, ra\\u200bce.",
        "See /explanation/3/report.html",
    ]


WRITTEN = Path(__file__).parents[1] / "fixtures/explanation_format_2/explanation/manifest.json"


def test_metadata_have_the_configuration_and_digests_of_examples_and_tables() -> None:
    manifest = json.loads(WRITTEN.read_text())
    said = describe_explanation(manifest)
    assert json.loads(str(said["config"])) == manifest["config"]
    for digest, entry in (("tables_digest", "files"), ("attributions_digest", "attribution_files")):
        changed = describe_explanation({**manifest, entry: dict.fromkeys(manifest[entry], "0")})
        assert {name for name in said if said[name] != changed[name]} == {digest, "manifest_digest"}
    examples = {**manifest["examples"], "digests": {"eval": "0"}}
    changed = describe_explanation({**manifest, "examples": examples})
    assert {name for name in said if said[name] != changed[name]} == {"examples_digest", "manifest_digest"}
    failed = describe_explanation({**manifest, "failures": {"eval": {"one": 2, "other": 3}, "train": {"one": 1}}})
    assert failed["num_failed"] == 6


def test_a_configuration_too_long_for_metadata_is_cut_and_says_so() -> None:
    manifest = json.loads(WRITTEN.read_text())
    manifest["config"]["feature_names"] = {f"feature {n}": "x" * 50 for n in range(1_000)}
    said = describe_explanation(manifest)
    assert len(str(said["config"])) == MAX_CONFIG
    assert "characters)" in str(said["config"])
