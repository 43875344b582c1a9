"""The bytes on disk: Parquet tables, JSON, tf.Examples, as `tables` describes; known to no other module.

Imports neither TensorFlow, TFX nor Beam, and tfx_bsl only where tf.Examples are read, so that an explanation can be
read in a notebook within a second.
"""

from __future__ import annotations

import io
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType, ModuleType
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from google.protobuf import text_format
from google.protobuf.message import DecodeError
from tensorflow_metadata.proto.v0 import schema_pb2, statistics_pb2

from tfx_explain import documents, storage
from tfx_explain.errors import InputError
from tfx_explain.frames import in_parts
from tfx_explain.optional import optional
from tfx_explain.rows import alike, as_written, concat_rows, list_lengths, take_rows
from tfx_explain.tfrecords import read_records as read_records

if TYPE_CHECKING:
    from tfx_bsl.coders.example_coder import ExamplesToRecordBatchDecoder

FORMAT_VERSION = 2
OLDER_FORMATS = (1,)
"""Formats that can still be read; 1 is without digests, so that no verdict may rest on it."""

DEAD_RECORD = "record"  # of dead letters, unless values are not stored: then they have `example_id`
ALL_EXAMPLES = "All Examples"  # what TFDV calls the whole data among slices

_EMPTY_EXAMPLES = frozenset({b"", b"\n\x00"})
"""tf.Examples without any feature."""

_LARGEST_WHOLE = 2.0**53
"""From here on a float64 is no longer every whole number."""

_ROWS_AT_ONCE = 2**18

FloatArray = npt.NDArray[np.floating[Any]]
Float64Array = npt.NDArray[np.float64]

Written: TypeAlias = pd.DataFrame | pa.Table | Iterable[pd.DataFrame]
"""A table, or its rows in frames (at least one) of the same columns, of which few need to be in memory at a time."""


# --- tf.Examples ----------------------------------------------------------------------------------------------------


def example_coder() -> ModuleType:
    """What decodes and encodes tf.Examples; tables and verdicts on them do without."""
    return optional("tfx_bsl.coders.example_coder", "tf.Examples need", "tfx-bsl")


def decode_examples(records: Sequence[bytes]) -> tuple[list[pa.RecordBatch], list[tuple[bytes, str]]]:
    """Decodes serialized tf.Examples, setting aside those that cannot be.

    Args:
      records: serialized tf.Examples.

    Returns:
      The decoded rows, in as few batches as their types allow: one, but for rows whose features have other types than
      in rows before them; and (record, reason) of each record that is no tf.Example, has no features, or has two whose
      names are the same up to a NUL.
    """
    decoded, failed = decode_records(records)
    return [batch for batch, _ in decoded], failed


def decode_records(
    records: Sequence[bytes],
) -> tuple[list[tuple[pa.RecordBatch, list[bytes]]], list[tuple[bytes, str]]]:
    """As `decode_examples`, with the records of each batch, in the order of its rows."""
    decoder = example_coder().ExamplesToRecordBatchDecoder()
    full = [record for record in records if record not in _EMPTY_EXAMPLES]
    failed = [(record, "the record is empty: it has no features") for record in records if record in _EMPTY_EXAMPLES]
    if not full:
        return [], failed
    try:
        batch = decoder.DecodeBatch(full)
    except RuntimeError:
        batch = None
    if batch is not None and not _names_twice(batch):
        return [(batch, full)], failed
    decoded, unusable = _decode_one_by_one(decoder, full)
    return decoded, failed + unusable


def _names_twice(batch: pa.RecordBatch) -> bool:
    """Whether two columns have one name: the decoder cuts names at a NUL, and neither column would be found."""
    return len(set(batch.schema.names)) < len(batch.schema.names)


def _decode_one_by_one(
    decoder: ExamplesToRecordBatchDecoder, records: Sequence[bytes]
) -> tuple[list[tuple[pa.RecordBatch, list[bytes]]], list[tuple[bytes, str]]]:
    rows: list[pa.RecordBatch] = []
    usable: list[bytes] = []
    failed: list[tuple[bytes, str]] = []
    for record in records:
        try:
            row = decoder.DecodeBatch([record])
        except RuntimeError:
            failed.append((record, "the record is not a tf.Example"))
            continue
        if _names_twice(row):
            failed.append((record, "two features have the same name up to a NUL character; rename one of them"))
        else:
            rows.append(row)
            usable.append(record)
    groups = alike(rows)
    return [(concat_rows([rows[i] for i in group]), [usable[i] for i in group]) for group in groups], failed


