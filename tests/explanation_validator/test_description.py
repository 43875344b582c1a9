"""What a verdict says of itself to ML Metadata: short, whole where it can be, and cut where it says so."""

import dataclasses
import hashlib
import json
import math
from typing import Any

import pytest

from tfx_explain import records
from tfx_explain.explanation_validator.description import MAX_REFUSALS, describe_verdict
from tfx_explain.explanation_validator.judge import Verdict
from tfx_explain.judgement import Finding


def finding(outcome: str, rule: str = "max_share", **changes: Any) -> Finding:
    one = Finding(
        rule, {"players": ["race"]}, "Overall", "score", outcome, 0.3, 0.25, math.inf, 0.05,
        f"race has 30%, {outcome}.", about=("race",), confidence=0.95,
    )  # fmt: skip
    return dataclasses.replace(one, **changes)


def described(*findings: Finding, blessed: bool = False, **about: Any) -> dict[str, Any]:
    verdict = Verdict(blessed, findings, "/explanation/3", manifest_digest="m" * 64, **about)
    return describe_verdict(verdict, "rules: []", "/model/2", "d" * 32)


def test_outcomes_are_counted_and_the_rule_that_decided_is_named_with_its_figures() -> None:
    findings = finding("pass", "min_share"), finding("insufficient_evidence", "sign"), finding("fail")
    said = described(*findings, baseline_uri="/explanation/1")
    counts = [said[f"num_{outcome}"] for outcome in ("pass", "fail", "insufficient_evidence", "skipped")]
    assert counts == [1, 1, 1, 0]
    assert said["decided_by"] == "max_share: race has 30%, fail. (and 1 more)"
    refusals = json.loads(said["refusals"])
    assert [one["rule"] for one in refusals] == ["max_share", "sign"]
    assert refusals[0] | {"value": 0.3, "ci_low": 0.25, "ci_high": None, "threshold": 0.05} == refusals[0]
    assert (said["baseline_uri"], said["model_uri"], said["model_digest"]) == ("/explanation/1", "/model/2", "d" * 32)


def test_digests_are_of_what_is_written() -> None:
    verdict = Verdict(True, (finding("pass"),), "/explanation/3", manifest_digest="m" * 64)
    said = describe_verdict(verdict, "rules: []", "/model/2", "d")
    assert said["findings_digest"] == hashlib.sha256(records.json_bytes(verdict.to_dict())).hexdigest()
    assert said["policy_digest"] == hashlib.sha256(b"rules: []").hexdigest()
    assert (said["manifest_digest"], said["blessed"]) == ("m" * 64, 1)


@pytest.mark.parametrize(
    ("findings", "about", "decided"),
    [
        ([finding("pass"), finding("skipped")], {"blessed": True}, "no rule refused: 1 pass, 1 skipped"),
        ([], {}, "no rule was judged: no rule"),
        ([finding("insufficient_evidence")], {}, "max_share: race has 30%, insufficient_evidence."),
    ],
)
def test_a_decision_is_a_sentence(findings: list[Finding], about: dict[str, Any], decided: str) -> None:
    assert described(*findings, **about)["decided_by"] == decided


def test_doubts_that_the_policy_blesses_are_no_refusals() -> None:
    said = described(finding("insufficient_evidence"), finding("fail"), on_insufficient_evidence="bless")
    assert [one["outcome"] for one in json.loads(said["refusals"])] == ["fail"]
    assert said["num_refusals"] == 1


def test_properties_stay_small_however_much_was_found() -> None:
    long = "x" * 10_000
    many = [finding("fail", slice_key=long, output=long, about=(long,) * 9, message=long)] * 500
    said = described(*many)
    assert len(json.loads(said["refusals"])) == MAX_REFUSALS
    assert said["num_refusals"] == 500
    # Seven texts of a hundred characters and five figures each, and one message of five hundred.
    assert max(len(str(value)) for value in said.values()) < MAX_REFUSALS * 1_000
    assert "10,000 characters" in said["decided_by"]
