"""Rules about faithfulness on known figures."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from scipy import stats

from tfx_explain.errors import ConfigError
from tfx_explain.judgement import Evidence, Finding, apply_rule
from tfx_explain.judgement.details import Check, Faithfulness

BARE = Evidence(("a", "b"), 40, np.ones(2), np.eye(2), 0.0, output="y", method="xrai")

MEASURES = ("deletion", "insertion", "mu_fidelity", "randomisation")


def evidence(*checks: Check, measures: tuple[str, ...] = MEASURES, features: tuple[str, ...] = ("image",)) -> Evidence:
    found = Faithfulness(checks, measures, features)
    return dataclasses.replace(BARE, faithfulness=found)


def check(measure: str, value: float, std_error: float = 0.1, feature: str = "image", dof: float = 30.0) -> Check:
    return Check(measure, feature, value, std_error, dof, 31)


def judged(rule: str, found: Evidence, **settings: object) -> Finding:
    finding = apply_rule(rule, settings, found)
    assert finding.message.endswith(".")
    assert Finding.from_dict(finding.to_dict()).to_dict() == finding.to_dict()
    return finding


@pytest.mark.parametrize(("value", "outcome"), [(0.4, "pass"), (0.2, "insufficient_evidence"), (-0.3, "fail")])
def test_attributions_must_be_ahead_of_chance_for_sure(value: float, outcome: str) -> None:
    found = judged("min_faithfulness", evidence(check("deletion", value)), value=0.1)
    assert found.outcome == outcome
    assert found.ci_low == pytest.approx(value - stats.t(30).ppf(0.95) * 0.1)
    assert found.about == ("image",)


def test_the_parts_of_features_are_meant_where_a_method_looks_there() -> None:
    both = evidence(check("deletion", 0.9, feature=""), check("deletion", -0.9))
    assert judged("min_faithfulness", both, value=0.0).outcome == "fail"
    players = evidence(check("deletion", 0.9, feature=""), features=())
    assert judged("min_faithfulness", players, value=0.0).outcome == "pass"
    two = evidence(check("deletion", 0.9), check("deletion", -0.9, feature="text"), features=("image", "text"))
    assert judged("min_faithfulness", two, value=0.0).about == ("text",)
    assert judged("min_faithfulness", two, value=0.0, feature="image").outcome == "pass"


@pytest.mark.parametrize(("value", "outcome"), [(0.05, "pass"), (0.9, "fail"), (0.25, "insufficient_evidence")])
def test_attributions_may_not_be_like_those_of_random_weights(value: float, outcome: str) -> None:
    found = judged("max_randomisation_similarity", evidence(check("randomisation", value, dof=4.0)), value=0.3)
    assert found.outcome == outcome
    assert found.ci_high == pytest.approx(value + stats.t(4).ppf(0.95) * 0.1)


@pytest.mark.parametrize(("value", "outcome"), [(0.05, "pass"), (0.9, "fail")])
def test_attributions_may_not_be_like_those_of_another_output(value: float, outcome: str) -> None:
    measures = (*MEASURES, "random_logit")
    both = evidence(check("randomisation", 1.0 - value), check("random_logit", value), measures=measures)
    found = judged("max_randomisation_similarity", both, value=0.3, measure="random_logit")
    assert found.outcome == outcome
    assert "those of another output have a correlation of" in found.message
    with pytest.raises(ConfigError, match="needs `random_logit` of `faithfulness`, which was not asked for"):
        judged("max_randomisation_similarity", evidence(check("randomisation", 0.0)), value=0.3, measure="random_logit")


def test_what_is_not_known_decides_nothing() -> None:
    unknown = evidence(check("deletion", math.nan, math.nan))
    assert judged("min_faithfulness", unknown, value=0.1).outcome == "insufficient_evidence"
    assert judged("min_faithfulness", evidence(), value=0.1).outcome == "insufficient_evidence"
    one_of_two = evidence(
        check("deletion", 0.9), check("deletion", 0.9, math.nan, feature="text"), features=("image", "text")
    )
    assert judged("min_faithfulness", one_of_two, value=0.1).outcome == "insufficient_evidence"


def test_features_without_a_figure_decide_nothing_and_players_are_no_stand_in() -> None:
    two = evidence(check("deletion", 0.9), features=("image", "text"))
    assert judged("min_faithfulness", two, value=0.1).outcome == "insufficient_evidence"
    assert judged("min_faithfulness", two, value=0.1).about == ("text",)
    players = evidence(check("deletion", 0.9, feature=""), check("randomisation", 0.0, feature=""))
    assert judged("min_faithfulness", players, value=0.1).outcome == "insufficient_evidence"
    assert judged("max_randomisation_similarity", players, value=0.5).outcome == "insufficient_evidence"


@pytest.mark.parametrize(("left_out", "outcome"), [(3, "pass"), (4, "insufficient_evidence")])
def test_rows_that_could_not_be_measured_may_be_a_tenth(left_out: int, outcome: str) -> None:
    found = dataclasses.replace(check("deletion", 0.9), n_left_out=left_out)
    assert judged("min_faithfulness", evidence(found), value=0.1).outcome == outcome


def test_what_was_not_asked_for_is_said() -> None:
    with pytest.raises(ConfigError, match="list `faithfulness`"):
        apply_rule("min_faithfulness", {"value": 0.1}, BARE)
    with pytest.raises(ConfigError, match="needs `randomisation` of `faithfulness`"):
        apply_rule("max_randomisation_similarity", {"value": 0.1}, evidence(measures=("deletion",)))
    with pytest.raises(ConfigError, match="does not look into"):
        apply_rule("min_faithfulness", {"value": 0.1, "feature": "text"}, evidence(check("deletion", 0.5)))
