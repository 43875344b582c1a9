"""Choosing rows by their content, so that sharding, order and retries cannot change the choice."""

from __future__ import annotations

import apache_beam as beam
import numpy as np
import pyarrow as pa

from tfx_explain.rows import ROWS_PER_BATCH, SmallestHashes, take_rows


class SmallestHashesFn(beam.CombineFn):
    """`rows.SmallestHashes` as a combiner of RecordBatches; its output can be merged further."""

    def __init__(self, n: int, seed: int) -> None:
        self.n = n
        self.seed = seed

    def create_accumulator(self) -> SmallestHashes:
        return SmallestHashes(self.n, self.seed)

    def add_input(self, accumulator: SmallestHashes, batch: pa.RecordBatch) -> SmallestHashes:
        accumulator.add(batch)
        return accumulator

    def merge_accumulators(self, accumulators: list[SmallestHashes]) -> SmallestHashes:
        merged = self.create_accumulator()
        for accumulator in accumulators:
            merged.merge(accumulator)
        return merged

    def compact(self, accumulator: SmallestHashes) -> SmallestHashes:
        accumulator.compact()
        return accumulator

    def extract_output(self, accumulator: SmallestHashes) -> SmallestHashes:
        return accumulator


class SelectExamples(beam.PTransform):
    """At most `n` of the (split, RecordBatch) rows of each split, the same ones however the data is sharded."""

    def __init__(self, n: int, seed: int) -> None:
        super().__init__()
        self.n = n
        self.seed = seed

    def expand(self, rows: beam.PCollection) -> beam.PCollection:
        return (
            rows
            | "KeepSmallest" >> beam.CombinePerKey(SmallestHashesFn(self.n, self.seed))
            | "Rebatch" >> beam.FlatMapTuple(split_rows)
            | "Spread" >> beam.Reshuffle()
        )


def split_rows(split: str, kept: SmallestHashes) -> list[tuple[str, pa.RecordBatch]]:
    """The rows in batches of at most ROWS_PER_BATCH that own their memory."""
    made = []
    for batch in kept.parts():
        starts = range(0, batch.num_rows, ROWS_PER_BATCH)
        ends = [min(start + ROWS_PER_BATCH, batch.num_rows) for start in starts]
        made += [(split, take_rows(batch, np.arange(start, end))) for start, end in zip(starts, ends, strict=True)]
    return made
