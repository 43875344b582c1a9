"""Noise of attributions is no importance: sizes without its bias, errors that examples share, rules that know both."""

from collections import Counter

import numpy as np
import pytest

from judging import evidence_of
from tfx_explain.judgement import apply_rule
from tfx_explain.summary import ImportanceAccumulator, Noise
from tfx_explain.summary.ratio import parts_of
from tfx_explain.summary.sizes import NoisyMoments, debiased_sizes
from tfx_explain.summary.slices import compare_with_rest

Z = np.linspace(-9, 9, 20_001)
NORMAL = np.exp(-(Z**2) / 2) / np.exp(-(Z**2) / 2).sum()


def bias(phi):
    """Of the size of an estimate with normal noise of 1 around each of these, by quadrature, and its deviation."""
    sizes = debiased_sizes(phi[:, None] + Z, np.ones((len(phi), len(Z))))[0]
    mean = sizes @ NORMAL
    return mean - np.abs(phi), np.sqrt(np.square(sizes - mean[:, None]) @ NORMAL)


def test_sizes_have_no_bias_where_nothing_has_an_effect_and_where_effects_spread():
    phi = np.linspace(0, 9, 901)
    found, deviation = bias(phi)
    assert abs(found[0]) < 1e-6
    assert abs(found.sum() * 0.01 - found[0] * 0.005) < 1e-3
    assert np.abs(found).max() < 0.3
    assert deviation.max() < 1.7
    np.testing.assert_allclose(found[phi > 8], 0.0, atol=1e-3)


def test_without_noise_sizes_are_what_they_are_to_the_bit():
    values = np.random.default_rng(0).normal(size=(50, 3))
    for noise in (np.zeros((50, 3)), np.full((50, 3), 1e-300)):
        sizes, doubt = debiased_sizes(values, noise)
        np.testing.assert_array_equal(sizes, np.abs(values))
        np.testing.assert_array_equal(doubt, 0.0)
    mixed = np.array([[0.0, 1e-3, np.nan]])
    sizes, doubt = debiased_sizes(np.ones((1, 3)), mixed)
    np.testing.assert_array_equal(sizes, 1.0)
    np.testing.assert_array_equal(doubt, [[0.0, 0.0, np.nan]])


# Players' mean size and whether it differs between examples; the last two have no effect at all.
SCALES = np.array([1.0, 0.5, 0.3, 0.1, 0.05, 0.0, 0.0])
NOISE = 0.1
D, N = len(SCALES), 200
HALF_NORMAL = np.sqrt(2 / np.pi)


def explanation(rng, n=N, scales=SCALES, noise=NOISE, shared=0.3, n_designs=4, one_sided=False):
    """Attributions of n examples whose noise goes together within each of some designs, as an accumulator."""
    phi, design_ids = rng.normal(size=(n, len(scales))) * scales, rng.integers(0, n_designs, n)
    # What a design does to an example depends on the example: noise of one design agrees up to its sign.
    signs = rng.choice([-1.0, 1.0], size=(n, 1))
    if one_sided:
        phi, signs = 10 * noise + phi, np.ones((n, 1))
    common = rng.normal(size=(n_designs, len(scales)))[design_ids] * signs
    errors = noise * (np.sqrt(shared) * common + np.sqrt(1 - shared) * rng.normal(size=phi.shape))
    accumulator = ImportanceAccumulator(len(scales))
    known, none = np.full(phi.shape, noise), np.zeros(n)
    accumulator.add(phi + errors, known, np.zeros_like(phi), none, none, noise=Noise(design_ids=design_ids))
    return accumulator


def test_errors_that_examples_of_a_design_share_are_in_the_interval():
    """Where all attributions have one sign, noise of a design does not cancel: the rows alone cover about half."""
    rng, runs, scales = np.random.default_rng(2), 300, np.array([0.1, 0.05, 0.02])
    truth = 10 * NOISE
    found = [explanation(rng, scales=scales, shared=0.3, n_designs=8, one_sided=True).result() for _ in range(runs)]
    covered = np.mean([(f.ci_low <= truth) & (truth <= f.ci_high) for f in found])
    assert covered >= 0.92
    assert covered <= 0.99


def test_intervals_hold_the_importance_of_exact_attributions_as_often_as_they_say():
    rng, runs = np.random.default_rng(1), 400
    found = [explanation(rng).result() for _ in range(runs)]
    truth = SCALES * HALF_NORMAL
    share = truth / truth.sum()
    covered = np.mean([(f.ci_low <= truth) & (truth <= f.ci_high) for f in found], axis=0)
    of_share = np.mean([(f.share_ci_low <= share) & (share <= f.share_ci_high) for f in found], axis=0)
    tolerance = 3 * np.sqrt(0.05 * 0.95 / runs)
    for right in (covered, of_share):
        assert (right >= 0.95 - tolerance).all(), right
        assert right[:3].mean() <= 0.97 + tolerance, right
    values = np.mean([f.mean_abs for f in found], axis=0)
    # Taken as it is, the size of noise is 0.8 of it; clipped at 0, what chance leaves is not 0.
    assert (values[5:] < 0.15 * NOISE).all()
    np.testing.assert_allclose(values[:3], truth[:3], rtol=0.02)
    assert np.isclose(found[0].share.sum(), 1.0)
    assert all((f.mean_abs >= 0).all() for f in found)


