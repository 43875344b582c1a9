"""An image of one row, some of whose regions are absent: as pixels, or written as a file anew."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tfx_explain.models.features import Column
from tfx_explain.regions.segments import LabelMap
from tfx_explain.regions.sizes import nearest
from tfx_explain.regions.written import png_file

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
Pixels = npt.NDArray[Any]


@dataclass(eq=False)
class LastPicture:
    """Pixels of files, which take far more memory than these: those of one file are kept, the last."""

    _owner: object = None
    _pixels: tuple[Pixels, Pixels] | None = None

    def of(self, owner: object, load: Callable[[], tuple[Pixels, Pixels]]) -> tuple[Pixels, Pixels]:
        """The same as the function gives."""
        if self._pixels is None or self._owner != owner:
            self._owner, self._pixels = owner, load()
        return self._pixels


@dataclass(frozen=True, eq=False)
class PictureValues:
    """An image with some of its regions absent.

    Attributes:
      pixels: gives (H, W, C) its own, and (B, H, W, C) what stands in their place in contexts with each row of the
        background; B is 1 where that is always the same.
      labels: (h, w) which region each pixel is in, of the same or a smaller resolution.
      size: bytes of the pixels.
      file: the image as it is; None where the model is fed pixels.
    """

    pixels: Callable[[], tuple[Pixels, Pixels]]
    labels: LabelMap
    size: int
    file: bytes | None = None

    @functools.cached_property
    def sizes(self) -> npt.NDArray[np.float64]:
        """(k,) pixels of each region, of the label map."""
        return np.bincount(self.labels.ravel()).astype(np.float64)

    @property
    def n_parts(self) -> int:
        """Regions."""
        return len(self.sizes)

    def column(self, coalitions: BoolArray, background: IntArray | None = None) -> Column:
        """(n, H, W, C) pixels, or n files, for coalitions (n, k); the file itself where all are present.

        Args:
          coalitions: (n, k), True = present.
          background: (n,) rows of it; None = the first.
        """
        own, absent = self.pixels()
        n, height, width = len(coalitions), *own.shape[:2]
        chosen = np.zeros(n, np.int64) if background is None or len(absent) == 1 else background
        shown = coalitions[:, nearest(self.labels, (height, width))][..., None]
        made = np.where(shown, own, absent if len(absent) == 1 else absent[chosen])
        if self.file is None:
            return made
        whole: list[bool] = np.asarray(coalitions.all(axis=1)).tolist()
        files = [self.file if is_whole else png_file(one) for one, is_whole in zip(made, whole, strict=True)]
        return np.array([*files, None], object)[:-1]
