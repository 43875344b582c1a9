"""How often rules are wrong, by simulation: up to 2,000 explanations of a model whose true figure IS the threshold."""

import dataclasses
import math
from collections import Counter

import numpy as np
import pytest
from scipy import special

from judging import evidence_of
from tfx_explain.judgement import Evidence, apply_rule, findings_of
from tfx_explain.judgement.details import Interactions, SignedMeans, SliceContrast, Steps
from tfx_explain.summary import ImportanceAccumulator
from tfx_explain.summary.partial_dependence import PartialDependenceAccumulator
from tfx_explain.summary.slices import MIN_COMPARED, compare_with_rest
from trials import ALPHA, often, seldom_wrong

RUNS = 2000
HALF_NORMAL = math.sqrt(2 / math.pi)
"""The mean of |x| for a standard normal x."""


def accumulated(phi):
    n, d = phi.shape
    accumulator = ImportanceAccumulator(d)
    accumulator.add(phi, np.zeros((n, d)), np.zeros((n, d)), np.zeros(n), np.zeros(n))
    return accumulator


def moments(values):
    """Means (runs, d), their covariance (runs, d, d), and the skewness of the values (runs, d), from (runs, n, d)."""
    n = values.shape[1]
    mean = values.mean(axis=1)
    centred = values - mean[:, None]
    covariance = centred.transpose(0, 2, 1) @ centred / (n * (n - 1))
    third, variance = (centred**3).mean(axis=1), (centred**2).mean(axis=1)
    unbiased = math.sqrt(n * (n - 1)) / (n - 2) if n > 2 else math.nan
    with np.errstate(invalid="ignore"):
        return mean, covariance, np.where(variance > 0, third / variance**1.5, 0.0) * unbiased


def evidences(phi):
    """What accumulators make of each of (runs, n, d) attributions, far faster."""
    (mean, covariance, skewness), signed, (_, n, d) = moments(np.abs(phi)), moments(phi), phi.shape
    std_error = np.sqrt(np.diagonal(signed[1], axis1=1, axis2=2))
    players, exact = tuple(f"p{i}" for i in range(d)), np.zeros(d)
    return [
        Evidence(
            players,
            n,
            mean[i],
            covariance[i],
            0.0,
            n_effective=float(n),
            skewness=skewness[i],
            signed=SignedMeans(signed[0][i], std_error[i], exact, signed[2][i]),
        )
        for i in range(len(phi))
    ]


# Shape -> sizes of attributions from standard normal scores z (n, d), and their mean.
SIZES = {
    "normal": (lambda rng, z: z, HALF_NORMAL),
    "exponential": (lambda rng, z: -special.log_ndtr(z), 1.0),
    "mostly zero": (lambda rng, z: z * (rng.random(z.shape) < 0.3), 0.3 * HALF_NORMAL),
    "seldom zero": (lambda rng, z: (1 + 0.1 * z) * (rng.random(z.shape) < 0.9), 0.9),
    "lognormal": (lambda rng, z: np.exp(z), math.sqrt(math.e)),
}
MEASURED = ("sign", "monotonic", "min_importance")
"""Rules on means whose skewness is estimated. The others take it from above, too low for lognormal attributions."""
NOT_MET = {"lognormal": 0.06}
"""Shape -> how often `sign` fails falsely for four players and 60 examples, where that is more often than ALPHA."""


def attributions(rng, runs, n, scales, shape="normal"):
    """(runs, n, d) that share a factor, of mean size `scale * HALF_NORMAL`: a player's true share is its scale's."""
    size, mean = SIZES[shape]
    z = 0.6 * rng.normal(size=(runs, n, 1)) + 0.8 * rng.normal(size=(runs, n, len(scales)))
    return size(rng, z) * (HALF_NORMAL / mean) * scales


def centred(rng, runs, n, d, shape="normal"):
    """(runs, n, d) values of mean 0, independent."""
    size, mean = SIZES[shape]
    z = rng.normal(size=(runs, n, d))
    return z if shape == "normal" else np.abs(size(rng, z)) - mean


def importance(rng, runs, n, scales, shape="normal"):
    return evidences(attributions(rng, runs, n, np.asarray(scales), shape))


def signed(rng, runs, n, mean, shape="normal"):
    return evidences(centred(rng, runs, n, 2, shape) + np.array([mean, 1.0]))


def interacting(rng, runs, n, size, shape="normal"):
    found = evidences(attributions(rng, runs, n, np.array([1.0, 0.5]), shape))
    mean, variance, _ = moments(np.abs(attributions(rng, runs, n, np.array([size]), shape)))
    return [
        dataclasses.replace(e, interactions=Interactions((("p0", "p1"),), m, np.sqrt(v[0])))
        for e, m, v in zip(found, mean, variance, strict=True)
    ]