RULES = [
    ("min_share", {"players": ["p6"], "value": 0.01}, {"pass"}),
    ("min_share", {"players": ["p6"], "value": 0.2}, {"pass", "insufficient_evidence"}),
    ("max_share", {"players": ["p6"], "value": 0.001}, {"fail"}),
    ("max_share", {"players": ["p6"], "value": 0.12}, {"fail", "insufficient_evidence"}),
    ("min_importance", {"players": ["p6"], "value": 0.01}, {"pass"}),
    ("canary", {"feature": "p5", "players": ["p6"]}, {"pass", "fail"}),
    ("canary", {"feature": "p6", "players": ["p0", "p1"]}, {"fail", "insufficient_evidence"}),
    ("top_k_includes", {"players": ["p6"], "k": 6}, {"pass", "fail"}),
    ("top_k_includes", {"players": ["p6"], "k": 3}, {"pass", "insufficient_evidence"}),
    ("max_top_share", {"value": 0.7}, {"fail", "insufficient_evidence"}),
]


@pytest.mark.parametrize(("rule", "settings", "wrong"), RULES)
def test_rules_on_players_without_effect_are_seldom_wrong_and_decide_where_they_can(rule, settings, wrong):
    rng, runs = np.random.default_rng(2), 200
    players = [f"p{i}" for i in range(D)]
    found = Counter(
        apply_rule(rule, settings, evidence_of(explanation(rng).result(), players)).outcome for _ in range(runs)
    )
    often = runs * 0.05 + 3 * np.sqrt(runs * 0.05 * 0.95)
    assert sum(found[outcome] for outcome in wrong) <= often, found


@pytest.mark.parametrize(("rule", "settings", "wrong"), RULES)
def test_rules_do_not_decide_where_noise_is_unknown(rule, settings, wrong):
    rng = np.random.default_rng(3)
    accumulator, zeros = ImportanceAccumulator(D), np.zeros((N, D))
    unknown = zeros.copy()
    unknown[:, 5:] = np.nan
    accumulator.add(rng.normal(size=(N, D)) * (SCALES + NOISE), unknown, zeros, np.zeros(N), np.zeros(N))
    evidence = evidence_of(accumulator.result(), [f"p{i}" for i in range(D)])
    assert apply_rule(rule, settings, evidence).outcome == "insufficient_evidence"


def test_what_was_cut_off_gives_the_means_back_to_the_bit():
    accumulator = explanation(np.random.default_rng(7))
    found, means = accumulator.result(), accumulator.absolute.mean_or_nan()
    assert (means < 0).any()
    np.testing.assert_array_equal(found.uncut, means)
    np.testing.assert_array_equal(found.cut_off, np.where(means < 0, means, 0.0))
    np.testing.assert_array_equal(found.columns()["cut_off"], found.cut_off)


def test_noise_that_examples_share_is_part_of_the_error():
    rng = np.random.default_rng(4)
    errors = {
        shared: np.mean([explanation(rng, n=1_000, shared=shared).result().std_error[5:] for _ in range(20)])
        for shared in (0.0, 0.9)
    }
    spread = [explanation(rng, n=1_000, shared=0.9).result().mean_abs[5:].mean() for _ in range(200)]
    assert errors[0.9] > 1.5 * errors[0.0]
    assert errors[0.9] > np.std(spread)


def test_a_slice_of_noise_does_not_differ_from_the_rest():
    rng, runs = np.random.default_rng(5), 300
    found = []
    for _ in range(runs):
        inside, outside = explanation(rng, n=80), explanation(rng, n=160, noise=2 * NOISE)
        outside.merge(inside)
        found.append(compare_with_rest(outside.absolute, inside.absolute).p_value < 0.05)
    # Slice and rest differ by their noise alone, in every player.
    assert np.mean(found, axis=0).max() <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / runs)


def test_a_part_less_its_rest_is_what_it_was():
    rng = np.random.default_rng(6)
    parts = [explanation(rng, n=n).absolute for n in (30, 50)]
    whole = NoisyMoments.empty(D, full=True, third=True)
    for part in parts:
        whole.merge(part)
    rest = whole.without(parts[0])
    np.testing.assert_array_equal(rest.values.of_designs(), parts[1].values.of_designs())
    np.testing.assert_array_equal(rest.noise.total(), parts[1].noise.total())
    np.testing.assert_array_equal(rest.beyond_rows()[0], parts[1].beyond_rows()[0])


def test_noise_of_rounding_leaves_errors_as_they_are():
    for seed in range(20):
        found = explanation(np.random.default_rng(seed), n=60, scales=np.ones(D), noise=1e-9)
        without_noise = found.absolute.moments.covariance_of_mean()
        np.testing.assert_allclose(found.absolute.covariance_of_mean(), without_noise, rtol=1e-6, atol=1e-12)


def test_noise_that_is_cut_off_at_0_in_many_players_does_not_move_the_shares_of_others():
    """The sum of what chance leaves above 0 in 53 players is not part of the total that intervals are about."""
    rng, used, ids = np.random.default_rng(0), np.linspace(0.5, 2.0, 7), np.arange(300) % 4
    truth, off = np.concatenate([used, np.zeros(53)]), []
    for _ in range(40):
        common = rng.normal(size=(4, 60))[ids]
        errors = 0.06 * np.sqrt(0.5) * (common + rng.normal(size=(300, 60)))
        accumulator = ImportanceAccumulator(60)
        known, none = np.full((300, 60), 0.06), np.zeros(300)
        accumulator.add(truth + errors, known, np.zeros((300, 60)), none, none, noise=Noise(design_ids=ids))
        found = accumulator.result()
        middle = (found.share_ci_low + found.share_ci_high)[:7] / 2
        off.append([middle.sum(), found.share[:7].sum(), parts_of(found.mean_abs, found.uncut.sum())[:7].sum()])
        assert (found.share_ci_low <= found.share).all()
        assert (found.share <= found.share_ci_high).all()
    middle, share, of_uncut = np.mean(off, axis=0)
    assert abs(middle - 1) < 0.01
    assert share < 0.98
    assert abs(of_uncut - 1) < 0.01
