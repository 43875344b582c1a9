"""Parts of features that are taken away."""

import itertools
from types import SimpleNamespace

import numpy as np

from tfx_explain.methods.shapley.parts.calls import PartCalls
from tfx_explain.methods.shapley.parts.images import REGION_PARTS
from tfx_explain.methods.shapley.parts.pictures import PictureValues
from tfx_explain.methods.shapley.parts.removal import PartsRemoval, in_common, n_seen
from tfx_explain.methods.shapley.parts.series import SERIES_PARTS
from tfx_explain.methods.shapley.parts.texts import TEXT_PARTS
from tfx_explain.models import Inputs
from tfx_explain.part_records import PartRows
from tfx_explain.regions.series import SeriesValues


class Nothing:
    """A model that is not asked."""


def test_what_is_left_without_all_parts_is_not_taken_away() -> None:
    """Of rows of two parts, none and one, each with a length behind them."""
    values = [
        SeriesValues(np.ones(n, np.float32), np.zeros(n, np.float32), np.arange(n), n) if n else None for n in (2, 0, 1)
    ]
    figures = np.array([[1.0], [2.0], [9.0], [9.0], [3.0], [9.0]])
    parts = PartRows(np.array([3, 1, 2]), np.zeros((6, 3), np.int64), figures, figures)
    calls = PartCalls(Nothing(), "series", [], Inputs(3, {}), 3)
    removal = PartsRemoval(calls, np.zeros((3, 1), np.int64), values, SERIES_PARTS)
    assert removal.sizes.tolist() == [[1, 1], [0, 0], [1, 0]]
    assert removal.attributions(SimpleNamespace(parts={"series": parts}))[..., 0].tolist() == [[1, 2], [0, 0], [3, 0]]


class Sums:
    """A model that adds up pixels."""

    def predict(self, inputs: Inputs) -> np.ndarray:
        return inputs.columns["image"].reshape(len(inputs), -1).sum(axis=1, keepdims=True)


def test_regions_are_taken_away_by_their_pixels_and_rows_of_the_background_stand_in() -> None:
    own, instead = np.arange(8.0).reshape(2, 2, 2, 1), 100.0 * np.arange(1, 5).reshape(4, 1, 1, 1)
    labels = [np.array([[0, 0], [0, 1]], np.int32), np.array([[0, 0], [0, 0]], np.int32)]
    background = np.broadcast_to(instead, (4, 2, 2, 1))
    values = [PictureValues(lambda row=row: (own[row], background), labels[row], 32) for row in range(2)]
    calls = PartCalls(Sums(), "image", [], Inputs(2, {"image": own}), 2)
    removal = PartsRemoval(calls, np.zeros((2, 1), np.int64), values, REGION_PARTS, np.array([1, 3]))
    assert removal.sizes.tolist() == [[3, 1], [4, 0]]
    assert removal.n_references == 2
    rows, kept = np.array([1, 0, 0, 0]), np.array([[False, True], [True, False], [True, False], [True, True]])
    found = removal.values(rows, kept, np.array([0, 0, 1, 0]))
    assert found[:, 0].tolist() == [800.0, 3.0 + 200.0, 3.0 + 400.0, 6.0]


def test_spans_that_the_model_does_not_see_are_no_parts() -> None:
    where = np.array([[0, 2, 1], [2, 4, 1], [4, 6, 0], [0, 1, 0], [0, 3, 1]])
    parts = PartRows(np.array([3, 0, 1, 1]), where, np.ones((5, 1)), np.zeros((5, 1)))
    assert n_seen(parts, TEXT_PARTS).tolist() == [2, 0, 0, 1]
    assert n_seen(parts, SERIES_PARTS).tolist() == [3, 0, 1, 1]


def cut_at(*rows: list[int]) -> PartRows:
    """Spans of rows with these bounds, the last of each not seen; what each adds is its size."""
    where = [[start, stop, stop < row[-1]] for row in rows for start, stop in itertools.pairwise(row)]
    sizes = np.array([[stop - start] for start, stop, _ in where], np.float64).reshape(-1, 1)
    lengths = np.array([max(len(row) - 1, 0) for row in rows])
    return PartRows(lengths, np.array(where, np.int64).reshape(-1, 3), sizes, sizes)


def test_spans_of_two_models_are_compared_where_both_are_cut() -> None:
    ours, theirs = cut_at([0, 2, 3, 7, 9], [], [0, 4, 5]), cut_at([0, 1, 2, 7, 8, 9], [], [0, 4, 5])
    first, second = in_common(ours, theirs)
    for parts in (first, second):
        assert parts.lengths.tolist() == [3, 0, 2]
        assert parts.where[:, :2].tolist() == [[0, 2], [2, 7], [7, 9], [0, 4], [4, 5]]
        assert parts.attributions[:, 0].tolist() == [2, 5, 2, 4, 1]
    assert first.where[:, 2].tolist() == [1, 1, 0, 1, 0]
    assert second.where[:, 2].tolist() == [1, 1, 1, 1, 0]
    nothing = in_common(cut_at([]), cut_at([]))
    assert nothing[0].attributions.shape == (0, 1)
    calls = PartCalls(Nothing(), "text", [], Inputs(3, {}), 3)
    removal = PartsRemoval(calls, np.zeros((3, 1), np.int64), [None] * 3, TEXT_PARTS)
    of_both = removal.figures(*(SimpleNamespace(parts={"text": parts}) for parts in (ours, theirs)))
    for figures in of_both:
        np.testing.assert_array_equal(figures[..., 0], [[2, 5, np.nan], [np.nan] * 3, [4, np.nan, np.nan]])
