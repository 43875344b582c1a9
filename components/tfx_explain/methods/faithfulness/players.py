"""The players of rows that are taken away: rows of the background stand in their place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tfx_explain.content_sample import copy_keys, stream_of, uniform_of
from tfx_explain.methods.attribution_rows import AttributionRows
from tfx_explain.methods.background import JobPlan
from tfx_explain.methods.batch import Batch
from tfx_explain.methods.context import features_of
from tfx_explain.methods.removal import rows_per_call
from tfx_explain.models import Inputs, Model
from tfx_explain.models.call_bytes import input_bytes
from tfx_explain.models.mixtures import Mixtures
from tfx_explain.rows import HashArray

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class PlayerRemoval:
    """The players of n rows, whose features come from the background where they are taken away.

    Attributes:
      model: that is asked.
      features: of each of the d players, those that the model reads.
      inputs: the n rows, then the background.
      asked: (n, c) which of the model's outputs each row asks for.
      stand_ins: (n, R) rows of the background.
    """

    model: Model
    features: Sequence[Sequence[str]]
    inputs: Inputs
    asked: IntArray
    stand_ins: IntArray

    @classmethod
    def of(
        cls, model: Model, players: Mapping[str, Sequence[str]], batch: Batch, plan: JobPlan, stand_ins: IntArray
    ) -> PlayerRemoval:
        """The players of a batch.

        Args:
          model: that is asked.
          players: name -> features.
          batch: n rows.
          plan: of the job.
          stand_ins: (n, R) rows of the background.
        """
        inputs = batch.sides[0].inputs.followed_by(model.inputs(plan.background.rows))
        return cls(model, features_of(model, players), inputs, plan.outputs[batch.chosen], stand_ins)

    @property
    def sizes(self) -> FloatArray:
        """(n, d) ones."""
        return np.ones((len(self.asked), len(self.features)))

    @property
    def n_references(self) -> int:
        """How many rows of the background."""
        return int(self.stand_ins.shape[1])

    def values(self, rows: IntArray, kept: BoolArray, references: IntArray) -> FloatArray:
        """(m, c), as `Removal.values`."""
        n = len(self.asked)
        absent = n + self.stand_ins[rows, references]
        found = np.empty((len(rows), self.asked.shape[1]))
        step = rows_per_call(_row_bytes(self.inputs))
        for start in range(0, len(rows), step):
            part = slice(start, start + step)
            mixtures = Mixtures(rows[part], absent[part], kept[part])
            predicted = self.model.predict(mixtures.inputs(self.inputs, self.features))
            found[part] = np.take_along_axis(predicted, self.asked[rows[part]], axis=1)
        return found

    def attributions(self, said: AttributionRows) -> FloatArray:
        """(n, d, c) of the players."""
        return said.attributions

    def figures(self, ours: AttributionRows, theirs: AttributionRows) -> tuple[FloatArray, FloatArray]:
        """(n, d, c) of the players."""
        return ours.attributions, theirs.attributions


def _row_bytes(inputs: Inputs) -> float:
    """What the largest of some rows takes."""
    dense = (column for column in inputs.columns.values() if isinstance(column, np.ndarray))
    of_dense = sum(column.nbytes for column in dense) / max(len(inputs), 1)
    return of_dense + float(input_bytes(inputs).max(initial=0.0))


def drawn_rows(draws: HashArray, weights: FloatArray, number: int, seed: int) -> IntArray:
    """(n, number) rows of the background, drawn by their weights (B,), for rows with random numbers (n,)."""
    keys = copy_keys(draws[:, None], np.arange(number)[None], stream_of(seed, "faithfulness stand-ins"))
    # One in each of as many equal parts of the background, so that few rows stand for it well.
    uniform = (np.arange(number) + uniform_of(keys)) / number
    ends = np.cumsum(weights)
    return np.asarray(np.minimum(np.searchsorted(ends, uniform * ends[-1], side="right"), len(weights) - 1))
