"""The bytes on disk: Parquet tables, JSON, tf.Examples, as `tables` describes; known to no other module.

Imports neither TensorFlow, TFX nor Beam, so that an explanation can be read in a notebook within a second.
"""

from __future__ import annotations

import io
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from google.protobuf import text_format
from google.protobuf.message import DecodeError
from tensorflow_metadata.proto.v0 import schema_pb2, statistics_pb2
from tfx_bsl.coders import example_coder

from tfx_explain import documents, rests, storage
from tfx_explain.attribution.result import student_limits
from tfx_explain.errors import InputError
from tfx_explain.rows import alike, as_written, column_or_nulls, concat_rows, list_lengths, name_errors, take_rows
from tfx_explain.tables import (
    ATTRIBUTION_PREFIX,
    ATTRIBUTION_RECORDS,
    BASE_VALUE,
    BASELINE_PREFIX,
    COMPLETENESS_GAP,
    DEGREES_OF_FREEDOM,
    EXAMPLE_ID,
    PREDICTION,
    REST,
    STD_ERROR_PREFIX,
)
from tfx_explain.tfrecords import read_records as read_records

FORMAT_VERSION = 2
OLDER_FORMATS = (1,)
"""Formats that can still be read; 1 is without digests, so that no verdict may rest on it."""

ALL_EXAMPLES = "All Examples"  # what TFDV calls the whole data among slices
CI_LOW_PREFIX, CI_HIGH_PREFIX = "ci_low_", "ci_high_"  # of what readers add

_EMPTY_EXAMPLES = frozenset({b"", b"\n\x00"})
"""tf.Examples without any feature."""

_LARGEST_WHOLE = 2.0**53
"""From here on a float64 is no longer every whole number."""

FloatArray = npt.NDArray[np.floating[Any]]
Float64Array = npt.NDArray[np.float64]


# --- tf.Examples ----------------------------------------------------------------------------------------------------


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
    decoder = example_coder.ExamplesToRecordBatchDecoder()
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
    decoder: example_coder.ExamplesToRecordBatchDecoder, records: Sequence[bytes]
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
    return list(example_coder.RecordBatchToExamplesEncoder().encode(as_written(batch)))


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


def attribution_batch(
    batch: pa.RecordBatch,
    *,
    players: Sequence[str],
    attributions: FloatArray,
    std_errors: FloatArray,
    prediction: FloatArray,
    base_value: FloatArray,
    completeness_gap: FloatArray,
    example_ids: Sequence[bytes],
    degrees_of_freedom: FloatArray | None = None,
    baseline_attributions: FloatArray | None = None,
    baseline_prediction: FloatArray | None = None,
) -> pa.RecordBatch:
    """The rows with their attributions beside their own features.

    Args:
      batch: the explained rows, n_examples of them.
      players: their names, n_players of them.
      attributions: (n_examples, n_players, n_outputs), in units of the output space.
      std_errors: the same shape.
      prediction: (n_examples, n_outputs).
      base_value: (n_examples, n_outputs).
      completeness_gap: (n_examples, n_outputs).
      example_ids: one for each row.
      degrees_of_freedom: of `std_errors`, of the same shape; None = not known.
      baseline_attributions: as `attributions`, of the baseline model.
      baseline_prediction: as `prediction`, of the baseline model.

    Raises:
      InputError: a row has a feature of a name that is added here.
    """
    for reason in name_errors(batch, reserved_names(players, baseline=baseline_attributions is not None)).values():
        raise InputError(f"{reason}.")
    columns: dict[str, pa.Array] = dict(zip(batch.schema.names, batch.columns, strict=True))
    columns[EXAMPLE_ID] = _lists(np.array(list(example_ids), object)[:, None], pa.large_binary())
    per_output = {PREDICTION: prediction, BASE_VALUE: base_value, COMPLETENESS_GAP: completeness_gap}
    per_player = {ATTRIBUTION_PREFIX: attributions, STD_ERROR_PREFIX: std_errors}
    if baseline_attributions is not None and baseline_prediction is not None:
        per_output[BASELINE_PREFIX + PREDICTION] = baseline_prediction
        per_player[BASELINE_PREFIX + ATTRIBUTION_PREFIX] = baseline_attributions
    columns |= {name: _lists(values, pa.float32()) for name, values in per_output.items()}
    for index, player in enumerate(players):
        columns |= {prefix + player: _lists(values[:, index], pa.float32()) for prefix, values in per_player.items()}
    figures = {**per_output, **{p: v.reshape(len(v), -1) for p, v in per_player.items() if p != STD_ERROR_PREFIX}}
    del figures[COMPLETENESS_GAP]
    errors = rests.rests_of_tiny(std_errors.reshape(len(std_errors), -1))
    left = rests.to_lists(np.concatenate([*(rests.rests_of(values) for values in figures.values()), errors], axis=1))
    if left is not None:
        columns[REST] = left
    if degrees_of_freedom is not None:
        columns[DEGREES_OF_FREEDOM] = _few(degrees_of_freedom.reshape(len(std_errors), -1))
    names = sorted(columns)
    return pa.RecordBatch.from_arrays([columns[name] for name in names], names=names)


