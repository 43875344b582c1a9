"""Bounds cover as often as they say, no change is seldom called drift, and little data decides nothing."""

import json
import math

import numpy as np
import pytest
from scipy import stats

from tfx_explain.config.drift import DEFAULT_DRIFT_RULES
from tfx_explain.errors import ConfigError
from tfx_explain.judgement import apply_rule, describe
from tfx_explain.judgement.drift import histograms
from tfx_explain.judgement.drift.bootstrap import distance_bounds, in_the_tail
from tfx_explain.judgement.drift.comparison import Comparison
from tfx_explain.judgement.drift.distributions import AttributionSample, DistributionComparison
from tfx_explain.judgement.drift.paired import disagreement_bounds
from tfx_explain.judgement.drift.values import Levels
from tfx_explain.judgement.drift.z_tests import ZTests
from trials import ALPHA, often, seldom_wrong


def drift(comparison, **settings):
    return apply_rule("drift", settings, comparison)


def attribution_drift(comparison, **settings):
    return apply_rule("attribution_drift", settings, comparison)


def _drift(measure, limit, **settings):
    return {"drift": {"measure": measure, "max": limit, **settings}}


# Rule, shares of candidate and baseline, further settings of the candidate: the true figure is exactly the limit.
AT_THE_LIMIT = {
    "total_variation": (_drift("total_variation", 0.1), [0.4, 0.4, 0.2], [0.5, 0.3, 0.2], {}),
    "total_variation of many": (
        _drift("total_variation", 0.05),
        [0.35, 0.2, 0.15, 0.1, 0.1, 0.1],
        [0.3, 0.2, 0.15, 0.1, 0.1, 0.15],
        {},
    ),
    "l_infinity": (_drift("l_infinity", 0.1), [0.4, 0.35, 0.25], [0.5, 0.3, 0.2], {}),
    "rank_reversal": (_drift("rank_reversal", 0.1), [0.5, 0.4, 0.1], [0.4, 0.5, 0.1], {}),
    "sign_flips": (_drift("sign_flips", 0.2), [0.7, 0.2, 0.1], [0.7, 0.2, 0.1], {"signs": [1, -1, 1]}),
    "importance_ratio": (_drift("importance_ratio", 2.0), [0.5, 0.3, 0.2], [0.5, 0.3, 0.2], {"size": 0.5}),
}


@pytest.mark.parametrize("case", AT_THE_LIMIT)
def test_at_the_limit_a_rule_is_wrong_either_way_at_most_as_often_as_it_says(case, sample, judge):
    rule, ours, theirs, changed = AT_THE_LIMIT[case]
    rng, runs = np.random.default_rng(7), 600
    trials = ((judge(rule, sample(ours, 200, rng, **changed), sample(theirs, 200, rng)).outcome,) for _ in range(runs))
    seldom_wrong(trials, "fail", "pass", runs=runs)


def test_a_test_of_any_change_is_wrong_as_often_as_it_says(sample, judge):
    rng, runs = np.random.default_rng(8), 1000
    rule = _drift("z_score", 0.0)
    none = ((judge(rule, *(sample([0.5, 0.3, 0.2], 100, rng) for _ in range(2))).outcome,) for _ in range(runs))
    seldom_wrong(none, "fail", runs=runs, seen="fail")
    one = judge(rule, sample([0.55, 0.3, 0.15], 2000, rng), sample([0.5, 0.3, 0.2], 2000, rng))
    assert (one.outcome, one.value, one.ci_low) == ("fail", 2.0, 2.0)


@pytest.mark.parametrize("signs", [None, "random"])
def test_no_change_passes_the_default_rules(sample, judge_all, signs, monkeypatch):
    """At most 5 % of runs end unsure and none as a fail; two players tie, with random signs mean effects are 0."""
    monkeypatch.setattr(histograms, "N_DRAWS", 300)
    rng, runs, refused = np.random.default_rng(9), 100, 0
    for _ in range(runs):
        sides = [sample([0.3, 0.3, 0.2, 0.1, 0.1], 2000, rng) for _ in range(2)]
        if signs:
            sides = [phi * rng.choice([-1.0, 1.0], phi.shape) for phi in sides]
        outcomes = {finding.outcome for finding in judge_all(DEFAULT_DRIFT_RULES, *sides)}
        assert "fail" not in outcomes
        refused += outcomes != {"pass"}
    assert refused <= runs * ALPHA, refused


