"""Regions of their own that rows bring along, at the size that the model gets their images.

A mask is of the size of the file. Where the graph brings that to a size of its own, its pixels are those of the mask
stretched to it; where it crops, pads or turns the image, a mask stretched so would lie elsewhere. So pictures that get
lighter from left to right, and from top to bottom, are shown to the graph, and what comes of them says where each
pixel comes from.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tfx_explain.errors import InputError, ModelCallError
from tfx_explain.methods.images import read_file
from tfx_explain.models import FeatureSpec, Inputs
from tfx_explain.models.path_gradients import Paths
from tfx_explain.regions import Segments, own_segments
from tfx_explain.regions.masks import read_mask
from tfx_explain.regions.sizes import nearest
from tfx_explain.regions.written import png_file
from tfx_explain.rows import column_or_nulls

Size = tuple[int, int]

_LEVELS = 255
_MOVED = (
    "the model crops, pads or turns the image, or changes how light and dark go together, so a mask does not say which "
    "region a pixel that it gets is in; use `shapley` with `masks`"
)


class Masks:
    """Masks of rows for one model.

    Args:
      feature: the image.
      masks: the feature with its regions.
      spec: of the image.
      paths: of the model.
      player: which of the players the image is.
    """

    def __init__(self, feature: str, masks: str, spec: FeatureSpec, paths: Paths, player: int) -> None:
        self._feature, self._masks, self._spec, self._paths, self._player = feature, masks, spec, paths, player
        self._is_stretched: dict[Size, bool] = {}

    def segments(self, rows: pa.RecordBatch, inputs: Inputs) -> tuple[list[Segments | None], dict[int, str]]:
        """Of n rows the regions at the model's size, and row -> why it has none.

        Args:
          rows: n of them.
          inputs: what the model is fed for them.
        """
        shape = (self._paths.picture(self._player) or ())[:2]
        columns = [column_or_nulls(rows, name).to_pylist() for name in (self._feature, self._masks)]
        made: list[Segments | None] = []
        reasons: dict[int, str] = {}
        for row, (image, mask) in enumerate(zip(*columns, strict=True)):
            found = None
            try:
                size = self._size(image)
                labels = read_mask(mask or [], size)
                if self._stretches(inputs.take(np.array([row])), size):
                    found = own_segments(nearest(labels, (shape[0], shape[1])))
                else:
                    reasons[row] = f"the mask `{self._masks}` cannot be used: {_MOVED}"
            except InputError as error:
                reasons[row] = f"the mask `{self._masks}` cannot be used: {str(error).rstrip('.')}"
            made.append(found)
        return made, reasons

    def _size(self, image: list[Any] | None) -> Size:
        if self._spec.dtype != "string":
            return self._spec.shape[0], self._spec.shape[1]
        height, width = read_file(bytes(image[0]) if image else b"").shape[:2]
        return height, width

    def _stretches(self, row: Inputs, size: Size) -> bool:
        """Whether the graph makes the picture of all of an image of this size, and of nothing else, as it lies."""
        if size not in self._is_stretched:
            try:
                self._is_stretched[size] = self._looks_stretched(row, size)
            except ModelCallError:
                self._is_stretched[size] = False
        return self._is_stretched[size]

    def _looks_stretched(self, row: Inputs, size: Size) -> bool:
        shown = row.take(np.zeros(4, np.int64))
        probes = [self._value(levels) for levels in _probes(size)]
        like = np.asarray(row.columns[self._feature])
        column = (
            np.stack(probes).astype(like.dtype).reshape(4, *like.shape[1:])
            if self._spec.dtype != "string"
            else (np.array([*probes, None], object)[:-1].reshape(4, *like.shape[1:]))
        )
        points = self._paths.enter(Inputs(4, {**shown.columns, self._feature: column}))
        black, white, *lighter = np.asarray(self._paths.pictures(points, self._player), np.float64)
        return all(_lies_so(black, white, found, size, axis) for axis, found in enumerate(lighter))

    def _value(self, levels: npt.NDArray[np.uint8]) -> Any:
        """A picture (H, W) as the feature has it."""
        if self._spec.dtype == "string":
            return png_file(np.repeat(levels[:, :, None], 3, axis=2))
        shape = self._spec.shape
        pixels = np.broadcast_to(levels.reshape(*levels.shape, *[1] * (len(shape) - 2)), shape)
        return pixels / _LEVELS if "float" in self._spec.dtype else pixels


def _probes(size: Size) -> list[npt.NDArray[np.uint8]]:
    """Black, white, lighter from top to bottom, and from left to right."""
    down, across = (np.rint(np.linspace(0, _LEVELS, n)).astype(np.uint8) for n in size)
    return [
        np.zeros(size, np.uint8),
        np.full(size, _LEVELS, np.uint8),
        np.broadcast_to(down[:, None], size),
        np.broadcast_to(across, size),
    ]


def _lies_so(
    black: npt.NDArray[np.float64],
    white: npt.NDArray[np.float64],
    found: npt.NDArray[np.float64],
    size: Size,
    axis: int,
) -> bool:
    """Whether pixels come from where they would if the image were stretched, along one axis."""
    n, into = size[axis], found.shape[axis]
    span = (white - black).reshape(*found.shape[:2], -1)
    if not (np.abs(span) > 0).any(axis=2).all():
        return False
    channel = np.abs(span).argmax(axis=2)[:, :, None]
    light = np.take_along_axis((found - black).reshape(span.shape) / np.where(span == 0, 1, span), channel, axis=2)
    place = np.moveaxis(light[:, :, 0], axis, 0) * max(n - 1, 0)
    expected = (np.arange(into) + 0.5) * n / into - 0.5
    # Half a pixel of either size, whatever corners the graph aligns, and half a level of grey.
    most = 0.5 * max(n / into, 1.0) + 0.5 + n / _LEVELS
    return bool((np.abs(place - np.clip(expected, 0, n - 1)[:, None]) <= most).all())
