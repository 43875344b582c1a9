"""What integrated and expected gradients have in common as methods of a job."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from tfx_explain.methods.attribution_rows import AttributionRows, attribution_contributions, attribution_differences
from tfx_explain.methods.attribution_tables import AttributionTables
from tfx_explain.methods.background import JobPlan, pool_size
from tfx_explain.methods.context import FirstRows, JobContext, features_of
from tfx_explain.methods.method import Accumulated, Contributed, SliceRows
from tfx_explain.methods.path_gradients.references import References
from tfx_explain.models import Model
from tfx_explain.part_records import PartsOf
from tfx_explain.rows import take_rows

_N_TRIED = 32


@dataclasses.dataclass(frozen=True)
class PathMethod:
    """A method that follows gradients along paths.

    Attributes:
      context: of the job.
      key: its name.
    """

    context: JobContext
    key: str
    needs_row_count: bool = False
    attributes: bool = True

    @property
    def parts(self) -> Mapping[str, PartsOf]:
        """None: it does not look inside features."""
        return {}

    @property
    def n_sample(self) -> int:
        """Background rows."""
        return pool_size(self.context.config.background)

    def check(self, rows: FirstRows, models: Sequence[Model]) -> None:
        """Raises a ModelError where a model has no gradients, or none for some feature."""
        first = next(iter(rows.splits.values()))
        for model in models:
            good = np.setdiff1d(np.arange(first.num_rows), list(model.row_errors(first)))[:_N_TRIED]
            if len(good):
                model.paths(model.inputs(take_rows(first, good)), features_of(model, self.context.players))

    def for_rows(self, plan: References, n_rows: int, n_background: int) -> References:
        """The same for any number of rows."""
        return plan

    def contributions(self, rows: AttributionRows, side: str, part: SliceRows) -> Iterator[Contributed]:
        """Importance of each output."""
        return attribution_contributions(rows, self.context.outputs, part)

    def differences(self, ours: AttributionRows, theirs: AttributionRows, part: SliceRows) -> Iterator[Contributed]:
        """Paired differences of the sizes of attributions."""
        return attribution_differences(ours, theirs, self.context.outputs, part)

    def tables(self, accumulated: Accumulated, plan: JobPlan) -> Mapping[str, pd.DataFrame]:
        """Importance and covariance, of the baseline model too, and differences of slices."""
        return AttributionTables(self.key, tuple(self.context.players)).all(accumulated)