def test_a_change_is_found_more_often_the_more_examples_there_are(sample, judge):
    rule = _drift("total_variation", 0.1)
    rng = np.random.default_rng(10)
    found = [
        sum(
            judge(rule, sample([0.35, 0.45, 0.2], n, rng), sample([0.5, 0.3, 0.2], n, rng)).outcome == "fail"
            for _ in range(100)
        )
        for n in (20, 60, 300)
    ]
    assert found[0] < found[1] < found[2]
    assert found[2] >= 95


@pytest.mark.parametrize("rule", DEFAULT_DRIFT_RULES, ids=lambda rule: next(iter(rule.values()))["measure"])
def test_little_data_is_no_evidence(rule, sample, judge):
    rng = np.random.default_rng(12)
    many, few = sample([0.5, 0.3, 0.2], 100, rng), sample([0.2, 0.3, 0.5], 9, rng)
    for ours, theirs, who in ((few, many, "The explanation"), (many, few, "Its baseline")):
        finding = judge(rule, ours, theirs, min_examples=50)
        assert finding.outcome == "insufficient_evidence"
        assert finding.message == (
            f"{who} has only 9 examples here and this rule needs 50: explain more or lower `min_slice_examples`."
        )
        assert json.dumps(finding.to_dict(), allow_nan=False)


def test_importance_that_is_gone_is_an_infinite_change(sample, judge):
    rng = np.random.default_rng(13)
    before = sample([0.5, 0.3, 0.2], 100, rng)
    finding = judge(_drift("importance_ratio", 2.0), np.zeros((100, 3)), before)
    assert finding.outcome == "fail"
    assert "by a factor of infinity" in finding.message
    nothing = judge(_drift("importance_ratio", 2.0), np.zeros((100, 3)), np.zeros((100, 3)))
    assert nothing.outcome == "insufficient_evidence"


def test_findings_say_what_moved(sample, judge):
    rng = np.random.default_rng(14)
    ours, theirs = sample([0.2, 0.7, 0.1], 500, rng), sample([0.6, 0.3, 0.1], 500, rng)
    finding = judge(_drift("rank_reversal", 0.02), ours, theirs)
    assert finding.outcome == "fail"
    assert "(p0 and p1)" in finding.message
    assert "more than the 2 % allowed. Shares that changed most: p" in finding.message
    quiet = judge(_drift("total_variation", 0.1, players=["p2"]), ours, theirs)
    assert quiet.outcome == "pass"
    assert quiet.settings == {"measure": "total_variation", "max": 0.1, "players": ["p2"]}
    seen = judge({"attribution_drift": {"measure": "jensen_shannon", "max": 0.1}}, ours, theirs)
    assert "attributions is" in seen.message
    assert "(p1)" in seen.message or "(p0)" in seen.message
    assert describe("drift") == "Importance may not have moved further from the baseline than this."


def test_the_same_explanations_give_the_same_bounds(sample, judge):
    rng = np.random.default_rng(15)
    ours, theirs = sample([0.4, 0.4, 0.2], 100, rng), sample([0.5, 0.3, 0.2], 100, rng)
    for rule in DEFAULT_DRIFT_RULES:
        assert judge(rule, ours, theirs) == judge(rule, ours, theirs)


def test_unknown_measures_and_players_are_named(moments, sample):
    phi = sample([0.5, 0.5], 30, np.random.default_rng(16))
    pair = Comparison(("income", "race"), moments(phi), moments(phi))
    with pytest.raises(ConfigError, match="no drift measure `psi`; measures: total_variation, "):
        drift(pair, measure="psi", max=0.1)
    with pytest.raises(ConfigError, match="names the player `rase`, which the explanation does not have; did you mean"):
        drift(pair, measure="ndcg", max=0.1, players=["rase"])


