"""From files of tf.Examples to RecordBatches, losing nothing on the way."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import apache_beam as beam
import numpy as np
import pyarrow as pa

from tfx_explain import records, storage
from tfx_explain.rows import ROWS_PER_BATCH, row_hashes

COUNTS = "counts"
"""Tag of the output that holds ((split, what), n)."""

FAILED = "failed"
"""Tag of the output that holds (split, [(record, reason), ...]) of rows that could not be used."""


class ReadExamples(beam.PTransform):
    """Reads TFRecords of tf.Examples as (split, RecordBatch); corrupt records go to the `failed` output.

    The `counts` output says how many rows were read, and sums their hashes to a digest that no order can change.

    Args:
      pattern: the files; gzipped where the name ends in `.gz`.
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
            | "Files" >> beam.Create(storage.glob(self.pattern))
            | "Spread" >> beam.Reshuffle()
            | "Decode" >> beam.FlatMap(read_file, self.split).with_outputs(FAILED, COUNTS, main="rows")
        )


def read_file(uri: str, split: str) -> Iterator[tuple[str, pa.RecordBatch] | beam.pvalue.TaggedOutput]:
    """The rows of one file in batches, what could not be decoded, and counts."""
    stream = records.read_records(uri)
    while serialized := list(itertools.islice(stream, ROWS_PER_BATCH)):
        yield from _decode(serialized, split)


def _decode(serialized: Sequence[bytes], split: str) -> Iterator[tuple[str, pa.RecordBatch] | beam.pvalue.TaggedOutput]:
    batch, failures = records.decode_examples(serialized)
    yield beam.pvalue.TaggedOutput(COUNTS, ((split, "read"), len(serialized)))
    yield beam.pvalue.TaggedOutput(COUNTS, ((split, "digest"), int(row_hashes(batch).sum(dtype=np.uint64))))
    if failures:
        yield beam.pvalue.TaggedOutput(FAILED, (split, failures))
    if batch.num_rows:
        yield split, batch
