"""From explained rows to what the tables are made of: contributions of batches, and how they are put together."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tfx_explain.job.explained import ExplainedExamples
from tfx_explain.job.request import ExplainRequest
from tfx_explain.methods.method import BASELINE, CANDIDATE, DIFFERENCE, Contribution, Key, SliceRows
from tfx_explain.methods.registry import AnyMethod, methods_of
from tfx_explain.rows import example_weights
from tfx_explain.slicing import OVERALL, SliceKey, slice_examples, slice_name
from tfx_explain.summary.counts import RowCount

EXAMPLES = ""
"""Stands where a method would, none of which has this name, for the number of rows of each slice."""


PlainKey = tuple[str, str, str, str, str, bool]
"""A `Key` as Beam groups by it, since plain tuples have a deterministic coder; and whether what has it counts for the
whole data too, to which its rows have not been added."""

_LEAST_ROWS = 64
"""Fewer rows of a slice are added to the whole data by themselves: merging what they add up to would cost as much."""


def contributions(explained: ExplainedExamples, request: ExplainRequest) -> Iterator[tuple[PlainKey, Contribution]]:
    """What a batch adds to the accumulators of each slice."""
    config = request.config
    weights = np.ones(explained.rows.num_rows)
    if config.example_weight_key is not None:
        weights = example_weights(explained.rows, config.example_weight_key)
    methods = methods_of(request.context)
    everything = np.arange(len(weights))
    slices = slice_examples(explained.rows, config.slicing_specs) | {(): everything}
    apart = _apart(slices, len(weights))
    if apart:
        slices[()] = np.delete(everything, np.concatenate([slices[key] for key in apart]))
    for slice_key, places in slices.items():
        if not len(places):
            continue
        part = SliceRows(places, weights[places], explained.draws[places])
        name, of_all = slice_name(slice_key), slice_key in apart
        yield (EXAMPLES, CANDIDATE, EXAMPLES, name, "", of_all), (RowCount, (part.weights,))
        for method in methods:
            for side, what, output, contribution in _of_method(method, explained.found[method.key], part):
                yield (method.key, side, what, name, output, of_all), contribution


def _apart(slices: Mapping[SliceKey, npt.NDArray[np.int64]], n_rows: int) -> set[SliceKey]:
    """Large slices of a batch that have no row in common, so that each of their rows is added up once, not twice."""
    free, found = np.ones(n_rows, bool), set()
    for key, places in slices.items():
        if key and len(places) >= _LEAST_ROWS and free[places].all():
            free[places] = False
            found.add(key)
    return found


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
    """One accumulator per key; several with one key are merged, and those of slices that count for the whole data."""
    together: dict[Key, list[Any]] = {}
    for (*plain, of_all), accumulator in summaries:
        key = Key(*plain)
        together.setdefault(key, []).append(accumulator)
        if of_all:
            together.setdefault(key._replace(slice_name=OVERALL), []).append(accumulator)
    return {key: merged(accumulators) for key, accumulators in together.items()}


def whole_data_first(accumulated: Mapping[Key, Any], outputs: Sequence[str]) -> dict[Key, Any]:
    """The same, the whole data before its slices, outputs in their order."""

    def place(key: Key) -> tuple[bool, str, str, str, str, int]:
        of_output = outputs.index(key.output) if key.output in outputs else -1
        return key.slice_name != OVERALL, key.method, key.side, key.what, key.slice_name, of_output

    return {key: accumulated[key] for key in sorted(accumulated, key=place)}