def sliced(rng, runs, n, scale, shape="normal"):
    """30 % of the examples are a slice in which p0's scale is `scale`, elsewhere 1; p1's is 1 everywhere."""
    n_in = int(0.3 * n)
    inside = attributions(rng, runs, n_in, np.array([scale, 1.0]), shape)
    outside = attributions(rng, runs, n - n_in, np.ones(2), shape)
    return [
        dataclasses.replace(evidence, slice_key="s", contrast=contrast)
        for evidence, contrast in zip(evidences(inside), contrasts(inside, outside), strict=True)
    ]


def contrasts(inside, outside):
    """What `compare_with_rest` makes of each of (runs, n_in, d) attributions and (runs, n_out, d) others."""
    n_in, n_out = inside.shape[1], outside.shape[1]
    (ours, in_slice, _), (others, in_rest, _) = moments(np.abs(inside)), moments(np.abs(outside))
    in_slice, in_rest = (np.diagonal(variance, axis1=1, axis2=2) for variance in (in_slice, in_rest))
    spread = ((n_in - 1) * n_in * in_slice + (n_out - 1) * n_out * in_rest) / (n_in + n_out - 2)
    pooled = spread * (1 / n_in + 1 / n_out) if min(n_in, n_out) >= MIN_COMPARED else np.full_like(spread, np.nan)
    error, degrees = np.sqrt(np.maximum(in_slice + in_rest, pooled)), min(n_in, n_out) - 1.0
    total, covariance, _ = moments(np.abs(np.concatenate([inside, outside], axis=1)))
    columns = ours - others, error, total.sum(axis=1), np.sqrt(covariance.sum(axis=(1, 2)))
    return [SliceContrast(gap, err, degrees, *of_all) for gap, err, *of_all in zip(*columns, strict=True)]


def stepping(rng, runs, n, change, shape="normal"):
    """A curve of five steps that rises but for its third, which changes by `change`; errors paired over examples."""
    steps = rng.normal(size=(runs, n, 1)) * 0.5 + centred(rng, runs, n, 5, shape) + [1.0, 0.5, change, 0.5, 1.0]
    mean, covariance, skewness = moments(steps)
    error = np.sqrt(np.diagonal(covariance, axis1=1, axis2=2))
    for i, evidence in enumerate(importance(rng, runs, n, [1.0])):
        curve = Steps(np.arange(6.0), mean[i], error[i], np.full(5, n - 1.0), skewness[i])
        yield dataclasses.replace(evidence, steps={("partial_dependence", "p0"): curve})


# Rule -> evidence with the true figure at the threshold, evidence of a broken rule, settings.
CASES = {
    "max_share": (importance, [0.95, 0.05], [0.92, 0.08], {"players": ["p1"], "value": 0.05}),
    "min_share": (importance, [0.95, 0.05], [0.97, 0.03], {"players": ["p1"], "value": 0.05}),
    "min_importance": (importance, [1.0, 0.5], [0.8, 0.4], {"players": ["p0", "p1"], "value": 1.5 * HALF_NORMAL}),
    "max_top_share": (importance, [1.0, 1.0], [1.5, 1.0], {"value": 0.5}),
    "top_k_includes": (importance, [1.0, 0.5, 0.5, 0.5], [1.0, 0.5, 0.7, 0.4], {"players": ["p3"], "k": 2}),
    "canary": (importance, [0.2, 0.2, 1.0], [0.2, 0.15, 1.0], {"feature": "p0", "players": ["p1"]}),
    "sign": (signed, 0.0, -0.3, {"players": ["p0"], "direction": "positive"}),
    "monotonic": (stepping, -0.1, -0.6, {"feature": "p0", "direction": "increasing", "tolerance": 0.1}),
    "max_interaction": (interacting, 0.15, 0.2, {"players": ["p1", "p0"], "value": 0.1}),
    "max_slice_difference": (sliced, 1.4, 2.0, {"players": ["p0"], "value": 0.4 / (0.3 * 1.4 + 0.7 + 1.0)}),
}


def outcomes(rule, *, n, truth, runs, seed, shape="normal", **limits):
    make, settings = CASES[rule][0], CASES[rule][3]
    return (
        (apply_rule(rule, settings, evidence, confidence=1 - ALPHA, **limits).outcome,)
        for evidence in make(np.random.default_rng(seed), runs, n, truth, shape)
    )


def counts(rule, **about):
    return Counter(outcome for (outcome,) in outcomes(rule, **about))


