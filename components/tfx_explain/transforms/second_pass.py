"""Methods that look at a sample of the explained rows again, once everything is accumulated; spread over workers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa

from tfx_explain.job.accumulate import PlainKey, merged_by_key
from tfx_explain.job.explained import ExplainedExamples
from tfx_explain.job.request import ExplainRequest
from tfx_explain.methods.method import SecondPass
from tfx_explain.rows import HashArray, example_weights, take_rows
from tfx_explain.timings import TIMINGS
from tfx_explain.transforms.combine import SmallestDrawsFn
from tfx_explain.transforms.timing import tell_timings


class LookAgain(beam.PTransform):
    """One (name, what `SecondPass.result` gives) of all explained rows.

    Args:
      method: what looks again.
      request: says what is explained and how.
      explained: split -> ExplainedExamples.
    """

    def __init__(self, method: SecondPass, request: ExplainRequest, explained: Mapping[str, beam.PCollection]) -> None:
        super().__init__()
        self.method = method
        self.request = request
        self.explained = explained

    def expand(self, summaries: beam.PCollection) -> beam.PCollection:
        """Adds the steps to the (key, accumulator) of all splits."""
        choose, weight = SmallestDrawsFn(self.method.n_rows), self.request.config.example_weight_key
        sample = (
            [
                rows
                | f"Counting[{split}]" >> beam.Map(rows_that_count, weight, self.method.n_rows)
                | f"Sample[{split}]" >> beam.CombineGlobally(choose)
                for split, rows in self.explained.items()
            ]
            | "Samples" >> beam.Flatten()
            | "Parts" >> beam.FlatMap(lambda kept: kept.parts())
            | "Sample" >> beam.CombineGlobally(choose)
            | "Kept" >> beam.Map(lambda kept: kept.result())
        )
        start = summaries.pipeline | beam.Create([None])
        asked = start | "Choose" >> beam.Map(_choose, self.method, summaries=beam.pvalue.AsIter(summaries))
        values = (
            asked
            | "Terms" >> beam.FlatMap(self.method.terms)
            | "Spread" >> beam.Reshuffle()
            | "Evaluate" >> beam.ParDo(_EvaluateFn(self.method, self.request), beam.pvalue.AsSingleton(sample))
        )
        return asked | "Result" >> beam.Map(
            _result, self.method, beam.pvalue.AsSingleton(sample), beam.pvalue.AsDict(values)
        )


def rows_that_count(
    explained: ExplainedExamples, example_weight_key: str | None, n_rows: int
) -> tuple[pa.RecordBatch, HashArray]:
    """Those rows of a batch that may be in the sample, and their draws."""
    rows = np.arange(explained.rows.num_rows)
    if example_weight_key is not None:
        rows = np.flatnonzero(example_weights(explained.rows, example_weight_key) > 0)
    rows = rows[np.argsort(explained.draws[rows], kind="stable")[:n_rows]]
    return take_rows(explained.rows, rows), explained.draws[rows]


def _choose(_: None, method: SecondPass, *, summaries: Iterable[tuple[PlainKey, Any]]) -> Sequence[Any]:
    return method.choose(merged_by_key(summaries))


def _result(
    asked: Sequence[Any], method: SecondPass, sample: pa.RecordBatch | None, values: Mapping[Any, Any]
) -> tuple[str, Any]:
    return method.name, method.result(asked, sample, values)


class _EvaluateFn(beam.DoFn):
    """Terms to (term, what the method finds)."""

    def __init__(self, method: SecondPass, request: ExplainRequest) -> None:
        self.method = method
        self.request = request

    def setup(self) -> None:
        """Loads the models."""
        self.models = [handle.acquire() for handle in self.request.models]

    def process(self, term: Any, sample: pa.RecordBatch | None) -> Iterator[tuple[Any, Any]]:
        """Evaluates one term."""
        if sample is not None and sample.num_rows > 1:
            with TIMINGS.explaining():
                found = self.method.evaluate(self.models, sample, term)
            tell_timings()
            yield term, found
