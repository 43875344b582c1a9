"""Maps of images, and the images themselves, from records."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

import pictures
from tfx_explain.errors import InputError
from tfx_explain.image_maps import image_map, own_picture
from tfx_explain.part_records import PartRows, PartsOf, part_columns
from tfx_explain.regions import encode_labels

REGIONS = PartsOf("regions", ("pixels",), has_maps=True)
LABELS = np.array([[0, 0], [1, 1]])
FILE = pictures.png(np.zeros((4, 6, 1), np.uint8))


def row_of(image: list[bytes], labels: bytes | None = None) -> pa.RecordBatch:
    """Two regions, and what is left without them, which has no pixels."""
    maps = np.array([encode_labels(LABELS) if labels is None else labels], object)
    where, values = np.array([[2], [2], [0]]), np.array([[1.0], [3.0], [7.0]])
    parts = PartRows(np.array([3]), where, values, np.zeros((3, 1)), maps)
    columns = {
        "example_id": pa.array([[b"a"]], pa.large_list(pa.large_binary())),
        "image": pa.array([image], pa.large_list(pa.large_binary())),
        **part_columns("image", REGIONS, parts),
    }
    return pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns))


@pytest.mark.parametrize(("image", "shape"), [([FILE], (4, 6)), ([b""], (2, 2)), ([], (2, 2))])
def test_maps_are_of_the_size_of_the_image_or_of_what_the_model_gets(
    image: list[bytes], shape: tuple[int, int]
) -> None:
    found = image_map(row_of(image), "", "image", REGIONS, ["out"], "out")
    assert found.shape == shape
    assert (found[: shape[0] // 2] == 0.5).all()
    assert (found[shape[0] // 2 :] == 1.5).all()


@pytest.mark.parametrize("image", [[b""], []])
def test_a_row_without_an_image_has_no_picture(image: list[bytes]) -> None:
    with pytest.raises(InputError, match="the row has no image `image`"):
        own_picture(row_of(image), "image", (2, 2))


def test_a_row_without_a_label_map_has_no_map() -> None:
    with pytest.raises(InputError, match="the row has no image `image`"):
        image_map(row_of([], b""), "", "image", REGIONS, ["out"], "out")