def reserved_names(players: Sequence[str], *, baseline: bool = False) -> set[str]:
    """The feature names that attribution records add, which the examples must not use themselves."""
    return set(ATTRIBUTION_RECORDS.names(players, baseline=baseline))


def _lists(values: npt.NDArray[Any], dtype: pa.DataType) -> pa.Array:
    """A list column from an (n_rows, n_values) array."""
    n_rows, n_values = values.shape
    offsets = pa.array(np.arange(0, (n_rows + 1) * n_values, n_values, dtype=np.int64)[: n_rows + 1])
    flat = values.reshape(-1)
    return pa.LargeListArray.from_arrays(
        offsets, pa.array(flat if flat.dtype == object else flat.astype(np.float32), dtype)
    )


def _few(values: FloatArray) -> pa.Array:
    """A list column from (n_rows, n_values): one value in rows where all are the same."""
    same = (values == values[:, :1]).all(axis=1)
    lengths = np.where(same, min(values.shape[1], 1), values.shape[1])
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
    kept = values[np.arange(values.shape[1]) < lengths[:, None]]
    return pa.LargeListArray.from_arrays(pa.array(offsets), pa.array(kept.astype(np.float32)))


def dead_letter_examples(split: str, failures: Sequence[tuple[bytes, str]]) -> list[bytes]:
    """Serialized tf.Examples with `record`, `reason` and `split`, one for each row that could not be explained."""
    if not failures:
        return []
    columns = {
        "reason": [reason.encode() for _, reason in failures],
        "record": [record for record, _ in failures],
        "split": [split.encode()] * len(failures),
    }
    arrays = [_lists(np.array(values, object)[:, None], pa.large_binary()) for values in columns.values()]
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


def attribution_frames(
    batch: pa.RecordBatch,
    players: Sequence[str],
    outputs: Sequence[str],
    *,
    baseline: bool = False,
    confidence: float | None = None,
) -> dict[str, pd.DataFrame]:
    """Explained rows as `attribution_batch` made them, one frame for each output.

    Args:
      batch: list columns; the added ones hold one value per output.
      players: their names.
      outputs: their names.
      baseline: whether there was a baseline model.
      confidence: of the limits `ci_low_<player>` and `ci_high_<player>`; None = no limits.

    Returns:
      Output -> a frame with the rows' own features and, for that output, `prediction`, `base_value`,
      `completeness_gap`, `attribution_<player>` and `std_error_<player>`.
    """
    added = reserved_names(players, baseline=baseline) - {EXAMPLE_ID}
    own = [name for name in batch.schema.names if name not in added]
    features = rows_to_frame(pa.RecordBatch.from_arrays([batch.column(name) for name in own], names=own))
    values = attribution_values(batch, players, len(outputs), baseline=baseline)
    names = sorted(values)
    if confidence is not None:
        limits = _limits(batch, values, players, confidence)
        for player, (low, high) in zip(players, limits, strict=True):
            values |= {CI_LOW_PREFIX + player: low, CI_HIGH_PREFIX + player: high}
            names += [CI_LOW_PREFIX + player, CI_HIGH_PREFIX + player]
    return {
        output: pd.concat([features, pd.DataFrame({name: values[name][:, i] for name in names})], axis=1)
        for i, output in enumerate(outputs)
    }


