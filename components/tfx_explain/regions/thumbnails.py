"""Small copies of pictures, for pages."""

from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt

from tfx_explain.regions.optional import optional


def thumbnail(picture: npt.NDArray[np.uint8], max_side: int) -> bytes:
    """A PNG of a picture (H, W, 3), no side of which is longer than `max_side`.

    Raises:
      ConfigError: Pillow is not installed.
    """
    image = optional("PIL.Image").fromarray(picture)
    image.thumbnail((max_side, max_side))
    made = io.BytesIO()
    image.save(made, "PNG")
    return made.getvalue()
