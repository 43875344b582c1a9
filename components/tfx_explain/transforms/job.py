"""The whole run: one Beam job from examples to attributions and tables, then manifest and report here."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import apache_beam as beam

from tfx_explain import integrity, records, storage, tables
from tfx_explain.attribution_records import RecordLayout
from tfx_explain.config import ExplainConfig
from tfx_explain.errors import InputError
from tfx_explain.job.explained import ExplainedExamples
from tfx_explain.job.failures import check_failures, is_interrupt, raised_by_us
from tfx_explain.job.hiding import without_values
from tfx_explain.job.manifest import describe_run
from tfx_explain.job.request import BACKGROUND_NAMES, ExplainRequest
from tfx_explain.job.results import Collected, JobResults, write_tables
from tfx_explain.job.split_rows import background_name
from tfx_explain.methods.background import JobPlan
from tfx_explain.methods.registry import methods_of, second_passes_of
from tfx_explain.optional import is_installed
from tfx_explain.report import render_explanation
from tfx_explain.report.row_images import write_row_images
from tfx_explain.timings import TIMINGS, WRITE
from tfx_explain.transforms.attribution_stats import TFDV, WriteAttributionStats
from tfx_explain.transforms.decode import COUNTS, FAILED
from tfx_explain.transforms.explain import CheckExamples, ExplainExamples
from tfx_explain.transforms.limits import within_limits
from tfx_explain.transforms.near import KeepNear
from tfx_explain.transforms.plan import PlanJob, SettlePlan
from tfx_explain.transforms.read import ReadExamples
from tfx_explain.transforms.reasons import FindReasons
from tfx_explain.transforms.runner import check_ran
from tfx_explain.transforms.second_pass import LookAgain
from tfx_explain.transforms.select import SelectExamples, Selection
from tfx_explain.transforms.slices import CountSlices
from tfx_explain.transforms.stamp import stamp
from tfx_explain.transforms.summarize import Summarize
from tfx_explain.transforms.timing import tell_timings, told_timings
from tfx_explain.transforms.write import SampleForReport, WriteRecords, attribution_rows
from tfx_explain.unfinished import unfinished

_LOG = logging.getLogger(__name__)

_NAMED_REASONS = 3


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
    return run_job(within_limits(request, lambda tried: run_job(tried, make_pipeline)), make_pipeline)


def run_job(request: ExplainRequest, make_pipeline: Callable[[], beam.Pipeline]) -> dict[str, Any]:
    """The same without regard to `max_model_rows` and `max_seconds`."""
    started = time.monotonic()
    try:
        # Held, so that steps in this process share them.
        models = [handle.acquire() for handle in request.models]
        with unfinished(lambda: discard(request)), make_pipeline() as pipeline:
            build_job(pipeline, request)
        check_ran(pipeline)
        processes = told_timings(pipeline.result)
        for handle, model in zip(request.models, models, strict=True):
            handle.check(model)
        results = JobResults.take(request.explanation_dir)
        check_failures(results, request.example_patterns, request.config.max_failed_fraction)
        if not results.failures:
            storage.remove(storage.join(request.explanation_dir, tables.DEAD_LETTERS))
        manifest = describe_run(request, results, time.monotonic() - started, processes)
        write_row_images(request.explanation_dir, manifest)
        report = render_explanation(request.explanation_dir, manifest)
        storage.write_bytes(storage.join(request.explanation_dir, tables.REPORT), report.encode())
        manifest = integrity.with_digests(manifest, request.explanation_dir, request.attributions_dir)
        records.write_json(storage.join(request.explanation_dir, tables.MANIFEST), manifest)
    except BaseException as error:
        discard(request)
        # What this job spent is not the next one's.
        TIMINGS.take()
        if is_interrupt(error):
            raise KeyboardInterrupt from error
        ours = raised_by_us(error, (request.explanation_dir, request.attributions_dir))
        if ours is None or not isinstance(error, Exception):
            raise
        raise ours from error
    return manifest


def clear(explanation_dir: str, attributions_dir: str, splits: Iterable[str]) -> None:
    """Removes what an earlier try of a run left, and tries whether this one can write there.

    Raises:
      InputError: it cannot.
    """
    for uri in _written(explanation_dir, attributions_dir, splits):
        storage.remove(uri)
    for directory in (explanation_dir, attributions_dir):
        storage.check_writable(directory, tables.CLAIM)


def discard(request: ExplainRequest) -> None:
    """Removes what a run wrote, as far as that can be done.

    The directories stay: TFX made them, and trips over their absence when it cleans up after us.
    """
    for uri in _written(request.explanation_dir, request.attributions_dir, request.example_patterns):
        with contextlib.suppress(InputError):
            storage.remove(uri)


def _written(explanation_dir: str, attributions_dir: str, splits: Iterable[str]) -> Iterator[str]:
    """All that a run writes, and nothing else; the manifest first, without which nothing is taken for whole."""
    yield from (storage.join(explanation_dir, name) for name in tables.WRITTEN)
    yield from (storage.join(attributions_dir, f"Split-{split}") for split in splits)


@dataclasses.dataclass(frozen=True)
class _Flows:
    """What all steps have to say beside their rows: (split, failures), and ((split, what), n)."""

    failed: list[beam.PCollection] = dataclasses.field(default_factory=list)
    counts: list[beam.PCollection] = dataclasses.field(default_factory=list)


def build_job(pipeline: beam.Pipeline, request: ExplainRequest) -> None:
    """The Beam graph: choose a background, explain each split, summarise, write."""
    flows = _Flows()
    plan = _plan(pipeline, request, flows)
    selected = {split: _select(pipeline, request, split, flows) for split in request.example_patterns}
    if any(method.needs_row_count for method in methods_of(request.context)):
        plan = plan | "Settle" >> SettlePlan(list(selected.values()), request)
    explained = {split: _explain(rows, plan, request, split, flows) for split, rows in selected.items()}
    failures, what = flows.failed | "AllFailed" >> beam.Flatten(), records.DEAD_RECORD
    if request.stored_features is not None:
        failures, what = failures | "HideValues" >> beam.MapTuple(_hidden, request.config.id_key), tables.EXAMPLE_ID
    _ = (
        failures
        | "EncodeFailed" >> beam.FlatMapTuple(records.dead_letter_examples, what)
        | "WriteDeadLetters" >> WriteRecords(storage.join(request.explanation_dir, tables.DEAD_LETTERS))
    )
    counts = flows.counts | "AllCounts" >> beam.Flatten() | "Count" >> beam.CombinePerKey(sum)
    causes = failures | "Causes" >> beam.FlatMapTuple(_causes) | "CountCauses" >> beam.CombinePerKey(sum)
    _ = (
        pipeline
        | "Finish" >> beam.Create([request])
        | "WriteTables"
        >> beam.Map(
            _finish,
            plan=beam.pvalue.AsSingleton(plan),
            counts=beam.pvalue.AsDict(counts),
            failures=beam.pvalue.AsDict(causes),
            slices=beam.pvalue.AsSingleton(_count_slices(pipeline, list(selected.values()), request.config)),
            reasons=beam.pvalue.AsIter(_reasons(pipeline, explained, plan, request)),
            **_summarize(pipeline, explained, request),
        )
    )
    stamp(pipeline)


def _plan(pipeline: beam.Pipeline, request: ExplainRequest, flows: _Flows) -> beam.PCollection:
    """One JobPlan."""
    where = background_name(request.config.background.split)
    candidates = pipeline | "ReadBackground" >> ReadExamples(request.background_pattern, where)
    check = beam.ParDo(CheckExamples(request.models, BACKGROUND_NAMES)).with_outputs(FAILED, main="rows")
    usable = candidates.rows | "CheckBackground" >> check
    flows.failed.extend([candidates[FAILED], usable[FAILED]])
    flows.counts.append(candidates[COUNTS])
    rows, counted = _near(pipeline, usable.rows, request, flows)
    planned = rows | "PlanJob" >> PlanJob(request, counted)
    flows.failed.append(planned[FAILED])
    return planned.plan


def _near(
    pipeline: beam.Pipeline, rows: beam.PCollection, request: ExplainRequest, flows: _Flows
) -> tuple[beam.PCollection, beam.PCollection]:
    """The rows that the background is drawn from: all, or those near a cut-off; and how many these are."""
    if request.near is None:
        return rows, pipeline | "AllNear" >> beam.Create([])
    keep = beam.ParDo(KeepNear(request.models[0], request.near))
    kept = rows | "KeepNear" >> keep.with_outputs(FAILED, COUNTS, main="rows")
    flows.failed.append(kept[FAILED])
    flows.counts.append(kept[COUNTS])
    return kept.rows, kept[COUNTS]


def _select(pipeline: beam.Pipeline, request: ExplainRequest, split: str, flows: _Flows) -> beam.PCollection:
    """The SplitRows of a split that are to be explained, each with a random number of its own."""
    config, pattern = request.config, request.example_patterns[split]
    selection = Selection(config.max_examples or 0, config.seed, f"explained {split}")
    stream = selection.stream if config.max_examples is None else None
    examples = pipeline | f"Read[{split}]" >> ReadExamples(pattern, split, stream)
    check = beam.ParDo(CheckExamples(request.models, request.layout.names, request.context))
    readable = examples.rows | f"Check[{split}]" >> check.with_outputs(FAILED, main="rows")
    flows.failed.extend([examples[FAILED], readable[FAILED]])
    flows.counts.append(examples[COUNTS])
    if config.max_examples is None:
        return readable.rows
    return readable.rows | f"Select[{split}]" >> SelectExamples(selection, split, pattern)


def _explain(
    rows: beam.PCollection, plan: beam.PCollection, request: ExplainRequest, split: str, flows: _Flows
) -> beam.PCollection:
    """The ExplainedExamples of a split, whose records are written on the way."""
    explain = beam.ParDo(ExplainExamples(request), beam.pvalue.AsSingleton(plan))
    done = rows | f"Explain[{split}]" >> explain.with_outputs(FAILED, COUNTS, main="explained")
    _ = (
        done.explained
        | f"Encode[{split}]" >> beam.FlatMap(_encode, request.layout)
        | f"WriteAttributions[{split}]" >> WriteRecords(storage.join(request.attributions_dir, f"Split-{split}"))
    )
    flows.failed.append(done[FAILED])
    flows.counts.append(done[COUNTS])
    return done.explained


def _count_slices(
    pipeline: beam.Pipeline, selected: Sequence[beam.PCollection], config: ExplainConfig
) -> beam.PCollection:
    if not config.slice_features:
        return pipeline | "NoSlices" >> beam.Create([{}])
    return selected | "AllSelected" >> beam.Flatten() | "CountSlices" >> CountSlices(config)


def _summarize(
    pipeline: beam.Pipeline, explained: Mapping[str, beam.PCollection], request: ExplainRequest
) -> dict[str, Any]:
    """What `Collected` has of the explained rows, by the names it has there."""
    everything = list(explained.values())
    if is_installed(TFDV):
        _ = (everything[0] if len(everything) == 1 else everything | "AllExplained" >> beam.Flatten()) | (
            "AttributionStats" >> WriteAttributionStats(request)
        )
    else:
        _LOG.warning("No statistics of the attributions: %s is not installed (the extra `statistics`).", TFDV)
    # Each split is summarised by itself: a runner may hold in memory what it flattens.
    per_split = [rows | f"Summarize[{split}]" >> Summarize(request) for split, rows in explained.items()]
    summaries = per_split | "AllSummaries" >> beam.Flatten()
    second = [
        summaries | f"LookAgain[{method.name}]" >> LookAgain(method, request, explained)
        for method in second_passes_of(request.context)
    ] or [pipeline | "NoSecondPass" >> beam.Create([])]
    samples = [rows | f"ReportSample[{split}]" >> SampleForReport(request.layout) for split, rows in explained.items()]
    return {
        "summaries": beam.pvalue.AsIter(summaries),
        "second": beam.pvalue.AsDict(second | "AllSecondPasses" >> beam.Flatten()),
        "samples": beam.pvalue.AsIter(samples | "AllSamples" >> beam.Flatten()),
    }


def _reasons(
    pipeline: beam.Pipeline,
    explained: Mapping[str, beam.PCollection],
    plan: beam.PCollection,
    request: ExplainRequest,
) -> beam.PCollection:
    """ReasonRows of all splits; none where no reasons were asked for."""
    if request.reasons is None:
        return pipeline | "NoReasons" >> beam.Create([])
    found = [rows | f"FindReasons[{split}]" >> FindReasons(request.reasons, plan) for split, rows in explained.items()]
    return found | "AllReasons" >> beam.Flatten()


def _finish(request: ExplainRequest, *, plan: JobPlan, **collected: Any) -> None:
    with TIMINGS.of(WRITE):
        write_tables(request, plan, Collected(**collected)).write(request.explanation_dir)
    tell_timings()


def _encode(explained: ExplainedExamples, layout: RecordLayout) -> list[bytes]:
    with TIMINGS.of(WRITE):
        return records.encode_examples(attribution_rows(explained, layout))


def _hidden(
    split: str, failures: Sequence[tuple[bytes, str]], id_key: str | None = None
) -> tuple[str, list[tuple[bytes, str]]]:
    return split, without_values(failures, id_key)


def _causes(split: str, failures: Sequence[tuple[bytes, str]]) -> Iterator[tuple[tuple[str, str], int]]:
    for _, reason in failures:
        yield (split, reason), 1
