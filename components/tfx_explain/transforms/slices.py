"""Which slices the rows have, how many rows each, and which of them get tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import apache_beam as beam
import pyarrow as pa

from tfx_explain.config import ExplainConfig, SlicingSpec
from tfx_explain.slicing import SliceKey, check_slice_count, slice_examples


class CountSlices(beam.PTransform):
    """SplitRows to one dictionary: slice -> number of rows. The whole data is not among them.

    A feature that is different in every row is refused as soon as a worker has seen too many of its values. Nothing
    else waits for the numbers.
    """

    def __init__(self, config: ExplainConfig) -> None:
        super().__init__()
        self.config = config

    def expand(self, rows: beam.PCollection) -> beam.PCollection:
        return (
            rows
            | "Rows" >> beam.Map(lambda element: element.rows)
            | "Count" >> beam.CombineGlobally(_CountSlicesFn(self.config.slicing_specs, self.config.max_slices))
        )


class _CountSlicesFn(beam.CombineFn):
    """Counts rows by slice; holds no more slices than are allowed."""

    def __init__(self, specs: Sequence[SlicingSpec], max_slices: int) -> None:
        self.specs = [spec for spec in specs if spec.features]
        self.max_slices = max_slices

    def create_accumulator(self) -> Counter[SliceKey]:
        return Counter()

    def add_input(self, accumulator: Counter[SliceKey], batch: pa.RecordBatch) -> Counter[SliceKey]:
        accumulator.update({key: len(rows) for key, rows in slice_examples(batch, self.specs).items()})
        check_slice_count(len(accumulator), self.max_slices)
        return accumulator

    def merge_accumulators(self, accumulators: Iterable[Counter[SliceKey]]) -> Counter[SliceKey]:
        merged = self.create_accumulator()
        for accumulator in accumulators:
            merged.update(accumulator)
            check_slice_count(len(merged), self.max_slices)
        return merged

    def extract_output(self, accumulator: Counter[SliceKey]) -> dict[SliceKey, int]:
        return dict(accumulator)
