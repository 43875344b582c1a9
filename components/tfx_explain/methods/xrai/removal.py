"""Regions of images that are taken away: pixels of the image that paths start from stand in their place."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tfx_explain.methods.attribution_rows import AttributionRows
from tfx_explain.methods.removal import padded
from tfx_explain.methods.xrai.pixels import Pictures
from tfx_explain.models.path_gradients import Paths, Points
from tfx_explain.part_records import PartRows
from tfx_explain.regions import decode_labels

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

# Floats at the cut that are held at a time: 64 MiB.
_FIGURES = 2**24
# Of a map, when two are compared.
_MOST_COMPARED = 4_096


@dataclass(frozen=True, eq=False)
class RegionRemoval:
    """The regions of n images, at the size that the model gets them.

    Attributes:
      paths: of the model.
      starts: R references, images of one colour; or n of them, the image of each row as its path starts with it.
      ends: the n rows.
      asked: (n, c) which of the model's outputs each row asks for.
      feature: the image.
      player: whose columns at the cut it is.
      labels: (n, H, W) which region each pixel is of.
      parts: what the method says.
      of_each_row: whether each row has a reference of its own.
    """

    paths: Paths
    starts: Points
    ends: Points
    asked: IntArray
    feature: str
    player: int
    labels: npt.NDArray[np.int32]
    parts: PartRows
    of_each_row: bool = False

    @classmethod
    def of(
        cls, pictures: Pictures, starts: Points, feature: str, parts: PartRows, *, of_each_row: bool
    ) -> RegionRemoval:
        """The same, with the labels of the parts' maps; of rows without one, a single region."""
        paths, player = pictures.paths, pictures.player
        shape = (paths.picture(player) or ())[:2]
        empty = np.zeros(shape, np.int32)
        maps = [] if parts.maps is None else [decode_labels(one) if one else empty for one in parts.maps]
        labels = np.stack(maps) if maps else np.zeros((0, *shape), np.int32)
        asked = pictures.asked.outputs
        return cls(paths, starts, pictures.ends, asked, feature, player, labels, parts, of_each_row)

    @property
    def sizes(self) -> FloatArray:
        """(n, U) pixels of each region."""
        return padded(self.parts.lengths, self.parts.where[:, 0].astype(np.float64))

    @property
    def n_references(self) -> int:
        """How many images there are to stand in for a row's."""
        return 1 if self.of_each_row else len(self.starts)

    def values(self, rows: IntArray, kept: BoolArray, references: IntArray) -> FloatArray:
        """(m, c), as `Removal.values`: all else but the image is as the row has it."""
        columns, n_channels = self.paths.columns(self.player), self._n_channels
        found = np.empty((len(rows), self.asked.shape[1]))
        step = max(_FIGURES // max(self.ends.moving.shape[1], 1), 1)
        for start in range(0, len(rows), step):
            part = slice(start, start + step)
            some = rows[part]
            labels = self.labels[some].reshape(len(some), -1)
            shown = np.repeat(np.take_along_axis(kept[part], labels, axis=1), n_channels, axis=1)
            points = self.ends.take(some)
            moving = points.moving.copy()
            instead = self.starts.moving[some if self.of_each_row else references[part]][:, columns]
            moving[:, columns] = np.where(shown, moving[:, columns], instead)
            points = Points(moving, points.fixed)
            values = self.paths.values(points, points, np.ones((len(some), 1)), self.asked[some])
            found[part] = values[:, 0]
        return found

    @property
    def _n_channels(self) -> int:
        picture = self.paths.picture(self.player) or ()
        return int(np.prod(picture[2:], dtype=np.int64))

    def attributions(self, said: AttributionRows) -> FloatArray:
        """(n, U, c) of the regions."""
        parts = said.parts[self.feature]
        return padded(parts.lengths, parts.attributions)

    def figures(self, ours: AttributionRows, theirs: AttributionRows) -> tuple[FloatArray, FloatArray]:
        """(n, m, c) attribution per pixel of a grid of pixels."""
        return self._densities(ours), self._densities(theirs)

    def _densities(self, said: AttributionRows) -> FloatArray:
        parts, shape = said.parts[self.feature], self.labels.shape[1:]
        densities = parts.attributions / np.maximum(parts.where[:, :1], 1)
        every = int(np.ceil(np.sqrt(shape[0] * shape[1] / _MOST_COMPARED)))
        firsts = np.cumsum(parts.lengths) - parts.lengths
        made = np.full((len(firsts), *(-(-size // every) for size in shape), densities.shape[1]), np.nan)
        for row in np.flatnonzero(parts.lengths).tolist():
            labels = decode_labels(parts.maps[row]) if parts.maps is not None else self.labels[row]
            made[row] = densities[firsts[row] + labels[::every, ::every]]
        return made.reshape(len(firsts), -1, densities.shape[1])
