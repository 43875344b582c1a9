"""Rows of examples as Arrow RecordBatches: their identity, and choosing among them without regard to order.

A batch is what tfx_bsl decodes tf.Examples into: every column a list of float32, int64 or bytes, a null or empty list
where the value is missing; a feature that no row of a batch has may be absent from it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pandas.util import hash_array

from tfx_explain.errors import InputError

HashArray = npt.NDArray[np.uint64]

ROWS_PER_BATCH = 1_024
"""Rows that are read, and explained, at a time."""

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def row_hashes(batch: pa.RecordBatch, seed: int = 0) -> HashArray:
    """A 64-bit hash of each row's content, shape (n_rows,).

    Depends on the feature names and values alone: neither on the order of the columns, nor on the other rows, nor on
    whether a missing value is an empty list or no list. Different seeds give independent orders.
    """
    total = np.full(batch.num_rows, _mix(np.array([seed], np.uint64))[0], np.uint64)
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        if pa.types.is_null(column.type):
            continue
        lengths = list_lengths(column)
        values = hash_array(pc.list_flatten(column).to_numpy(zero_copy_only=False), categorize=False)
        ends = np.cumsum(lengths)
        position = np.arange(len(values), dtype=np.uint64) - np.repeat(ends - lengths, lengths).astype(np.uint64)
        name_hash = hash_array(np.array([name], object), categorize=False)[0]
        sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(_mix(_mix(values + position * _GOLDEN) ^ name_hash))])
        total += sums[ends] - sums[ends - lengths]
    return _mix(total)


def _mix(values: HashArray) -> HashArray:
    """The splitmix64 finaliser: spreads every input bit over all output bits."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def list_lengths(column: pa.Array) -> npt.NDArray[np.int64]:
    """How many values each row of a list column has; 0 where it is null. Shape (n_rows,)."""
    if pa.types.is_null(column.type):
        return np.zeros(len(column), np.int64)
    lengths = pc.fill_null(pc.list_value_length(column), 0)
    return np.asarray(lengths.to_numpy(zero_copy_only=False)).astype(np.int64)


def column_or_nulls(batch: pa.RecordBatch, name: str) -> pa.Array:
    """The column of this name; all missing where the batch has none."""
    index = batch.schema.get_field_index(name)
    return batch.column(index) if index >= 0 else pa.nulls(batch.num_rows, pa.large_list(pa.float32()))


def single_numbers(batch: pa.RecordBatch, name: str) -> npt.NDArray[np.float64]:
    """One value per row, (n_rows,); NaN where the feature is not exactly one finite number."""
    column = column_or_nulls(batch, name)
    numbers = np.full(batch.num_rows, np.nan)
    if pa.types.is_null(column.type) or pa.types.is_large_binary(column.type.value_type):
        return numbers
    lengths = list_lengths(column)
    starts = (np.cumsum(lengths) - lengths)[lengths == 1]
    numbers[lengths == 1] = pc.list_flatten(column).to_numpy(zero_copy_only=False)[starts]
    numbers[~np.isfinite(numbers)] = np.nan
    return numbers


def example_weights(batch: pa.RecordBatch, name: str) -> npt.NDArray[np.float64]:
    """The rows' weights, (n_rows,); NaN where the feature is not exactly one finite number of 0 or more."""
    weights = single_numbers(batch, name)
    weights[weights < 0] = np.nan
    return weights


def concat_rows(batches: Sequence[pa.RecordBatch]) -> pa.RecordBatch:
    """One batch with the rows of all, and every column that any of them has.

    Raises:
      InputError: a feature has different types in different batches.
    """
    fields: dict[str, pa.Field] = {}
    for batch in batches:
        for field in batch.schema:
            known = fields.get(field.name)
            if known is None or pa.types.is_null(known.type):
                fields[field.name] = field
            elif known.type != field.type and not pa.types.is_null(field.type):
                here, there = known.type.value_type, field.type.value_type
                raise InputError(
                    f"feature `{field.name}` is {here} in some examples and {there} in others; make it one type."
                )
    schema = pa.schema([fields[name] for name in sorted(fields)])
    tables = [pa.Table.from_batches([_conform(batch, schema)]) for batch in batches]
    table = pa.concat_tables(tables).combine_chunks() if tables else schema.empty_table()
    merged = table.to_batches()
    return merged[0] if merged else pa.RecordBatch.from_pydict({f.name: pa.array([], f.type) for f in schema})


def _conform(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """The batch with exactly these columns, absent ones all null."""
    columns = []
    for field in schema:
        index = batch.schema.get_field_index(field.name)
        absent = index < 0 or pa.types.is_null(batch.column(index).type)
        columns.append(pa.nulls(batch.num_rows, field.type) if absent else batch.column(index))
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def name_errors(batch: pa.RecordBatch, reserved: Collection[str]) -> dict[int, str]:
    """Row -> what is wrong with it, for rows with a feature whose name is needed for something else."""
    errors: dict[int, str] = {}
    for name in sorted(set(reserved).intersection(batch.schema.names)):
        there = np.flatnonzero(list_lengths(column_or_nulls(batch, name)))
        reason = f"the feature `{name}` has a name that explanations use themselves; rename it"
        errors = {**dict.fromkeys(there.tolist(), reason), **errors}
    return errors


def take_rows(batch: pa.RecordBatch, rows: npt.NDArray[np.int64]) -> pa.RecordBatch:
    """The rows with these indices, in this order."""
    indices = pa.array(rows, pa.int64())
    return pa.RecordBatch.from_arrays([column.take(indices) for column in batch.columns], schema=batch.schema)


class SmallestHashes:
    """The `n` rows with the smallest hashes: a mergeable sample that no sharding or order can change.

    Rows of equal content have equal hashes; which of them is kept makes no difference.
    """

    def __init__(self, n: int, seed: int) -> None:
        self.n = n
        self.seed = seed
        self._batches: list[pa.RecordBatch] = []
        self._hashes: list[HashArray] = []
        self._held = 0

    def add(self, batch: pa.RecordBatch, hashes: HashArray | None = None) -> None:
        """Offers the rows of a batch; `hashes` where they are to be other than those of the batch itself."""
        self._append(batch, row_hashes(batch, self.seed) if hashes is None else hashes)

    def merge(self, other: SmallestHashes) -> None:
        """Offers the rows that another sample kept."""
        for batch, hashes in zip(other._batches, other._hashes, strict=True):
            self._append(batch, hashes)

    def _append(self, batch: pa.RecordBatch, hashes: HashArray) -> None:
        if batch.num_rows:
            self._batches.append(batch)
            self._hashes.append(hashes)
            self._held += batch.num_rows
        if self._held > 2 * self.n + 1_000:
            self.compact()

    def compact(self) -> None:
        """Drops what can no longer be among the smallest, and leaves at most one batch, in the order of the hashes."""
        if not self._batches:
            return
        hashes = np.concatenate(self._hashes)
        order = np.argsort(hashes, kind="stable")[: self.n]
        self._batches = [take_rows(concat_rows(self._batches), order)]
        self._hashes = [hashes[order]]
        self._held = len(order)

    def result(self) -> pa.RecordBatch | None:
        """The kept rows in the order of their hashes; None when there were none."""
        self.compact()
        return self._batches[0] if self._batches else None
