"""Totals and shares beside many players that are nothing but noise: true figures AT the limit, and what they are of."""

import dataclasses
import math
from collections import Counter

import numpy as np
import pytest

from judging import evidence_of
from tfx_explain.judgement import Evidence, apply_rule
from tfx_explain.judgement.details import Interactions, SliceContrast
from tfx_explain.judgement.drift.comparison import Comparison, Moments
from tfx_explain.summary import ImportanceAccumulator, Noise
from trials import often, seldom_wrong

RUNS = 300
USED, N_NOISE, N = [4.0, 3.0, 1.0], 37, 120
TRUTH = np.array(USED + [0.0] * N_NOISE)
PLAYERS = tuple(f"p{i}" for i in range(len(TRUTH)))
NOISY = list(PLAYERS[len(USED) :])


def explanation(rng, means=TRUTH, noise=0.15):
    """The summary of 120 examples with these mean sizes, whose noise is mostly that of four designs."""
    shape, ids = (N, len(means)), np.arange(N) % 4
    common = rng.normal(size=(4, len(means)))[ids] * rng.choice([-1.0, 1.0], size=(N, 1))
    errors = noise * (math.sqrt(0.9) * common + math.sqrt(0.1) * rng.normal(size=shape))
    accumulator, zeros = ImportanceAccumulator(len(means)), np.zeros(N)
    phi = means * (1 + 0.3 * rng.normal(size=shape)) + errors
    accumulator.add(phi, np.full(shape, noise), np.zeros(shape), zeros, zeros, noise=Noise(design_ids=ids))
    return accumulator.result()


@pytest.fixture(scope="module")
def evidences():
    rng = np.random.default_rng(1)
    return [evidence_of(explanation(rng), PLAYERS) for _ in range(RUNS)]