def attribution_values(
    batch: pa.RecordBatch, players: Sequence[str], n_outputs: int, *, baseline: bool = False
) -> dict[str, Float64Array]:
    """What `attribution_batch` added of numbers: name -> (n_rows, n_outputs), as they were computed.

    Of explanations of earlier versions, which have no `__rest__`, as float32 holds them.
    """
    names = _figures(players, baseline=baseline)
    figures = [column_or_nulls(batch, name).flatten().to_numpy().reshape(batch.num_rows, n_outputs) for name in names]
    kept = np.concatenate(figures, axis=1)
    left = rests.from_lists(column_or_nulls(batch, REST), kept.shape[1])
    exact = rests.with_rests(kept, left).reshape(batch.num_rows, len(names), n_outputs)
    values = {name: exact[:, index] for index, name in enumerate(names)}
    gap = batch.column(COMPLETENESS_GAP).flatten().to_numpy().reshape(batch.num_rows, n_outputs)
    return {**values, COMPLETENESS_GAP: gap.astype(np.float64)}


def record_faults(batch: pa.RecordBatch, players: Sequence[str], n_outputs: int, *, baseline: bool) -> list[str]:
    """The names of what a batch of explained rows lacks, or has too much of."""
    n_values = batch.num_rows * n_outputs
    names = [*_figures(players, baseline=baseline), COMPLETENESS_GAP]
    faults = [name for name in names if int(list_lengths(column_or_nulls(batch, name)).sum()) != n_values]
    longest = list_lengths(column_or_nulls(batch, REST)).max(initial=0)
    return [*faults, *([REST] if longest > len(names[:-1]) * n_outputs else [])]


def _figures(players: Sequence[str], *, baseline: bool) -> list[str]:
    """The columns of `__rest__`, in its order; each of them has one value per output."""
    sides = [BASELINE_PREFIX] if baseline else []
    per_player = [ATTRIBUTION_PREFIX, *(side + ATTRIBUTION_PREFIX for side in sides), STD_ERROR_PREFIX]
    per_output = [PREDICTION, BASE_VALUE, *(side + PREDICTION for side in sides)]
    return [*per_output, *(prefix + player for prefix in per_player for player in players)]


def _limits(
    batch: pa.RecordBatch, values: Mapping[str, Float64Array], players: Sequence[str], confidence: float
) -> list[tuple[Float64Array, Float64Array]]:
    """Confidence limits of each player, (n_rows, n_outputs)."""
    found, errors = (
        np.stack([values[prefix + player] for player in players], axis=1)
        for prefix in (ATTRIBUTION_PREFIX, STD_ERROR_PREFIX)
    )
    column = column_or_nulls(batch, DEGREES_OF_FREEDOM)
    lengths, n_values = list_lengths(column), found[0].size
    if not np.isin(lengths, (1, n_values)).all():
        raise InputError(
            "the attribution records do not say how many degrees of freedom their errors have, as those of earlier "
            "versions; explain the model again, or leave out `confidence`."
        )
    flat = column.flatten().to_numpy()
    dof = flat[(np.cumsum(lengths) - lengths)[:, None] + np.where(lengths[:, None] == 1, 0, np.arange(n_values))]
    low, high = student_limits(found, errors, dof.reshape(found.shape).astype(np.float64), confidence)
    return [(low[:, index], high[:, index]) for index in range(len(players))]


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


def write_table(uri: str, table: pd.DataFrame | pa.Table) -> None:
    """Writes a Parquet file."""
    sink = io.BytesIO()
    pq.write_table(
        pa.Table.from_pandas(table, preserve_index=False) if isinstance(table, pd.DataFrame) else table, sink
    )
    storage.write_bytes(uri, sink.getvalue())


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
