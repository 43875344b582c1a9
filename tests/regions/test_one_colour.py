"""Pictures of one colour, of the kind of another."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from tfx_explain.errors import UnreadableImageError
from tfx_explain.regions import decode_image, picture_of_one_colour
from tfx_explain.regions.one_colour import Colour


def file_of(mode: str, form: str) -> bytes:
    made = io.BytesIO()
    Image.new(mode, (7, 5)).save(made, form)
    return made.getvalue()


@pytest.mark.parametrize(
    ("mode", "form"),
    [
        *((mode, "PNG") for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")),
        *((mode, "JPEG") for mode in ("L", "RGB", "CMYK")),
        *(("RGB", form) for form in ("BMP", "WEBP", "GIF")),
    ],
)
@pytest.mark.parametrize(("colour", "value"), [("black", 0), ("white", 255)])
def test_all_pixels_are_of_the_colour(mode: str, form: str, colour: Colour, value: int) -> None:
    made = picture_of_one_colour(file_of(mode, form), colour)
    pixels = decode_image(made)
    assert pixels.shape == (5, 7, 3)
    assert (pixels == value).all()
    assert Image.open(io.BytesIO(made)).format == form


def test_depth_is_kept() -> None:
    deep = Image.open(io.BytesIO(picture_of_one_colour(file_of("I;16", "PNG"), "white")))
    assert np.asarray(deep).max() == 2**16 - 1


def test_what_cannot_be_read_is_refused() -> None:
    with pytest.raises(UnreadableImageError):
        picture_of_one_colour(b"no picture", "black")
