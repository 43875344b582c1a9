"""Rules about shares, ranks and completeness: edge cases, and sentences that a person can act on."""

import dataclasses
import json
import math

import numpy as np
import pytest

from judging import evidence_of
from tfx_explain.errors import ConfigError, InputError
from tfx_explain.judgement import RULES, Evidence, Finding, apply_rule, describe, is_blessed
from tfx_explain.summary import ImportanceAccumulator

ALPHA = 0.05


def max_share(evidence, **settings):
    return apply_rule("max_share", settings, evidence)


def min_share(evidence, **settings):
    return apply_rule("min_share", settings, evidence)


def top_k_includes(evidence, **settings):
    return apply_rule("top_k_includes", settings, evidence)


def max_completeness_gap(evidence, **settings):
    return apply_rule("max_completeness_gap", settings, evidence)


def _evidence(phi, players=None, gap=1e-9, **kwargs):
    phi = np.asarray(phi, dtype=float)
    n, d = phi.shape
    accumulator = ImportanceAccumulator(d)
    accumulator.add(phi, np.zeros((n, d)), np.zeros((n, d)), np.full(n, gap), np.zeros(n))
    return evidence_of(accumulator.result(), players or [f"p{i}" for i in range(d)], **kwargs)


def _normal(scales, n=500, seed=0):
    return np.random.default_rng(seed).normal(size=(n, len(scales))) * scales


@pytest.mark.parametrize("value", [0.0, 0.02, 0.07, 0.0731, 0.08, 0.5, 1.0])
def test_bounds_and_outcome_agree(value):
    evidence = _evidence(_normal([3.0, 1.0, 0.3]))
    most = max_share(evidence, players=["p2"], value=value)
    least = min_share(evidence, players=["p2"], value=value)
    expected = "pass" if most.ci_high <= value else "fail" if most.ci_low > value else "insufficient_evidence"
    assert most.outcome == expected
    assert least.outcome == {"pass": "fail", "fail": "pass"}.get(expected, expected)
    assert most.ci_low <= most.value <= most.ci_high
    assert most.threshold == value


def test_the_figures_are_those_of_the_data():
    phi = _normal([3.0, 1.0, 0.3], n=5000)
    finding = max_share(_evidence(phi), players=["p1", "p2"], value=0.5)
    size = np.abs(phi)
    assert finding.value == pytest.approx(size[:, 1:].sum() / size.sum(), rel=1e-12)
    # Independent oracle: percentiles of the share over bootstrap samples, both one-sided at 95 %.
    rng = np.random.default_rng(0)
    rows = rng.integers(0, 5000, (1000, 5000))
    shares = size[:, 1:].sum(1)[rows].sum(1) / size.sum(1)[rows].sum(1)
    low, high = np.quantile(shares, [ALPHA, 1 - ALPHA])
    assert finding.ci_low == pytest.approx(low, abs=0.1 * (high - low))
    assert finding.ci_high == pytest.approx(high, abs=0.1 * (high - low))


def test_an_unused_feature_carries_exactly_nothing():
    evidence = _evidence(_normal([1.0, 0.5, 0.0]), ["income", "age", "race"])
    finding = max_share(evidence, players=["race"], value=0.0)
    assert (finding.outcome, finding.value, finding.ci_low, finding.ci_high) == ("pass", 0.0, 0.0, 0.0)
    assert finding.message == "race carries none of the importance, within the 0 % allowed."
    assert min_share(evidence, players=["race"], value=0.01).outcome == "fail"


def test_all_players_together_carry_everything():
    evidence = _evidence(_normal([1.0, 0.5]))
    assert max_share(evidence, players=["p0", "p1"], value=1.0).outcome == "pass"
    assert min_share(evidence, players=["p0", "p1"], value=1.0).outcome == "pass"
    assert max_share(evidence, players=["p0", "p1", "p1"], value=0.9).value == pytest.approx(1.0)


@pytest.mark.parametrize("rule", [max_share, min_share])
def test_a_model_that_never_changes_is_no_evidence(rule):
    finding = rule(_evidence(np.zeros((100, 2))), players=["p0"], value=0.05)
    assert (finding.outcome, finding.value) == ("insufficient_evidence", 0.0)
    assert "No feature has any importance" in finding.message
    assert top_k_includes(_evidence(np.zeros((100, 2))), players=["p0"], k=2).outcome == "insufficient_evidence"