# Rule, settings with the true figure at the limit, a limit that is far from it, and what follows there.
CASES = {
    "one player's most": ("max_share", {"players": ["p0"], "value": 0.5}, 0.3, "fail"),
    "one player's least": ("min_share", {"players": ["p0"], "value": 0.5}, 0.7, "fail"),
    "a small player's most": ("max_share", {"players": ["p2"], "value": 0.125}, 0.05, "fail"),
    "the most of one and all noise": ("max_share", {"players": ["p2", *NOISY], "value": 0.125}, 0.4, "pass"),
    "the least of one and all noise": ("min_share", {"players": ["p2", *NOISY], "value": 0.125}, 0.4, "fail"),
    "anyone's most": ("max_top_share", {"value": 0.5}, 0.3, "fail"),
    "importance of all": ("min_importance", {"players": list(PLAYERS), "value": 8.0}, 12.0, "fail"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_rule_at_its_limit_is_seldom_wrong_beside_players_of_noise(evidences, case):
    rule, settings, far, expected = CASES[case]
    found = Counter(apply_rule(rule, settings, evidence).outcome for evidence in evidences)
    assert max(found["pass"], found["fail"]) <= often(RUNS), found
    power = [apply_rule(rule, {**settings, "value": far}, evidence).outcome for evidence in evidences[:20]]
    assert power.count(expected) >= 18, Counter(power)


def moments(found):
    signed = found.mean_signed, found.mean_signed_std_error
    return Moments(N, float(N), found.mean_abs, found.mean_abs_covariance, *signed, cut_off=found.cut_off)


@pytest.mark.parametrize("grown", [0.5, 2.0])
def test_importance_that_grew_as_far_as_it_may_is_seldom_judged_wrongly_where_one_side_is_noisier(grown):
    rng, rule = np.random.default_rng(2), {"measure": "importance_ratio", "max": 2.0}

    def trial():
        sides = explanation(rng), explanation(rng, TRUTH / grown, noise=0.04)
        return (apply_rule("drift", rule, Comparison(PLAYERS, *map(moments, sides))).outcome,)

    seldom_wrong((trial() for _ in range(RUNS)), "pass", "fail", runs=RUNS)


def sharp(cut, scale=1.0):
    """Shares of 4, 3 and 1 of 8 beside noise that adds nothing to the total once what was `cut` counts."""
    mean, cut_off = np.array([*USED, cut, 0.0]) * scale, np.array([0.0, 0.0, 0.0, 0.0, -cut]) * scale
    covariance = np.diag(np.full(5, 1e-8))
    return Moments(200, 200.0, mean, covariance, np.array([4.0, 3.0, 1.0, 0.0, 0.0]), np.full(5, 1e-4), cut_off)


def of(side, **parts):
    figures = side.mean_abs, side.covariance
    return Evidence(PLAYERS[:5], 200, *figures, 0.0, cut_off=side.cut_off, **parts)


@pytest.mark.parametrize("measure", ["total_variation", "l_infinity", "rank_reversal", "sign_flips"])
def test_shares_of_used_players_do_not_drift_since_one_side_has_more_noise(measure):
    """The player that noise leaves above 0 has a share of its own, which is left out of what is measured."""
    comparison = Comparison(PLAYERS[:5], sharp(0.0), sharp(2.0, scale=3.0))
    settings = {"measure": measure, "max": 0.01, "players": ["p0", "p1", "p2"]}
    finding = apply_rule("drift", settings, comparison)
    assert (finding.outcome, finding.value) == ("pass", pytest.approx(0.0, abs=1e-9)), finding.message


def test_a_mean_effect_that_changed_direction_is_a_part_of_what_was_not_cut_off():
    ours = sharp(2.0)
    theirs = dataclasses.replace(ours, mean_signed=-ours.mean_signed)
    settings = {"measure": "sign_flips", "max": 0.45}
    finding = apply_rule("drift", settings, Comparison(PLAYERS[:5], ours, theirs))
    assert (finding.outcome, finding.value) == ("fail", pytest.approx(0.5)), finding.message


def test_figures_of_rules_are_parts_of_what_was_not_cut_off():
    evidence = of(
        sharp(2.0),
        interactions=Interactions((("p0", "p1"),), np.array([0.8]), np.array([1e-4])),
        contrast=SliceContrast(np.array([0.4, 0.0, 0.0, 0.0, 0.0]), np.full(5, 1e-4), 50.0, 8.0, 1e-4),
        slice_key="s",
    )
    rules = (
        ("max_share", {"players": ["p0"], "value": 0.45}, 0.5),
        ("max_share", {"players": ["p2", "p3", "p4"], "value": 0.1}, 0.125),
        ("max_top_share", {"value": 0.45}, 0.5),
        ("max_interaction", {"value": 0.09}, 0.1),
        ("max_slice_difference", {"value": 0.04}, 0.05),
    )
    for rule, settings, figure in rules:
        finding = apply_rule(rule, settings, evidence)
        assert (finding.outcome, finding.value) == ("fail", pytest.approx(figure)), finding.message
    canary = apply_rule("canary", {"feature": "p3", "players": ["p2"]}, evidence)
    assert "p2 carries 12.5 % of the importance and the random p3 25.0 %" in canary.message


def swamped(side):
    """The same side with more noise cut off elsewhere than there is importance."""
    return dataclasses.replace(side, cut_off=np.array([0.0, 0.0, 0.0, 0.0, -20.0]))


@pytest.mark.parametrize("measure", ["ndcg", "kendall_tau", "top_k_overlap"])
def test_the_order_of_players_needs_no_total(measure):
    ours, theirs = sharp(0.0), sharp(0.0)
    theirs = dataclasses.replace(theirs, mean_abs=theirs.mean_abs[[1, 0, 2, 3, 4]])
    pairs = [(ours, theirs), (swamped(ours), swamped(theirs))]
    settings = {"measure": measure, "max": 0.01, "k": 1}
    plain, noisy = (apply_rule("drift", settings, Comparison(PLAYERS[:5], *pair)) for pair in pairs)
    assert plain.outcome == "fail"
    assert (noisy.outcome, noisy.value, noisy.ci_low, noisy.ci_high) == (
        plain.outcome,
        plain.value,
        plain.ci_low,
        plain.ci_high,
    )


def test_nothing_is_a_share_of_noise_alone():
    side = swamped(sharp(9.0))
    for rule in ({"max_share": {"players": ["p0"], "value": 0.9}}, {"max_top_share": {"value": 0.9}}):
        ((name, settings),) = rule.items()
        finding = apply_rule(name, settings, of(side))
        assert finding.outcome == "insufficient_evidence"
        assert "Noise leaves nothing of the total importance" in finding.message
    for measure in ("total_variation", "l_infinity", "rank_reversal", "sign_flips"):
        finding = apply_rule("drift", {"measure": measure, "max": 0.9}, Comparison(PLAYERS[:5], side, sharp(0.0)))
        assert finding.outcome == "insufficient_evidence"
    assert apply_rule("min_importance", {"players": list(PLAYERS[:5]), "value": 1.0}, of(side)).outcome == "fail"
    contrast = SliceContrast(np.full(5, 0.1), np.full(5, 1e-4), 50.0, side.total, 1e-4)
    finding = apply_rule("max_slice_difference", {"value": 0.9}, of(sharp(0.0), contrast=contrast, slice_key="s"))
    assert (finding.outcome, "Noise leaves nothing" in finding.message) == ("insufficient_evidence", True)
    nothing_above = dataclasses.replace(side, mean_abs=np.zeros(5))
    assert "Noise leaves nothing" in apply_rule("canary", {"feature": "p3"}, of(nothing_above)).message


@pytest.mark.parametrize("error", [0.01, 0.0])
def test_importance_that_noise_hides_fell_at_least_by_what_its_error_leaves(error):
    """Of independent means 8 and 0 with an error of 0.01 Fieller's bound of their ratio is 8 / (t * 0.01)."""
    gone = Moments(200, 200.0, np.zeros(1), np.full((1, 1), error**2), np.zeros(1), np.zeros(1))
    left = Moments(200, 200.0, np.full(1, 8.0), np.zeros((1, 1)), np.zeros(1), np.zeros(1))
    for sides in ((gone, left), (left, gone)):
        finding = apply_rule("drift", {"measure": "importance_ratio", "max": 2.0}, Comparison(("p0",), *sides))
        # The 95 % quantile of Student's t of 199 degrees of freedom.
        expected = 8 / (1.652547 * error) if error else math.inf
        assert (finding.outcome, finding.ci_low) == ("fail", pytest.approx(expected, rel=1e-5)), finding.message
