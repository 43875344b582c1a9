"""Single cases of the rules beyond shares and ranks: exact figures, missing evidence, and what the sentences say."""

import dataclasses
import math

import numpy as np
import pytest
from scipy import stats

from judging import evidence_of
from tfx_explain.errors import ConfigError
from tfx_explain.judgement import Evidence, Finding, apply_rule, describe, findings_of, promise
from tfx_explain.judgement.details import Interactions, SignedMeans, SliceContrast, Steps
from tfx_explain.judgement.wording import confidence_percent
from tfx_explain.summary import ImportanceAccumulator

PLAYERS = ("income", "age", "noise")


def evidence(n=400, means=(2.0, 1.0, 0.1), unused=("race",), **parts):
    """Independent half-normal importances of known means, and a feature that the model does not read."""
    d = len(means)
    rng = np.random.default_rng(0)
    phi = rng.normal(size=(n, d)) * means + parts.pop("shift", 0.0)
    accumulator = ImportanceAccumulator(d)
    accumulator.add(phi, np.zeros((n, d)), np.zeros((n, d)), np.zeros(n), np.zeros(n))
    found = accumulator.result()
    k = d + len(unused)
    covariance = np.zeros((k, k))
    covariance[:d, :d] = found.mean_abs_covariance
    signed = SignedMeans(*(np.append(v, np.zeros(k - d)) for v in (found.mean_signed, found.mean_signed_std_error)),
                         np.zeros(k))  # fmt: skip
    return Evidence(
        PLAYERS[:d] + tuple(unused),
        n,
        np.append(found.mean_abs, np.zeros(k - d)),
        covariance,
        0.0,
        **{"signed": signed, "unused": tuple(unused), **parts},
    )


def hall(degrees, error, skewness):
    """Student's quantile, widened for values of this skewness (Hall 1992), of degrees + 1 values."""
    q = stats.t(degrees).ppf(1 - error)
    return q + (1 + 2 * q**2) / 6 * skewness / math.sqrt(degrees + 1)


def curve(step, std_error=0.01, **kwargs):
    step = np.asarray(step, float)
    errors, freedom = np.broadcast_to(std_error, step.shape).astype(float), np.full(step.shape, 99.0)
    return {("partial_dependence", "income"): Steps(np.arange(len(step) + 1.0), step, errors, freedom), **kwargs}


def judged(rule, found, **settings):
    finding = apply_rule(rule, settings, found)
    assert Finding.from_dict(finding.to_dict()).to_dict() == finding.to_dict()
    assert finding.message.endswith(".")
    assert "\n" not in finding.message
    return finding


def test_a_leak_is_called_by_name():
    finding = judged("max_top_share", evidence(means=(20.0, 1.0, 0.1)), value=0.5)
    assert (finding.outcome, finding.about) == ("fail", ("income",))
    assert finding.message.startswith("income alone carries 9")
    assert finding.ci_low > 0.5
    assert judged("max_top_share", evidence(), value=0.9).outcome == "pass"
    assert judged("max_top_share", evidence(), value=0.65).outcome == "insufficient_evidence"


def test_the_bound_of_the_top_share_is_that_of_the_share():
    found = evidence()
    alone = judged("max_share", found, players=["income"], value=0.9)
    top = judged("max_top_share", found, value=0.9)
    assert (top.value, top.ci_low, top.ci_high) == pytest.approx((alone.value, alone.ci_low, alone.ci_high))


