"""AUC importance and its bins of scores: against scikit-learn, in any split, and whether intervals cover."""

import pickle
from typing import Any

import numpy as np
import pytest
from scipy import special
from sklearn.metrics import roc_auc_score

from tfx_explain.errors import InputError
from tfx_explain.summary.auc_importance import AucImportanceAccumulator
from tfx_explain.summary.clusters import ClusteredEstimates
from tfx_explain.summary.loss_importance import LossImportanceSummary
from tfx_explain.summary.score_bins import N_GROUPS, N_SCORE_BINS, bin_scores, choose_group_starts, choose_score_edges

FIGURES = ("value", "std_error", "ci_low", "ci_high", "rank")
WEIGHTS = np.array([2.0, 1.0, 0.0])
N_CLUSTERS = 32
N_DONORS = 4


def scored(seed: int, n: int = 600, intercept: float = 0.0) -> dict[str, Any]:
    """Scores of a logistic model, with each of three features from donors that the rows of a cluster share."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, len(WEIGHTS)))
    score = x @ WEIGHTS + intercept
    clusters = rng.integers(0, N_CLUSTERS, n)
    pool = rng.normal(size=(N_CLUSTERS, 16, len(WEIGHTS)))
    donors = pool[clusters[:, None], (rng.integers(0, 16, n)[:, None] + np.arange(N_DONORS)) % 16]
    mixed = score[:, None, None] + WEIGHTS * (donors - x[:, None])
    scores = np.concatenate([np.repeat(score[:, None, None], N_DONORS, axis=1), mixed], axis=2)
    return {
        "scores": np.moveaxis(scores, 2, 1),
        "labels": (rng.uniform(size=n) < special.expit(score)).astype(np.int64),
        "clusters": clusters,
        "weights": rng.integers(0, 4, n).astype(float),
    }


def edges_apart(rows: dict[str, Any]) -> np.ndarray:
    """Edges that leave only equal scores in one bin."""
    values = np.unique(rows["scores"])
    return (values[1:] + values[:-1]) / 2


def empty(edges: np.ndarray, starts: Any = None, n_players: int = 3, n_clusters: int = N_CLUSTERS) -> Any:
    """An accumulator; without `starts` of groups it has 64, with equally many bins."""
    starts = np.unique(np.linspace(0, len(edges) + 1, 65)[:-1].astype(np.uint16)) if starts is None else starts
    return AucImportanceAccumulator(n_players, len(edges) + 1, n_clusters, starts)


def accumulated(
    rows: dict[str, Any],
    edges: np.ndarray,
    part: Any = slice(None),
    n_clusters: int = N_CLUSTERS,
    starts: Any = None,
) -> AucImportanceAccumulator:
    accumulator = empty(edges, starts, rows["scores"].shape[1] - 1, n_clusters)
    clusters, weights = rows["clusters"][part], rows["weights"][part]
    accumulator.add(bin_scores(edges, rows["scores"][part]), rows["labels"][part], clusters, weights)
    return accumulator


def areas(rows: dict[str, Any], weights: np.ndarray) -> np.ndarray:
    """AUCs by scikit-learn: of the model, and with each player's features from donors."""
    labels, repeated = np.repeat(rows["labels"], N_DONORS), np.repeat(weights, N_DONORS)
    return np.array(
        [
            roc_auc_score(labels, rows["scores"][:, k].ravel(), sample_weight=repeated)
            for k in range(rows["scores"].shape[1])
        ]
    )


def test_value_is_that_of_scikit_learn_where_bins_tell_scores_apart() -> None:
    rows = scored(0)
    edges = edges_apart(rows)
    for weights in (rows["weights"], np.ones(600)):
        expected = areas(rows, weights)
        summary = accumulated({**rows, "weights": weights}, edges).result()
        np.testing.assert_allclose(summary.value, expected[0] - expected[1:], atol=1e-12)
        assert summary.losses["auc"] == pytest.approx(expected[0], abs=1e-12)
        assert (summary.value[2], summary.std_error[2]) == (0, 0)
        assert summary.rank.tolist() == [1, 2, 3]
        assert summary.n_examples == (weights > 0).sum()
        assert summary.n_effective == pytest.approx(weights.sum() ** 2 / (weights @ weights))


