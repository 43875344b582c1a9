"""Pictures of one colour, which tell a model nothing: where paths to an image start."""

from __future__ import annotations

import io
from typing import Literal

from tfx_explain.regions.images import FORMATS, decode_image
from tfx_explain.regions.optional import optional

Colour = Literal["black", "white"]

# Kinds of pictures without a black and a white of their own, and the kinds that such pictures become.
_MODES = {"1": "L", "LA": "L", "La": "L", "P": "RGB", "PA": "RGB", "CMYK": "RGB", "YCbCr": "RGB", "LAB": "RGB"}
_WHITE_OF_16_BITS = 2**16 - 1


def picture_of_one_colour(like: bytes, colour: Colour) -> bytes:
    """A picture of the size, the kind and the depth of another, all black or all white.

    Args:
      like: of any of `FORMATS`.
      colour: of each pixel.

    Raises:
      ConfigError: Pillow is not installed.
      UnreadableImageError: the other one cannot be read.
    """
    decode_image(like)
    image = optional("PIL.Image")
    with image.open(io.BytesIO(like), formats=FORMATS) as other:
        size, mode, form = other.size, _MODES.get(other.mode, other.mode), other.format
    deep = _WHITE_OF_16_BITS if colour == "white" else 0
    value = deep if mode.startswith("I") else optional("PIL.ImageColor").getcolor(colour, mode)
    made = io.BytesIO()
    image.new(mode, size, value).save(made, form, **({"lossless": True} if form == "WEBP" else {}))
    return made.getvalue()
