"""Players that are taken away, and which rows and background rows are drawn for it."""

from __future__ import annotations

import itertools

import numpy as np

from tfx_explain.config.faithfulness import FaithfulnessConfig
from tfx_explain.methods.faithfulness.plan import FaithfulnessPlan
from tfx_explain.methods.faithfulness.players import PlayerRemoval, drawn_rows
from tfx_explain.methods.removal import padded
from tfx_explain.models import Inputs
from tfx_explain.models.features import Ragged


class Sums:
    """Two outputs: 100 a + 10 b + the sum of the list, and its negative."""

    def predict(self, inputs: Inputs) -> np.ndarray:
        column = inputs.columns["list"]
        sums = np.array([column.values[a:b].sum() for a, b in itertools.pairwise(column.row_splits)])
        total = 100 * inputs.columns["a"] + 10 * inputs.columns["b"] + sums
        return np.stack([total, -total], axis=1).astype(np.float64)


def test_absent_players_have_all_their_features_from_the_reference() -> None:
    # Two rows, then a background of three.
    inputs = Inputs(
        5,
        {
            "a": np.array([1.0, 2.0, 3.0, 4.0, 5.0]),
            "b": np.array([0.1, 0.2, 0.3, 0.4, 0.5]),
            "list": Ragged.from_lengths(np.arange(1.0, 8.0), np.array([2, 0, 1, 3, 1])),
        },
    )
    stand_ins = np.array([[0, 2], [1, 1]])
    removal = PlayerRemoval(Sums(), [("a", "list"), ("b",)], inputs, np.array([[0], [1]]), stand_ins)
    assert removal.n_references == 2
    kept = np.array([[True, True], [False, True], [True, False], [False, False], [True, True]])
    found = removal.values(np.array([0, 0, 0, 1, 1]), kept, np.array([0, 0, 1, 1, 0]))[:, 0]
    # Of row 0 the list is [1, 2], of the background [3], [4, 5, 6], [7].
    expected = [100 + 1 + 3, 300 + 1 + 3, 100 + 5 + 3, -(400 + 4 + 15), -(200 + 2 + 0)]
    np.testing.assert_allclose(found, expected)


class Nameless:
    """Reads whatever there is."""

    def predict(self, inputs: Inputs) -> np.ndarray:
        return sum(inputs.columns.values())[:, None]


def test_players_without_any_value_are_no_error() -> None:
    inputs = Inputs(2, {"a": np.array([1.0, 3.0])})
    removal = PlayerRemoval(Nameless(), [("a",), ("b",)], inputs, np.array([[0]]), np.array([[0]]))
    kept = np.array([[True, False], [False, True]])
    found = removal.values(np.zeros(2, np.int64), kept, np.zeros(2, np.int64))
    np.testing.assert_array_equal(found, [[1.0], [3.0]])


def test_background_rows_stand_in_by_their_weights() -> None:
    weights = np.array([0.5, 0.0, 0.3, 0.2])
    found = drawn_rows(np.arange(20_000, dtype=np.uint64), weights, 5, 0)
    shares = np.bincount(found.ravel(), minlength=4) / found.size
    assert shares[1] == 0
    np.testing.assert_allclose(shares, weights, atol=5 * np.sqrt(0.25 / found.size))
    np.testing.assert_array_equal(drawn_rows(np.array([7], np.uint64), weights, 5, 0), found[7:8])
    # One in each fifth of the background: rows of half the weight stand in two or three times of five.
    assert set((found == 0).sum(axis=1)) <= {2, 3}


def test_about_as_many_rows_are_checked_as_asked_for_and_the_fewer_among_the_more() -> None:
    settings = FaithfulnessConfig(num_examples=500, num_randomised_examples=100, randomisation=True)
    plan = FaithfulnessPlan(("a model",)).for_rows(10_000, settings)
    # Rows that are explained have been chosen by the smallest of these numbers.
    draws = np.arange(10_000, dtype=np.uint64) * 1_000
    checked, randomised = plan.is_checked(draws, 0)
    assert abs(checked.sum() - 500) < 5 * np.sqrt(500)
    assert abs(randomised.sum() - 100) < 5 * np.sqrt(100)
    assert not (randomised & ~checked).any()
    few, _ = FaithfulnessPlan().for_rows(300, settings).is_checked(draws[:300], 0)
    assert few.all()
    assert not FaithfulnessPlan().for_rows(300, settings).is_checked(draws[:300], 0)[1].any()


def test_figures_of_rows_are_padded_with_nothing() -> None:
    made = padded(np.array([2, 0, 1]), np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]))
    np.testing.assert_array_equal(made, [[[1, 2], [3, 4]], [[0, 0], [0, 0]], [[5, 6], [0, 0]]])