def test_importance_that_fades_leaves_shares_as_they_are():
    full, faded = evidence(), evidence(means=(0.02, 0.01, 0.001))
    share, importance = {"players": ["income"], "value": 0.5}, {"players": ["income", "age"], "value": 2.0}
    assert judged("min_share", faded, **share).value == pytest.approx(judged("min_share", full, **share).value)
    assert judged("min_importance", full, **importance).outcome == "pass"
    finding = judged("min_importance", faded, **importance)
    assert finding.outcome == "fail"
    assert finding.message.startswith("income and age together move the output by 0.02")
    phi = np.abs(np.random.default_rng(0).normal(size=(400, 3)) * (2.0, 1.0, 0.1))[:, :2].sum(axis=1)
    finding = judged("min_importance", full, **importance)
    variation = phi.std(ddof=1) / phi.mean()
    longest = 1 / variation - variation  # the longest tail to the left that positive values can have
    assert finding.ci_low == pytest.approx(phi.mean() - hall(399, 0.05, longest) * stats.sem(phi))
    assert finding.ci_high == pytest.approx(phi.mean() + hall(399, 0.05, 3 * variation) * stats.sem(phi))


def test_the_canary_is_beaten_by_what_was_learned_and_not_by_what_is_not_read():
    found = evidence()
    finding = judged("canary", found, feature="noise")
    assert (finding.outcome, finding.about) == ("pass", ("age",))
    assert judged("canary", found, feature="noise", players=["race"]).outcome == "fail"
    worse = judged("canary", found, feature="age", players=["noise", "income"])
    assert (worse.outcome, worse.about) == ("fail", ("noise",))
    assert "it matters less than noise with 95 % confidence" in worse.message


def test_a_canary_that_is_not_read_is_no_evidence():
    finding = judged("canary", evidence(), feature="race")
    assert finding.outcome == "insufficient_evidence"
    assert "does not read the canary race" in finding.message
    alone = evidence(means=(1.0,), unused=())
    assert "reads nothing but the canary" in judged("canary", alone, feature="income").message
    with pytest.raises(ConfigError, match="`canary`"):
        apply_rule("canary", {"feature": "canary"}, evidence())


def test_the_canary_is_compared_row_by_row():
    phi = np.abs(np.random.default_rng(0).lognormal(size=(200, 1))) * [1.02, 1.0]
    accumulator = ImportanceAccumulator(2)
    accumulator.add(phi, phi * 0, phi * 0, phi[:, 0] * 0, phi[:, 0] * 0)
    found = evidence_of(accumulator.result(), ["income", "noise"])
    assert judged("canary", found, feature="noise").outcome == "pass"


@pytest.mark.parametrize(
    ("shift", "direction", "outcome"),
    [(1.0, "positive", "pass"), (1.0, "negative", "fail"), (-1.0, "negative", "pass"), (0.2, "positive", "insuff")],
)
def test_a_mean_effect_has_a_sign_where_the_examples_show_it(shift, direction, outcome):
    finding = judged("sign", evidence(shift=shift), players=["income"], direction=direction)
    assert finding.outcome.startswith(outcome)
    phi = np.random.default_rng(0).normal(size=(400, 3))[:, 0] * 2.0 + shift
    skewness = 3 * np.abs(phi).std(ddof=1) / np.abs(phi).mean()
    assert finding.ci_high == pytest.approx(phi.mean() + hall(399, 0.05, skewness) * stats.sem(phi))


def test_a_feature_without_effect_has_no_sign():
    for direction in ("positive", "negative"):
        finding = judged("sign", evidence(shift=1.0), players=["race"], direction=direction)
        assert (finding.outcome, finding.value) == ("fail", 0.0)
        assert "exactly 0" in finding.message


def test_errors_that_examples_share_count_for_the_sign():
    found = evidence(shift=1.0)
    signed = dataclasses.replace(found.signed, design_std_error=np.full(4, 10.0))
    shared = dataclasses.replace(found, signed=signed)
    assert judged("sign", shared, players=["income"], direction="positive").outcome == "insufficient_evidence"
    unknown = dataclasses.replace(found, signed=dataclasses.replace(signed, design_std_error=np.full(4, np.nan)))
    assert judged("sign", unknown, players=["income"], direction="positive").outcome == "insufficient_evidence"


