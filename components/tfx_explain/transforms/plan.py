"""What all workers need before they explain: the background, and what each method settles with it."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import apache_beam as beam
import numpy as np

from tfx_explain.content_sample import SampledRows
from tfx_explain.errors import EmptySplitError, ModelCallError
from tfx_explain.job.explained import set_aside
from tfx_explain.job.failures import most_frequent
from tfx_explain.job.near import check_near
from tfx_explain.job.peeking import peek
from tfx_explain.job.request import ExplainRequest
from tfx_explain.job.split_rows import background_name
from tfx_explain.methods.absent import with_absent_features
from tfx_explain.methods.background import JobPlan, choose_background, pool_size
from tfx_explain.methods.context import Sample
from tfx_explain.methods.refusals import GROUP, refused_rows, said
from tfx_explain.methods.registry import methods_of
from tfx_explain.rows import take_rows
from tfx_explain.timings import PILOT, TIMINGS
from tfx_explain.transforms.decode import FAILED
from tfx_explain.transforms.select import SampleRows, Selection
from tfx_explain.transforms.timing import tell_timings


class PlanJob(beam.PTransform):
    """One JobPlan from the usable SplitRows of the background split; refused rows are `failed`.

    Args:
      request: of the job.
      counted: ((split, what), n), what was counted of rows near a cut-off; nothing where there is none.
    """

    def __init__(self, request: ExplainRequest, counted: beam.PCollection) -> None:
        super().__init__()
        self.request = request
        self.counted = counted

    def expand(self, rows: beam.PCollection) -> beam.pvalue.DoOutputsTuple:
        """Adds the steps."""
        config = self.request.config
        n = max([pool_size(config.background), *(method.n_sample for method in methods_of(self.request.context))])
        selection = Selection(n, config.seed, f"background {config.background.split}")
        sample = rows | "Sample" >> SampleRows(selection, self.request.background_pattern)
        counts = beam.pvalue.AsDict(self.counted | "CountNear" >> beam.CombinePerKey(sum))
        planned = beam.FlatMap(plan_without_refused, self.request, counts)
        return sample | "Plan" >> planned.with_outputs(FAILED, main="plan")


def plan_without_refused(
    sampled: SampledRows, request: ExplainRequest, counts: Mapping[tuple[str, str], int]
) -> Iterator[JobPlan | beam.pvalue.TaggedOutput]:
    """As `plan`, of the rows that the models can predict; the others go to the `failed` output.

    Raises:
      EmptySplitError: there are none.
      InputError: too few rows are near a cut-off.
      ModelCallError: the models can predict none of them, or fail on mixtures of those that they can.
    """
    if request.near is not None:
        check_near(request.config, request.near, counts)
    rows = sampled.rows
    try:
        with TIMINGS.of(PILOT):
            made = plan(sampled, request)
        tell_timings()
        yield made
        return
    except ModelCallError as error:
        if rows is None:
            raise
        refused = refused_rows([handle.acquire() for handle in request.models], rows)
        if len(refused) == rows.num_rows:
            raise
        failed = error
    good = np.setdiff1d(np.arange(rows.num_rows), list(refused))
    _, failures = set_aside(rows, refused)
    split = request.config.background.split
    if failures:
        yield beam.pvalue.TaggedOutput(FAILED, (background_name(split), failures))
    try:
        with TIMINGS.of(PILOT):
            made = plan(SampledRows(take_rows(rows, good), sampled.hashes[good], sampled.draws[good]), request)
        tell_timings()
        yield made
    except ModelCallError as error:
        raise ModelCallError(
            f"{said(error)}: it is asked about mixtures of rows of split `{split}`, too; {GROUP}."
        ) from failed


def plan(sampled: SampledRows, request: ExplainRequest) -> JobPlan:
    """The plan from rows of the background split.

    Raises:
      EmptySplitError: there are none.
    """
    config, rows = request.config, sampled.rows
    if rows is None:
        raise EmptySplitError(
            f"no row of split `{config.background.split}` can serve as background: the model can read none of them"
            f"{_most_frequent_fault(request)}."
        )
    models = [handle.acquire() for handle in request.models]
    features = sorted(name for names in request.players.values() for name in names)
    size = pool_size(config.background)
    pool = rows.slice(0, size)
    pool, absent = with_absent_features(pool, models, config.shapley.parts, pool)
    made = choose_background(models, pool, config.background, features, config.model)
    made = dataclasses.replace(made, absent=absent)
    spent = {"prediction": min(rows.num_rows, size) * len(models)}
    for method in methods_of(request.context):
        of_method, asked = method.plan(Sample(rows, sampled.draws), models, made)
        made = dataclasses.replace(made, per_method={**made.per_method, method.key: of_method})
        for what, n in asked.items():
            spent[what] = spent.get(what, 0) + n
    return dataclasses.replace(made, model_rows=spent)


def _most_frequent_fault(request: ExplainRequest) -> str:
    """What is wrong with the first rows of the background split."""
    rows = peek(request.background_pattern, request.config.background.split)
    errors = [error for handle in request.models for error in handle.acquire().row_errors(rows).values()]
    return f"; most often {most_frequent(Counter(errors))}" if errors else ""


class SettlePlan(beam.PTransform):
    """The JobPlan, told how many SplitRows there are to explain.

    Args:
      rows: one PCollection per split.
      request: says which methods there are.
    """

    def __init__(self, rows: list[beam.PCollection], request: ExplainRequest) -> None:
        super().__init__()
        self.rows = rows
        self.request = request

    def expand(self, made: beam.PCollection) -> beam.PCollection:
        """Adds the steps."""
        n_rows = (
            self.rows
            | "AllRows" >> beam.Flatten()
            | "NumRows" >> beam.Map(lambda element: element.rows.num_rows)
            | "Sum" >> beam.CombineGlobally(sum)
        )
        if self.request.n_planned is not None:
            return made | "Settle" >> beam.Map(for_rows, self.request, self.request.n_planned)
        return made | "Settle" >> beam.Map(for_rows, self.request, beam.pvalue.AsSingleton(n_rows))


def for_rows(made: JobPlan, request: ExplainRequest, n_rows: int) -> JobPlan:
    """The plan of each method for so many rows."""
    n_background = len(made.background.weights)
    per_method: dict[str, Any] = {
        method.key: method.for_rows(made.per_method[method.key], n_rows, n_background)
        for method in methods_of(request.context)
    }
    return dataclasses.replace(made, per_method=per_method)