def test_ties_count_half() -> None:
    rows = scored(1)
    rows["scores"] = np.round(rows["scores"])
    expected = areas(rows, rows["weights"])
    summary = accumulated(rows, edges_apart(rows)).result()
    np.testing.assert_allclose(summary.value, expected[0] - expected[1:], atol=1e-12)


@pytest.mark.parametrize("intercept", [0.0, -3.0])
def test_chosen_bins_cost_next_to_nothing(intercept: float) -> None:
    """The error is within its bound, and far below the sampling error of many rows."""
    rows = scored(2, 20_000, intercept)
    sample = scored(3, 4_096, intercept)["scores"][:, 0, 0]
    expected = areas(rows, rows["weights"])
    summary = accumulated(rows, choose_score_edges(sample)).result()
    error = np.abs(summary.value - (expected[0] - expected[1:]))
    assert error.max() <= summary.losses["max_binning_error"] < 0.002
    assert error.max() < 0.02 * summary.std_error[:2].min()


def test_few_scores_in_the_sample_still_tell_rows_apart() -> None:
    rows = scored(4, 4_000)
    expected = areas(rows, rows["weights"])
    for sample in (np.linspace(-3, 3, 40), np.array([-2.0, 2.0]), np.zeros(1)):
        summary = accumulated(rows, choose_score_edges(sample)).result()
        error = np.abs(summary.value - (expected[0] - expected[1:]))
        assert (error <= summary.losses["max_binning_error"] + 1e-12).all()
        assert error.max() < (0.001 if len(sample) > 1 else 0.1)


def test_weights_are_repetition() -> None:
    rows = scored(5)
    edges = edges_apart(rows)
    times = rows["weights"].astype(np.int64)
    repeated = {name: np.repeat(value, times, axis=0) for name, value in rows.items()}
    weighted = accumulated(rows, edges).result()
    often = accumulated({**repeated, "weights": np.ones(times.sum())}, edges).result()
    for name in FIGURES:
        np.testing.assert_allclose(getattr(weighted, name), getattr(often, name), rtol=1e-12)


def test_any_split_in_any_order_is_the_same() -> None:
    rows = scored(6)
    edges = choose_score_edges(rows["scores"][:200, 0, 0])[::16]
    whole = accumulated(rows, edges)
    rng = np.random.default_rng(0)
    for n_parts in (2, 5, 30):
        parts = np.split(rng.permutation(600), sorted(rng.integers(0, 600, n_parts)))
        shards = [pickle.loads(pickle.dumps(accumulated(rows, edges, part))) for part in parts]
        shards.insert(1, empty(edges))
        merged = empty(edges)
        for shard in shards:
            merged.merge(shard)
        for name in FIGURES:
            np.testing.assert_array_equal(getattr(merged.result(), name), getattr(whole.result(), name))
        assert merged.result().losses == whole.result().losses
        assert merged.result().n_examples == whole.result().n_examples


def test_memory_is_bounded_and_small_for_few_rows() -> None:
    rows, sample = scored(7, 40), scored(8, 4_096)["scores"][:, 0, 0]
    edges = choose_score_edges(sample)
    few, many = (accumulated(rows, edges, starts=choose_group_starts(edges, sample)) for _ in range(2))
    assert len(pickle.dumps(few)) < 4_000
    for _ in range(1_000):
        many.merge(pickle.loads(pickle.dumps(few)))
    assert len(pickle.dumps(many)) < 500_000
    assert many.result().n_examples == 1_001 * few.result().n_examples
    np.testing.assert_allclose(many.result().value, few.result().value, rtol=1e-12)
    np.testing.assert_array_equal(few.result().value, accumulated(rows, edges).result().value)


def test_clusters_of_one_example_have_the_error_of_delong() -> None:
    """Between independent rows: the variances of placements, which the AUC of one score has in closed form."""
    rows = scored(9, 400) | {"clusters": np.arange(400), "weights": np.ones(400)}
    rows["scores"] = rows["scores"][:, :, :1]
    # Groups of bins tell the scores apart as well.
    edges = np.quantile(rows["scores"], np.linspace(0, 1, 65)[1:-1])
    summary = accumulated(rows, edges, n_clusters=400).result()
    bins, positive = bin_scores(edges, rows["scores"][..., 0]).astype(int), rows["labels"] == 1
    right = np.sign(bins[positive, None] - bins[None, ~positive]) / 2 + 0.5
    change = right[..., 0, None] - right[..., 1:]
    n_clusters = float(min(positive.sum(), (~positive).sum()))
    of_class = [(change.mean(axis=axis).var(axis=0) / change.shape[1 - axis]) for axis in (1, 0)]
    expected = np.sqrt((of_class[0] + of_class[1]) * n_clusters / (n_clusters - 1))
    np.testing.assert_allclose(summary.std_error, expected, rtol=1e-9)


