"""The harness makes a finding of any description, and asks of the evidence no more than the description says."""

import dataclasses
import math

import numpy as np
import pytest

from tfx_explain.errors import ConfigError
from tfx_explain.judgement import RULES, Evidence, findings_of, judge_rule, judgement_of, skip_rule
from tfx_explain.judgement.bounds import Bounds, decide, decide_all
from tfx_explain.judgement.details import SignedMeans
from tfx_explain.judgement.rule import Decision, Need, RuleDescription

EVIDENCE = Evidence(("income", "age"), 100, np.array([2.0, 1.0]), np.eye(2) * 0.01, 0.0, slice_key="s", output="o")
TERMS = {"confidence": 0.9, "min_examples": 2}


def _min_rows(evidence, confidence, *, players, value, margin=1.0):
    """So many rows for each player.

    And no more.
    """
    bounds = Bounds(evidence.n_examples, evidence.n_examples - margin, evidence.n_examples + margin, tuple(players))
    return Decision(decide(bounds, value, "at least"), bounds, f"{evidence.n_examples} rows, {confidence:g}.")


TOY = RuleDescription("min_rows", _min_rows, Evidence, "count")
SETTINGS = {"value": 50, "players": ("age",)}


def test_a_rule_from_elsewhere_is_judged_like_any_other():
    finding = judge_rule(TOY, SETTINGS, EVIDENCE, **TERMS)
    assert dataclasses.astuple(finding) == (
        *("min_rows", {"players": ["age"], "value": 50, "margin": 1.0}, "s", "o", "pass"),
        *(100, 99.0, 101.0, 50.0, "100 rows, 0.9.", ("age",), 0.9),
    )
    assert list(finding.settings) == ["players", "value", "margin"]
    assert TOY.text == "So many rows for each player."
    too_many = [judgement_of(TOY, {**SETTINGS, "value": 200}, EVIDENCE, 2)] * 3
    # Three failures share the error of the policy.
    assert [each.confidence for each in findings_of(too_many, 0.9)] == pytest.approx([1 - 0.1 / 3] * 3)


def test_settings_are_those_of_the_rule():
    with pytest.raises(ConfigError, match="rule `min_rows` needs the setting `players`; its settings: players, value"):
        judge_rule(TOY, {"value": 50}, EVIDENCE, **TERMS)
    with pytest.raises(ConfigError, match="rule `min_rows` has no setting `rows`"):
        judge_rule(TOY, {**SETTINGS, "rows": 3}, EVIDENCE, **TERMS)


def test_unknown_players_are_refused_before_too_few_examples_are_undecided():
    few = {"confidence": 0.9, "min_examples": 1000}
    with pytest.raises(ConfigError, match="the player `agee`"):
        judge_rule(TOY, {**SETTINGS, "players": ("agee",)}, EVIDENCE, **few)
    finding = judge_rule(TOY, SETTINGS, EVIDENCE, **few)
    assert (finding.outcome, finding.about, finding.confidence) == ("insufficient_evidence", ("age",), None)
    assert math.isnan(finding.value)
    assert finding.message.startswith("Only 100 examples were explained and this rule needs 1,000")
    shown = judge_rule(dataclasses.replace(TOY, shows_figures=True), SETTINGS, EVIDENCE, **few)
    assert (shown.outcome, shown.value, shown.message) == ("insufficient_evidence", 100, finding.message)
    assert judge_rule(dataclasses.replace(TOY, needs_importance=False), SETTINGS, EVIDENCE, **few).outcome == "pass"


def test_what_a_rule_needs_is_a_mistake_where_it_was_not_explained_and_no_evidence_where_it_is_unknown():
    wants = dataclasses.replace(TOY, needs=(Need("signed", "The signs are not known."),))
    assert judge_rule(wants, SETTINGS, EVIDENCE, **TERMS).message == "The signs are not known."
    demands = dataclasses.replace(TOY, needs=(Need("signed", "needs signs; explain them.", is_mistake=True),))
    with pytest.raises(ConfigError, match=r"^rule `min_rows` needs signs; explain them\.$"):
        judge_rule(demands, SETTINGS, EVIDENCE, **TERMS)
    known = dataclasses.replace(EVIDENCE, signed=SignedMeans(np.zeros(2), np.zeros(2), np.zeros(2)))
    assert judge_rule(wants, SETTINGS, known, **TERMS).outcome == "pass"
    settled = Decision("pass", Bounds.exact(0.0), "Nothing to see.", is_estimated=False)
    early = dataclasses.replace(demands, beforehand=lambda evidence, **settings: settled)
    assert judge_rule(early, SETTINGS, EVIDENCE, **TERMS).message == "Nothing to see."


def test_rules_without_a_baseline_say_why():
    finding = skip_rule(
        RULES["drift"], {"measure": "ndcg", "max": 0.2, "players": ("a",)}, "overall", "it is the first"
    )
    assert (finding.outcome, finding.threshold, finding.message) == (
        "skipped",
        0.2,
        "Nothing was compared: it is the first.",
    )
    assert finding.settings["players"] == ["a"]


@pytest.mark.parametrize(
    ("low", "high", "of_most", "of_least"),
    [
        (0.0, 1.0, "pass", "insufficient_evidence"),
        (1.0, 1.0, "pass", "pass"),
        (1.0, 2.0, "insufficient_evidence", "pass"),
        (1.1, 2.0, "fail", "pass"),
        (0.0, 0.9, "pass", "fail"),
        (0.0, 2.0, "insufficient_evidence", "insufficient_evidence"),
        (math.nan, 2.0, "insufficient_evidence", "insufficient_evidence"),
        (math.nan, math.nan, "insufficient_evidence", "insufficient_evidence"),
    ],
)
def test_one_bound_decides(low, high, of_most, of_least):
    assert decide(Bounds(1.0, low, high), 1.0) == of_most
    assert decide(Bounds(1.0, low, high), 1.0, "at least") == of_least


def test_the_figure_that_decides_is_the_one_whose_bounds_decide():
    rng = np.random.default_rng(0)
    for _ in range(300):
        value, error = rng.normal(size=4), rng.choice([0.0, 0.3, np.nan], 4, p=[0.2, 0.7, 0.1])
        intervals = lambda level: (value - level * error, value + level * error)  # noqa: B023, E731
        for side in ("at most", "at least"):
            outcome, bounds, index = decide_all(value, intervals, 0.2, 0.9, side)
            each = [Bounds(*figures) for figures in zip(value, *intervals(0.9), strict=True)]
            together = [Bounds(*figures) for figures in zip(value, *intervals(1 - 0.1 / 4), strict=True)]
            holds = all(decide(b, 0.2, side) == "pass" for b in each)
            is_broken = any(decide(b, 0.2, side) == "fail" for b in together)
            assert outcome == decide(bounds, 0.2, side)
            assert outcome == ("pass" if holds else "fail" if is_broken else "insufficient_evidence")
            assert bounds.value == value[index]


def test_a_figure_about_a_feature_that_the_model_does_not_read_says_so():
    unread = dataclasses.replace(EVIDENCE, unused=("age",))
    assert judge_rule(TOY, SETTINGS, unread, **TERMS).message == "100 rows, 0.9. The model does not read age."
    assert judge_rule(TOY, {**SETTINGS, "players": ("income",)}, unread, **TERMS).message == "100 rows, 0.9."
    own = dataclasses.replace(
        TOY, judge=lambda *_, players, value: Decision("pass", Bounds.exact(0.0), "It does not read age.")
    )
    assert judge_rule(own, SETTINGS, unread, **TERMS).message == "It does not read age."
