"""From explained rows to accumulated tables, one for each (slice, output)."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

import apache_beam as beam
import numpy as np

from tfx_explain.config import ExplainConfig, SlicingSpec
from tfx_explain.methods.losses.plan import BASELINE_METHODS
from tfx_explain.methods.profiles.plan import num_ice
from tfx_explain.methods.profiles.rows import ProfileAccumulator
from tfx_explain.rows import example_weights
from tfx_explain.slicing import IntArray, slice_examples, slice_name
from tfx_explain.summary.importance import ImportanceAccumulator
from tfx_explain.summary.interactions import InteractionAccumulator
from tfx_explain.summary.ratio import Array
from tfx_explain.summary.sizes import NoisyMoments, debiased_sizes
from tfx_explain.transforms.explain import ExplainedExamples, ExplainedOutputs

IMPORTANCE = "importance"
INTERACTIONS = "interactions"
BASELINE = "baseline"
DIFFERENCE = "difference"
PROFILES = "profiles"
BASELINE_PROFILES = "baseline_profiles"
PROFILE_DIFFERENCES = "profile_differences"

Key = tuple[str, str, str]
"""Table, slice, output."""


class Summarize(beam.PTransform):
    """ExplainedExamples to ((table, slice, output), accumulator), one element for each key.

    Tables: `importance`; `interactions` where they were asked for; with a baseline model `baseline`, its importance,
    and `difference`, the paired differences of the sizes of each row's attributions; `profiles` where they
    were asked for, with a baseline model also its own, and those of the paired differences of the rows; one for each
    method that needs labels, of all outputs together, and one more of the baseline model. Each has the whole data and
    the slices that were asked for, also those that are too small: a step that waited for their sizes would make the
    runner hold all explained rows in memory.

    Args:
      outputs: their names.
      config: says what to slice by, and which feature weights the rows.
    """

    def __init__(self, outputs: Sequence[str], config: ExplainConfig) -> None:
        super().__init__()
        self.outputs = tuple(outputs)
        self.config = config

    def expand(self, explained: beam.PCollection) -> beam.PCollection:
        """Adds the steps."""
        return (
            explained
            | "ByKey" >> beam.FlatMap(contributions, self.outputs, self.config)
            | "Accumulate" >> beam.CombinePerKey(_AccumulateFn())
        )


def merged(accumulators: Iterable[Any]) -> Any:
    """One accumulator that has seen what all of them (at least one) have seen; they stay as they are."""
    first, *others = accumulators
    together = copy.deepcopy(first) if others else first
    for other in others:
        together.merge(other)
    return together


Contribution = tuple[Callable[[], Any], tuple[Any, ...]]
"""How to make an empty accumulator, and the arguments of its `add`."""


def contributions(
    explained: ExplainedExamples, outputs: Sequence[str], config: ExplainConfig
) -> Iterator[tuple[Key, Contribution]]:
    """What a batch adds to the tables of each slice."""
    name = config.example_weight_key
    n_rows = explained.rows.num_rows
    weights = np.ones(n_rows) if name is None else example_weights(explained.rows, name)
    everything = slice_examples(explained.rows, [SlicingSpec(), *config.slicing_specs])
    for key, rows in everything.items():
        for index, output in enumerate(outputs):
            for table, contribution in _tables(explained, index, rows, weights[rows], num_ice(config)):
                yield (table, slice_name(key), output), contribution
        for method, losses in explained.losses.items():
            theirs = explained.baseline_losses.get(method)
            for table, side in ((method, losses), (BASELINE_METHODS[method], theirs)):
                of_rows = None if side is None else side.contribution(rows, weights[rows])
                if of_rows is not None:
                    yield (table, slice_name(key), losses.output), of_rows


def _tables(
    explained: ExplainedExamples, index: int, rows: IntArray, weights: Array, n_ice: int
) -> Iterator[tuple[str, Contribution]]:
    """What some rows add to each table of one output."""
    ours, baseline = explained.outputs, explained.baseline
    n_players, n_pairs = ours.attributions.shape[1], ours.interactions.shape[1]
    empty_importance = partial(ImportanceAccumulator, n_players)
    yield IMPORTANCE, (empty_importance, _importance_of(ours, index, rows, weights))
    if n_pairs:
        yield INTERACTIONS, (partial(InteractionAccumulator, n_pairs), (ours.interactions[..., index][rows], weights))
    if baseline is not None:
        yield BASELINE, (empty_importance, _importance_of(baseline, index, rows, weights))
        yield (
            DIFFERENCE,
            (partial(NoisyMoments.empty, n_players, full=True), _change(ours, baseline, index, rows, weights)),
        )
    profiled = [profiled.take(rows) for profiled in explained.profiled]
    if len(profiled) > 1:
        profiled.append(profiled[0] - profiled[1])
    for table, of_rows in zip((PROFILES, BASELINE_PROFILES, PROFILE_DIFFERENCES), profiled, strict=False):
        made_by = partial(ProfileAccumulator, of_rows.plan, n_ice if table == PROFILES else 0)
        yield table, (made_by, (of_rows, index, explained.draws[rows], weights))


def _importance_of(outputs: ExplainedOutputs, index: int, rows: IntArray, weights: Array) -> tuple[Any, ...]:
    """What `ImportanceAccumulator.add` takes."""
    names = ("attributions", "design_std_error", "background_std_error", "completeness_gap", "prediction")
    figures = tuple(getattr(outputs, name)[..., index][rows] for name in names)
    return (*figures, weights, _noise(outputs, index, rows), outputs.design_ids[rows])


def _noise(outputs: ExplainedOutputs, index: int, rows: IntArray) -> Array:
    """(n, d) standard deviations of the attributions' errors."""
    return np.asarray(outputs.design_std_error[..., index][rows] * outputs.noise_ratio[rows, None])


def _change(
    ours: ExplainedOutputs, baseline: ExplainedOutputs, index: int, rows: IntArray, weights: Array
) -> tuple[Any, ...]:
    """What `NoisyMoments.add` takes of the paired differences of sizes; what is alike in both has the same bias."""
    found = [side.attributions[..., index][rows] for side in (ours, baseline)]
    noise = [_noise(side, index, rows) for side in (ours, baseline)]
    (our_sizes, our_doubt), (their_sizes, their_doubt) = map(debiased_sizes, found, noise)
    doubt = np.minimum(our_doubt + their_doubt, np.abs(found[0] - found[1]))
    return our_sizes - their_sizes, weights, noise[0] ** 2 + noise[1] ** 2, doubt, ours.design_ids[rows]


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
