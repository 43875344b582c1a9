"""What is inside a feature of a row: regions of an image, spans of a text, windows of a series, as records hold it.

The number of parts differs from row to row. Their attributions add up to that of the feature, but those of occlusion,
which are of each part alone.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
from typing_extensions import Self

from tfx_explain.records import ragged_lists, text
from tfx_explain.rows import column_or_nulls, items_of, list_lengths
from tfx_explain.tables import (
    ATTRIBUTION_PREFIX,
    EXAMPLE_ID,
    MAP_PREFIX,
    PARTS_SUFFIX,
    PIXELS_PREFIX,
    STD_ERROR_PREFIX,
    WHERE_PREFIX,
)

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_PART = "part"


@dataclasses.dataclass(frozen=True)
class PartsOf:
    """What the parts of a feature are.

    Attributes:
      kind: `regions`, `spans` or `windows`.
      columns: names of the whole numbers that say where a part is: `start` and `stop` of a span, in bytes.
      has_maps: whether each row has a label map, which of its pixels are of which region.
      has_pixels: whether some rows have what each pixel adds.
    """

    kind: str
    columns: tuple[str, ...]
    has_maps: bool = False
    has_pixels: bool = False

    def describe(self) -> dict[str, object]:
        """As the manifest has it."""
        return {
            "kind": self.kind,
            "columns": list(self.columns),
            "has_maps": self.has_maps,
            "has_pixels": self.has_pixels,
        }

    @classmethod
    def read(cls, entry: Mapping[str, Any]) -> Self:
        """From the manifest."""
        return cls(entry["kind"], tuple(entry["columns"]), entry["has_maps"], entry.get("has_pixels", False))


@dataclasses.dataclass(frozen=True)
class PartRows:
    """The parts of one feature of n rows, N parts in all, for K outputs.

    Attributes:
      lengths: (n,) how many parts each row has; those of a row stand together, rows in their order.
      where: (N, w) where each part is, as `PartsOf.columns` names it.
      attributions: (N, K); those of a row add up to the attribution of the feature, but for occlusion.
      std_errors: (N, K).
      maps: (n,) label maps as PNG files, whose values are places among the row's parts; None where parts have none.
      pixels: (n, K) what each pixel adds, as PNG files, empty bytes in rows where that is not kept; None where it is in
        none.
    """

    lengths: IntArray
    where: IntArray
    attributions: FloatArray
    std_errors: FloatArray
    maps: npt.NDArray[np.object_] | None = None
    pixels: npt.NDArray[np.object_] | None = None

    def take(self, rows: IntArray) -> PartRows:
        """The given rows, (k,) integers, or (n,) booleans."""
        rows = np.arange(len(self.lengths))[rows]
        lengths, parts = self.lengths[rows], items_of(self.lengths, rows)
        of_rows = (None if pictures is None else pictures[rows] for pictures in (self.maps, self.pixels))
        return PartRows(lengths, self.where[parts], self.attributions[parts], self.std_errors[parts], *of_rows)

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """Rows one after the other, of one or more."""
        maps = [part.maps for part in parts if part.maps is not None]
        pixels = [part.pixels for part in parts if part.pixels is not None]
        names = ("lengths", "where", "attributions", "std_errors")
        arrays = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
        return cls(
            **arrays, maps=np.concatenate(maps) if maps else None, pixels=np.concatenate(pixels) if pixels else None
        )

    def adding_up_to(self, totals: FloatArray) -> PartRows:
        """The same but for rounding: what their sums lack of totals (n, K) is spread over the parts by their sizes."""
        sizes = np.abs(self.attributions)
        row = np.repeat(np.arange(len(self.lengths)), self.lengths)
        sums, total_sizes = np.zeros_like(totals), np.zeros_like(totals)
        np.add.at(sums, row, self.attributions)
        np.add.at(total_sizes, row, sizes)
        shares = np.divide(sizes, total_sizes[row], out=np.zeros_like(sizes), where=total_sizes[row] > 0)
        return dataclasses.replace(self, attributions=self.attributions + shares * (totals - sums)[row])

    def sums(self) -> FloatArray:
        """(n, K) attributions of each row's parts, added up."""
        ends = np.concatenate([np.zeros((1, self.attributions.shape[1])), np.cumsum(self.attributions, axis=0)])
        stops = np.cumsum(self.lengths)
        return np.asarray(ends[stops] - ends[stops - self.lengths])


