"""What methods that attribute have in common."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tfx_explain.methods.attribution_rows import AttributionRows, attribution_contributions, attribution_differences
from tfx_explain.methods.attribution_tables import AttributionTables
from tfx_explain.methods.background import JobPlan
from tfx_explain.methods.context import JobContext
from tfx_explain.methods.method import Accumulated, Contributed, SliceRows, TableRows


class Attributing:
    """Importance of each output, where there are interactions theirs, and what differs between sides and slices.

    Attributes:
      context: of the job.
      key: of the method.
    """

    context: JobContext
    key: str

    def contributions(self, rows: AttributionRows, side: str, part: SliceRows) -> Iterator[Contributed]:
        """Importance of each output."""
        return attribution_contributions(rows, self.context.outputs, part)

    def differences(self, ours: AttributionRows, theirs: AttributionRows, part: SliceRows) -> Iterator[Contributed]:
        """Paired differences of the sizes of attributions."""
        return attribution_differences(ours, theirs, self.context.outputs, part)

    def tables(self, accumulated: Accumulated, plan: JobPlan) -> Mapping[str, TableRows]:
        """Importance and covariance, of the baseline model too, and differences of slices."""
        return AttributionTables(self.key, tuple(self.context.players)).all(accumulated)
