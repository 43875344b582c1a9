"""Sums over rows: what they come to, and that it does not matter how rows are put together."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from tfx_explain.summary.faithfulness import FaithfulnessAccumulator


def rows(n: int, seed: int) -> tuple:
    rng = np.random.default_rng(seed)
    areas, ends, curves = rng.normal(size=(n, 3)), rng.normal([3, 0], size=(n, 2)), rng.normal(size=(n, 3, 5))
    similarity = rng.uniform(-1, 1, size=(n, 4))
    similarity[::3] = np.nan
    fidelity = np.where(np.arange(n) % 4 == 0, np.nan, rng.uniform(size=n))
    areas[1] = np.nan
    hits = np.where(np.arange(n) % 5 == 0, np.nan, rng.random(n) < 0.7)
    extra = similarity[:, 0], hits, rng.random(n), np.isnan(hits)
    return areas, ends, curves, (fidelity, similarity, np.ones(n, bool)), rng.uniform(0.5, 2, size=n), extra


def of(*parts: tuple) -> FaithfulnessAccumulator:
    made = FaithfulnessAccumulator(5, 4)
    for part in parts:
        made.add(*part)
    return made


def test_figures_are_weighted_means_and_their_errors() -> None:
    areas, ends, curves, (fidelity, similarity, chosen), weights, extra = rows(50, 0)
    made = of((areas, ends, curves, (fidelity, similarity, chosen), weights, extra))
    found = {one.measure: one for one in made.measures()}
    known = np.isfinite(areas).all(axis=1)
    w, a, change = weights[known], areas[known], np.abs(ends[known, 0] - ends[known, 1])
    gain = a[:, 2] - a[:, 0]
    ratio = np.average(gain, weights=w) / np.average(change, weights=w)
    residual = w * (gain - ratio * change) / np.average(change, weights=w) / w.sum()
    n = w.sum() ** 2 / (w**2).sum()
    assert found["deletion"].value == pytest.approx(ratio)
    assert found["deletion"].std_error == pytest.approx(np.sqrt((residual**2).sum() * n / (n - 1)), rel=1e-6)
    assert found["deletion"].num_examples == 49
    there = np.isfinite(fidelity)
    assert found["mu_fidelity"].value == pytest.approx(np.average(fidelity[there], weights=weights[there]))
    means = [np.average(s[np.isfinite(s)], weights=weights[np.isfinite(s)]) for s in similarity.T]
    assert found["randomisation"].value == pytest.approx(np.mean(np.abs(means)))
    assert found["randomisation"].std_error == pytest.approx(np.std(np.abs(means), ddof=1) / 2)
    assert found["randomisation"].degrees_of_freedom == 3
    there = np.isfinite(extra[0])
    assert found["random_logit"].value == pytest.approx(np.average(extra[0][there], weights=weights[there]))
    assert found["random_logit"].num_examples == there.sum()
    there = np.isfinite(extra[1])
    assert found["pointing_game"].value == pytest.approx(np.average(extra[1][there], weights=weights[there]))
    assert found["pointing_game"].chance == pytest.approx(np.average(extra[2][there], weights=weights[there]))
    assert (made.left_out("pointing_game"), made.left_out("deletion")) == (10, 1)


@pytest.mark.parametrize("n_hits", [0, 3, 12])
def test_the_interval_of_the_pointing_game_is_wilsons(n_hits: int) -> None:
    n = 12
    areas, ends, curves, others, _, (contrast, *_) = rows(n, 3)
    hits = (np.arange(n) < n_hits).astype(float)
    extra = contrast, hits, np.full(n, 0.25), np.zeros(n, bool)
    made = of((areas, ends, curves, others, np.ones(n), extra))
    found = next(one for one in made.measures() if one.measure == "pointing_game")
    expected = stats.binomtest(n_hits, n).proportion_ci(method="wilson")
    assert found.interval() == pytest.approx(tuple(expected))
    assert (found.value, found.chance) == (n_hits / n, 0.25)


def test_putting_parts_together_is_the_same_as_all_at_once() -> None:
    parts = [rows(20, 1), rows(30, 2)]
    whole, first, second = of(*parts), of(parts[0]), of(parts[1])
    first.merge(second)
    assert (first.n_left_out, first.n_curves) == (whole.n_left_out, whole.n_curves) == (2, 48)
    for ours, theirs in zip(first.measures(), whole.measures(), strict=True):
        assert (ours.measure, ours.num_examples) == (theirs.measure, theirs.num_examples)
        assert ours.value == pytest.approx(theirs.value, rel=1e-12)
        assert ours.std_error == pytest.approx(theirs.std_error, rel=1e-12)
    deletion, insertion = whole.curves()
    np.testing.assert_allclose(deletion.random_values, insertion.random_values[::-1])


def test_nothing_that_changes_leaves_the_figure_unknown() -> None:
    areas, ends, curves, others, weights, extra = rows(10, 3)
    found = next(of((np.ones_like(areas), np.ones_like(ends), np.ones_like(curves), others, weights, extra)).measures())
    assert np.isnan(found.value)
    assert found.change == 0


def test_attributions_that_random_weights_turn_around_are_alike() -> None:
    areas, ends, curves, (fidelity, _, chosen), weights, extra = rows(40, 4)
    similarity = np.tile([0.9, -0.9, 0.9, -0.9], (40, 1))
    made = of((areas, ends, curves, (fidelity, similarity, chosen), weights, extra))
    found = {one.measure: one for one in made.measures()}
    assert found["randomisation"].value == pytest.approx(0.9)