def part_names(feature: str, of: PartsOf) -> list[str]:
    """The columns of a feature's parts, without the prefix of the method."""
    prefixes = [ATTRIBUTION_PREFIX, STD_ERROR_PREFIX, WHERE_PREFIX]
    prefixes += [MAP_PREFIX] if of.has_maps else []
    prefixes += [PIXELS_PREFIX] if of.has_pixels else []
    return [prefix + feature + PARTS_SUFFIX for prefix in prefixes]


def part_columns(feature: str, of: PartsOf, rows: PartRows) -> dict[str, pa.Array]:
    """The same with their values: lists, one part after the other, with one value for each output."""
    values: list[npt.NDArray[np.generic]] = [rows.attributions.astype(np.float32), rows.std_errors.astype(np.float32)]
    columns = [ragged_lists(table, rows.lengths) for table in (*values, rows.where)]
    if rows.maps is not None:
        columns.append(ragged_lists(rows.maps[:, None], np.ones(len(rows.lengths), np.int64)))
    if rows.pixels is not None:
        is_kept = rows.pixels[:, 0] != b""
        columns.append(ragged_lists(rows.pixels[is_kept], is_kept.astype(np.int64)))
    return dict(zip(part_names(feature, of), columns, strict=True))


def part_faults(batch: pa.RecordBatch, prefix: str, feature: str, of: PartsOf, n_outputs: int) -> list[str]:
    """The names of the columns whose lists are not as long as they must be."""
    names = [prefix + name for name in part_names(feature, of)]
    found = [list_lengths(column_or_nulls(batch, name)) for name in names]
    n_parts = found[2] // len(of.columns)
    expected = [n_parts * n_outputs, n_parts * n_outputs, n_parts * len(of.columns), np.ones(batch.num_rows)]
    if of.has_pixels:
        expected.append(np.where(found[-1] > 0, n_outputs, 0))
    return [
        name for name, there, right in zip(names, found, expected, strict=False) if not np.array_equal(there, right)
    ]


def part_frame(
    batch: pa.RecordBatch, prefix: str, feature: str, of: PartsOf, outputs: Sequence[str], output: str
) -> pd.DataFrame:
    """A row per part: `example_id`, `part`, where it is, `attribution` and `std_error` for one output."""
    names = [prefix + name for name in part_names(feature, of)]
    flat = [column_or_nulls(batch, name).flatten().to_numpy(zero_copy_only=False) for name in names[:3]]
    place, where = list(outputs).index(output), flat[2].reshape(-1, len(of.columns))
    n_parts = list_lengths(column_or_nulls(batch, names[2])) // len(of.columns)
    ids = np.array([text(value) for value in batch.column(EXAMPLE_ID).flatten().to_pylist()], object)
    attributions, errors = (values.reshape(-1, len(outputs))[:, place].astype(np.float64) for values in flat[:2])
    return pd.DataFrame(
        {
            EXAMPLE_ID: np.repeat(ids, n_parts),
            _PART: np.arange(n_parts.sum()) - np.repeat(np.cumsum(n_parts) - n_parts, n_parts),
            **{name: where[:, index].astype(np.int64) for index, name in enumerate(of.columns)},
            "attribution": attributions,
            "std_error": errors,
        }
    )


def part_counts(batch: pa.RecordBatch, prefix: str, feature: str, of: PartsOf) -> IntArray:
    """(n,) how many parts each row has."""
    return list_lengths(column_or_nulls(batch, prefix + WHERE_PREFIX + feature + PARTS_SUFFIX)) // len(of.columns)


def part_pixels(batch: pa.RecordBatch, prefix: str, feature: str) -> list[list[bytes]]:
    """What the pixels of each row add, a PNG file for each output; none of rows where that is not kept."""
    column = column_or_nulls(batch, prefix + PIXELS_PREFIX + feature + PARTS_SUFFIX)
    return [[bytes(file) for file in files or ()] for files in column.to_pylist()]


def part_maps(batch: pa.RecordBatch, prefix: str, feature: str) -> list[bytes]:
    """The label map of each row, a PNG file."""
    column = column_or_nulls(batch, prefix + MAP_PREFIX + feature + PARTS_SUFFIX)
    return [bytes(value) for value in column.flatten().to_pylist()]
