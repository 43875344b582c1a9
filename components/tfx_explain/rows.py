"""Rows of examples as Arrow RecordBatches: their identity, and what can be done with them.

A batch is what tfx_bsl decodes tf.Examples into: every column a list of float32, int64 or bytes, a null or empty list
where the value is missing; a feature that no row of a batch has a value of may be absent from it, or without a type.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pandas.util import hash_array

HashArray = npt.NDArray[np.uint64]

ROWS_PER_BATCH = 1_024
"""Rows that are read, and explained, at a time."""

_MIXED = b"types"
_LARGEST_WHOLE = 2.0**53
_FLOAT64 = pa.large_list(pa.float64())
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def row_hashes(batch: pa.RecordBatch) -> HashArray:
    """A 64-bit hash of each row's content, shape (n_rows,).

    Depends on the feature names and values alone: neither on the order of the columns, nor on the other rows, nor on
    whether a missing value is an empty list or no list.
    """
    total = np.zeros(batch.num_rows, np.uint64)
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        if pa.types.is_null(column.type):
            continue
        lengths = list_lengths(column)
        values = hash_array(pc.list_flatten(column).to_numpy(zero_copy_only=False), categorize=False)
        ends = np.cumsum(lengths)
        position = np.arange(len(values), dtype=np.uint64) - np.repeat(ends - lengths, lengths).astype(np.uint64)
        name_hash = hash_array(np.array([name], object), categorize=False)[0]
        sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(mix(mix(values + position * _GOLDEN) ^ name_hash))])
        total += sums[ends] - sums[ends - lengths]
    return mix(total)


def mix(values: HashArray) -> HashArray:
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


def items_of(lengths: npt.NDArray[np.int64], rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Numbers of the items of the given rows (k,), row after row, where rows have so many items each, (n,)."""
    taken, firsts = lengths[rows], (np.cumsum(lengths) - lengths)[rows]
    return np.asarray(np.repeat(firsts - (np.cumsum(taken) - taken), taken) + np.arange(taken.sum()))


def column_or_nulls(batch: pa.RecordBatch, name: str) -> pa.Array:
    """The column of this name; where the batch has none, or no type of it, a list column without values."""
    index = batch.schema.get_field_index(name)
    return batch.column(index) if has_type(batch, name) else pa.nulls(batch.num_rows, pa.large_list(pa.float32()))


def has_type(batch: pa.RecordBatch, name: str) -> bool:
    """Whether the batch has a column of this name whose type is known: some row has, or had, a value."""
    index = batch.schema.get_field_index(name)
    return index >= 0 and not pa.types.is_null(batch.column(index).type)


