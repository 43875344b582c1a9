"""How often rules about drift are wrong: up to 2,000 pairs of explanations whose true figure IS the limit."""

import dataclasses
import math

import numpy as np
import pytest
from scipy import special

from tfx_explain.judgement import apply_rule
from tfx_explain.judgement.drift import distances, histograms
from tfx_explain.judgement.drift.comparison import Comparison, Moments
from tfx_explain.judgement.drift.distributions import AttributionSample, DistributionComparison
from tfx_explain.judgement.drift.histograms import jensen_shannon, l_infinity
from trials import seldom_wrong

RUNS = 2000
HALF_NORMAL = math.sqrt(2 / math.pi)
SIX = [1 / 6] * 6
HALVED = [0.5, 0.25, 0.12, 0.07, 0.04, 0.02]
SWAPPED, ORDERED = [0.3, 0.4, 0.2, 0.1], [0.4, 0.3, 0.2, 0.1]


def sizes(shape, rng, n, scales, runs=RUNS):
    """(runs, n, d) attributions >= 0 of these mean sizes, dependent across players."""
    z = 0.6 * rng.normal(size=(runs, n, 1)) + 0.8 * rng.normal(size=(runs, n, len(scales)))
    of_shape = {
        "normal": lambda: np.abs(z) / HALF_NORMAL,
        "exponential": lambda: -special.log_ndtr(z),
    }
    return of_shape[shape]() * scales


def moments_of(phi):
    """The importance in each of (runs, n, d) attributions >= 0: what `moments` makes of one, far faster."""
    n, mean = phi.shape[1], phi.mean(axis=1)
    centred = phi - mean[:, None]
    covariance = centred.transpose(0, 2, 1) @ centred / (n * (n - 1))
    std_error = np.sqrt(np.diagonal(covariance, axis1=1, axis2=2))
    return [Moments(n, float(n), m, c, m, e) for m, c, e in zip(mean, covariance, std_error, strict=True)]


def outcomes(rule, ours, theirs):
    """What a rule about importance comes to, trial by trial; ours and theirs (runs, n, d)."""
    players = tuple(f"p{i}" for i in range(ours.shape[2]))
    pairs = zip(moments_of(ours), moments_of(theirs), strict=True)
    return ((apply_rule("drift", rule, Comparison(players, *pair)).outcome,) for pair in pairs)


def test_the_importance_of_many_explanations_is_that_of_each(moments):
    phi = sizes("exponential", np.random.default_rng(0), 50, [0.5, 0.3, 0.2], runs=3)
    for found, each in zip(moments_of(phi), phi, strict=True):
        for ours, theirs in zip(dataclasses.astuple(found), dataclasses.astuple(moments(each)), strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-9)


# Measure, limit, further settings, shares of candidate and baseline.
CASES = {
    "total_variation": ("total_variation", 0.1, {}, [0.4, 0.4, 0.2], [0.5, 0.3, 0.2]),
    "total_variation of nothing": ("total_variation", 0.0, {}, SIX, SIX),
    "l_infinity": ("l_infinity", 0.1, {}, [0.4, 0.35, 0.25], [0.5, 0.3, 0.2]),
    "ndcg": ("ndcg", float(distances.ndcg_loss(np.array(SWAPPED), np.array(ORDERED))), {}, SWAPPED, ORDERED),
    "ndcg of ties": ("ndcg", 0.0, {}, SIX, SIX),
    "ndcg of an order where the baseline has ties": ("ndcg", 0.0, {}, HALVED, SIX),
    "kendall_tau of ties": ("kendall_tau", 0.0, {}, SIX, SIX),
    "top_k_overlap of ties": ("top_k_overlap", 0.0, {"k": 3}, SIX, SIX),
    "rank_reversal": ("rank_reversal", 0.1, {}, [0.5, 0.4, 0.1], [0.3, 0.6, 0.1]),
    "importance_ratio": ("importance_ratio", 2.0, {}, [1.0, 0.6, 0.4], [0.5, 0.3, 0.2]),
    "importance_ratio of half": ("importance_ratio", 2.0, {}, [0.5, 0.3, 0.2], [1.0, 0.6, 0.4]),
    "importance_ratio of one": ("importance_ratio", 1.0, {}, [0.5, 0.5], [0.5, 0.5]),
}