def encode_examples(batch: pa.RecordBatch) -> list[bytes]:
    """The rows of a batch as serialized tf.Examples; a feature that a row lacks is there without a kind."""
    return list(example_coder().RecordBatchToExamplesEncoder().encode(as_written(batch)))


def encode_own_features(batch: pa.RecordBatch) -> list[bytes]:
    """As `encode_examples`, each row without the features that other rows alone have."""
    there = np.array([column.is_valid().to_numpy(zero_copy_only=False) for column in batch.columns]).T
    encoded: list[bytes] = [b""] * batch.num_rows
    kinds, of_rows = np.unique(there.reshape(batch.num_rows, -1), axis=0, return_inverse=True)
    for number, kind in enumerate(kinds):
        rows = np.flatnonzero(of_rows.reshape(-1) == number)
        own = {
            name: column for name, column, is_own in zip(batch.schema.names, batch.columns, kind, strict=True) if is_own
        }
        alike_rows = take_rows(pa.RecordBatch.from_arrays(list(own.values()), names=list(own)), rows)
        for row, record in zip(rows.tolist(), encode_examples(alike_rows), strict=True):
            encoded[row] = record
    return encoded


def lists_of(values: npt.NDArray[np.generic], dtype: pa.DataType) -> pa.Array:
    """A list column from an (n_rows, n_values) array; numbers as float32."""
    n_rows, n_values = values.shape
    offsets = pa.array(np.arange(0, (n_rows + 1) * n_values, n_values, dtype=np.int64)[: n_rows + 1])
    flat = values.reshape(-1)
    return pa.LargeListArray.from_arrays(
        offsets, pa.array(flat if flat.dtype == object else flat.astype(np.float32), dtype)
    )


def ragged_lists(values: npt.NDArray[np.generic], lengths: npt.NDArray[np.int64]) -> pa.Array:
    """A list column of rows of `lengths` of the values' rows: numbers as they are, objects as bytes."""
    n_values = int(np.prod(values.shape[1:]))
    offsets = pa.array(np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths * n_values)]))
    dtype = pa.large_binary() if values.dtype == object else None
    return pa.LargeListArray.from_arrays(offsets, pa.array(values.reshape(-1), dtype))


def dead_letter_examples(split: str, failures: Sequence[tuple[bytes, str]], what: str = DEAD_RECORD) -> list[bytes]:
    """Serialized tf.Examples with `reason` and `split`, one for each row that could not be explained.

    Args:
      split: of the rows.
      failures: (record, reason) of each.
      what: the feature that holds its record, or what stands in its place.
    """
    if not failures:
        return []
    columns = {
        "reason": [reason.encode() for _, reason in failures],
        what: [record for record, _ in failures],
        "split": [split.encode()] * len(failures),
    }
    arrays = [lists_of(np.array(values, object)[:, None], pa.large_binary()) for values in columns.values()]
    return encode_examples(pa.RecordBatch.from_arrays(arrays, names=list(columns)))


def read_example_batches(directory: str, rows_per_batch: int = 1_000) -> Iterator[pa.RecordBatch]:
    """The tf.Examples in all TFRecord files beneath a directory, as RecordBatches.

    Raises:
      InputError: a file is damaged.
    """
    for uri in storage.find(directory):
        stream = read_records(uri)
        while serialized := list(itertools.islice(stream, rows_per_batch)):
            batches, failed = decode_examples(serialized)
            if failed:
                raise InputError(f"{uri} is damaged ({failed[0][1]}); explain the model again.")
            yield from batches


def rows_to_frame(batch: pa.RecordBatch) -> pd.DataFrame:
    """One column per feature: scalars where no row has more than one value, else lists.

    Missing are None or NaN, or `pd.NA` in a column of whole numbers that floats cannot hold.
    """
    return pd.DataFrame({name: _cells(column) for name, column in zip(batch.schema.names, batch.columns, strict=True)})


def _cells(column: pa.Array) -> Any:
    lengths = list_lengths(column)
    if lengths.max(initial=0) > 1:
        return [None if row is None else [text(value) for value in row] for row in column.to_pylist()]
    values = column.flatten().to_numpy(zero_copy_only=False) if lengths.any() else np.zeros(0, np.float32)
    if values.dtype == object:
        values = np.array([text(value) for value in values], object)
    if lengths.all():
        return values
    if values.dtype.kind == "i" and (np.abs(values.astype(np.float64)) >= _LARGEST_WHOLE).any():
        # As floats, different ids would become the same.
        whole = np.zeros(len(lengths), np.int64)
        whole[lengths == 1] = values
        return pd.arrays.IntegerArray(whole, lengths != 1)
    cells = np.full(
        len(lengths), None if values.dtype == object else np.nan, object if values.dtype == object else float
    )
    cells[lengths == 1] = values
    return cells


