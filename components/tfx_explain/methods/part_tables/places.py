"""Words of texts and windows of series: places that several rows have."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tfx_explain import tables
from tfx_explain.methods.method import Contributed, SliceRows
from tfx_explain.methods.part_tables.targets import Target, TargetRows, values_and_sizes
from tfx_explain.part_records import PartRows, PartsOf
from tfx_explain.regions.spans import spoken
from tfx_explain.rows import column_or_nulls, items_of
from tfx_explain.summary.places import PlaceMoments, RowPlaces

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

ALL = -1
"""In the place of the step that a window stops before: all steps of the row; in that of both, their number."""

_UNSEEN = -1
"""Code of parts that stand for no place."""


@dataclasses.dataclass(frozen=True)
class PlaceRows(TargetRows):
    """Places of n rows, N in all.

    Attributes:
      table: of which kind they are.
      names: of all there are.
      codes: (N,) which of them each is; -1 of those that stand for none.
      lengths: (n,) how many each row has.
      values: (N, 2K) what they add, and its sizes.
    """

    table: tables.Table
    names: Sequence[str]
    codes: IntArray
    lengths: IntArray
    values: FloatArray

    def take(self, rows: IntArray) -> PlaceRows:
        """The given rows, (k,) integers."""
        kept = items_of(self.lengths, rows)
        return PlaceRows(self.table, self.names, self.codes[kept], self.lengths[rows], self.values[kept])

    def minus(self, other: PlaceRows) -> PlaceRows | None:
        """Place by place, where both models see it; None where rows are cut otherwise for the other model."""
        if self.names != other.names or not np.array_equal(self.lengths, other.lengths):
            return None
        codes = np.where(self.codes == other.codes, self.codes, _UNSEEN)
        return dataclasses.replace(self, codes=codes, values=self.values - other.values)

    def contributions(self, target: Target, outputs: Sequence[str], part: SliceRows) -> Iterator[Contributed]:
        """To one accumulator of all outputs."""
        some = self.take(part.places)
        told = some.codes != _UNSEEN
        rows = np.repeat(np.arange(len(part.places)), some.lengths)[told]
        places = RowPlaces(self.names, some.codes[told], rows, some.values[told])
        empty = partial(PlaceMoments, self.values.shape[1])
        yield Contributed(target.key(self.table.name), "", (empty, (places, part.weights)))


def word_rows(rows: pa.RecordBatch, feature: str, of: PartsOf, parts: PartRows) -> PlaceRows:
    """The words of texts, but for those that the model does not see.

    Args:
      rows: of a batch.
      feature: the text.
      of: what its parts are: spans.
      parts: of the rows.
    """
    where = {name: parts.where[:, place] for place, name in enumerate(of.columns)}
    texts = [values[0] if values else b"" for values in column_or_nulls(rows, feature).to_pylist()]
    of_part = np.repeat(np.arange(len(texts)), parts.lengths).tolist()
    bounds = zip(of_part, where["start"].tolist(), where["stop"].tolist(), strict=True)
    spans = [texts[row][start:stop] for row, start, stop in bounds]
    # The same spans come again and again, and what they say is the same for more of them.
    said = {span: spoken(span) for span in set(spans)}
    names = sorted(set(said.values()) - {""})
    code = {name: place for place, name in enumerate(names)} | {"": _UNSEEN}
    codes = np.array([code[said[span]] for span in spans], np.int64)
    if "seen" in where:
        codes[where["seen"] != 1] = _UNSEEN
    return PlaceRows(tables.WORDS, names, codes, parts.lengths, values_and_sizes(parts))


def window_rows(of: PartsOf, parts: PartRows) -> PlaceRows:
    """The windows of series; those of all steps are the same whatever the number of steps, and so is that number.

    Args:
      of: what the parts are: windows.
      parts: of the rows.
    """
    start, stop, channel = (parts.where[:, of.columns.index(name)] for name in ("start", "stop", "channel"))
    rows = np.repeat(np.arange(len(parts.lengths)), parts.lengths)
    n_steps = np.zeros(len(parts.lengths), np.int64)
    np.maximum.at(n_steps, rows, stop)
    is_number = start == stop
    is_whole = ~is_number & (start == 0) & (stop == n_steps[rows])
    places = np.stack([np.where(is_number, ALL, start), np.where(is_number | is_whole, ALL, stop), channel], axis=1)
    kinds, codes = np.unique(places.reshape(-1, 3), axis=0, return_inverse=True)
    names = [" ".join(map(str, kind)) for kind in kinds.tolist()]
    return PlaceRows(tables.SERIES, names, codes.reshape(-1), parts.lengths, values_and_sizes(parts))
