"""What a run has found beside its tables: made by the worker that writes them, read by the driver."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from tfx_explain import records, storage, tables
from tfx_explain.config import ExplainConfig
from tfx_explain.content_sample import SmallestDraws
from tfx_explain.errors import InputError
from tfx_explain.job.accumulate import EXAMPLES, PlainKey, merged, merged_by_key, whole_data_first
from tfx_explain.job.near import NEAR, near_counts
from tfx_explain.job.reason_rows import ReasonRows, reasons_table
from tfx_explain.job.request import ExplainRequest
from tfx_explain.methods.attribution_tables import SIZES
from tfx_explain.methods.background import Background, JobPlan
from tfx_explain.methods.method import CANDIDATE, Accumulated, Key, TableRows
from tfx_explain.methods.outputs import looks_like_probabilities
from tfx_explain.methods.registry import methods_of
from tfx_explain.slicing import OVERALL, SliceKey, in_spec, slice_name, spec_name
from tfx_explain.summary.counts import RowCount
from tfx_explain.summary.importance import ImportanceAccumulator

_N_TOP = 10
_MAX_REASONS = 50
_TYPES = {table.file: table.types for table in tables.TABLES}
_OTHER_REASONS = "other reasons, which the dead letters name"


@dataclasses.dataclass(frozen=True)
class JobResults:
    """What the manifest needs to know of a run.

    Attributes:
      counts: split -> what was done -> how often.
      failures: split -> reason -> rows that could not be explained for it, most frequent first.
      background: number of rows, digest, model rows that planning took, and how many rows were near a cut-off.
      looks_like_probabilities: in words, what the outputs have in common with them; "" where nothing.
      outputs: indices of the outputs that are explained.
      base_values: mean predictions of the background, of each of these.
      methods: name -> its entry in the manifest.
      slices: which there are, and which are too small.
      top_players: the most important ones of the first output, by the main method that attributes.
      gaps: method that attributes, the main one first -> its largest completeness gaps.
    """

    counts: dict[str, dict[str, Any]]
    failures: dict[str, dict[str, int]]
    background: dict[str, Any]
    looks_like_probabilities: str
    outputs: list[int]
    base_values: list[float]
    methods: dict[str, dict[str, Any]]
    slices: dict[str, list[Any]]
    top_players: list[str]
    gaps: dict[str, dict[str, float]]

    def write(self, directory: str) -> None:
        """Leaves it where the driver finds it, which may be on another machine."""
        records.write_json(storage.join(directory, tables.RUN), dataclasses.asdict(self))

    @classmethod
    def take(cls, directory: str) -> JobResults:
        """What was written, which is then gone."""
        uri = storage.join(directory, tables.RUN)
        results = cls(**records.read_json(uri))
        storage.remove(uri)
        return results


@dataclasses.dataclass(frozen=True)
class Collected:
    """What all steps of a run have to say at its end.

    Attributes:
      summaries: accumulators by key; several with one key are merged.
      second: name of a method that looked at rows again -> its rows of tables, and its entry in the manifest.
      slices: slice -> rows before they were explained.
      samples: rows for the report.
      reasons: of all rows that have some.
      counts: (split, what) -> n.
      failures: (split, reason) -> n.
    """

    summaries: Iterable[tuple[PlainKey, Any]]
    second: Mapping[str, tuple[Mapping[str, pd.DataFrame], Mapping[str, Any]]]
    slices: Mapping[SliceKey, int]
    samples: Iterable[SmallestDraws]
    reasons: Iterable[ReasonRows]
    counts: Mapping[tuple[str, str], int]
    failures: Mapping[tuple[str, str], int]


def write_tables(request: ExplainRequest, plan: JobPlan, collected: Collected) -> JobResults:
    """Writes the tables.

    Args:
      request: what was asked for.
      plan: of the job.
      collected: from all steps.

    Raises:
      InputError: every row has a weight of 0.
    """
    config, directory = request.config, request.explanation_dir
    accumulated = whole_data_first(merged_by_key(collected.summaries), request.outputs)
    counted = {key.slice_name: value for key, value in accumulated.items() if key.method == EXAMPLES}
    num_examples = {name: value.n_examples for name, value in counted.items()}
    # Rows that failed, or have a weight of 0, may have left too few.
    small = {name for name, n in num_examples.items() if name != OVERALL and n < config.min_slice_examples}
    accumulated = {key: value for key, value in accumulated.items() if key.slice_name not in small}
    methods, of_methods = methods_of(request.context), _by_method(accumulated)
    if accumulated:
        _check_weights(num_examples[OVERALL], config.example_weight_key)
        made = [method.tables(of_methods.get(method.key, Accumulated({})), plan) for method in methods]
        _write(directory, [*made, *(of_method for of_method, _ in collected.second.values())])
        _write_rows(request, plan.background, merged(collected.samples).result())
        _write_reasons(request, collected.reasons)
    described = {
        name: dict(entry)
        for method in methods
        for name, entry in method.describe(of_methods.get(method.key, Accumulated({})), plan).items()
    }
    importance = {
        name: _importance(of_methods.get(name, Accumulated({})), request.outputs) for name in request.layout.methods
    }
    return JobResults(
        counts=_counts_by_split(collected.counts),
        failures=_reasons_by_split(collected.failures),
        background=_background(request, plan, collected.counts),
        looks_like_probabilities=looks_like_probabilities(plan.predictions[0]),
        outputs=plan.outputs.tolist(),
        base_values=plan.side(0).base_values.tolist(),
        methods=described | {name: dict(entry) for name, (_, entry) in collected.second.items()},
        slices=describe_slices(config, collected.slices, counted),
        top_players=_top_players(tuple(request.players), next(iter(importance.values()), [])),
        gaps={name: _largest_gaps(of_method) for name, of_method in importance.items()},
    )


def _background(request: ExplainRequest, plan: JobPlan, counts: Mapping[tuple[str, str], int]) -> dict[str, Any]:
    """What the entry `background` of the manifest has of the rows, and of what it took."""
    model_rows, near = dict(plan.model_rows), {}
    if request.near is not None:
        n_near, n_rows = near_counts(request.config.background.split, counts)
        model_rows[NEAR] = n_rows
        near = {NEAR: {"num_rows": n_near, "of": n_rows, "output": request.near.name, "unit": request.near.unit}}
    return {
        "num_rows": plan.background.rows.num_rows,
        "digest": plan.background.digest,
        "model_rows": model_rows,
        **near,
    }


def _importance(accumulated: Accumulated, outputs: Sequence[str]) -> list[ImportanceAccumulator]:
    """What a method that attributes says of the whole data, in the order of the outputs."""
    sizes = accumulated.side(CANDIDATE, SIZES)
    return [sizes[OVERALL, output] for output in outputs if (OVERALL, output) in sizes]


def _largest_gaps(of_outputs: Sequence[ImportanceAccumulator]) -> dict[str, float]:
    """The entry of a method in `completeness_gaps` of the manifest."""
    return {
        "max_abs": max((one.max_completeness_gap for one in of_outputs), default=0.0),
        "max_relative": max((one.max_relative_completeness_gap for one in of_outputs), default=0.0),
    }


def _by_method(accumulated: Mapping[Key, Any]) -> dict[str, Accumulated]:
    """Key of a method -> what is of it."""
    of_methods: dict[str, dict[Key, Any]] = {}
    for key, value in accumulated.items():
        of_methods.setdefault(key.method, {})[key] = value
    return {method: Accumulated(values) for method, values in of_methods.items()}


def describe_slices(
    config: ExplainConfig, counted: Mapping[SliceKey, int], explained: Mapping[str, RowCount]
) -> dict[str, list[Any]]:
    """The entry `slices` of the manifest.

    Args:
      config: says which slices were asked for, and how many rows they need.
      counted: slice -> rows before they were explained.
      explained: name of the slice -> its explained rows.
    """
    least = config.min_slice_examples

    def entry(name: str, key: SliceKey) -> dict[str, Any]:
        rows = explained.get(name, RowCount())
        weighted = {"num_effective_examples": rows.n_effective} if config.example_weight_key is not None else {}
        return {"slice": name, "features": dict(key), "num_examples": rows.n_examples, **weighted}

    whole = entry(OVERALL, ())
    included: list[dict[str, Any]] = [whole]
    too_small: list[dict[str, Any]] = []
    for key in sorted(counted):
        name = slice_name(key)
        described = entry(name, key)
        (included if described["num_examples"] >= least else too_small).append(described)
    return {
        "included": included,
        "too_small": too_small,
        "without_examples": [
            spec_name(spec)
            for spec in config.slicing_specs
            if spec.features and not any(in_spec(key, spec) for key in counted)
        ],
    }


def _write(directory: str, made: Iterable[Mapping[str, TableRows]]) -> None:
    """Writes every table, the rows of each method after those of the one before."""
    parts: dict[str, list[TableRows]] = {}
    for of_method in made:
        for name, rows in of_method.items():
            parts.setdefault(name, []).append(rows)
    for name, of_table in parts.items():
        records.write_table(storage.join(directory, name), _together(of_table), _TYPES[name])


def _together(of_methods: Sequence[TableRows]) -> TableRows:
    """The rows of all methods, whose frames may have other columns."""
    frames = [rows for rows in of_methods if isinstance(rows, pd.DataFrame)]
    if len(frames) < len(of_methods):
        return itertools.chain.from_iterable([rows] if isinstance(rows, pd.DataFrame) else rows for rows in of_methods)
    return frames[0] if len(frames) == 1 else pd.concat(frames, ignore_index=True)


def _write_rows(request: ExplainRequest, background: Background, examples: pa.RecordBatch | None) -> None:
    """Writes the background with its weights, and the rows for the report."""
    directory, stored = request.explanation_dir, request.stored_features
    rows = pa.Table.from_batches([background.rows])
    rows = rows.drop([name for name in rows.schema.names if stored is not None and name not in stored])
    if tables.BACKGROUND_WEIGHT in rows.schema.names:  # without values, else its rows would have been refused
        rows = rows.drop([tables.BACKGROUND_WEIGHT])
    weighted = rows.append_column(tables.BACKGROUND_WEIGHT, pa.array(background.weights))
    records.write_table(storage.join(directory, tables.BACKGROUND.file), weighted)
    if examples is not None:
        table = pa.Table.from_batches([examples])
        records.write_table(storage.join(directory, tables.REPORT_EXAMPLES.file), table)


def _write_reasons(request: ExplainRequest, found: Iterable[ReasonRows]) -> None:
    if request.reasons is not None:
        table = reasons_table(found, request.reasons, list(request.example_patterns))
        records.write_table(storage.join(request.explanation_dir, tables.REASONS.file), table)


def _counts_by_split(counts: Mapping[tuple[str, str], int]) -> dict[str, dict[str, Any]]:
    by_split: dict[str, dict[str, Any]] = {}
    for (split, what), n in sorted(counts.items()):
        by_split.setdefault(split, {})[what] = f"{n % 2**64:016x}" if what == "digest" else n
    return by_split


def _reasons_by_split(failures: Mapping[tuple[str, str], int]) -> dict[str, dict[str, int]]:
    """Split -> reason -> n, most frequent first; what models say of single rows may be as many reasons as rows."""
    by_split: dict[str, dict[str, int]] = {}
    for (split, reason), n in sorted(failures.items(), key=lambda item: (item[0][0], -item[1], item[0][1])):
        reasons = by_split.setdefault(split, {})
        named = reason if len(reasons) < _MAX_REASONS else _OTHER_REASONS
        reasons[named] = reasons.get(named, 0) + n
    return by_split


def _check_weights(n_weighted: int, weight: str | None) -> None:
    if not n_weighted:
        raise InputError(
            f"every explained row has an example weight `{weight}` of 0, so there is nothing to average; "
            "give some rows a positive weight."
        )


def _top_players(players: Sequence[str], of_outputs: Sequence[ImportanceAccumulator]) -> list[str]:
    """The most important players of the first output, most important first."""
    return [players[i] for i in np.argsort(of_outputs[0].ranks(), kind="stable")[:_N_TOP]] if of_outputs else []
