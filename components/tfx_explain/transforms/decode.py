"""The records of files as rows in batches, losing nothing on the way."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import TypeAlias

import apache_beam as beam
import numpy as np

from tfx_explain import records, storage
from tfx_explain.job.failures import EMPTY_FILES, FILE_BYTES, LOST_BYTES
from tfx_explain.job.split_rows import SplitRows
from tfx_explain.rows import ROWS_PER_BATCH, row_hashes
from tfx_explain.tfrecords import Fault, FileRange, RecordReader, changed
from tfx_explain.timings import READ, TIMINGS
from tfx_explain.transforms.timing import tell_timings

COUNTS = "counts"
"""Tag of the output that holds ((split, what), n)."""

FAILED = "failed"
"""Tag of the output that holds (split, [(record, reason), ...]) of rows that could not be used."""

Element: TypeAlias = SplitRows | beam.pvalue.TaggedOutput
"""What reading a file gives: rows, failures or counts."""

_BATCH_BYTES = 64 * 2**20
# All before a part of a gzipped file is unzipped to reach it.
_MOST_ZIPPED_PARTS = 32


def read_file(uri: str, split: str) -> Iterator[Element]:
    """The rows of one file in batches, what could not be read or decoded, and counts."""
    with contextlib.closing(RecordReader(uri)) as reader:
        yield from read_range(reader, split, FileRange(uri))
    tell_timings()


def read_range(reader: RecordReader, split: str, place: FileRange) -> Iterator[Element]:
    """As `read_file`, of a part of the file; counts of the file come with its last part.

    Args:
      reader: of the file, where the part begins or before that.
      split: the file's.
      place: the part.

    Raises:
      InputError: the part is not there any more as it was when its end was found.
    """
    faults: list[Fault] = []
    batches = record_batches(reader.records(faults, place.start, place.stop))
    yield from _elements(reader, split, batches, faults)
    if place.stop not in (None, reader.position):
        raise changed(reader.uri)


def read_part(reader: RecordReader, split: str) -> Iterator[Element]:
    """As `read_range`, of a part that begins where the reader is and ends where another worker may go on."""
    faults: list[Fault] = []
    yield from _elements(reader, split, _batches_of_part(reader, faults), faults)


def _batches_of_part(reader: RecordReader, faults: list[Fault]) -> Iterator[list[bytes]]:
    start = reader.position
    for serialized in record_batches(reader.records(faults)):
        yield serialized
        if not reader.is_zipped or reader.position - start >= reader.content_bytes() / _MOST_ZIPPED_PARTS:
            return


def _elements(
    reader: RecordReader, split: str, batches: Iterator[list[bytes]], faults: list[Fault]
) -> Iterator[Element]:
    for decoded in TIMINGS.steps(READ, (_decode(serialized, split) for serialized in batches), _n_rows):
        yield from decoded
    if faults:
        # A fault of the rest of a file counts as one row here; how many it may have been, `lost_bytes` says.
        yield beam.pvalue.TaggedOutput(FAILED, (split, [(fault.record, fault.reason) for fault in faults]))
        yield beam.pvalue.TaggedOutput(COUNTS, ((split, "read"), len(faults)))
        yield beam.pvalue.TaggedOutput(COUNTS, ((split, LOST_BYTES), sum(fault.lost_bytes for fault in faults)))
    if reader.ended:
        n_bytes = storage.size(reader.uri)
        yield beam.pvalue.TaggedOutput(COUNTS, ((split, FILE_BYTES), n_bytes))
        if not n_bytes and not reader.position and not faults:
            yield beam.pvalue.TaggedOutput(COUNTS, ((split, EMPTY_FILES), 1))


def record_batches(serialized: Iterator[bytes]) -> Iterator[list[bytes]]:
    """Records in lists of ROWS_PER_BATCH, fewer where they are large."""
    batch: list[bytes] = []
    n_bytes = 0
    for record in serialized:
        batch.append(record)
        n_bytes += len(record)
        if len(batch) == ROWS_PER_BATCH or n_bytes > _BATCH_BYTES:
            yield batch
            batch, n_bytes = [], 0
    if batch:
        yield batch


def _decode(serialized: Sequence[bytes], split: str) -> list[Element]:
    decoded, failures = records.decode_records(serialized)
    rows = [SplitRows(split, batch, row_hashes(batch), None, kept) for batch, kept in decoded]
    digest = sum(int(one.hashes.sum(dtype=np.uint64)) for one in rows)
    counts = {"read": len(serialized), "digest": digest}
    told = [beam.pvalue.TaggedOutput(COUNTS, ((split, what), n)) for what, n in counts.items()]
    failed = [beam.pvalue.TaggedOutput(FAILED, (split, failures))] if failures else []
    return [*told, *failed, *rows]


def _n_rows(elements: Sequence[Element]) -> int:
    return sum(one.rows.num_rows for one in elements if isinstance(one, SplitRows))
