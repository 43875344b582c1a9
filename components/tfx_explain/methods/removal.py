"""Parts that can be taken away from rows, and what the model says of what is left: what methods offer to be checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from tfx_explain.methods.attribution_rows import AttributionRows
from tfx_explain.methods.background import JobPlan
from tfx_explain.methods.batch import Batch
from tfx_explain.methods.shapley.parts.contexts import spread
from tfx_explain.models import Model
from tfx_explain.models.call_bytes import MAX_CALL_BYTES

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

_ROWS_PER_CALL = 8_192
_STAND_INS = 8


class Removal(Protocol):
    """Parts of n rows, U of the row with the most.

    Attributes:
      sizes: (n, U) of each part, in pixels, or 1; 0 where a row has fewer.
      n_references: how many rows, or images, there are to take the place of what is taken away.
    """

    @property
    def sizes(self) -> FloatArray:
        """See above."""

    @property
    def n_references(self) -> int:
        """See above."""

    def values(self, rows: IntArray, kept: BoolArray, references: IntArray) -> FloatArray:
        """(m, c) outputs that the rows ask for.

        Args:
          rows: (m,) which of the n rows.
          kept: (m, U) which of its parts are left.
          references: (m,) which reference stands in for the others.

        Raises:
          ModelCallError: the model fails on them.
        """

    def attributions(self, said: AttributionRows) -> FloatArray:
        """(n, U, c) what each part is said to add to the outputs that the row asks for; 0 where a row has fewer."""

    def figures(self, ours: AttributionRows, theirs: AttributionRows) -> tuple[FloatArray, FloatArray]:
        """(n, m, c) what each of two explanations of the same rows says of the same things; may be NaN."""


@runtime_checkable
class RemovesParts(Protocol):
    """A method that can take away the parts of features that it looks into."""

    def parts_removals(
        self, models: Sequence[Model], batch: Batch, plan: JobPlan, rows: AttributionRows
    ) -> Mapping[str, Removal]:
        """Feature -> its parts.

        Args:
          models: what is explained first.
          batch: n rows.
          plan: of the job.
          rows: what the method says of them of this model.
        """


def stand_ins(weights: FloatArray) -> IntArray:
    """Some rows of the background that stand in for all, spread evenly over what they weigh (B,)."""
    return spread(np.arange(_STAND_INS, dtype=np.float64) + 0.5, weights)


def rows_per_call(row_bytes: float) -> int:
    """How many rows of so many bytes are made at a time."""
    return int(np.clip(MAX_CALL_BYTES // max(row_bytes, 1.0), 1, _ROWS_PER_CALL))


def padded(lengths: IntArray, values: FloatArray) -> FloatArray:
    """(n, U, ...) of (N, ...) figures, those of a row one after the other; 0 where a row has fewer than U."""
    widest = int(lengths.max(initial=0))
    made = np.zeros((len(lengths), widest, *values.shape[1:]))
    made[np.arange(widest) < lengths[:, None]] = values
    return made
