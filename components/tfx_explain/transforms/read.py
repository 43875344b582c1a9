"""From files of tf.Examples to RecordBatches, losing nothing on the way."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import apache_beam as beam
import numpy as np
import pyarrow as pa

from tfx_explain import records, storage
from tfx_explain.rows import ROWS_PER_BATCH, row_hashes
from tfx_explain.tfrecords import Fault

COUNTS = "counts"
"""Tag of the output that holds ((split, what), n)."""

FAILED = "failed"
"""Tag of the output that holds (split, [(record, reason), ...]) of rows that could not be used."""


FILE_BYTES = "file_bytes"
"""What of the counts says how large the files are, as they are stored."""

LOST_BYTES = "lost_bytes"
"""What of the counts says how much of that cannot be read, because a file is damaged before."""

_BATCH_BYTES = 64 * 2**20


class ReadExamples(beam.PTransform):
    """Reads TFRecords of tf.Examples as (split, RecordBatch); corrupt records go to the `failed` output.

    The `counts` output says how many rows were read, and sums their hashes to a digest that no order can change.

    Args:
      pattern: the files; plain or gzipped.
      split: their split.
    """

    def __init__(self, pattern: str, split: str) -> None:
        super().__init__()
        self.pattern = pattern
        self.split = split

    def expand(self, pipeline: beam.Pipeline) -> beam.pvalue.DoOutputsTuple:
        # Beam's own source holds 16 MiB of each compressed file and passes records on one by one.
        return (
            pipeline
            | "Files" >> beam.Create(storage.data_files(self.pattern))
            | "Spread" >> beam.Reshuffle()
            | "Decode" >> beam.FlatMap(read_file, self.split).with_outputs(FAILED, COUNTS, main="rows")
        )


def read_file(uri: str, split: str) -> Iterator[tuple[str, pa.RecordBatch] | beam.pvalue.TaggedOutput]:
    """The rows of one file in batches, what could not be read or decoded, and counts."""
    faults: list[Fault] = []
    for serialized in record_batches(records.read_records(uri, faults)):
        yield from _decode(serialized, split)
    if faults:
        # A fault of the rest of a file counts as one row here; how many it may have been, `lost_bytes` says.
        yield beam.pvalue.TaggedOutput(FAILED, (split, [(fault.record, fault.reason) for fault in faults]))
        yield beam.pvalue.TaggedOutput(COUNTS, ((split, "read"), len(faults)))
        yield beam.pvalue.TaggedOutput(COUNTS, ((split, LOST_BYTES), sum(fault.lost_bytes for fault in faults)))
    yield beam.pvalue.TaggedOutput(COUNTS, ((split, FILE_BYTES), storage.size(uri)))


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


def _decode(serialized: Sequence[bytes], split: str) -> Iterator[tuple[str, pa.RecordBatch] | beam.pvalue.TaggedOutput]:
    batches, failures = records.decode_examples(serialized)
    digest = sum(int(row_hashes(batch).sum(dtype=np.uint64)) for batch in batches)
    yield beam.pvalue.TaggedOutput(COUNTS, ((split, "read"), len(serialized)))
    yield beam.pvalue.TaggedOutput(COUNTS, ((split, "digest"), digest))
    if failures:
        yield beam.pvalue.TaggedOutput(FAILED, (split, failures))
    for batch in batches:
        yield split, batch
