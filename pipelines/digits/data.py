"""Handwritten digits as tf.Examples with PNG bytes, which ImportExampleGen reads.

Source: E. Alpaydin and C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository (1998);
`sklearn.datasets.load_digits`, 1,797 grey pictures of 8 by 8 pixels.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image
from sklearn.datasets import load_digits

import tf_examples

IMAGE = "image"
"""PNG bytes, grey."""

LABEL = "digit"
"""The digit that was written, 0 to 9."""

ID = "picture"
"""The row of the picture in the published data, from 1 on."""

SIDE = 32
"""Pixels of a side. The published 8 by 8 are enlarged, between neighbours linearly: regions of a picture are then more
than single pixels. Nothing is to be seen that was not there before."""

_PUBLISHED_WHITE = 16


def write_examples(data_dir: Path, limit: int | None = None) -> int:
    """Writes `digits.tfrecord` into a directory, unless the same is there already.

    Args:
      data_dir: where to.
      limit: how many pictures, the first ones; None = all.

    Returns:
      The number of pictures.
    """
    return tf_examples.write(data_dir / "digits.tfrecord", list(_examples(limit)))


def _examples(limit: int | None) -> Iterator[tf.train.Example]:
    digits = load_digits()
    for number, (pixels, digit) in enumerate(zip(digits.images[:limit], digits.target[:limit], strict=True), start=1):
        yield tf_examples.example({IMAGE: png(pixels), LABEL: int(digit), ID: number})


def png(pixels: np.ndarray) -> bytes:
    """A published picture as a PNG of `SIDE` pixels a side.

    Args:
      pixels: `(8, 8)` from 0 (paper) to 16 (ink).
    """
    grey = np.rint(pixels * (255 / _PUBLISHED_WHITE)).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(grey).resize((SIDE, SIDE), Image.Resampling.BILINEAR).save(file, "PNG")
    return file.getvalue()
