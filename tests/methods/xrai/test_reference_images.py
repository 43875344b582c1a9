"""Images of one colour."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import pictures
from tfx_explain.errors import ConfigError, UnreadableImageError
from tfx_explain.methods.xrai.reference_images import with_images
from tfx_explain.models import FeatureSpec
from tfx_explain.regions import decode_image

SPEC = FeatureSpec("image", "float32", "dense", (2, 1))


def batch(values: list[Any], kind: pa.DataType) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([pa.array(values, pa.large_list(kind))], names=["image"])


@pytest.mark.parametrize(("kind", "white"), [(pa.int64(), 255), (pa.float32(), 0.75)])
def test_black_and_white_are_numbers_of_the_kind_that_rows_have(kind: pa.DataType, white: float) -> None:
    rows = batch([[0, white], [white, 0]], kind)
    made = with_images(rows, SPEC, rows, ("white", "black")).column("image")
    assert made.type == pa.large_list(kind)
    assert made.to_pylist() == [[white, white], [0, 0]]


def test_pixels_that_are_no_numbers_are_neither_black_nor_white() -> None:
    rows = batch([[np.nan, 0.5], [0.25, np.inf], None], pa.float32())
    made = with_images(rows.slice(0, 2), SPEC, rows, ("black", "white")).column("image")
    assert made.to_pylist() == [[0.25, 0.25], [0.5, 0.5]]


@pytest.mark.parametrize("values", [[None, []], [[np.nan, np.nan]]])
def test_a_background_without_images_is_refused(values: list[Any]) -> None:
    rows = batch(values, pa.float32())
    with pytest.raises(ConfigError, match="no background row has an image `image`"):
        with_images(rows.slice(0, 1), SPEC, rows, ("black",))


def test_the_first_file_that_is_not_empty_says_how_large_images_are() -> None:
    file = pictures.png(pictures.pixels_of(1, 0)[0])
    spec = FeatureSpec("image", "string", "dense")
    rows = batch([None, [b""], [file]], pa.large_binary())
    (made,) = with_images(rows.slice(0, 1), spec, rows, ("white",)).column("image").to_pylist()
    assert (decode_image(made[0]) == np.full((pictures.SIZE, pictures.SIZE, 3), 255)).all()
    with pytest.raises(ConfigError, match="no background row has an image `image`"):
        with_images(rows.slice(0, 1), spec, rows.slice(0, 2), ("white",))


def test_an_image_that_cannot_be_read_is_named() -> None:
    spec = FeatureSpec("image", "string", "dense")
    rows = batch([[b"iVBORw0K"]], pa.large_binary())
    with pytest.raises(UnreadableImageError, match=r"like the first `image` of the background \(An image of 8 bytes"):
        with_images(rows, spec, rows, ("white",))
