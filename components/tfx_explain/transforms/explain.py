"""Explaining batches of rows: checks, model calls, attributions; what cannot be explained goes to the dead letters."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import apache_beam as beam
import numpy as np
from absl import logging  # as TFX's own components: others' logs are below the level of its runners

from tfx_explain.errors import ModelCallError, TooManyFailedRowsError
from tfx_explain.job.explained import Explained, ExplainedExamples, explain_examples, key_errors, set_aside
from tfx_explain.job.model_handle import ModelHandle
from tfx_explain.job.request import ExplainRequest
from tfx_explain.job.split_rows import SplitRows
from tfx_explain.job.trust import LaterLists
from tfx_explain.methods.background import JobPlan
from tfx_explain.methods.context import JobContext
from tfx_explain.methods.refusals import GROUP, REFUSED_MIXED, by_halves, refused_rows
from tfx_explain.methods.registry import methods_of
from tfx_explain.progress import PROGRESS
from tfx_explain.rows import name_errors
from tfx_explain.timings import TIMINGS
from tfx_explain.transforms.decode import COUNTS, FAILED
from tfx_explain.transforms.timing import tell_timings


class CheckExamples(beam.DoFn):
    """Passes on the SplitRows that the models can read, without their records; the others go to the `failed` output.

    Args:
      models: the model, and the baseline model if there is one.
      reserved: names that no feature may have.
      context: given where the rows are to be explained: their label and id must then be there too.
    """

    def __init__(
        self, models: Sequence[ModelHandle], reserved: Collection[str], context: JobContext | None = None
    ) -> None:
        self.models = tuple(models)
        self.reserved = frozenset(reserved)
        self.context = context

    def setup(self) -> None:
        """Loads the models."""
        self.loaded = [model.acquire() for model in self.models]

    def process(self, element: SplitRows) -> Iterator[SplitRows | beam.pvalue.TaggedOutput]:
        """Checks one batch."""
        batch = element.rows
        errors = name_errors(batch, self.reserved)
        if self.context is not None:
            errors |= key_errors(batch, self.context.config, self.loaded[0].n_outputs, self.context.labels)
        for model in self.loaded:
            errors = {**errors, **model.row_errors(batch)}
        if not errors:
            yield element.without_records()
            return
        if element.records is None:
            failures = set_aside(batch, errors)[1]
        else:
            failures = [(element.records[row], errors[row]) for row in sorted(errors)]
        yield beam.pvalue.TaggedOutput(FAILED, (element.split, failures))
        good = np.setdiff1d(np.arange(batch.num_rows), list(errors))
        if len(good):
            yield element.without_records().take(good)


class ExplainExamples(beam.DoFn):
    """SplitRows of readable rows to ExplainedExamples; `failed` and `counts` are further outputs."""

    def __init__(self, request: ExplainRequest) -> None:
        self.request = request

    def setup(self) -> None:
        """Loads the models."""
        self.models = [handle.acquire() for handle in self.request.models]
        self.explainers = {method.key: method.explainer(self.models) for method in methods_of(self.request.context)}
        self.later_lists = LaterLists(self.models, self.request.players, self.request.even_lists)

    def process(self, element: SplitRows, plan: JobPlan) -> Iterator[ExplainedExamples | beam.pvalue.TaggedOutput]:
        """Explains one batch."""
        split = element.split
        PROGRESS.begin()
        with TIMINGS.explaining():
            self.later_lists.check(element.rows, plan.background.rows)
            try:
                done, refused = [self._explain(element, plan)], dict[int, str]()
            except ModelCallError:
                done, refused = self._explain_in_parts(element, plan)
        if refused:
            yield beam.pvalue.TaggedOutput(FAILED, (split, set_aside(element.rows, refused)[1]))
            yield beam.pvalue.TaggedOutput(COUNTS, ((split, "selected"), len(refused)))
        line = PROGRESS.explain(element.rows.num_rows, sum(counts["model_rows"] for *_, counts in done))
        if line is not None:
            logging.info("This process has %s.", line)
        for explained, failures, counts in done:
            for what, n in counts.items():
                yield beam.pvalue.TaggedOutput(COUNTS, ((split, what), n))
            if failures:
                yield beam.pvalue.TaggedOutput(FAILED, (split, failures))
            if explained.rows.num_rows:
                yield explained

    def finish_bundle(self) -> None:
        """Tells how long it took, and the steps behind this one."""
        tell_timings()

    def _explain(self, examples: SplitRows, plan: JobPlan) -> Explained:
        return explain_examples(self.models, self.explainers, examples, plan, self.request.context)

    def _explain_in_parts(self, examples: SplitRows, plan: JobPlan) -> tuple[list[Explained], dict[int, str]]:
        """The rows that the models take, explained; and the reasons of the others."""
        config = self.request.config
        refused = refused_rows(self.models, examples.rows)
        good = np.setdiff1d(np.arange(examples.rows.num_rows), list(refused))
        # No more rows than this are explained: where more fail the run does too, and need not ask about each.
        allowed = None if config.max_examples is None else config.max_failed_fraction * config.max_examples
        try:
            done, mixed = by_halves(len(good), lambda rows: self._explain(examples.take(good[rows]), plan), allowed)
        except TooManyFailedRowsError as error:
            raise TooManyFailedRowsError(
                f"more rows of split `{examples.split}` could not be explained than `max_failed_fraction` "
                f"{config.max_failed_fraction} allows: {REFUSED_MIXED} ({error}); {GROUP}."
            ) from error
        reasons = {int(good[row]): f"{REFUSED_MIXED} ({reason}); {GROUP}" for row, reason in mixed.items()}
        return done, {**refused, **reasons}
