"""The reasons of the explained rows."""

from __future__ import annotations

import apache_beam as beam

from tfx_explain.job.explained import ExplainedExamples
from tfx_explain.job.reason_rows import ReasonRows, find_reasons
from tfx_explain.job.reasons import Reasons
from tfx_explain.methods.background import JobPlan


class FindReasons(beam.PTransform):
    """ReasonRows of ExplainedExamples, one of each batch.

    Args:
      reasons: what may be one.
      plan: one JobPlan.
    """

    def __init__(self, reasons: Reasons, plan: beam.PCollection) -> None:
        super().__init__()
        self.reasons = reasons
        self.plan = plan

    def expand(self, explained: beam.PCollection) -> beam.PCollection:
        """Adds the step."""
        return explained | "Rank" >> beam.Map(_found, beam.pvalue.AsSingleton(self.plan), self.reasons)


def _found(explained: ExplainedExamples, plan: JobPlan, reasons: Reasons) -> ReasonRows:
    return find_reasons(explained, plan, reasons)