def test_two_models_that_reverse_an_effect_for_every_row_disagree():
    """Mean 0 and equal sizes on both sides: only pairs of rows tell. Half of all attribution is reversed here."""
    rng = np.random.default_rng(17)
    phi = rng.normal(size=(500, 1)) * [1.0, 1.0]
    pair = AttributionSample(phi * [1, -1], np.ones(500)), AttributionSample(phi, np.ones(500))
    comparison = DistributionComparison(("p0", "p1"), *pair, is_paired=True)
    finding = attribution_drift(comparison, measure="disagreement", max=0.1)
    assert (finding.outcome, finding.value, finding.about) == ("fail", pytest.approx(0.5), ("p1",))
    assert attribution_drift(comparison, measure="jensen_shannon", max=0.1).outcome == "pass"
    assert attribution_drift(comparison, measure="disagreement", max=0.1, players=["p0"]).outcome == "pass"
    larger = AttributionSample(3 * phi, np.ones(500)), AttributionSample(phi, np.ones(500))
    tripled = DistributionComparison(("p0", "p1"), *larger, is_paired=True)
    assert attribution_drift(tripled, measure="disagreement", max=0.6).value == pytest.approx(2 / 4)
    with pytest.raises(ConfigError, match="compares two models on the same rows"):
        attribution_drift(DistributionComparison(("p0", "p1"), *pair), measure="disagreement", max=0.1)


def test_bounds_of_disagreement_cover_as_often_as_they_say():
    rng, runs, low, high = np.random.default_rng(20), 1000, 0, 0
    weights = np.ones(1000)
    truth = math.sqrt(2) / 2  # a - b is N(0, 2), so E|a - b| = sqrt(2) E|a|
    for _ in range(runs):
        bounds = disagreement_bounds(rng.normal(size=(1000, 1)), rng.normal(size=(1000, 1)), weights, ["p0"], 1 - ALPHA)
        low, high = low + (bounds.low > truth), high + (bounds.high < truth)
    assert 0 < min(low, high) <= max(low, high) <= often(runs), (low, high)


@pytest.mark.parametrize("measure", ["sign_flips", "jensen_shannon"])
def test_a_change_of_one_of_many_players_must_be_clearer(measure, judge, sample):
    """Every player is a chance of a false alarm; what is certain of one of 20 is less than what is of it alone."""
    rng = np.random.default_rng(19)
    ours, theirs = rng.normal(0.1, 1, (200, 20)), rng.normal(-0.1, 1, (200, 20))
    ours[:, 0] += 0.5
    theirs[:, 0] -= 0.5
    name = "drift" if measure == "sign_flips" else "attribution_drift"
    alone = judge({name: {"measure": measure, "max": 0.0, "players": ["p0"]}}, ours, theirs)
    among = judge({name: {"measure": measure, "max": 0.0}}, ours, theirs)
    assert alone.value == among.value
    assert alone.about == among.about == ("p0",)
    assert 0 < among.ci_low < alone.ci_low


def test_holm_counts_what_is_certain():
    tests = ZTests(np.zeros(4), np.zeros(4), np.zeros(4), np.array([0.03, 0.001, 0.014, 0.04]))
    # 0.001 <= 0.05 / 4, 0.014 <= 0.05 / 3, but 0.03 > 0.05 / 2.
    assert tests.surely_changed(0.05) == 2
    assert ZTests(*np.zeros((4, 3))).surely_changed(0.05) == 3


def test_bootstrap_bounds_are_the_wider_of_two_and_leave_room_for_noise():
    draws, noise = np.arange(1001.0), np.arange(501.0)
    narrow = distance_bounds(600.0, draws, None, Levels(0.9, 0.9))
    safe = 0.9 + math.sqrt(0.9 * 0.1 / 1001)  # a thousand draws show a quantile to one part in a hundred
    assert (narrow.low, narrow.high) == pytest.approx((1000 * (1 - safe), 1100))  # percentile, 2 x 600 - 100
    assert distance_bounds(600.0, draws, None, Levels(0.9, 0.99)).low < 10
    assert distance_bounds(600.0, draws, noise, Levels(0.9, 0.9)).low == pytest.approx(600 - 500 * safe)
    assert distance_bounds(600.0, draws, None, Levels(0.9, 0.9), largest=800).high == 800
    assert distance_bounds(400.0, draws, None, Levels(0.9, 0.9)).low == 0


def test_quantiles_beyond_the_draws_are_those_of_no_lighter_tail():
    """With 2,000 draws of the largest of 10 normal variables: right or on the safe side up to 1e-6."""
    noise = np.abs(np.random.default_rng(21).normal(size=(2000, 10))).max(axis=1)
    for error in (1e-3, 1e-4, 1e-6):
        exact = stats.norm.ppf(0.5 + (1 - error) ** (1 / 10) / 2)
        assert exact * 0.95 < in_the_tail(lambda level: np.quantile(noise, level), 1 - error) < exact * 1.3