def clustered_error(rows: dict[str, Any]) -> np.ndarray:
    """(d,) standard errors of the differences from placements among the scores themselves; all weights 1."""
    positive, clusters = rows["labels"] == 1, rows["clusters"]
    moved = np.zeros((N_CLUSTERS, rows["scores"].shape[1]))
    for k in range(rows["scores"].shape[1]):
        for own, sign in ((positive, 1), (~positive, -1)):
            others, scores = np.sort(sign * rows["scores"][~own, k].ravel()), sign * rows["scores"][own, k]
            below = sum(np.searchsorted(others, scores, side) for side in ("left", "right")) / (2 * len(others))
            right = below.mean(axis=1)
            moved[:, k] += np.bincount(clusters[own], right - right.mean(), N_CLUSTERS) / len(right)
    sizes = [np.bincount(clusters[own], minlength=N_CLUSTERS) for own in (positive, ~positive)]
    n_clusters = min(size.sum() ** 2 / (size**2).sum() for size in sizes)
    return np.sqrt(((moved[:, :1] - moved[:, 1:]) ** 2).sum(axis=0) * n_clusters / (n_clusters - 1))


def tied(scores: np.ndarray) -> np.ndarray:
    """The same order in 900 scores, 12 neighbouring ones of which four rows in five have."""
    below = special.ndtr(scores / np.linalg.norm(WEIGHTS))
    return np.floor(np.interp(below, [0.0, 0.1, 0.9, 1.0], [0.0, 450.0, 462.0, 900.0]))


@pytest.mark.parametrize("kind", ["smooth", "tied", "rare"])
def test_groups_of_bins_keep_the_error(kind: str) -> None:
    """Within 1 %, also where a few bins hold most rows, or a rare class is at one end."""
    rows, sample = (scored(seed, n, -7.0 if kind == "rare" else 0.0) for seed, n in ((20, 20_000), (21, 4_096)))
    rows["weights"] = np.ones(20_000)
    if kind == "tied":
        rows["scores"], sample["scores"] = tied(rows["scores"]), tied(sample["scores"])
    known = sample["scores"][:, 0, 0]
    edges = choose_score_edges(known)
    summary = accumulated(rows, edges, starts=choose_group_starts(edges, known)).result()
    np.testing.assert_allclose(summary.std_error[:2], clustered_error(rows)[:2], rtol=0.01)


@pytest.mark.parametrize(("n", "intercept"), [(600, 0.0), (1_500, -4.0)])
def test_intervals_cover(n: int, intercept: float) -> None:
    """Donors shared within clusters included; with some 5 % of rows in class 1 too."""
    large = [scored(seed, 200_000, intercept) for seed in (1_000, 1_001)]
    truth = np.mean([areas(rows, np.ones(200_000)) for rows in large], axis=0)
    truth = truth[0] - truth[1:]
    edges = choose_score_edges(large[0]["scores"][:4_096, 0, 0])
    covered, errors, values, n_runs = np.zeros(2), [], [], 300
    for seed in range(n_runs):
        summary = accumulated(scored(seed, n, intercept), edges).result()
        covered += (summary.ci_low[:2] <= truth[:2]) & (truth[:2] <= summary.ci_high[:2])
        errors.append(summary.std_error[:2])
        values.append(summary.value[:2])
    assert (covered / n_runs >= 0.91).all(), covered / n_runs
    assert (covered / n_runs <= 0.99).all(), covered / n_runs
    np.testing.assert_allclose(np.mean(errors, axis=0), np.std(values, axis=0), rtol=0.15)


def test_difference_of_two_models_is_paired() -> None:
    """Two models that rank alike differ by little, which the errors of both, taken as independent, would hide."""
    rows = scored(10)
    other = {**rows, "scores": rows["scores"] * 1.7 + 0.3}
    close = {**rows, "scores": rows["scores"] + 0.05 * np.random.default_rng(0).normal(size=rows["scores"].shape)}
    estimates = [accumulated(part, choose_score_edges(part["scores"])).estimates() for part in (rows, other, close)]
    same, near = estimates[0] - estimates[1], estimates[0] - estimates[2]
    assert isinstance(same, ClusteredEstimates)
    np.testing.assert_allclose(same.value, 0, atol=1e-4)
    assert (near.std_error[:2] < 0.2 * estimates[0].std_error[:2]).all()
    assert (np.abs(near.value) < 5 * near.std_error + 1e-4).all()