def as_written(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The batch with columns of the types that tf.Examples have.

    A column without a type, as an empty column of a CSV file gives, is a list column; float64 is float32.
    """
    odd = [field.name for field in batch.schema if pa.types.is_null(field.type) or field.type == _FLOAT64]
    columns = dict(zip(batch.schema.names, batch.columns, strict=True))
    columns |= {name: column_or_nulls(batch, name) for name in odd}
    columns |= {name: _as_type(columns[name], pa.large_list(pa.float32())) for name in odd}
    return pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns)) if odd else batch


def single_numbers(batch: pa.RecordBatch, name: str) -> npt.NDArray[np.float64]:
    """One value per row, (n_rows,); NaN where the feature is not exactly one finite number."""
    return numbers_of(column_or_nulls(batch, name))


def numbers_of(column: pa.Array) -> npt.NDArray[np.float64]:
    """The same of a list column."""
    numbers = np.full(len(column), np.nan)
    if pa.types.is_large_binary(column.type.value_type):
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


def alike(batches: Sequence[pa.RecordBatch]) -> list[list[int]]:
    """Groups of batches, by position, in which each feature has one type; a type without values says nothing."""
    groups: list[tuple[dict[str, pa.DataType], list[int]]] = []
    for number, batch in enumerate(batches):
        types = {field.name: field.type for field in batch.schema if _has_values(batch, field.name)}
        for known, group in groups:
            if all(known.get(name, dtype) == dtype for name, dtype in types.items()):
                known.update(types)
                group.append(number)
                break
        else:
            groups.append((types, [number]))
    return [group for _, group in groups]


def concat_alike(batches: Sequence[pa.RecordBatch]) -> list[pa.RecordBatch]:
    """The rows of all batches in as few as their types allow."""
    return [concat_rows([batches[number] for number in group]) for group in alike(batches)]


def concat_rows(batches: Sequence[pa.RecordBatch]) -> pa.RecordBatch:
    """One batch with the rows of all, and every column that any of them has.

    A feature that has different types in different batches becomes float64 where that holds all of its numbers, else
    text, and its field says so (`mixed_types`): of use to those who look at it, not to a model.
    """
    types: dict[str, list[pa.DataType]] = {}
    of_nothing: dict[str, pa.DataType] = {}
    for batch in batches:
        for field in batch.schema:
            known = types.setdefault(field.name, [])
            if not _has_values(batch, field.name):
                of_nothing.setdefault(field.name, field.type)
            elif field.type not in known:
                known.append(field.type)
    fields = {}
    for name, known in types.items():
        if len(known) > 1:
            columns = [column_or_nulls(batch, name) for batch in batches if _has_values(batch, name)]
            values = pa.float64() if all(map(_fits_float64, columns)) else pa.large_binary()
            metadata = {_MIXED: " and ".join(sorted(str(dtype.value_type) for dtype in known))}
            fields[name] = pa.field(name, pa.large_list(values), metadata=metadata)
        else:
            fields[name] = pa.field(name, known[0] if known else of_nothing[name])
    schema = pa.schema([fields[name] for name in sorted(fields)])
    tables = [pa.Table.from_batches([_conform(batch, schema)]) for batch in batches]
    table = pa.concat_tables(tables).combine_chunks() if tables else schema.empty_table()
    merged = table.to_batches()
    return merged[0] if merged else pa.RecordBatch.from_arrays([pa.array([], f.type) for f in schema], schema=schema)


def mixed_types(batch: pa.RecordBatch) -> dict[str, str]:
    """Feature -> the types it had before `concat_rows` made them one; of those of which that is so."""
    fields = (field for field in batch.schema if field.metadata and _MIXED in field.metadata)
    return {field.name: field.metadata[_MIXED].decode() for field in fields}


def _has_values(batch: pa.RecordBatch, name: str) -> bool:
    """Whether a row has a value: writers give lists without any another type than those with some."""
    return has_type(batch, name) and bool(len(batch.column(batch.schema.get_field_index(name)).flatten()))


def _fits_float64(column: pa.Array) -> bool:
    if pa.types.is_integer(column.type.value_type):
        values = pc.list_flatten(column).to_numpy(zero_copy_only=False)
        return bool((np.abs(values.astype(np.float64)) < _LARGEST_WHOLE).all())
    return bool(pa.types.is_floating(column.type.value_type))


def _as_type(column: pa.Array, dtype: pa.DataType) -> pa.Array:
    """A list column with values of another type."""
    if pa.types.is_null(column.type) or column.type == dtype:
        return column if column.type == dtype else pa.nulls(len(column), dtype)
    values = pc.list_flatten(column)
    if not len(values):
        values = pa.array([], dtype.value_type)
    to_text = pa.types.is_large_binary(dtype.value_type) and not pa.types.is_large_binary(values.type)
    cast = (
        values.cast(pa.string()).cast(pa.large_string()).cast(dtype.value_type)
        if to_text
        else values.cast(dtype.value_type)
    )
    offsets = np.concatenate([[0], np.cumsum(list_lengths(column))]).astype(np.int64)
    return pa.LargeListArray.from_arrays(pa.array(offsets), cast)


def _conform(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """The batch with exactly these columns, absent ones all null."""
    columns = []
    for field in schema:
        if pa.types.is_null(field.type):
            columns.append(pa.nulls(batch.num_rows))
        elif not has_type(batch, field.name):
            columns.append(pa.nulls(batch.num_rows, field.type))
        else:
            columns.append(_as_type(batch.column(batch.schema.get_field_index(field.name)), field.type))
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


def take_alike(
    batches: Sequence[pa.RecordBatch], order: npt.NDArray[np.int64]
) -> list[tuple[pa.RecordBatch, npt.NDArray[np.int64]]]:
    """Rows of several batches, in as few batches as their types allow.

    Args:
      batches: with at least one row.
      order: (k,) the rows to take, counted through all batches.

    Returns:
      Rows, each batch of them in the order asked for, and their places in `order`.
    """
    sizes = np.array([batch.num_rows for batch in batches])
    starts = np.cumsum(sizes) - sizes
    found = []
    for group in alike(batches):
        # Where the rows of the group's batches are among all rows.
        rows = np.concatenate([starts[number] + np.arange(sizes[number]) for number in group])
        place = np.full(int(sizes.sum()), -1)
        place[rows] = np.arange(len(rows))
        places = np.flatnonzero(place[order] >= 0)
        if len(places):
            found.append((take_rows(concat_rows([batches[number] for number in group]), place[order[places]]), places))
    return found