@pytest.mark.parametrize("n", [0, 1, 49])
def test_too_few_examples_are_no_evidence(n):
    evidence = _evidence(_normal([1.0, 0.01], n=n))
    for name, settings in (
        ("max_share", {"players": ["p1"], "value": 0.5}),
        ("min_share", {"players": ["p0"], "value": 0.5}),
        ("top_k_includes", {"players": ["p0"], "k": 2}),
    ):
        finding = apply_rule(name, settings, evidence, min_examples=50)
        assert finding.outcome == "insufficient_evidence"
        assert f"Only {n} example{' was' if n == 1 else 's were'} explained and this rule needs 50" in finding.message


def test_one_enormous_example_among_few_leaves_any_share_possible():
    phi = np.full((3, 2), 1e-6)
    phi[0] = [1000.0, 1.0]
    finding = max_share(_evidence(phi), players=["p0"], value=0.5)
    assert (finding.outcome, finding.ci_low, finding.ci_high) == ("insufficient_evidence", 0.0, 1.0)


def test_nothing_is_called_certain_while_any_share_is_possible():
    # p0 alone is known well, but not the total that its share is of.
    finding = min_share(_evidence([[1.0, 1e4], [1.0, 0.0], [1.0, 0.0]]), players=["p0"], value=1e-6)
    assert (finding.outcome, finding.ci_low, finding.ci_high) == ("insufficient_evidence", 0.0, 1.0)


def test_importance_that_is_not_a_number_is_no_evidence():
    evidence = Evidence(("a", "b"), 100, np.array([1.0, np.nan]), np.eye(2), 0.0)
    finding = max_share(evidence, players=["a"], value=0.9)
    assert finding.outcome == "insufficient_evidence"
    assert "importance of b" in finding.message


def test_ties_are_not_called():
    phi = _normal([1.0, 1.0])
    phi[:, 1] = phi[:, 0]
    finding = top_k_includes(_evidence(phi), players=["p1"], k=1)
    assert (finding.outcome, finding.value, finding.ci_low, finding.ci_high) == ("insufficient_evidence", 1, 1, 2)


def test_more_places_than_players_always_pass():
    assert top_k_includes(_evidence(_normal([1.0, 1.0])), players=["p0", "p1"], k=2).outcome == "pass"
    assert top_k_includes(_evidence(_normal([1.0])), players=["p0"], k=1).outcome == "pass"


def test_the_pairing_of_players_over_examples_is_used():
    # The players differ by 1 % of their common spread: without the covariance 200 examples could never tell.
    common = np.random.default_rng(0).lognormal(size=(200, 1))
    phi = np.hstack([common * 1.01, common])
    assert top_k_includes(_evidence(phi), players=["p0"], k=1).outcome == "pass"


@pytest.mark.parametrize(
    ("gap", "value", "outcome"), [(1e-9, 1e-3, "pass"), (2e-3, 1e-3, "fail"), (1e-3, 1e-3, "pass")]
)
def test_the_completeness_gap_is_compared_exactly(gap, value, outcome):
    finding = max_completeness_gap(_evidence(_normal([1.0]), gap=gap), value=value)
    assert (finding.outcome, finding.value, finding.ci_low, finding.ci_high) == (outcome, gap, gap, gap)


def test_no_example_means_no_gap_is_known():
    assert max_completeness_gap(_evidence(np.zeros((0, 1))), value=1.0).outcome == "insufficient_evidence"
    unknown = dataclasses.replace(_evidence(_normal([1.0])), max_relative_completeness_gap=math.nan)
    no_shares = max_completeness_gap(unknown, value=1.0)
    assert no_shares.outcome == "insufficient_evidence"
    assert "no shares of the output" in no_shares.message


@pytest.mark.parametrize("name", ["max_share", "min_share", "top_k_includes"])
def test_an_unknown_player_is_named_with_the_nearest_and_all_there_are(name):
    evidence = _evidence(_normal([1.0, 0.5]), ["income", "credit_history"])
    settings = {"players": ["credit_histroy"], "k": 1} if name.startswith("top") else {"players": ["credit_histroy"]}
    settings = settings if "k" in settings else {**settings, "value": 0.1}
    with pytest.raises(ConfigError) as caught:
        apply_rule(name, settings, evidence)
    message = str(caught.value)
    assert "`credit_histroy`" in message
    assert "did you mean `credit_history`?" in message
    assert "income, credit_history" in message