@pytest.mark.parametrize(
    ("step", "direction", "tolerance", "outcome"),
    [
        ([0.1, 0.2, 0.1], "increasing", 0.0, "pass"),
        ([0.1, 0.2, 0.1], "decreasing", 0.0, "fail"),
        ([0.1, -0.2, 0.1], "increasing", 0.0, "fail"),
        ([0.1, -0.2, 0.1], "increasing", 0.3, "pass"),
        ([-0.1, -0.2, 0.002], "decreasing", 0.0, "insufficient_evidence"),
        ([-0.1, -0.2, 0.002], "decreasing", 0.05, "pass"),
    ],
)
def test_a_curve_that_goes_the_wrong_way_is_found(step, direction, tolerance, outcome):
    found = evidence(steps=curve(step))
    finding = judged("monotonic", found, feature="income", direction=direction, tolerance=tolerance)
    assert finding.outcome == outcome
    assert finding.threshold == (-tolerance if direction == "increasing" else tolerance)
    assert finding.about == ("income",)


def test_the_step_that_decides_is_named():
    found = evidence(steps=curve([0.1, -0.2, 0.1]))
    finding = judged("monotonic", found, feature="income", direction="increasing")
    assert finding.message.startswith("From income = 1 to 2 the output changes by -0.2 (at most -0.1")
    # Three steps share the 5 %: the bound is that of one step at 98.33 %.
    assert finding.ci_high == pytest.approx(-0.2 + hall(99, 0.05 / 3, 2.0 * math.sqrt(100 / 99)) * 0.01)
    passed = judged("monotonic", evidence(steps=curve([0.1, 0.2])), feature="income", direction="increasing")
    assert passed.message.startswith("All 2 steps are increasing; the closest: From income = 0 to 1")
    assert passed.ci_low == pytest.approx(0.1 - hall(99, 0.05, 2.0 * math.sqrt(100 / 99)) * 0.01)


def test_a_step_of_unknown_error_is_not_taken_for_granted():
    found = evidence(steps=curve([0.1, 0.2], std_error=[0.01, np.nan]))
    finding = judged("monotonic", found, feature="income", direction="increasing")
    assert finding.outcome == "insufficient_evidence"
    assert "unknown error" in finding.message
    single = judged("monotonic", evidence(steps=curve([])), feature="income", direction="increasing")
    assert (single.outcome, single.confidence) == ("insufficient_evidence", None)


def test_the_curve_is_the_one_asked_for():
    falling = Steps(np.arange(2.0), np.array([-1.0]), np.array([0.01]), np.array([99.0]))
    steps = curve([1.0]) | {("accumulated_local_effects", "income"): falling}
    settings = {"feature": "income", "direction": "increasing"}
    assert judged("monotonic", evidence(steps=steps), **settings).outcome == "pass"
    ale = judged("monotonic", evidence(steps=steps), method="accumulated_local_effects", **settings)
    assert ale.outcome == "fail"


def test_an_unread_feature_goes_against_no_direction_and_an_unknown_profile_is_a_mistake():
    settings = {"direction": "increasing"}
    assert judged("monotonic", evidence(), feature="race", **settings).outcome == "pass"
    with pytest.raises(ConfigError, match=r"needs profiles, which .* list `partial_dependence`"):
        apply_rule("monotonic", {"feature": "income", **settings}, evidence())
    with pytest.raises(ConfigError, match=r"profile of `age` .*\(it has: income\); add the feature"):
        apply_rule("monotonic", {"feature": "age", **settings}, evidence(steps=curve([1.0])))


def with_interactions(mean_abs):
    pairs = (("income", "age"), ("income", "noise"), ("age", "noise"))
    return evidence(interactions=Interactions(pairs, np.asarray(mean_abs), np.full(3, 0.01)))