def test_one_class_has_no_area_and_one_example_of_a_class_no_error() -> None:
    rows = scored(11)
    edges = choose_score_edges(rows["scores"])
    one = accumulated({**rows, "labels": np.ones(600, np.int64)}, edges).result()
    assert isinstance(one, LossImportanceSummary)
    assert np.isnan(one.value).all()
    assert np.isnan(one.std_error).all()
    assert np.isnan(list(one.losses.values())).all()
    nothing = empty(edges, n_clusters=4).result()
    assert np.isnan(nothing.value).all()
    assert (nothing.n_examples, nothing.n_effective) == (0, 0.0)
    single = {**rows, "labels": (np.arange(600) == 3).astype(np.int64), "weights": np.ones(600)}
    summary = accumulated(single, edges).result()
    assert np.isfinite(summary.value).all()
    assert np.isnan(summary.std_error).all()


def test_bad_figures_are_refused() -> None:
    accumulator = empty(np.arange(9), n_players=2)
    with pytest.raises(InputError, match="3 times as many bins as donors, and a weight each, got shapes"):
        accumulator.add(np.zeros((1, 2, 4)), np.zeros(1, np.int64), np.zeros(1, np.int64))
    with pytest.raises(InputError, match="neither 0 nor 1"):
        accumulator.add(np.zeros((1, 3, 4)), np.full(1, 2), np.zeros(1, np.int64))


def test_edges_keep_equal_scores_together_and_the_others_apart() -> None:
    few = np.array([0.0, 0.5, 0.5, 2.0], np.float32)
    bins = bin_scores(choose_score_edges(few), few)
    assert bins[1] == bins[2]
    assert len(set(bins.tolist())) == 3
    rng = np.random.default_rng(12)
    many = np.where(rng.uniform(size=4_096) < 0.3, 0.25, rng.normal(size=4_096))
    edges = choose_score_edges(many)
    assert (np.diff(edges) > 0).all()
    assert N_SCORE_BINS / 2 < len(edges) < 2**12
    shared = bin_scores(edges, [0.25])[0]
    others = many[many != 0.25]
    assert (bin_scores(edges, others) != shared).all()
    largest = np.bincount(bin_scores(edges, others)).max()
    assert largest < 16


def test_no_scores_are_refused() -> None:
    with pytest.raises(InputError, match="no scores to choose bins from; give at least one row with a finite score"):
        choose_score_edges(np.zeros(0))


def test_groups_hold_equal_parts_and_shared_scores_have_their_own() -> None:
    rng = np.random.default_rng(13)
    sample = np.where(rng.uniform(size=4_096) < 0.3, 0.25, rng.normal(size=4_096))
    edges = choose_score_edges(sample)
    starts = choose_group_starts(edges, sample)
    assert starts[0] == 0
    assert (np.diff(starts.astype(int)) > 0).all()
    assert N_GROUPS - 4 <= len(starts) <= N_GROUPS
    group = np.searchsorted(starts, bin_scores(edges, sample), side="right") - 1
    (shared,) = set(group[sample == 0.25])
    assert (group[sample != 0.25] != shared).all()
    sizes = np.bincount(group[sample != 0.25], minlength=len(starts))
    assert sizes.max() < 2 * len(sample) * 0.7 / N_GROUPS
    assert max(sizes[:3].max(), sizes[-3:].max()) < sizes.max() / 2
    for few in (np.zeros(20), np.array([[1.0], [2.0]])):
        edges = choose_score_edges(few)
        assert min(len(edges) + 1, N_GROUPS - 4) <= len(choose_group_starts(edges, few)) <= N_GROUPS


def test_scores_outside_the_sample_are_told_apart() -> None:
    edges = choose_score_edges(np.linspace(0, 1, 5_000))
    far = bin_scores(edges, [-100.0, -10.0, -1.0, 0.5, 2.0, 11.0, 101.0])
    assert (np.diff(far.astype(int)) > 0).all()
