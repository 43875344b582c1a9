"""A batch of rows on its way through the methods of a job."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tfx_explain.config import ExplainConfig
from tfx_explain.methods.background import LARGEST_OUTPUT, JobPlan
from tfx_explain.methods.labels import Labels
from tfx_explain.methods.outputs import chosen_outputs, places
from tfx_explain.methods.refusals import NOT_FINITE, TOO_LARGE
from tfx_explain.models import Inputs, Model
from tfx_explain.rows import HashArray, column_or_nulls, take_rows

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclasses.dataclass(frozen=True)
class BatchSide:
    """What one model is fed for the rows of a batch, and what it gives.

    Attributes:
      inputs: n rows.
      prediction: (n, K) outputs, in its output space.
    """

    inputs: Inputs
    prediction: FloatArray


@dataclasses.dataclass(frozen=True)
class Batch:
    """n rows that all models can read, and what they predict.

    Attributes:
      rows: n of them.
      hashes: (n,) of their contents.
      draws: (n,) random numbers, different for copies.
      ids: (n,) the value of the id feature, else the hash.
      chosen: (n, c) which of the explained outputs each row asks for; -1 where it asks for another.
      sides: the model's, then the baseline model's if there is one.
    """

    rows: pa.RecordBatch
    hashes: HashArray
    draws: HashArray
    ids: Sequence[bytes]
    chosen: IntArray
    sides: tuple[BatchSide, ...]

    @classmethod
    def of(
        cls,
        models: Sequence[Model],
        rows: pa.RecordBatch,
        hashes: HashArray,
        draws: HashArray,
        outputs: IntArray,
        config: ExplainConfig,
        labels: Labels | None = None,
    ) -> Batch:
        """Asks each model for its predictions.

        Args:
          models: the model, and the baseline model if there is one.
          rows: n rows without `row_errors`.
          hashes: (n,) of their contents.
          draws: (n,) of the rows.
          outputs: (K',) indices of the outputs that are explained.
          config: says which of them each row asks for, and which feature is the id.
          labels: of the rows, which may ask for the output of their label.
        """
        inputs = [model.inputs(rows) for model in models]
        sides = tuple(BatchSide(of_side, model.predict(of_side)) for model, of_side in zip(models, inputs, strict=True))
        # With `classes: predicted` the candidate chooses, so that both models are compared on one output.
        chosen = places(outputs, chosen_outputs(sides[0].prediction, rows, config, labels))
        return cls(rows, hashes, draws, example_ids(rows, hashes, config.id_key), chosen, sides)

    def asked_predictions(self, plan: JobPlan) -> tuple[FloatArray, ...]:
        """(n, c) of each model: what it predicts for the outputs that each row asks for; of -1 that of the first."""
        asked = np.maximum(self.chosen, 0)
        of_models = (plan.side(index).asked(side.prediction) for index, side in enumerate(self.sides))
        return tuple(np.take_along_axis(values, asked, axis=1) for values in of_models)

    def prediction_errors(self, plan: JobPlan) -> dict[int, str]:
        """Row -> why no method can explain it: a model's output is not finite, or in no record."""
        errors: dict[int, str] = {}
        for prediction in self.asked_predictions(plan):
            not_finite = ~np.isfinite(prediction).all(axis=1) | (self.chosen < 0).any(axis=1)
            too_large = ~not_finite & (np.abs(prediction) > LARGEST_OUTPUT).any(axis=1)
            for reason, bad in ((NOT_FINITE, not_finite), (TOO_LARGE, too_large)):
                errors = {**dict.fromkeys(np.flatnonzero(bad).tolist(), reason), **errors}
        return errors

    def take(self, kept: IntArray) -> Batch:
        """The given rows, (k,) integers; itself where these are all."""
        if len(kept) == self.rows.num_rows:
            return self
        return Batch(
            rows=take_rows(self.rows, kept),
            hashes=self.hashes[kept],
            draws=self.draws[kept],
            ids=[self.ids[row] for row in kept.tolist()],
            chosen=self.chosen[kept],
            sides=tuple(BatchSide(side.inputs.take(kept), side.prediction[kept]) for side in self.sides),
        )


def example_ids(rows: pa.RecordBatch, hashes: HashArray, id_key: str | None) -> list[bytes]:
    """The value of the id feature, else the content hash."""
    ids = [f"{value:016x}".encode() for value in hashes.tolist()]
    if id_key is None:
        return ids
    column = column_or_nulls(rows, id_key).to_pylist()
    own = [row[0] if row else None for row in column]
    return [
        by_hash if value is None else value if isinstance(value, bytes) else str(value).encode()
        for value, by_hash in zip(own, ids, strict=True)
    ]