def test_interactions_are_parts_of_the_total_importance():
    found = with_interactions([0.5, 0.01, 0.02])
    total = found.mean_abs.sum()
    named = judged("max_interaction", found, players=["age", "income"], value=0.1)
    assert (named.outcome, named.about) == ("fail", ("income", "age"))
    assert named.value == pytest.approx(0.5 / total)
    q, error = stats.t(399).ppf(0.95), math.sqrt(found.mean_abs_covariance.sum())
    variation = 0.01 * math.sqrt(400) / 0.5
    right, left = hall(399, 0.05, 3 * variation), hall(399, 0.05, 1 / variation - variation)
    assert named.ci_high == pytest.approx((0.5 + right * 0.01) / (total - q * error))
    assert named.ci_low == pytest.approx((0.5 - left * 0.01) / (total + q * error))
    assert judged("max_interaction", found, value=0.1).about == ("income", "age")
    assert judged("max_interaction", found, players=["age", "noise"], value=0.1).outcome == "pass"
    assert judged("max_interaction", found, players=["age", "race"], value=0.0).outcome == "pass"


def test_interactions_that_were_not_computed_are_a_mistake():
    with pytest.raises(ConfigError, match="set `interactions: 2`"):
        apply_rule("max_interaction", {"value": 0.1}, evidence())
    with pytest.raises(ConfigError, match=r"`aeg`.*did you mean `age`"):
        apply_rule("max_interaction", {"players": ["aeg", "income"], "value": 0.1}, with_interactions([1, 1, 1]))


def with_contrast(difference, std_error=0.05):
    errors = np.broadcast_to(std_error, (4,)).astype(float)
    return evidence(slice_key="sex=f", contrast=SliceContrast(np.asarray(difference), errors, 60.0, 2.5, 0.05))


def test_slices_may_differ_by_so_much_either_way():
    for difference in (0.5, -0.5):
        finding = judged("max_slice_difference", with_contrast([0.0, difference, 0.0, 0.0]), value=0.1)
        assert (finding.outcome, finding.about) == ("fail", ("age",))
        assert finding.value == pytest.approx(0.2)
        assert f"matters {'more' if difference > 0 else 'less'} in sex=f" in finding.message
    small = with_contrast([0.0, 0.1, 0.0, 0.0])
    assert judged("max_slice_difference", small, value=0.2).outcome == "pass"
    assert judged("max_slice_difference", small, value=0.05).outcome == "insufficient_evidence"
    assert judged("max_slice_difference", small, players=["income"], value=0.05).outcome == "pass"


def test_slices_too_small_to_compare_are_no_evidence():
    tiny = with_contrast([0.0] * 4, std_error=np.nan)
    assert "too few examples to be compared" in judged("max_slice_difference", tiny, value=0.5).message
    assert judged("max_slice_difference", evidence(), value=0.5).outcome == "insufficient_evidence"


def test_the_error_of_importance_is_compared_with_the_largest_importance():
    found = evidence()
    worst = math.sqrt(np.diag(found.mean_abs_covariance).max()) / found.mean_abs.max()
    finding = judged("max_relative_std_error", found, value=0.1)
    assert (finding.outcome, finding.about, finding.confidence) == ("pass", ("income",), None)
    assert finding.value == finding.ci_low == finding.ci_high == pytest.approx(worst)
    assert judged("max_relative_std_error", found, value=worst * 0.9).outcome == "fail"
    assert judged("max_relative_std_error", found, value=worst * 0.9, players=["noise"]).outcome == "pass"
    noisy = dataclasses.replace(found.signed, design_std_error=np.array([0, 1.0, 0, 0]))
    shared = judged("max_relative_std_error", dataclasses.replace(found, signed=noisy), value=0.1)
    assert (shared.outcome, shared.about) == ("fail", ("age",))
    noisy = dataclasses.replace(noisy, design_std_error=np.array([0, np.nan, 0, 0]))
    unknown = judged("max_relative_std_error", dataclasses.replace(found, signed=noisy), value=0.1)
    assert unknown.outcome == "insufficient_evidence"