@pytest.mark.parametrize("shape", SIZES)
def test_the_figures_of_many_explanations_are_those_that_accumulators_give(shape):
    phi = centred(np.random.default_rng(0), 2, 50, 3, shape)
    expected = evidence_of(accumulated(phi[1]).result(), ["p0", "p1", "p2"])
    found = evidences(phi)[1]
    curves = PartialDependenceAccumulator([[0.25] * 4])
    curves.add([np.cumsum(np.insert(phi[1], 0, 0.0, axis=1), axis=1)])
    curve, steps = curves.result(0), found.signed
    for pair in (
        (found.mean_abs, expected.mean_abs),
        (found.mean_abs_covariance, expected.mean_abs_covariance),
        (found.skewness, expected.skewness),
        *zip(dataclasses.astuple(found.signed), dataclasses.astuple(expected.signed), strict=True),
        (steps.mean, curve.step[1:]),
        (steps.std_error, curve.step_std_error[1:]),
        (steps.skewness, curve.step_skewness[1:]),
    ):
        np.testing.assert_allclose(*pair, rtol=1e-9, atol=1e-12)
    same = (found.players, found.n_examples, found.degrees_of_freedom)
    assert same == (expected.players, expected.n_examples, expected.degrees_of_freedom)


@pytest.mark.parametrize(("shape", "n"), [("normal", 30), ("normal", 60), ("mostly zero", 60)])
def test_the_contrasts_of_many_slices_are_those_that_accumulators_give(shape, n):
    """Of few examples the slice is too small to be compared."""
    rng, n_in = np.random.default_rng(0), int(0.3 * n)
    inside, outside = (attributions(rng, 2, rows, np.array([1.4, 1.0]), shape) for rows in (n_in, n - n_in))
    part, whole = accumulated(inside[1]), accumulated(np.vstack([inside[1], outside[1]]))
    found, overall = compare_with_rest(whole.absolute, part.absolute), whole.result()
    error = np.maximum(found.std_error, found.pooled_std_error)
    assert np.isnan(error).all() == (n_in < MIN_COMPARED)
    total = overall.mean_abs.sum(), math.sqrt(overall.mean_abs_covariance.sum())
    expected = found.difference, error, found.degrees_of_freedom[0], *total
    for ours, theirs in zip(dataclasses.astuple(contrasts(inside, outside)[1]), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9)


@pytest.mark.parametrize("rule", CASES)
def test_at_the_threshold_a_rule_is_wrong_either_way_at_most_as_often_as_it_says(rule):
    """A rule that never fails has no power."""
    seldom_wrong(outcomes(rule, n=120, truth=CASES[rule][1], runs=RUNS, seed=1), "fail", "pass", seen="fail")


@pytest.mark.parametrize(
    ("rule", "shape"),
    [
        (rule, shape)
        for rule in CASES
        for shape in SIZES
        if shape != "normal" and (shape != "lognormal" or rule in MEASURED)
    ],
)
def test_skewed_attributions_at_the_threshold_do_not_make_a_rule_wrong_more_often(rule, shape):
    seldom_wrong(outcomes(rule, n=60, truth=CASES[rule][1], runs=RUNS, seed=7, shape=shape), "fail", "pass")


@pytest.mark.parametrize("rule", CASES)
def test_a_broken_rule_is_found_more_often_the_more_examples_there_are(rule):
    power = [counts(rule, n=n, truth=CASES[rule][2], runs=100, seed=2)["fail"] for n in (20, 80, 320)]
    assert power[0] < power[2]
    assert power == sorted(power)
    assert power[2] >= 90, power


@pytest.mark.parametrize("rule", CASES)
def test_small_data_is_no_coin_flip(rule):
    few = counts(rule, n=40, truth=CASES[rule][1], runs=50, seed=3, min_examples=50)
    assert few == {"insufficient_evidence": 50}
    barely = counts(rule, n=8, truth=CASES[rule][1], runs=500, seed=4)
    assert barely["insufficient_evidence"] >= 400, barely


@pytest.mark.parametrize(("n_players", "shape"), [(8, "normal"), *((4, shape) for shape in SIZES if shape != "normal")])
def test_a_rule_on_several_players_fails_falsely_no_more_often_than_one_on_a_single_player(n_players, shape):
    settings = {"players": [f"p{i}" for i in range(n_players)], "direction": "positive"}
    trials = (
        (apply_rule("sign", settings, evidence).outcome,)
        for evidence in evidences(centred(np.random.default_rng(5), RUNS, 60, n_players, shape))
    )
    found = seldom_wrong(trials, "fail", alpha=NOT_MET.get(shape, ALPHA), seen="fail")
    assert found["pass"] == 0


def test_a_policy_of_ten_rules_that_all_hold_is_falsely_refused_at_most_as_often_as_one_rule():
    rng, runs, refused = np.random.default_rng(6), 400, Counter()
    for _ in range(runs):
        slices = importance(rng, 10, 100, [0.95, 0.05])
        judgements = [
            lambda confidence, e=e: apply_rule(
                "max_share", {"players": ["p1"], "value": 0.05}, e, confidence=confidence
            )
            for e in slices
        ]
        for multiplicity in ("holm", "none"):
            found = findings_of(judgements, 1 - ALPHA, multiplicity)
            refused[multiplicity] += any(finding.outcome == "fail" for finding in found)
    assert 0 < refused["holm"] <= often(runs)
    assert refused["none"] > 3 * refused["holm"]
