"""Parts that can be taken away from rows, and what the model says of what is left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from tfx_explain.content_sample import copy_keys, stream_of
from tfx_explain.methods.attribution_rows import AttributionRows
from tfx_explain.methods.background import JobPlan
from tfx_explain.methods.batch import Batch
from tfx_explain.methods.context import features_of
from tfx_explain.models import Inputs, Model
from tfx_explain.models.call_bytes import MAX_CALL_BYTES, input_bytes
from tfx_explain.models.features import take_rows
from tfx_explain.rows import HashArray

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

_ROWS_PER_CALL = 8_192


class Removal(Protocol):
    """Parts of n rows, U of the row with the most.

    Attributes:
      attributions: (n, U, c) what each is said to add to the outputs that the row asks for; 0 where a row has fewer.
      sizes: (n, U) of each part, in pixels, or 1; 0 where a row has fewer.
      n_references: how many rows, or images, there are to take the place of what is taken away.
    """

    @property
    def attributions(self) -> FloatArray:
        """See above."""

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

    def figures(self, attributions: AttributionRows) -> FloatArray:
        """(n, m, c) what another explanation of the same rows says of the same things, m alike for both; may be NaN."""


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


@dataclass(frozen=True, eq=False)
class PlayerRemoval:
    """The players of n rows, whose features come from the background where they are taken away.

    Attributes:
      model: that is asked.
      features: of each of the d players, those that the model reads.
      inputs: the n rows, then the background.
      asked: (n, c) which of the model's outputs each row asks for.
      stand_ins: (n, R) rows of the background.
      rows: what the method says.
    """

    model: Model
    features: Sequence[Sequence[str]]
    inputs: Inputs
    asked: IntArray
    stand_ins: IntArray
    rows: AttributionRows

    @classmethod
    def of(
        cls,
        model: Model,
        players: Mapping[str, Sequence[str]],
        batch: Batch,
        plan: JobPlan,
        rows: AttributionRows,
        stand_ins: IntArray,
    ) -> PlayerRemoval:
        """The players of a batch.

        Args:
          model: that the attributions are of.
          players: name -> features.
          batch: n rows.
          plan: of the job.
          rows: what the method says of them.
          stand_ins: (n, R) rows of the background.
        """
        inputs = batch.sides[0].inputs.followed_by(model.inputs(plan.background.rows))
        return cls(model, features_of(model, players), inputs, plan.outputs[batch.chosen], stand_ins, rows)

    @property
    def attributions(self) -> FloatArray:
        """(n, d, c)."""
        return self.rows.attributions

    @property
    def sizes(self) -> FloatArray:
        """(n, d) ones."""
        return np.ones(self.rows.attributions.shape[:2])

    @property
    def n_references(self) -> int:
        """How many rows of the background."""
        return int(self.stand_ins.shape[1])

    def values(self, rows: IntArray, kept: BoolArray, references: IntArray) -> FloatArray:
        """(m, c), as `Removal.values`."""
        n = len(self.asked)
        absent = n + self.stand_ins[rows, references]
        found = np.empty((len(rows), self.asked.shape[1]))
        step = rows_per_call(self.inputs)
        for start in range(0, len(rows), step):
            part = slice(start, start + step)
            columns = dict(self.inputs.take(rows[part]).columns)
            for player, names in enumerate(self.features):
                taken = np.where(kept[part, player], rows[part], absent[part])
                columns |= {name: take_rows(self.inputs.columns[name], taken) for name in names}
            predicted = self.model.predict(Inputs(len(rows[part]), columns))
            found[part] = np.take_along_axis(predicted, self.asked[rows[part]], axis=1)
        return found

    def figures(self, attributions: AttributionRows) -> FloatArray:
        """(n, d, c) attributions of the players."""
        return attributions.attributions


def rows_per_call(inputs: Inputs) -> int:
    """How many mixtures of some rows fit into memory at a time."""
    dense = (column for column in inputs.columns.values() if isinstance(column, np.ndarray))
    of_dense = sum(column.nbytes for column in dense) / max(len(inputs), 1)
    largest = max(of_dense + float(input_bytes(inputs).max(initial=0.0)), 1.0)
    return int(np.clip(MAX_CALL_BYTES // largest, 1, _ROWS_PER_CALL))


def drawn_rows(draws: HashArray, weights: FloatArray, number: int, seed: int) -> IntArray:
    """(n, number) rows of the background, drawn by their weights (B,), for rows with random numbers (n,)."""
    keys = copy_keys(draws[:, None], np.arange(number)[None], stream_of(seed, "faithfulness stand-ins"))
    # One in each of as many equal parts of the background, so that few rows stand for it well.
    uniform = (np.arange(number) + (keys >> np.uint64(11)) * 2.0**-53) / number
    ends = np.cumsum(weights)
    return np.asarray(np.minimum(np.searchsorted(ends, uniform * ends[-1], side="right"), len(weights) - 1))


def padded(lengths: IntArray, values: FloatArray) -> FloatArray:
    """(n, U, ...) of (N, ...) figures, those of a row one after the other; 0 where a row has fewer than U."""
    widest = int(lengths.max(initial=0))
    made = np.zeros((len(lengths), widest, *values.shape[1:]))
    made[np.arange(widest) < lengths[:, None]] = values
    return made
