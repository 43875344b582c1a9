"""From explained rows to accumulators, one for each figure, slice and output."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import apache_beam as beam

from tfx_explain.job.accumulate import contributions, merged
from tfx_explain.job.request import ExplainRequest


class Summarize(beam.PTransform):
    """ExplainedExamples to (key, accumulator), one element for each key.

    Each figure has the whole data and the slices that were asked for, also those that are too small: a step that waited
    for their sizes would make the runner hold all explained rows in memory.

    Args:
      request: says what to slice by, which feature weights the rows, and which methods there are.
    """

    def __init__(self, request: ExplainRequest) -> None:
        super().__init__()
        self.request = request

    def expand(self, explained: beam.PCollection) -> beam.PCollection:
        """Adds the steps."""
        return (
            explained
            | "ByKey" >> beam.FlatMap(contributions, self.request)
            | "Accumulate" >> beam.CombinePerKey(_AccumulateFn())
        )


class _AccumulateFn(beam.CombineFn):
    """Any accumulator with `add` and `merge` as a combiner of `contributions`."""

    def create_accumulator(self) -> Any:
        return None

    def add_input(self, accumulator: Any, element: tuple[Callable[[], Any], tuple[Any, ...]]) -> Any:
        make, arguments = element
        accumulator = make() if accumulator is None else accumulator
        accumulator.add(*arguments)
        return accumulator

    def merge_accumulators(self, accumulators: Sequence[Any]) -> Any:
        some = [accumulator for accumulator in accumulators if accumulator is not None]
        return merged(some) if some else None

    def extract_output(self, accumulator: Any) -> Any:
        return accumulator
