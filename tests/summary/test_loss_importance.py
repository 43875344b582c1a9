"""Importance by losses: combiner algebra, numpy on the whole data, and honest intervals."""

import pickle

import numpy as np
import pytest

from tfx_explain.errors import InputError
from tfx_explain.summary.loss_importance import LossImportanceAccumulator

NAMES = ("loss",)


def figures(n: int, seed: int, n_clusters: int = 6) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        "values": rng.normal([2.0, 1.0, -0.5], size=(n, 1, 3)),
        "losses": rng.uniform(size=(n, 1, 1)),
        "clusters": rng.integers(0, n_clusters, n),
        "weights": rng.integers(0, 4, n).astype(float),
    }


def accumulated(batch: dict[str, np.ndarray], rows: np.ndarray, n_clusters: int = 6) -> LossImportanceAccumulator:
    accumulator = LossImportanceAccumulator(3, NAMES, n_clusters)
    accumulator.add(**{name: values[rows] for name, values in batch.items()})
    return accumulator


def test_any_split_in_any_order_with_empty_shards_gives_the_same() -> None:
    batch = figures(90, 0)
    whole = accumulated(batch, np.arange(90)).result()
    rng = np.random.default_rng(1)
    for _ in range(5):
        parts = np.split(rng.permutation(90), sorted(rng.integers(0, 90, 4)))
        shards = [pickle.loads(pickle.dumps(accumulated(batch, rows))) for rows in parts]
        shards.insert(1, LossImportanceAccumulator(3, NAMES, 6))
        for shard in shards[1:]:
            shards[0].merge(shard)
        merged = shards[0].result()
        for name in ("value", "std_error", "ci_low", "ci_high", "rank"):
            np.testing.assert_allclose(getattr(merged, name), getattr(whole, name), rtol=1e-12)
        assert merged.losses == pytest.approx(whole.losses, rel=1e-12)
        assert (merged.n_examples, merged.n_effective) == (whole.n_examples, pytest.approx(whole.n_effective))


def test_figures_are_those_of_numpy() -> None:
    batch = figures(60, 2)
    w = batch["weights"]
    summary = accumulated(batch, np.arange(60)).result()
    np.testing.assert_allclose(summary.value, np.average(batch["values"][:, 0], axis=0, weights=w))
    assert summary.losses["loss"] == pytest.approx(np.average(batch["losses"][:, 0, 0], weights=w))
    assert summary.rank.tolist() == [1, 2, 3]
    assert summary.n_examples == (w > 0).sum()
    assert summary.relative_error == pytest.approx(summary.std_error.max() / np.ptp(summary.value))


def test_clusters_of_one_example_have_the_error_of_a_mean() -> None:
    batch = figures(50, 3) | {"clusters": np.arange(50), "weights": np.ones(50)}
    summary = accumulated(batch, np.arange(50), 50).result()
    np.testing.assert_allclose(summary.std_error, batch["values"][:, 0].std(axis=0, ddof=1) / np.sqrt(50))


def test_intervals_cover_what_clusters_share() -> None:
    """Examples of a cluster share a random effect, which an error over single examples would miss."""
    rng = np.random.default_rng(4)
    covered, by_rows, n_runs, n_clusters = 0, 0, 400, 32
    for _ in range(n_runs):
        clusters = rng.integers(0, n_clusters, 300)
        values = 1.0 + rng.normal(size=n_clusters)[clusters, None] + rng.normal(size=(300, 1))
        accumulator = LossImportanceAccumulator(1, NAMES, n_clusters)
        accumulator.add(values[:, None], np.zeros((300, 1, 1)), clusters, rng.uniform(0.5, 2.0, 300))
        summary = accumulator.result()
        covered += summary.ci_low[0] <= 1.0 <= summary.ci_high[0]
        by_rows += abs(values.mean() - 1.0) <= 1.96 * values.std() / np.sqrt(300)
    assert 0.91 <= covered / n_runs <= 0.98
    assert by_rows / n_runs < 0.7


def test_nothing_and_one_cluster_have_no_error() -> None:
    nothing = LossImportanceAccumulator(2, NAMES, 4).result()
    assert np.isnan(nothing.value).all()
    assert (nothing.n_examples, nothing.n_effective) == (0, 0.0)
    one = LossImportanceAccumulator(2, NAMES, 4)
    one.add([[[1.0, 2.0]]], [[[0.0]]], np.array([2]))
    assert one.result().value.tolist() == [1.0, 2.0]
    assert np.isnan(one.result().std_error).all()


def test_bad_figures_are_refused() -> None:
    accumulator = LossImportanceAccumulator(2, NAMES, 4)
    with pytest.raises(InputError, match="1 terms of 2 values and 1 losses, and a weight each"):
        accumulator.add([[[1.0]]], [[[0.0]]], np.array([0]))
    with pytest.raises(InputError, match="not finite"):
        accumulator.add([[[1.0, np.nan]]], [[[0.0]]], np.array([0]))


def two_terms(seed: int, n: int = 400) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values (n, 2, 1): rough ones for all, and for a quarter what they miss, 0.5 on average; clusters; weights."""
    rng = np.random.default_rng(seed)
    values = np.stack([rng.normal(1.0, 2.0, n), rng.normal(0.5, 0.3, n)], axis=1)[..., None]
    values[rng.uniform(size=n) > 0.25, 1] = np.nan
    return values, rng.integers(0, 32, n), rng.uniform(0.5, 1.5, n)


def test_terms_add_up_and_merge() -> None:
    values, clusters, weights = two_terms(0)
    losses = np.where(np.isnan(values), np.nan, 0.0)
    whole = LossImportanceAccumulator(1, NAMES, 32, n_terms=2)
    whole.add(values, losses, clusters, weights)
    part = ~np.isnan(values[:, 1, 0])
    expected = np.average(values[:, 0, 0], weights=weights) + np.average(values[part, 1, 0], weights=weights[part])
    assert whole.result().value[0] == pytest.approx(expected)
    merged = LossImportanceAccumulator(1, NAMES, 32, n_terms=2)
    for rows in np.array_split(np.arange(400)[::-1], 7):
        shard = LossImportanceAccumulator(1, NAMES, 32, n_terms=2)
        shard.add(values[rows], losses[rows], clusters[rows], weights[rows])
        merged.merge(shard)
    assert merged.result().std_error[0] == pytest.approx(whole.result().std_error[0], rel=1e-12)
    without = LossImportanceAccumulator(1, NAMES, 32, n_terms=2)
    without.add(values[~part], losses[~part], clusters[~part])
    assert np.isnan(without.result().value).all()


def test_intervals_of_two_terms_cover_their_sum() -> None:
    covered = 0
    for seed in range(400):
        values, clusters, weights = two_terms(seed + 1)
        accumulator = LossImportanceAccumulator(1, NAMES, 32, n_terms=2)
        accumulator.add(values, np.where(np.isnan(values), np.nan, 0.0), clusters, weights)
        summary = accumulator.result()
        covered += summary.ci_low[0] <= 1.5 <= summary.ci_high[0]
    assert 0.92 <= covered / 400 <= 0.98