def text(value: Any) -> Any:
    """Bytes as text, anything else as it is."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


# --- tables and JSON ------------------------------------------------------------------------------------------------


def write_table(uri: str, table: Written, types: Mapping[str, pa.DataType] = MappingProxyType({})) -> None:
    """Writes a Parquet file; arguments as of `table_bytes`, and the URI of the file."""
    storage.write_bytes(uri, table_bytes(table, types))


def table_bytes(table: Written, types: Mapping[str, pa.DataType] = MappingProxyType({})) -> bytes:
    """What `write_table` writes.

    Args:
      table: its rows; of several frames, the first one says of what types columns are.
      types: of columns by name, for those of a frame all of whose cells are empty, so that their type is not seen.
    """
    sink = io.BytesIO()
    if isinstance(table, pa.Table):
        pq.write_table(table, sink)
        return sink.getvalue()
    frames = iter([table] if isinstance(table, pd.DataFrame) else table)
    first = next(frames)
    seen = pa.Schema.from_pandas(first, preserve_index=False)
    fields = [
        field.with_type(types[field.name]) if pa.types.is_null(field.type) and field.name in types else field
        for field in seen
    ]
    schema = pa.schema(fields, seen.metadata)
    with pq.ParquetWriter(sink, schema) as writer:
        # Texts of long tables take far more memory there than here.
        for part in in_parts(itertools.chain([first], frames), _ROWS_AT_ONCE):
            writer.write_table(pa.Table.from_pandas(part, schema, preserve_index=False))
    return sink.getvalue()


def read_table(uri: str) -> pd.DataFrame:
    """Reads a Parquet file."""
    return parse_table(uri, storage.read_bytes(uri)).to_pandas()


def read_rows(uri: str) -> pa.RecordBatch:
    """Reads a Parquet file of list columns as the rows it was written from."""
    return concat_rows(parse_table(uri, storage.read_bytes(uri)).to_batches())


def parse_table(uri: str, content: bytes) -> pa.Table:
    """The table in a Parquet file that was read.

    Raises:
      InputError: it is none.
    """
    try:
        return pq.read_table(io.BytesIO(content))
    except (pa.ArrowException, OSError, ValueError) as error:
        raise InputError(
            f"{uri} is no Parquet file, or is damaged ({_first_line(error)}); explain the model again."
        ) from None


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def write_json(uri: str, content: Mapping[str, Any]) -> None:
    """Writes a JSON file for people and programs: indented, keys in the given order, no NaN."""
    storage.write_bytes(uri, json_bytes(content))


def json_bytes(content: Mapping[str, Any]) -> bytes:
    """What `write_json` writes."""
    return json.dumps(content, indent=1, allow_nan=False).encode() + b"\n"


def read_json(uri: str) -> dict[str, Any]:
    """Reads a JSON object.

    Raises:
      InputError: there is none, or one that names a key twice, holds what is no number, or is too deep.
    """
    return parse_json(uri, storage.read_bytes(uri))


def parse_json(uri: str, content: bytes) -> dict[str, Any]:
    """The JSON object in a file that was read; as `read_json`."""
    try:
        parsed = documents.parse_json(content, max_values=None)
    except documents.DocumentError as error:
        raise InputError(f"{uri} {error}; write it again.") from None
    if not isinstance(parsed, dict):
        raise InputError(f"{uri} holds a {type(parsed).__name__}, not a JSON object; write it again.")
    return parsed


def parse_statistics(uri: str, content: bytes) -> statistics_pb2.DatasetFeatureStatisticsList:
    """TFDV's statistics in a file that was read.

    Raises:
      InputError: there are none.
    """
    try:
        return statistics_pb2.DatasetFeatureStatisticsList.FromString(content)
    except DecodeError as error:
        raise InputError(f"{uri} holds no statistics ({_first_line(error)}); explain the model again.") from None


def schema_features(uri: str) -> list[str]:
    """The names of the features in a TFDV schema (text)."""
    try:
        schema = text_format.Parse(storage.read_bytes(uri), schema_pb2.Schema())
    except (text_format.ParseError, UnicodeDecodeError) as error:
        raise InputError(f"{uri} is not a schema in text form ({error}); name the schema.pbtxt of SchemaGen.") from None
    return [feature.name for feature in schema.feature]