def test_an_unknown_rule_is_refused():
    with pytest.raises(ConfigError, match="no rule `max_shares`"):
        apply_rule("max_shares", {}, _evidence(_normal([1.0])))


def test_sentences_say_the_figure_its_bound_the_threshold_and_what_to_do():
    evidence = _evidence(_normal([3.0, 1.0, 0.3], n=800), ["income", "age", "race"])
    fail = max_share(evidence, players=["race"], value=0.05)
    assert fail.message == (
        f"race carries {fail.value * 100:.1f} % of the importance (at least {fail.ci_low * 100:.1f} % with 95 % "
        "confidence), more than the 5 % allowed: remove or constrain it."
    )
    doubt = max_share(evidence, players=["race", "age"], value=fail.value + 0.2253)
    assert doubt.outcome == "insufficient_evidence"
    assert "race and age together carry" in doubt.message
    assert "explain more" in doubt.message


def test_a_figure_just_past_its_threshold_does_not_read_as_equal():
    phi = np.tile([[1.0 - 0.0501, 0.0501]], (100, 1))
    message = max_share(_evidence(phi), players=["p1"], value=0.05).message
    assert message.startswith("p1 carries 5.01 % of the importance (at least 5.01 %")
    tiny = max_share(_evidence(np.tile([[1.0, 1.1e-4]], (100, 1))), players=["p1"], value=0.05).message
    assert tiny.startswith("p1 carries 0.011 % of the importance (at most 0.011 %")


def test_the_forecast_is_about_enough():
    scales, value = np.array([0.93, 0.07]), 0.062
    first = next(
        finding
        for seed in range(50)
        if (finding := max_share(_evidence(_normal(scales, 100, seed)), players=["p1"], value=value)).outcome
        == "insufficient_evidence"
        and "at least about" in finding.message
        and finding.value > value
    )
    needed = int(first.message.rsplit("about ", 1)[1].rstrip(".").replace(",", ""))
    # Four times the forecast halves the standard error: enough wherever the first estimate was not far off.
    assert (
        max_share(_evidence(_normal(scales, 40 * max(needed, 100), 99)), players=["p1"], value=value).outcome == "fail"
    )


def test_every_rule_describes_itself_in_one_sentence():
    for name in RULES:
        assert describe(name).endswith(".")
        assert describe(name) == RULES[name].judge.__doc__.split("\n")[0]
    assert describe("another") == "another"


def test_findings_survive_json():
    evidence = _evidence(_normal([1.0, 0.5]), slice_key="sex:1", output="approve")
    finding = max_share(evidence, players=["p0"], value=0.5)
    assert Finding.from_dict(json.loads(json.dumps(finding.to_dict(), allow_nan=False))) == finding
    assert (finding.to_dict()["slice"], finding.to_dict()["output"]) == ("sex:1", "approve")
    unknown = max_completeness_gap(_evidence(np.zeros((0, 1))), value=1.0)
    restored = Finding.from_dict(json.loads(json.dumps(unknown.to_dict(), allow_nan=False)))
    assert math.isnan(restored.value)
    with pytest.raises(InputError, match="'value'"):
        Finding.from_dict({"rule": "max_share"})


def test_blessing_fails_closed():
    good = max_completeness_gap(_evidence(_normal([1.0])), value=1.0)
    bad = max_completeness_gap(_evidence(_normal([1.0])), value=0.0)
    doubt = max_completeness_gap(_evidence(np.zeros((0, 1))), value=1.0)
    assert is_blessed([good, good])
    assert not is_blessed([])
    assert not is_blessed([good, bad])
    assert not is_blessed([good, doubt])
    assert is_blessed([good, doubt], on_insufficient_evidence="bless")
    assert not is_blessed([bad, doubt], on_insufficient_evidence="bless")


def test_evidence_that_does_not_fit_is_refused():
    with pytest.raises(InputError, match="evidence about 2 players"):
        Evidence(("a", "b"), 10, np.zeros(3), np.eye(3), 0.0)
    with pytest.raises(InputError, match="twice"):
        Evidence(("a", "a"), 10, np.zeros(2), np.eye(2), 0.0)
