"""Parts of features that are taken away."""

from types import SimpleNamespace

import numpy as np

from tfx_explain.methods.shapley.parts.calls import PartCalls
from tfx_explain.methods.shapley.parts.images import REGION_PARTS
from tfx_explain.methods.shapley.parts.pictures import PictureValues
from tfx_explain.methods.shapley.parts.removal import PartsRemoval, n_seen
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
