"""Constructed cases whose truth is known: which measure sees which, and that the default rules see all."""

import numpy as np
import pytest

from tfx_explain.config.drift import DEFAULT_DRIFT_RULES

BASE = [0.5, 0.3, 0.1, 0.06, 0.04]
N = 4_000

RULES = {
    "total_variation": {"drift": {"measure": "total_variation", "max": 0.1}},
    "l_infinity": {"drift": {"measure": "l_infinity", "max": 0.1}},
    "ndcg": {"drift": {"measure": "ndcg", "max": 0.1}},
    "kendall_tau": {"drift": {"measure": "kendall_tau", "max": 0.05}},
    "top_1": {"drift": {"measure": "top_k_overlap", "k": 1, "max": 0.0}},
    "rank_reversal": {"drift": {"measure": "rank_reversal", "max": 0.02}},
    "sign_flips": {"drift": {"measure": "sign_flips", "max": 0.02}},
    "importance_ratio": {"drift": {"measure": "importance_ratio", "max": 2.0}},
    "z_score": {"drift": {"measure": "z_score", "max": 0.0}},
    "jensen_shannon": {"attribution_drift": {"measure": "jensen_shannon", "max": 0.1}},
    "bins_l_infinity": {"attribution_drift": {"measure": "l_infinity", "max": 0.2}},
    "wasserstein": {"attribution_drift": {"measure": "wasserstein", "max": 0.1}},
    "classifier": {"attribution_drift": {"measure": "classifier", "max": 0.6}},
}

DISTRIBUTION = {"jensen_shannon", "bins_l_infinity", "wasserstein", "classifier"}

SEEN = {
    "importance collapses 100 times": {"importance_ratio", "z_score", *DISTRIBUTION},
    "top share falls from 0.9 to 0.4": {"total_variation", "l_infinity", "z_score", *DISTRIBUTION},
    "top two swap 0.5 and 0.44": {"top_1", "rank_reversal", "kendall_tau", "z_score"},
    "an effect flips its sign": {"sign_flips", "z_score", *DISTRIBUTION},
    "distribution but not mean": DISTRIBUTION,
    "one slice, in the slice": {"total_variation", "l_infinity", "top_1", "rank_reversal", "ndcg", "kendall_tau"}
    | {"z_score", *DISTRIBUTION},
    "one slice, in the whole": {"z_score"},
    "no change": set(),
}
"""Case -> the measures that see it; every other one passes it."""


@pytest.fixture(scope="module")
def cases(sample):
    """Case -> attributions of candidate and baseline."""
    rng = np.random.default_rng(11)
    ours = {
        "importance collapses 100 times": sample(BASE, N, rng, size=0.01),
        "top share falls from 0.9 to 0.4": sample([0.4, 0.35, 0.2, 0.03, 0.02], N, rng),
        "top two swap 0.5 and 0.44": sample([0.44, 0.5, 0.03, 0.02, 0.01], N, rng),
        "an effect flips its sign": sample(BASE, N, rng, signs=[1, -1, 1, 1, 1]),
        "no change": sample(BASE, N, rng),
    }
    theirs = {name: sample(BASE, N, rng) for name in ours}
    theirs["top share falls from 0.9 to 0.4"] = sample([0.9, 0.05, 0.03, 0.015, 0.005], N, rng)
    theirs["top two swap 0.5 and 0.44"] = sample([0.5, 0.44, 0.03, 0.02, 0.01], N, rng)
    spread, centre = sample(BASE, N, rng), sample(BASE, N, rng)
    spread[:, 0] = 0.5 * (1 + 0.15 * np.where(np.arange(N) % 2, 1, -1))
    ours["distribution but not mean"], theirs["distribution but not mean"] = spread, centre
    wrong = np.arange(N) < N // 20
    whole, before = sample(BASE, N, rng), sample(BASE, N, rng)
    whole[wrong] = sample(BASE[::-1], int(wrong.sum()), rng)
    ours["one slice, in the whole"], theirs["one slice, in the whole"] = whole, before
    part = sample(BASE[::-1], N // 4, rng), sample(BASE, N // 4, rng)
    ours["one slice, in the slice"], theirs["one slice, in the slice"] = part
    return {name: (ours[name], theirs[name]) for name in SEEN}


@pytest.mark.parametrize("case", SEEN)
def test_each_measure_sees_what_it_is_for_and_nothing_else(case, cases, judge_all):
    findings = judge_all(RULES.values(), *cases[case])
    outcomes = {name: finding.outcome for name, finding in zip(RULES, findings, strict=True)}
    assert {name for name, outcome in outcomes.items() if outcome == "fail"} == SEEN[case], outcomes


@pytest.mark.parametrize("case", SEEN)
def test_the_default_rules_see_every_change_and_pass_none(case, cases, judge_all):
    outcomes = [finding.outcome for finding in judge_all(DEFAULT_DRIFT_RULES, *cases[case])]
    unseen = case in ("no change", "one slice, in the whole")
    assert ("fail" in outcomes) is not unseen, outcomes
    assert not unseen or set(outcomes) == {"pass"}, outcomes
