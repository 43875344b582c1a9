"""Maps of an image at other sizes of it."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import numpy.typing as npt

Map = TypeVar("Map", npt.NDArray[np.int32], npt.NDArray[np.float64])


def nearest(values: Map, shape: tuple[int, int]) -> Map:
    """A map (h, w, ...) of an image, at the model's resolution, at the size (H, W) that the image has elsewhere.

    Each pixel has the value of where its centre is, so that no value is new and regions stay what they are.

    Example:
      >>> import numpy as np
      >>> nearest(np.array([[1, 2]]), (2, 4)).tolist()
      [[1, 1, 2, 2], [1, 1, 2, 2]]
    """
    height, width = ((2 * np.arange(n) + 1) * m // (2 * n) for n, m in zip(shape, values.shape[:2], strict=True))
    return values[np.ix_(height, width)]