def test_examples_are_counted_by_what_they_weigh():
    assert judged("min_examples", evidence(), value=400).outcome == "pass"
    assert judged("min_examples", evidence(), value=401).outcome == "fail"
    weighed = judged("min_examples", evidence(n_effective=123.4), value=200)
    assert weighed.message == (
        "400 examples were explained (by their weights as good as 123.4), fewer than the 200 required: explain more."
    )


def test_slices_without_tables_say_so():
    nothing = Evidence(("a",), 80, np.array([np.nan]), np.array([[np.nan]]), 0.0)
    finding = judged("max_share", nothing, players=["a"], value=0.5)
    assert finding.outcome == "insufficient_evidence"
    assert "no tables of their own: lower `min_slice_examples` of the ExplainConfig" in finding.message


# --- many rules at once ---------------------------------------------------------------------------------------------


def of_p_value(p):
    """A rule that fails from a confidence of 1 - p on downwards; None is a figure that is known exactly."""

    def judgement(confidence):
        outcome = "fail" if p is None or p <= 1 - confidence + 1e-12 else "insufficient_evidence"
        return Finding("r", {}, "s", "o", outcome, 0, 0, 0, 0, ".", (), None if p is None else confidence)

    return judgement


@pytest.mark.parametrize(
    "p_values",
    [[0.01, 0.02, 0.03, 0.04], [0.012, 0.5, 0.016, 0.03], [0.02, 0.9, 0.9], [0.05], [0.04, 0.06], [], [0.9, 0.9]],
)
def test_failures_are_those_of_holm(p_values):
    order = np.argsort(p_values)
    adjusted = np.maximum.accumulate([(len(p_values) - i) * p_values[at] for i, at in enumerate(order)] or [0.0])
    expected = {int(at) for at, p in zip(order, adjusted, strict=False) if p <= 0.05}
    found = findings_of([of_p_value(p) for p in p_values], 0.95)
    assert {i for i, finding in enumerate(found) if finding.outcome == "fail"} == expected


def test_exact_figures_need_no_correction_and_do_not_count():
    found = findings_of([of_p_value(None), of_p_value(0.04), of_p_value(None)], 0.95)
    assert [f.outcome for f in found] == ["fail"] * 3
    assert [f.confidence for f in found] == [None, 0.95, None]


def test_findings_say_the_confidence_they_were_corrected_to():
    doubtful, clear = evidence(), evidence(means=(1.0, 1.0, 10.0))
    judgements = [
        lambda c, e=e, v=v: apply_rule("max_share", {"players": ["noise"], "value": v}, e, confidence=c)
        for e, v in ((clear, 0.05), (doubtful, 0.5), (doubtful, 0.5))
    ]
    found = findings_of(judgements, 0.95)
    assert [finding.outcome for finding in found] == ["fail", "pass", "pass"]
    assert found[0].confidence == pytest.approx(1 - 0.05 / 3)
    assert found[1].confidence == 0.95
    assert "with 98.3 % confidence" in found[0].message


def test_the_promise_says_what_was_corrected():
    two = [of_p_value(0.5)(0.95)] * 2
    assert "together are right with 95 % confidence, corrected for the 2 estimated findings (Holm)" in promise(
        two, 0.95
    )
    assert "not corrected for the 2 estimated findings" in promise(two, 0.95, "none")
    assert promise(two[:1], 0.95) == "The one estimated finding is right with 95 % confidence."
    assert promise([of_p_value(None)(0.95)], 0.95) == "No finding rests on an estimate."


@pytest.mark.parametrize(
    ("level", "text"), [(0.95, "95 %"), (1 - 0.05 / 7, "99.28 %"), (0.8, "80 %"), (0.9, "90 %"), (0.99995, "99.995 %")]
)
def test_a_confidence_is_never_shown_too_large(level, text):
    assert confidence_percent(level) == text


def test_all_rules_are_described_for_the_report():
    for rule in ("sign", "monotonic", "canary", "max_interaction", "max_slice_difference", "min_examples"):
        assert describe(rule) != rule
