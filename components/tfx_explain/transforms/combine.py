"""Accumulators as combiners."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import apache_beam as beam
import pyarrow as pa

from tfx_explain.content_sample import SmallestDraws
from tfx_explain.rows import HashArray


class MergingFn(beam.CombineFn):
    """A combiner whose accumulators merge and compact themselves; its output, the accumulator, can be merged on."""

    def merge_accumulators(self, accumulators: Iterable[Any]) -> Any:
        merged = self.create_accumulator()
        for accumulator in accumulators:
            merged.merge(accumulator)
        return merged

    def compact(self, accumulator: Any) -> Any:
        accumulator.compact()
        return accumulator

    def extract_output(self, accumulator: Any) -> Any:
        return accumulator


class SmallestDrawsFn(MergingFn):
    """`SmallestDraws` as a combiner of (RecordBatch, draws); its output can be merged further."""

    def __init__(self, n: int) -> None:
        self.n = n

    def create_accumulator(self) -> SmallestDraws:
        return SmallestDraws(self.n)

    def add_input(self, accumulator: SmallestDraws, rows: tuple[pa.RecordBatch, HashArray]) -> SmallestDraws:
        accumulator.add(*rows)
        return accumulator
