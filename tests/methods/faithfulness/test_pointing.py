"""The pointing game."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from tfx_explain.methods.faithfulness.pointing import Boxes, is_covered, point
from tfx_explain.part_records import PartRows
from tfx_explain.regions import encode_labels

SHAPE = (6, 8)
LABELS = np.repeat(np.arange(4), 12).reshape(SHAPE)  # bands of one row and a half
N = 400


def boxes_of(*rows: list[float] | None) -> Boxes:
    batch = pa.RecordBatch.from_arrays([pa.array(rows, pa.large_list(pa.float32()))], names=["box"])
    return Boxes.of(batch, "box")


def parts_of(n: int, attributions: list[list[float]]) -> PartRows:
    figures = np.tile(np.array(attributions), (n, 1))
    where = np.tile(np.bincount(LABELS.ravel()), n)[:, None]
    return PartRows(np.full(n, 4), where, figures, figures * 0, np.full(n, encode_labels(LABELS), object))


def test_boxes_are_read_and_wrong_ones_told() -> None:
    found = boxes_of(
        [0.0, 0.0, 0.5, 1.0, 0.25, 0.5, 1.0, 0.75],
        None,
        [],
        [0.5, 0.0, 0.25, 1.0],
        [0.0, 0.0, 40.0, 60.0],
        [0.0, 0.0, 0.5],
        [0.0, 0.0, float("nan"), 1.0],
        [0.125, 0.0, 1.0, 1.0],
    )
    assert found.lengths.tolist() == [2, 0, 0, 1, 1, 0, 1, 1]
    assert found.is_right.tolist() == [True, True, True, False, False, False, False, True]
    assert found.of_row(0).tolist() == [[0.0, 0.0, 0.5, 1.0], [0.25, 0.5, 1.0, 0.75]]
    assert found.of_row(7).tolist() == [[0.125, 0.0, 1.0, 1.0]]
    some = found.take(np.array([7, 1, 0]))
    assert some.of_row(2).tolist() == found.of_row(0).tolist()
    assert (some.lengths.tolist(), some.is_right.tolist()) == ([1, 0, 2], [True, True, True])


@pytest.mark.parametrize("values", [pa.array([["a"]]), pa.array([[b"a"]])])
def test_texts_are_no_boxes(values: pa.Array) -> None:
    assert not Boxes.of(pa.RecordBatch.from_arrays([values], names=["box"]), "box").is_right.any()


def test_pixels_lie_in_a_box_by_their_centres() -> None:
    covered = is_covered(np.array([[0.0, 0.0, 0.5, 0.25], [0.5, 0.5, 1.0, 1.0]]), SHAPE)
    expected = np.zeros(SHAPE, bool)
    expected[:3, :2] = True
    expected[3:, 4:] = True
    assert np.array_equal(covered, expected)


def test_the_strongest_region_is_pointed_at_by_attribution_per_pixel() -> None:
    """Of the first output the third band is, of the second the first, wherever sums are largest."""
    boxes = boxes_of(*[[0.5, 0.0, 1.0, 1.0]] * 3, None)
    found = point(
        parts_of(4, [[1.0, 9.0], [2.0, 1.0], [5.0, 0.0], [4.0, -9.0]]), boxes, np.arange(4, dtype=np.uint64), 0
    )
    assert found.hits[:3].tolist() == [[1.0, 0.0]] * 3
    assert np.isnan(found.hits[3]).all()
    np.testing.assert_array_equal(found.areas, [0.5, 0.5, 0.5, np.nan])
    assert found.has_no_box.tolist() == [False, False, False, True]


def test_a_region_that_is_partly_in_a_box_hits_as_often_and_flat_maps_by_area() -> None:
    """The second band has a third of its pixels in the first quarter of the image's rows that the box has."""
    boxes = boxes_of(*[[0.0, 0.0, 2 / 6, 1.0]] * N)
    draws = np.random.default_rng(0).integers(0, 2**63, N).astype(np.uint64)
    found = point(parts_of(N, [[0.0, 1.0], [5.0, 1.0], [0.0, 1.0], [0.0, 1.0]]), boxes, draws, 0)
    for output, share in ((0, 4 / 12), (1, 2 / 6)):
        assert abs(found.hits[:, output].mean() - share) < 4 * np.sqrt(share * (1 - share) / N)
    assert found.areas == pytest.approx(2 / 6)
    assert not np.array_equal(found.hits[:, 0], found.hits[:, 1])


def test_what_is_left_without_regions_is_nowhere() -> None:
    of_regions = parts_of(1, [[1.0], [2.0], [9.0], [0.0]])
    rest = np.array([[100.0]])
    figures = np.concatenate([of_regions.attributions, rest])
    where = np.concatenate([of_regions.where, [[0]]])
    parts = PartRows(np.array([5]), where, figures, figures * 0, of_regions.maps)
    assert point(parts, boxes_of([0.5, 0.0, 0.75, 1.0]), np.zeros(1, np.uint64), 0).hits.tolist() == [[1.0]]


def test_rows_without_regions_have_nothing_to_point_at() -> None:
    none = np.zeros((0, 1))
    parts = PartRows(np.zeros(2, np.int64), np.zeros((0, 1), np.int64), none, none, np.full(2, b""))
    found = point(parts, boxes_of([0.0, 0.0, 1.0, 1.0], []), np.zeros(2, np.uint64), 0)
    assert np.isnan(found.hits).all()
    assert not found.has_no_box.any()
