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
        "values": rng.normal([2.0, 1.0, -0.5], size=(n, 3)),
        "losses": rng.uniform(size=(n, 1)),
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
    np.testing.assert_allclose(summary.value, np.average(batch["values"], axis=0, weights=w))
    assert summary.losses["loss"] == pytest.approx(np.average(batch["losses"][:, 0], weights=w))
    assert summary.rank.tolist() == [1, 2, 3]
    assert summary.n_examples == (w > 0).sum()
    assert summary.relative_error == pytest.approx(summary.std_error.max() / np.ptp(summary.value))


def test_clusters_of_one_example_have_the_error_of_a_mean() -> None:
    batch = figures(50, 3) | {"clusters": np.arange(50), "weights": np.ones(50)}
    summary = accumulated(batch, np.arange(50), 50).result()
    np.testing.assert_allclose(summary.std_error, batch["values"].std(axis=0, ddof=1) / np.sqrt(50))


def test_intervals_cover_what_clusters_share() -> None:
    """Examples of a cluster share a random effect, which an error over single examples would miss."""
    rng = np.random.default_rng(4)
    covered, by_rows, n_runs, n_clusters = 0, 0, 400, 32
    for _ in range(n_runs):
        clusters = rng.integers(0, n_clusters, 300)
        values = 1.0 + rng.normal(size=n_clusters)[clusters, None] + rng.normal(size=(300, 1))
        accumulator = LossImportanceAccumulator(1, NAMES, n_clusters)
        accumulator.add(values, np.zeros((300, 1)), clusters, rng.uniform(0.5, 2.0, 300))
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
    one.add([[1.0, 2.0]], [[0.0]], np.array([2]))
    assert one.result().value.tolist() == [1.0, 2.0]
    assert np.isnan(one.result().std_error).all()


def test_bad_figures_are_refused() -> None:
    accumulator = LossImportanceAccumulator(2, NAMES, 4)
    with pytest.raises(InputError, match="2 values, 1 losses and a weight each"):
        accumulator.add([[1.0]], [[0.0]], np.array([0]))
    with pytest.raises(InputError, match="not finite"):
        accumulator.add([[1.0, np.nan]], [[0.0]], np.array([0]))
