"""Images in parts: their regions, found by colours or given with the rows.

Where a model's graph is seen to decode files, regions are of the pixels that come of that, and absent ones are mixed
in there: at the model's resolution, and without a file for each mixture. Elsewhere, and with masks, which are of the
size of the file, each mixture is written as a PNG of that size, and the row is checked to be the same row written so.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tfx_explain.config.parts import RegionsConfig
from tfx_explain.errors import InputError
from tfx_explain.methods.images import ImageForm, finite_picture, read_file
from tfx_explain.methods.shapley.parts.pictures import LastPicture, PictureValues
from tfx_explain.methods.shapley.parts.rows import Asked
from tfx_explain.models.features import Column
from tfx_explain.part_records import PartsOf
from tfx_explain.regions import encode_labels
from tfx_explain.regions.absent import absent_picture
from tfx_explain.regions.masks import read_mask
from tfx_explain.regions.partition import find_partition, in_order
from tfx_explain.regions.patches import PatchGrid
from tfx_explain.regions.segments import LabelMap
from tfx_explain.rows import column_or_nulls

IntArray = npt.NDArray[np.int64]
Pixels = npt.NDArray[Any]

REGION_PARTS = PartsOf("regions", ("pixels",), has_maps=True)


@dataclass(frozen=True, eq=False)
class ImageRows:
    """n rows with an image each.

    Attributes:
      pictures: what each can be; None of rows without an image.
      has_rest: whether something of the image is left where all its regions are absent: its blur, its colour, its size.
    """

    pictures: Sequence[PictureValues | None]
    has_rest: bool

    @property
    def lengths(self) -> IntArray:
        """(n,) regions of each."""
        return np.array([0 if one is None else one.n_parts for one in self.pictures], np.int64)

    def seen(self, asked: Asked | None) -> tuple[IntArray, int]:
        """(n,) all of them, without asking."""
        return self.lengths, 0

    def where(self, seen: IntArray) -> IntArray:
        """(N, 1) pixels of each region, of the label map; 0 of what is left without them."""
        rest = [np.zeros(int(self.has_rest))]
        sizes = [part for one in self.pictures for part in ([] if one is None else [one.sizes]) + rest]
        return np.concatenate([np.zeros(0), *sizes]).astype(np.int64)[:, None]

    def values(self, row: int, n_parts: int, own: Column) -> PictureValues:
        """What an image can be, of a row that has one."""
        return cast(PictureValues, self.pictures[row])

    @property
    def maps(self) -> npt.NDArray[np.object_]:
        """(n,) label maps as PNG files; without bytes of rows without an image."""
        files = [b"" if one is None else encode_labels(one.labels) for one in self.pictures]
        return np.array([*files, None], object)[:-1]


@dataclass(frozen=True, eq=False)
class ImageCutter:
    """Cuts the images of some rows.

    Attributes:
      feature: the image.
      settings: how they are cut, and what absent means.
      form: how they lie in rows.
      absent: what absent numbers all become; () where they do not.
      background: (B, H, W, C) of the background's images, where these stand in the place of what is absent; with files
        of one size only.
    """

    feature: str
    settings: RegionsConfig
    form: ImageForm
    absent: tuple[float, ...]
    background: Pixels | None = None

    @property
    def has_rest(self) -> bool:
        """See `ImageRows`; nothing is left where what is absent is the same in all rows."""
        return self.settings.absent != "background" and not self.absent

    def of_pixels(
        self, rows: pa.RecordBatch, pixels: Pixels, absent: Pixels | None
    ) -> tuple[ImageRows, dict[int, str]]:
        """Images that the model is fed, and row -> why one cannot be cut.

        Args:
          rows: n of them.
          pixels: (n, H, W) or (n, H, W, C).
          absent: the same where all is absent, if that is known.
        """
        own = pixels.reshape(*pixels.shape[:3], -1)

        def one(row: int) -> PictureValues:
            picture = finite_picture(own[row])
            pixels = picture, self._absent(picture, None if absent is None else absent[row].reshape(picture.shape))
            return PictureValues(lambda: pixels, self._labels(rows, row, picture), picture.nbytes)

        return self._rows(len(own), one)

    def of_files(
        self, rows: pa.RecordBatch, files: Sequence[bytes], channels: Mapping[int, int]
    ) -> tuple[ImageRows, dict[int, str]]:
        """Images that the model decodes, and row -> why one cannot be cut.

        Args:
          rows: n of them.
          files: of each; without bytes where there is none.
          channels: row -> in how many channels it is read, where that is not as stored.
        """
        last = LastPicture()

        def load(file: bytes, row: int) -> tuple[Pixels, Pixels]:
            picture = read_file(file, channels.get(row, 0))
            return picture, self._absent(picture)

        def one(row: int) -> PictureValues | None:
            if not files[row]:
                return None
            pixels = functools.partial(last.of, row, functools.partial(load, files[row], row))
            picture, _ = pixels()
            return PictureValues(pixels, self._labels(rows, row, picture), picture.nbytes, files[row])

        return self._rows(len(files), one)

    def _rows(self, n: int, one: Callable[[int], PictureValues | None]) -> tuple[ImageRows, dict[int, str]]:
        made: list[PictureValues | None] = []
        reasons: dict[int, str] = {}
        for row in range(n):
            found = None
            try:
                found = one(row)
            except InputError as error:
                reasons[row] = f"the image `{self.feature}` cannot be cut into regions: {str(error).rstrip('.')}"
            made.append(found)
        return ImageRows(made, self.has_rest), reasons

    def _absent(self, picture: Pixels, instead: Pixels | None = None) -> Pixels:
        """(B, H, W, C); B is 1 where it is the same with every background row."""
        if self.settings.absent == "background":
            background = self.background
            if background is None or (background.shape[1:], background.dtype) != (picture.shape, picture.dtype):
                of_background = "of several sizes" if background is None else _size(background[0])
                raise InputError(
                    f"it is {_size(picture)}, and images of the background are {of_background}, so `absent: "
                    "background` does not know what stands in its place."
                )
            return background
        if self.absent:
            return np.full_like(picture, self.absent[0])[None]
        return (absent_picture(picture, self.settings.absent) if instead is None else instead)[None]

    def _labels(self, rows: pa.RecordBatch, row: int, picture: Pixels) -> LabelMap:
        if self.settings.patches is not None:
            grid = self.settings.patches.grid(*picture.shape[:2])
            if grid.n_cells > self.settings.max_parts:
                raise InputError(f"{too_fine(grid, self.settings.max_parts)}.")
            return grid.labels()
        if self.settings.masks is None:
            return find_partition(picture, self.settings.n_segments)
        values = column_or_nulls(rows.slice(row, 1), self.settings.masks).to_pylist()[0] or []
        height, width = picture.shape[:2]
        try:
            labels = in_order(read_mask(values, (height, width)))
        except InputError as error:
            raise InputError(f"its mask `{self.settings.masks}` cannot be used: {error}") from error
        n_regions = int(labels.max()) + 1
        if n_regions > self.settings.max_parts:
            raise InputError(
                f"its mask `{self.settings.masks}` has {n_regions} regions, more than `max_parts: "
                f"{self.settings.max_parts}`."
            )
        return labels


def too_fine(grid: PatchGrid, max_parts: int) -> str:
    """What is wrong with a grid of too many cells."""
    return (
        f"of {grid.height} x {grid.width} pixels squares cover {grid.n_cells:,} cells, more than `max_parts: "
        f"{max_parts}`; raise `stride`, or that"
    )


def _size(picture: Pixels) -> str:
    return f"{' x '.join(map(str, picture.shape))} of {picture.dtype}"