@pytest.mark.parametrize(
    ("case", "shape"),
    [(case, shape) for case in CASES for shape in ("normal", "exponential") if shape == "normal" or "ties" not in case],
)
def test_importance_at_the_limit_is_judged_wrongly_at_most_as_often_as_the_rule_says(case, shape):
    measure, limit, settings, ours, theirs = CASES[case]
    rng, rule = np.random.default_rng(1), {"measure": measure, "max": limit, **settings}
    seldom_wrong(outcomes(rule, sizes(shape, rng, 60, ours), sizes(shape, rng, 200, theirs)), "fail", "pass")


def test_no_change_is_called_one_by_z_score_at_most_as_often_as_it_says():
    rng = np.random.default_rng(2)
    sides = [sizes("exponential", rng, n, np.array([0.5, 0.3, 0.2])) for n in (60, 200)]
    seldom_wrong(outcomes({"measure": "z_score", "max": 0.0}, *sides), "fail", seen="fail")


def test_an_order_that_barely_differs_passes_at_most_as_often_as_the_rule_says():
    """One pair of players is reversed, by a hair: a limit of 0 is broken and nothing shows it."""
    for measure, settings in (("kendall_tau", {}), ("top_k_overlap", {"k": 1}), ("ndcg", {})):
        rng = np.random.default_rng(3)
        shares = [0.4499, 0.4501, 0.1], [0.5, 0.4, 0.1]
        sides = [sizes("normal", rng, 500, share, runs=500) for share in shares]
        seldom_wrong(outcomes({"measure": measure, "max": 0.0, **settings}, *sides), "fail", "pass", runs=500)


def fractions(edges, shift, spread):
    """What is true of N(shift, spread^2) in bins between these edges, none at zero."""
    below = special.ndtr((np.asarray(edges) - shift) / spread)
    return np.diff(below, prepend=0.0, append=1.0)


DECILES = special.ndtri(np.arange(1, 10) / 10)
# Measure -> true figure of N(shift, spread^2) against N(0, 1); the bins of both meanings are tested.
DISTANCES = {"jensen_shannon": jensen_shannon, "l_infinity": l_infinity}


def judged(measure, ours, theirs, limit, chosen=None, **kwargs):
    players = tuple(f"p{i}" for i in range(ours.shape[1]))
    samples = [AttributionSample(phi, np.ones(len(phi))) for phi in (ours, theirs)]
    comparison = DistributionComparison(players, *samples, **kwargs)
    return apply_rule("attribution_drift", {"measure": measure, "max": limit, "players": chosen}, comparison)


@pytest.mark.parametrize("changed", [(0.6, 1.0), (0.0, 0.4), (0.0, 1.0)], ids=["shifted", "narrow", "unchanged"])
@pytest.mark.parametrize("measure", DISTANCES)
def test_bins_at_the_limit_are_judged_wrongly_at_most_as_often_as_the_rule_says(measure, changed, monkeypatch):
    """Whether the figure is meant on quantiles of all rows, or on those of the baseline that there is."""
    monkeypatch.setattr(histograms, "N_DRAWS", 300)
    rng = np.random.default_rng(4)
    limit = float(DISTANCES[measure](fractions(DECILES, *changed), fractions(DECILES, 0.0, 1.0)))

    def trial():
        ours, theirs = changed[0] + changed[1] * rng.normal(size=(200, 1)), rng.normal(size=(60, 1))
        finding = judged(measure, ours, theirs, limit)
        edges = np.quantile(theirs, np.arange(1, 10) / 10, method="inverted_cdf")
        given = float(DISTANCES[measure](fractions(edges, *changed), fractions(edges, 0.0, 1.0)))
        on_these = {"low": finding.ci_low > given, "high": finding.ci_high < given}
        return finding.outcome, *(end for end, is_wrong in on_these.items() if is_wrong)

    seldom_wrong((trial() for _ in range(RUNS)), "fail", "pass", "low", "high")


@pytest.mark.parametrize("shift", [0.0, 0.5])
def test_distance_moved_is_judged_wrongly_at_most_as_often_as_the_rule_says(shift, monkeypatch):
    monkeypatch.setattr(histograms, "N_DRAWS", 300)
    rng = np.random.default_rng(5)

    def trial():
        ours, theirs = shift + rng.normal(size=(60, 1)), rng.normal(size=(60, 1))
        return (judged("wasserstein", ours, theirs, shift / HALF_NORMAL).outcome,)

    seldom_wrong((trial() for _ in range(RUNS)), "fail", "pass")


