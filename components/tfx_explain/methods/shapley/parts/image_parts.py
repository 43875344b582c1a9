"""Images in regions for one model: a few rows at a time, as the pixels of many take more memory than their files."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tfx_explain.config.parts import RegionsConfig
from tfx_explain.errors import UnreadableImageError
from tfx_explain.methods.background import SideBackground
from tfx_explain.methods.batch import Batch
from tfx_explain.methods.images import ImageForm, Pixels, files_of, read_file
from tfx_explain.methods.shapley.parts.calls import PartCalls
from tfx_explain.methods.shapley.parts.feature import PartBatch
from tfx_explain.methods.shapley.parts.images import ImageCutter, ImageRows
from tfx_explain.methods.shapley.parts.model_feature import ModelFeature
from tfx_explain.methods.shapley.parts.rewritten import channels_of
from tfx_explain.models import Inputs
from tfx_explain.models.engine import Pixels as PixelModel
from tfx_explain.models.reading import read_values
from tfx_explain.regions.absent import absent_picture
from tfx_explain.regions.written import png_file

IntArray = npt.NDArray[np.int64]

# Of the pixels that are held at a time, and the rows whose files are decoded together.
_MOST_BYTES = 2**26
_FILES = 64
_MOST_ROWS = 256
_FLOAT = 4


@dataclasses.dataclass(frozen=True, eq=False)
class Cut:
    """Some rows cut into regions.

    Attributes:
      rows: which of the batch they are.
      images: in regions.
      calls: of the model, which is fed these rows.
      reasons: row -> why it cannot be cut, or not be explained.
      n_model_rows: what it took to find that.
    """

    rows: IntArray
    images: ImageRows
    calls: PartCalls
    reasons: dict[int, str]
    n_model_rows: int

    def part_batch(self, batch: Batch, index: int, background: SideBackground) -> PartBatch:
        """The rows with their regions.

        Args:
          batch: that they are of.
          index: which of its sides is the model's.
          background: as the model sees it.
        """
        some = batch.take(self.rows)
        return PartBatch(some, some.sides[index], background, self.images, self.calls)

    def of_batch(self, reasons: Mapping[int, str]) -> dict[int, str]:
        """The same by rows of the batch."""
        return {int(self.rows[row]): reason for row, reason in reasons.items()}


class ImageParts:
    """Cuts the images of rows for a model.

    Args:
      of_model: the image, as the model reads it.
      settings: how images are cut, and what absent means.
      form: how images lie in rows.
    """

    def __init__(self, of_model: ModelFeature, settings: RegionsConfig, form: ImageForm) -> None:
        self.feature, self.settings, self.form = of_model.feature, settings, form
        self._of_model, self._model = of_model, of_model.model

    def cuts(
        self,
        batch: Batch,
        index: int,
        background: SideBackground,
        absent: tuple[float, ...],
        at_once: int | None = None,
    ) -> Iterator[Cut]:
        """The rows of a batch in regions, `at_once` at a time, or as many as take little memory.

        Args:
          batch: n rows.
          index: which of its sides is the model's.
          background: as the model sees it.
          absent: see `ImageCutter`.
          at_once: how many rows; None = as many as take little memory.
        """
        whole = self._model.inputs(background.rows)
        pixels = self._pixels(whole)
        fed = whole if pixels is None else pixels.inputs(whole)
        cutter = ImageCutter(self.feature, self.settings, self.form, absent, self._background(background, fed, pixels))
        shape = self.form.shape if pixels is None else pixels.shape
        if at_once is None:
            n_bytes = 2 * _FLOAT * int(np.prod(shape)) if shape else _MOST_BYTES // _FILES
            at_once = int(np.clip(_MOST_BYTES // n_bytes, 1, _MOST_ROWS))
        n = batch.rows.num_rows
        for rows in np.split(np.arange(n), range(at_once, n, at_once)) if n else []:
            yield self._cut(cutter, batch.take(rows), rows, index, background, fed, pixels)

    def _pixels(self, background: Inputs) -> PixelModel | None:
        """The model past the decoding; masks are of the size of files, which graphs may crop or turn."""
        if self.form.shape is not None or self.settings.masks is not None or not self._of_model.is_read:
            return None
        return self._model.with_pixels(self.feature, background)

    def _background(self, background: SideBackground, fed: Inputs, pixels: PixelModel | None) -> Pixels | None:
        """(B, H, W, C) of the background's images, where these stand in; None where they have several sizes."""
        if self.settings.absent != "background":
            return None
        if pixels is not None or self.form.shape is not None:
            column = fed.columns.get(self.feature)
            values = _numbers(background.rows, self.feature, self.form) if column is None else np.asarray(column)
            return values.reshape(*values.shape[:3], -1)
        try:
            pictures = [read_file(file) for file in files_of(background.rows, self.feature)]
        except UnreadableImageError:
            return None
        is_alike = len({(one.shape, one.dtype) for one in pictures}) == 1
        return np.stack(pictures) if is_alike else None

    def _cut(
        self,
        cutter: ImageCutter,
        some: Batch,
        rows: IntArray,
        index: int,
        background: SideBackground,
        fed: Inputs,
        pixels: PixelModel | None,
    ) -> Cut:
        inputs = some.sides[index].inputs
        own = inputs if pixels is None else pixels.inputs(inputs)
        model = self._model if pixels is None else pixels
        calls = PartCalls.of(model, self.feature, self._of_model.others, own, fed)
        if pixels is not None or self.form.shape is not None:
            column = own.columns.get(self.feature)
            values = _numbers(some.rows, self.feature, self.form) if column is None else np.asarray(column)
            absent = None if pixels is None else self._one_colour(some, inputs, pixels)
            images, reasons = cutter.of_pixels(some.rows, values, absent)
            return Cut(rows, images, calls, reasons, 0)
        files = files_of(some.rows, self.feature)
        of = PartBatch(some, some.sides[index], background, ImageRows([], has_rest=False), calls)
        channels, reasons, n = channels_of(self.feature, files, of) if self._of_model.is_read else ({}, {}, 0)
        kept = [b"" if row in reasons else file for row, file in enumerate(files)]
        images, more = cutter.of_files(some.rows, kept, channels)
        return Cut(rows, images, calls, {**more, **reasons}, n)

    def _one_colour(self, some: Batch, inputs: Inputs, pixels: PixelModel) -> Pixels | None:
        """(n, ...) what the graph makes of black or white files of the size and kind of each row's."""
        colour = self.settings.absent
        if colour not in ("black", "white"):
            return None
        made = []
        for file in files_of(some.rows, self.feature):
            try:
                made.append(png_file(absent_picture(read_file(file), colour), level=1))
            except UnreadableImageError:
                made.append(file)
        column = np.array([*made, None], object)[:-1].reshape(np.asarray(inputs.columns[self.feature]).shape)
        instead = Inputs(len(inputs), {**inputs.columns, self.feature: column})
        return np.asarray(pixels.inputs(instead).columns[self.feature])


def _numbers(rows: pa.RecordBatch, feature: str, form: ImageForm) -> Pixels:
    """(n, H, W, ...) of a feature that the model does not read; 0 of rows without such numbers."""
    found, shape = read_values(rows, feature).ragged, form.shape or ()
    made = np.zeros((len(found), int(np.prod(shape))), np.float32)
    is_whole = found.lengths == made.shape[1]
    made[is_whole] = found.take(np.flatnonzero(is_whole)).values.reshape(-1, made.shape[1])
    return made.reshape(len(found), *shape)
