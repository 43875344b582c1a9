"""Regions of images: how much of the attribution the largest ones have, and where in the picture it lies."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
import numpy.typing as npt
from scipy import sparse

from tfx_explain import tables
from tfx_explain.methods.method import Contributed, SliceRows
from tfx_explain.methods.part_tables.targets import Target, TargetRows
from tfx_explain.part_records import PartRows
from tfx_explain.regions import decode_labels
from tfx_explain.regions.cells import grid_of, shares_of_cells
from tfx_explain.summary.region_shares import region_shares
from tfx_explain.summary.row_means import RowMeans

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_ROWS_AT_ONCE = 64


@dataclasses.dataclass(frozen=True)
class ImageRows(TargetRows):
    """Regions of n rows' images, for K outputs.

    Attributes:
      figures: (n, q, K) as `region_shares` gives them.
      grids: (n, 2) cells along the height and the width of each; 0 where there is no image.
      covers: (n,) of each (cells, R) which part of each region lies in which cell.
      values: (n,) of each (R, 2K) attributions, and their sizes.
    """

    figures: FloatArray
    grids: IntArray
    covers: npt.NDArray[np.object_]
    values: npt.NDArray[np.object_]

    @classmethod
    def of(cls, parts: PartRows) -> ImageRows:
        """Of rows whose regions have label maps."""
        n = len(parts.lengths)
        grids, pixels = np.zeros((n, 2), np.int64), np.zeros(len(parts.attributions))
        covers, values = np.full(n, None, object), np.full(n, None, object)
        both = np.concatenate([parts.attributions, np.abs(parts.attributions)], axis=1)
        stops = np.cumsum(parts.lengths)
        for row, (stop, n_parts) in enumerate(zip(stops.tolist(), parts.lengths.tolist(), strict=True)):
            own = slice(stop - n_parts, stop)
            # A row without an image may have what is left of one.
            if not n_parts or parts.maps is None or not parts.maps[row]:
                continue
            labels = decode_labels(parts.maps[row])
            pixels[own] = np.bincount(labels.ravel(), minlength=n_parts)
            grids[row], covers[row] = grid_of((labels.shape[0], labels.shape[1])), shares_of_cells(labels, n_parts)
            values[row] = both[own]
        figures = region_shares(parts.attributions, parts.std_errors, pixels, parts.lengths)
        return cls(figures, grids, covers, values)

    def take(self, rows: IntArray) -> ImageRows:
        """The given rows, (k,) integers."""
        return ImageRows(self.figures[rows], self.grids[rows], self.covers[rows], self.values[rows])

    def minus(self, other: ImageRows) -> ImageRows:
        """Figures less figures, and maps less maps; regions need not be the same."""
        covers, values = self.covers.copy(), self.values.copy()
        grids = np.where((self.grids == other.grids).all(axis=1)[:, None], self.grids, 0)
        for row in np.flatnonzero(grids[:, 0]).tolist():
            covers[row] = sparse.hstack([self.covers[row], other.covers[row]], format="csr")
            values[row] = np.concatenate([self.values[row], -other.values[row]])
        return ImageRows(self.figures - other.figures, grids, covers, values)

    def contributions(self, target: Target, outputs: Sequence[str], part: SliceRows) -> Iterator[Contributed]:
        """Figures of each output, since rows may have some of one only; maps of all outputs, by the maps' size."""
        key, empty = target.key(tables.REGIONS.name), partial(RowMeans, self.figures.shape[1])
        for index, output in enumerate(outputs):
            yield Contributed(key, output, (empty, (self.figures[part.places, :, index], part.weights)))
        grids = self.grids[part.places]
        for down, across in np.unique(grids[grids[:, 0] > 0], axis=0).tolist():
            rows = np.flatnonzero((grids == (down, across)).all(axis=1))
            empty = partial(RowMeans, 2 * down * across * len(outputs))
            key = target.key(f"{tables.IMAGE_MAPS.name}:{down}x{across}")
            # Maps of all rows of a batch at once may be more than memory holds.
            for some in np.split(rows, range(_ROWS_AT_ONCE, len(rows), _ROWS_AT_ONCE)):
                yield Contributed(key, "", (empty, (self._maps(part.places[some]), part.weights[some])))

    def _maps(self, rows: IntArray) -> FloatArray:
        """(k, cells * 2K) what each cell adds, and its size, of rows whose maps have one size."""
        pairs = zip(self.covers[rows], self.values[rows], strict=True)
        return np.stack([(cover @ values).reshape(-1) for cover, values in pairs])
