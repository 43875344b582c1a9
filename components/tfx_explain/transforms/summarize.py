"""From explained rows to accumulators, one for each figure, slice and output."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import apache_beam as beam
import numpy as np

from tfx_explain.config import SlicingSpec
from tfx_explain.job.request import ExplainRequest
from tfx_explain.methods.method import BASELINE, CANDIDATE, DIFFERENCE, Contribution, Key, SliceRows
from tfx_explain.methods.registry import AnyMethod, methods_of
from tfx_explain.rows import example_weights
from tfx_explain.slicing import slice_examples, slice_name
from tfx_explain.summary.counts import RowCount
from tfx_explain.transforms.explain import ExplainedExamples

EXAMPLES = "examples"
"""Stands where a method would for the number of rows of each slice."""


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


def merged(accumulators: Iterable[Any]) -> Any:
    """One accumulator that has seen what all of them (at least one) have seen; they stay as they are."""
    first, *others = accumulators
    together = copy.deepcopy(first) if others else first
    for other in others:
        together.merge(other)
    return together


PlainKey = tuple[str, str, str, str, str]
"""A `Key` as Beam groups by it: plain tuples have a deterministic coder."""


def merged_by_key(summaries: Iterable[tuple[PlainKey, Any]]) -> dict[Key, Any]:
    """One accumulator per key; several with one key are merged."""
    together: dict[Key, Any] = {}
    for plain, accumulator in summaries:
        key = Key(*plain)
        together[key] = accumulator if key not in together else merged([together[key], accumulator])
    return together


def contributions(explained: ExplainedExamples, request: ExplainRequest) -> Iterator[tuple[PlainKey, Contribution]]:
    """What a batch adds to the accumulators of each slice."""
    config = request.config
    weights = np.ones(explained.rows.num_rows)
    if config.example_weight_key is not None:
        weights = example_weights(explained.rows, config.example_weight_key)
    methods = methods_of(request.context)
    for slice_key, places in slice_examples(explained.rows, [SlicingSpec(), *config.slicing_specs]).items():
        part = SliceRows(places, weights[places], explained.draws[places])
        name = slice_name(slice_key)
        yield (EXAMPLES, CANDIDATE, EXAMPLES, name, ""), (RowCount, (part.weights,))
        for method in methods:
            for side, what, output, contribution in _of_method(method, explained.found[method.key], part):
                yield (method.key, side, what, name, output), contribution


def _of_method(
    method: AnyMethod, sides: Sequence[Any], part: SliceRows
) -> Iterator[tuple[str, str, str, Contribution]]:
    """What some rows add: to the accumulators of each model, and of their difference where there are two."""
    for side, rows in zip((CANDIDATE, BASELINE), sides, strict=False):
        for what, output, contribution in method.contributions(rows, side, part):
            yield side, what, output, contribution
    if len(sides) > 1:
        ours, theirs = sides
        for what, output, contribution in method.differences(ours, theirs, part):
            yield DIFFERENCE, what, output, contribution


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
