"""The whole run: one Beam job from examples to attributions and tables, then manifest and report here."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import apache_beam as beam
import numpy as np

from tfx_explain import errors, records, storage
from tfx_explain.errors import InputError, TfxExplainError, TooManyFailedRowsError
from tfx_explain.report import render_explanation
from tfx_explain.rows import SmallestHashes
from tfx_explain.slicing import OVERALL, SliceKey
from tfx_explain.summary.importance import ImportanceSummary
from tfx_explain.transforms.attribution_stats import WriteAttributionStats
from tfx_explain.transforms.background import Background
from tfx_explain.transforms.designs import shapley_design
from tfx_explain.transforms.explain import CheckExamples, ExplainExamples, output_names
from tfx_explain.transforms.interaction_strength import METHOD as INTERACTION_STRENGTH
from tfx_explain.transforms.interaction_strength import InteractionStrengths, MeasureInteractionStrength
from tfx_explain.transforms.loss_plan import wants_losses
from tfx_explain.transforms.losses import describe_losses
from tfx_explain.transforms.manifest import describe_run
from tfx_explain.transforms.plan import ChooseBackground, SettleLosses
from tfx_explain.transforms.read import COUNTS, FAILED, ReadExamples
from tfx_explain.transforms.request import ExplainRequest
from tfx_explain.transforms.select import SelectExamples
from tfx_explain.transforms.slices import CountSlices, describe_slices
from tfx_explain.transforms.summarize import IMPORTANCE, Key, Summarize, merged
from tfx_explain.transforms.write import SampleForReport, Tables, WriteRecords, attribution_rows

_RUN = "run.json"
"""What the workers found out, for the manifest; gone when the run ends."""

_N_TOP = 10


def run_explanation(request: ExplainRequest, make_pipeline: Callable[[], beam.Pipeline]) -> dict[str, Any]:
    """Runs the job and completes the explanation: manifest last, so that a half-written one is never taken for whole.

    Args:
      request: what to do.
      make_pipeline: a Beam pipeline with its runner.

    Returns:
      The manifest.

    Raises:
      TooManyFailedRowsError: more than `max_failed_fraction` of the rows of a split could not be explained.
      TfxExplainError: anything else that is wrong with model, examples or configuration.
    """
    started = time.monotonic()
    try:
        with make_pipeline() as pipeline:
            build_job(pipeline, request)
        run = records.read_json(storage.join(request.explanation_dir, _RUN))
        storage.remove(storage.join(request.explanation_dir, _RUN))
        _check_failures(run, request.config.max_failed_fraction)
        if not run["failures"]:
            storage.remove(storage.join(request.explanation_dir, records.DEAD_LETTERS))
        manifest = describe_run(request, run, time.monotonic() - started)
        report = render_explanation(request.explanation_dir, manifest)
        storage.write_bytes(storage.join(request.explanation_dir, records.REPORT), report.encode())
        records.write_json(storage.join(request.explanation_dir, records.MANIFEST), manifest)
    except Exception as error:
        # The directories stay: TFX made them, and trips over their absence when it cleans up after us.
        storage.clear(request.explanation_dir)
        storage.clear(request.attributions_dir)
        ours = _raised_by_us(error)
        if ours is None:
            raise
        raise ours from error
    return manifest


def build_job(pipeline: beam.Pipeline, request: ExplainRequest) -> None:
    """The Beam graph: choose a background, explain each split, summarise, write."""
    config = request.config
    players = tuple(request.players)
    outputs = output_names(request.model.acquire(), config)
    failed, counts, selected, ready, explained = [], [], [], {}, {}

    where = f"{config.background.split} (background)"
    candidates = pipeline | "ReadBackground" >> ReadExamples(request.background_pattern, where)
    usable = candidates.rows | "CheckBackground" >> beam.ParDo(CheckExamples(request.models)).with_outputs(
        FAILED, main="rows"
    )
    failed += [candidates[FAILED], usable[FAILED]]
    counts.append(candidates[COUNTS])
    background = usable.rows | "ChooseBackground" >> ChooseBackground(request)

    for split, pattern in request.example_patterns.items():
        examples = pipeline | f"Read[{split}]" >> ReadExamples(pattern, split)
        readable = examples.rows | f"Check[{split}]" >> beam.ParDo(CheckExamples(request.models, config)).with_outputs(
            FAILED, main="rows"
        )
        rows = readable.rows
        if config.max_examples is not None:
            rows = rows | f"Select[{split}]" >> SelectExamples(config.max_examples, config.seed)
        failed += [examples[FAILED], readable[FAILED]]
        counts.append(examples[COUNTS])
        selected.append(rows)
        ready[split] = rows
    if wants_losses(config):
        background = background | "SettleLosses" >> SettleLosses(selected, config.method("sage"))

    for split, rows in ready.items():
        done = rows | f"Explain[{split}]" >> beam.ParDo(
            ExplainExamples(request), beam.pvalue.AsSingleton(background)
        ).with_outputs(FAILED, COUNTS, main="explained")
        _ = (
            done.explained
            | f"Encode[{split}]" >> beam.FlatMap(_encode, players, config.id_key)
            | f"WriteAttributions[{split}]" >> WriteRecords(storage.join(request.attributions_dir, f"Split-{split}"))
        )
        failed.append(done[FAILED])
        counts.append(done[COUNTS])
        explained[split] = done.explained

    failures = failed | "AllFailed" >> beam.Flatten()
    _ = (
        failures
        | "EncodeFailed" >> beam.FlatMapTuple(records.dead_letter_examples)
        | "WriteDeadLetters" >> WriteRecords(storage.join(request.explanation_dir, records.DEAD_LETTERS))
    )
    if config.slice_features:
        slices = selected | "AllSelected" >> beam.Flatten() | "CountSlices" >> CountSlices(config)
    else:
        slices = pipeline | "NoSlices" >> beam.Create([{}])
    everything = list(explained.values())
    _ = (everything[0] if len(everything) == 1 else everything | "AllExplained" >> beam.Flatten()) | (
        "AttributionStats" >> WriteAttributionStats(request.explanation_dir, players, outputs, config)
    )
    # Each split is summarised by itself: a runner may hold in memory what it flattens.
    summaries = [rows | f"Summarize[{split}]" >> Summarize(outputs, config) for split, rows in explained.items()]
    summaries = summaries | "AllSummaries" >> beam.Flatten()
    if config.method(INTERACTION_STRENGTH) is not None:
        strengths = summaries | "InteractionStrength" >> MeasureInteractionStrength(request, explained)
    else:
        strengths = pipeline | "NoInteractionStrength" >> beam.Create([None])
    samples = [
        rows | f"ReportSample[{split}]" >> SampleForReport(players, config.id_key, config.seed)
        for split, rows in explained.items()
    ]
    _ = (
        pipeline
        | "Finish" >> beam.Create([request.explanation_dir])
        | "WriteTables"
        >> beam.Map(
            _write_tables,
            request,
            background=beam.pvalue.AsSingleton(background),
            summaries=beam.pvalue.AsIter(summaries),
            strengths=beam.pvalue.AsSingleton(strengths),
            slices=beam.pvalue.AsSingleton(slices),
            samples=beam.pvalue.AsIter(samples | "AllSamples" >> beam.Flatten()),
            counts=beam.pvalue.AsDict(counts | "AllCounts" >> beam.Flatten() | "Count" >> beam.CombinePerKey(sum)),
            failures=beam.pvalue.AsDict(
                failures | "Reasons" >> beam.FlatMapTuple(_reasons) | "CountReasons" >> beam.CombinePerKey(sum)
            ),
        )
    )


def _encode(explained: Any, players: Sequence[str], id_key: str | None) -> list[bytes]:
    return records.encode_examples(attribution_rows(explained, players, id_key))


def _reasons(split: str, failures: Sequence[tuple[bytes, str]]) -> Iterator[tuple[tuple[str, str], int]]:
    for _, reason in failures:
        yield (split, reason), 1


def _write_tables(
    directory: str,
    request: ExplainRequest,
    *,
    background: Background,
    summaries: Iterable[tuple[Key, Any]],
    strengths: InteractionStrengths | None,
    slices: Mapping[SliceKey, int],
    samples: Iterable[SmallestHashes],
    counts: Mapping[tuple[str, str], int],
    failures: Mapping[tuple[str, str], int],
) -> None:
    """The last step of the job, run once: tables, and what the manifest needs to know of the run."""
    players, config = tuple(request.players), request.config
    accumulated: dict[Key, Any] = {}
    for key, accumulator in summaries:
        accumulated[key] = accumulator if key not in accumulated else merged([accumulated[key], accumulator])
    design = shapley_design(config, len(players), background.weights, budget=background.budget)
    importance = {key[1:]: value for key, value in accumulated.items() if key[0] == IMPORTANCE}
    num_examples = {slice_key: value.n_examples for (slice_key, _), value in importance.items()}
    # Rows that failed, or have a weight of 0, may have left too few.
    small = {name for name, n in num_examples.items() if name != OVERALL and n < config.min_slice_examples}
    accumulated = {key: value for key, value in accumulated.items() if key[1] not in small}
    if accumulated:
        _check_weights(num_examples[OVERALL], config.example_weight_key)
        tables = Tables(directory, players, design.interaction_pairs, design.interaction_index)
        strength_table = None if strengths is None else strengths.table
        tables.write(accumulated, background, merged(samples).result(), strength_table)
    results = {output: value.result() for (slice_key, output), value in importance.items() if slice_key == OVERALL}
    by_split: dict[str, dict[str, Any]] = {}
    for (split, what), n in sorted(counts.items()):
        by_split.setdefault(split, {})[what] = f"{n % 2**64:016x}" if what == "digest" else n
    by_reason: dict[str, dict[str, int]] = {}
    for (split, reason), n in sorted(failures.items(), key=lambda item: (item[0][0], -item[1], item[0][1])):
        by_reason.setdefault(split, {})[reason] = n
    records.write_json(
        storage.join(directory, _RUN),
        {
            "counts": by_split,
            "failures": by_reason,
            "background": {
                "num_rows": background.rows.num_rows,
                "digest": background.digest,
                "base_values": background.base_values.tolist(),
            },
            "design": {
                "estimator": design.estimator,
                "coalitions_per_background_row": design.n_coalitions,
                "background_blocks": design.n_blocks,
                "model_rows_per_example": design.n_model_rows,
                "interaction_index": design.interaction_index,
            },
            "slices": describe_slices(config, slices, num_examples),
            "profiles": {} if background.profiles is None else background.profiles.describe(request.config),
            "strengths": {} if strengths is None else {INTERACTION_STRENGTH: dict(strengths.description)},
            "losses": describe_losses(accumulated, background.losses, config),
            "top_players": _top_players(players, results),
            "max_gap": max((result.max_completeness_gap for result in results.values()), default=0.0),
            "max_relative_gap": max((r.max_relative_completeness_gap for r in results.values()), default=0.0),
        },
    )


def _check_weights(n_weighted: int, weight: str | None) -> None:
    if not n_weighted:
        raise InputError(
            f"every explained row has an example weight `{weight}` of 0, so there is nothing to average; "
            "give some rows a positive weight."
        )


def _top_players(players: Sequence[str], results: Mapping[str, ImportanceSummary]) -> list[str]:
    """The most important players of the first output, most important first."""
    first = next(iter(sorted(results)), None)
    return [] if first is None else [players[i] for i in np.argsort(results[first].rank, kind="stable")[:_N_TOP]]


def _check_failures(run: Mapping[str, Any], allowed: float) -> None:
    for split, counts in run["counts"].items():
        reasons = run["failures"].get(split, {})
        failed, read = sum(reasons.values()), counts.get("read", 0)
        if failed > allowed * read:
            reason, n = max(reasons.items(), key=lambda item: item[1])
            raise TooManyFailedRowsError(
                f"{failed} of {read} rows of split `{split}` could not be explained, more than the fraction "
                f"{allowed} that `max_failed_fraction` allows; most often ({n} rows): {reason}."
            )
        if "(background)" not in split and not counts.get("explained"):
            raise InputError(f"no row of split `{split}` could be explained ({read} read); see the reasons above.")


def _raised_by_us(error: BaseException) -> TfxExplainError | None:
    """The error of ours behind one that Beam raised: Beam wraps those of its workers in their own text."""
    if isinstance(error, TfxExplainError):
        return type(error)(_without_stage(str(error)))
    found = re.findall(r"tfx_explain\.errors\.(\w+): (.+)", str(error))
    if found and hasattr(errors, found[-1][0]):
        ours = getattr(errors, found[-1][0])(_without_stage(found[-1][1]))
        return ours if isinstance(ours, TfxExplainError) else None
    return None


def _without_stage(message: str) -> str:
    return re.sub(r" \[while running '[^']*'\]", "", message.split("\\n")[0]).strip()
