"""Weighted medoids: real rows, shares that add up, closer to all rows than chance."""

import numpy as np
import pytest

from tfx_explain.attribution.medoids import medoids, row_distances
from tfx_explain.errors import EstimationError


def test_distances_of_mixed_features_by_hand() -> None:
    distances = row_distances(numeric=[[10.0, 20.0, 1e9, np.nan]], categorical=[["a", "a", "b", "a"]])
    expected = np.array([[0, 0.5, 1, 1], [0.5, 0, 0.5, 1], [1, 0.5, 0, 1], [1, 1, 1, 0]]) + np.array(
        [[0, 0, 1, 0], [0, 0, 1, 0], [1, 1, 0, 1], [0, 0, 1, 0]]
    )
    np.testing.assert_allclose(distances, expected / 2)


def test_clusters_are_found_with_their_shares() -> None:
    rng = np.random.default_rng(0)
    centres = np.repeat([0.0, 100.0, 200.0], [60, 30, 10])
    distances = np.abs(np.subtract.outer(x := centres + rng.normal(size=100), x))
    rows, weights = medoids(distances, 3)
    found = dict(zip(np.round(x[rows], -2).tolist(), weights.tolist(), strict=True))
    assert found == {0.0: 0.6, 100.0: 0.3, 200.0: 0.1}
    for row, centre in zip(rows, (0.0, 100.0, 200.0), strict=True):
        members = np.flatnonzero(centres == centre)
        assert distances[row, members].sum() == min(distances[m, members].sum() for m in members)


def test_all_rows_where_there_are_few() -> None:
    rows, weights = medoids(np.ones((3, 3)) - np.eye(3), 5)
    assert rows.tolist() == [0, 1, 2]
    np.testing.assert_allclose(weights, 1 / 3)


def test_equal_rows_collapse_into_one() -> None:
    rows, weights = medoids(np.zeros((8, 8)), 3)
    assert len(rows) == 1
    assert weights.tolist() == [1.0]


def test_closer_to_all_rows_than_a_random_sample() -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(400, 5))
    distances = row_distances(numeric=list(x.T))
    rows, weights = medoids(distances, 20)
    assert weights.sum() == pytest.approx(1)
    ours = distances[:, rows].min(axis=1).mean()
    chance = [distances[:, rng.choice(400, 20, replace=False)].min(axis=1).mean() for _ in range(50)]
    assert ours < min(chance)


def test_nothing_to_compare_by_is_refused() -> None:
    with pytest.raises(EstimationError, match="at least one feature"):
        row_distances()
    with pytest.raises(EstimationError, match="at least one row"):
        medoids(np.zeros((2, 2)), 0)
