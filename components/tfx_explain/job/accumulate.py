"""From explained rows to what the tables are made of: contributions of batches, and how they are put together."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from tfx_explain.config import SlicingSpec
from tfx_explain.job.explained import ExplainedExamples
from tfx_explain.job.request import ExplainRequest
from tfx_explain.methods.method import BASELINE, CANDIDATE, DIFFERENCE, Contribution, Key, SliceRows
from tfx_explain.methods.registry import AnyMethod, methods_of
from tfx_explain.rows import example_weights
from tfx_explain.slicing import OVERALL, slice_examples, slice_name
from tfx_explain.summary.counts import RowCount

EXAMPLES = ""
"""Stands where a method would, none of which has this name, for the number of rows of each slice."""


PlainKey = tuple[str, str, str, str, str]
"""A `Key` as Beam groups by it: plain tuples have a deterministic coder."""


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


def merged(accumulators: Iterable[Any]) -> Any:
    """One accumulator that has seen what all of them (at least one) have seen; they stay as they are."""
    first, *others = accumulators
    together = copy.deepcopy(first) if others else first
    for other in others:
        together.merge(other)
    return together


def merged_by_key(summaries: Iterable[tuple[PlainKey, Any]]) -> dict[Key, Any]:
    """One accumulator per key; several with one key are merged."""
    together: dict[Key, Any] = {}
    for plain, accumulator in summaries:
        key = Key(*plain)
        together[key] = accumulator if key not in together else merged([together[key], accumulator])
    return together


def whole_data_first(accumulated: Mapping[Key, Any], outputs: Sequence[str]) -> dict[Key, Any]:
    """The same, the whole data before its slices, outputs in their order."""

    def place(key: Key) -> tuple[bool, str, str, str, str, int]:
        of_output = outputs.index(key.output) if key.output in outputs else -1
        return key.slice_name != OVERALL, key.method, key.side, key.what, key.slice_name, of_output

    return {key: accumulated[key] for key in sorted(accumulated, key=place)}