def test_distance_moved_is_as_uncertain_as_all_importance_is(monkeypatch):
    """One player moved by exactly 1 in every row, a quarter of an importance that the other one makes uncertain."""
    monkeypatch.setattr(histograms, "N_DRAWS", 300)
    rng = np.random.default_rng(7)

    def trial():
        sides = (np.stack([np.full(60, size), rng.exponential(3, 60)], axis=1) for size in (2.0, 1.0))
        return (judged("wasserstein", *sides, 1 / 4, ["p0"]).outcome,)

    seldom_wrong((trial() for _ in range(RUNS)), "fail", "pass")


def test_a_classifier_of_what_is_alike_is_no_better_than_chance():
    rng = np.random.default_rng(6)

    def trial():
        return (judged("classifier", rng.normal(size=(120, 1)), rng.normal(size=(60, 1)), 0.5).outcome,)

    seldom_wrong((trial() for _ in range(RUNS)), "fail", seen="fail")


def test_disagreement_at_the_limit_is_judged_wrongly_at_most_as_often_as_the_rule_says():
    """Of independent attributions that are mostly zero: |a - b| is |a| + |b| - 2 min(|a|, |b|).

    The smaller one of two half-normal sizes is 2 - sqrt(2) times as large as either on average, and 0 in 91 % of rows.
    """
    limit = 1 - 0.3 * (2 - math.sqrt(2))
    rng = np.random.default_rng(7)

    def trial():
        sides = [np.abs(rng.normal(size=(60, 2))) * (rng.random((60, 2)) < 0.3) for _ in range(2)]
        return (judged("disagreement", *sides, limit, is_paired=True).outcome,)

    seldom_wrong((trial() for _ in range(RUNS)), "fail", "pass")


@pytest.mark.parametrize("measure", ["jensen_shannon", "l_infinity", "wasserstein", "classifier"])
def test_a_changed_distribution_is_found_more_often_the_more_examples_there_are(measure, monkeypatch):
    monkeypatch.setattr(histograms, "N_DRAWS", 300)
    limit = {"wasserstein": 0.3, "classifier": 0.6}.get(measure, 0.1)
    rng = np.random.default_rng(8)
    power = [
        sum(
            judged(measure, 1.2 + rng.normal(size=(n, 1)), rng.normal(size=(n, 1)), limit).outcome == "fail"
            for _ in range(40)
        )
        for n in (20, 60, 400)
    ]
    assert power == sorted(power)
    assert power[0] < power[2]
    assert power[2] >= 36, power


SKEWED = {
    "lognormal": lambda rng, n: rng.lognormal(size=n),
    "sparse": lambda rng, n: np.abs(rng.normal(size=n)) * (rng.random(n) < 0.1),
    "very sparse": lambda rng, n: np.abs(rng.normal(size=n)) * (rng.random(n) < 0.02),
    "two points": lambda rng, n: np.where(rng.random(n) < 0.05, 20.0, 1.0),
}


def true_distance(measure, values, grown):
    """What is true of `grown` times these values against them, a quarter of all importance; values are very many."""
    mean = float(np.abs(values).mean())
    if measure == "wasserstein":
        return (grown - 1) * mean / (4 * mean)
    bins = histograms.ReferenceBins.of(values, np.ones(len(values)), zero=4e-6 * mean)
    return float(
        DISTANCES[measure](*[bins.fractions(side, np.ones(len(values))) for side in (grown * values[::-1], values)])
    )


@pytest.mark.parametrize("grown", [1.0, 1.5])
@pytest.mark.parametrize("shape", SKEWED)
@pytest.mark.parametrize("measure", ["jensen_shannon", "l_infinity", "wasserstein"])
def test_skewed_and_sparse_attributions_are_judged_wrongly_at_most_as_often_as_the_rule_says(
    measure, shape, grown, monkeypatch
):
    """Few rows, of which few or none may be those that matter; a second player keeps the scale."""
    monkeypatch.setattr(histograms, "N_DRAWS", 300)
    runs, many = 300, SKEWED[shape](np.random.default_rng(9), 200_000)
    limit, size = true_distance(measure, many, grown), float(np.abs(many).mean())
    rng = np.random.default_rng(10)

    def trial():
        sides = (
            np.stack([by * SKEWED[shape](rng, n), 3 * size * (1 + 0.3 * rng.normal(size=n))], axis=1)
            for by, n in ((grown, 60), (1.0, 200 if grown == 1.0 else 60))
        )
        return (judged(measure, *sides, limit, ["p0"]).outcome,)

    # Where nothing changed a pass is no mistake.
    seldom_wrong((trial() for _ in range(runs)), *(["fail"] if grown == 1.0 else ["fail", "pass"]), runs=runs)
