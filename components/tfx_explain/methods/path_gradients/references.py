"""The rows that paths start from, and what the models predict for them."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Collection, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tfx_explain.attribution import medoids
from tfx_explain.errors import ModelCallError, ModelError
from tfx_explain.methods.background import Background, JobPlan, SideBackground, background_digest, feature_distances
from tfx_explain.methods.path_gradients.model_paths import paths_of
from tfx_explain.methods.refusals import said
from tfx_explain.methods.rounding import rounding_floor
from tfx_explain.models import Model
from tfx_explain.models.path_gradients import Paths
from tfx_explain.rows import take_rows

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_LOG = logging.getLogger(__name__)
# Outputs of the cut model and of the whole one come from calls of different shape.
_UNITS_OF_OUTPUTS = 16.0


@dataclasses.dataclass(frozen=True)
class References:
    """Where paths start, settled once for all workers.

    Attributes:
      rows: R of them, and weights of sum 1.
      predictions: (R, n_outputs) of each side.
      outputs: (K',) indices of the outputs that are explained.
      numbers: (R,) which rows of the background they are, but for values that were set.
      notes: of each side, empty or what reaches the output past an op without a gradient.
      fraction_of_maps: part of the rows of which maps of pixels are kept.
      absent: series that is looked into -> what absent values of each channel are.
      markers: of each side, text that is looked into -> two words that the model tells apart; not where there are none.
    """

    rows: Background
    predictions: tuple[FloatArray, ...]
    outputs: IntArray
    numbers: IntArray
    notes: tuple[str, ...]
    fraction_of_maps: float = 0.0
    absent: Mapping[str, tuple[float, ...]] = dataclasses.field(default_factory=dict)
    markers: tuple[Mapping[str, tuple[bytes, bytes]], ...] = ()

    def side(self, index: int) -> SideBackground:
        """The references as a model sees them."""
        return SideBackground(**vars(self.rows), predictions=self.predictions[index], outputs=self.outputs)

    def describe(self) -> dict[str, object]:
        """What the manifest says of them: how many, which, and the model's mean outputs there."""
        found = {
            "num_references": len(self.rows.weights),
            "references_digest": self.rows.digest,
            "base_values": self.side(0).base_values.tolist(),
        }
        return {**found, "note": self.note} if self.note else found

    @property
    def note(self) -> str:
        """What there is to say of the models, in one sentence; empty where there is nothing."""
        return next(filter(None, self.notes), "")


def typical_rows(plan: JobPlan, n: int, features: Sequence[str]) -> tuple[IntArray, FloatArray]:
    """Numbers (R,) of background rows that stand for all, and their weights (R,): all, where there are no more than n.

    Else medoids, with the weight of the rows that each is the nearest to.
    """
    weights = plan.background.weights
    if n >= len(weights):
        return np.arange(len(weights)), weights
    distances = feature_distances(plan.background.rows, features)
    chosen, _ = medoids(distances, n)
    shares = np.bincount(distances[:, chosen].argmin(axis=1), weights, minlength=len(chosen))
    return chosen, shares / shares.sum()


def predictions_of(
    models: Sequence[Model], rows: pa.RecordBatch, outputs: IntArray, method: str
) -> tuple[FloatArray, ...]:
    """What each model predicts for references of a method that are no rows of the background.

    Raises:
      ModelError: a model cannot predict them, or an output that is explained is not finite.
    """
    cure = "choose other `references`"
    try:
        predictions = tuple(model.predict(model.inputs(rows)) for model in models)
    except ModelCallError as error:
        raise ModelError(f"a model cannot predict the reference rows of `{method}` ({said(error)}); {cure}.") from error
    if not all(np.isfinite(values[:, outputs]).all() for values in predictions):
        raise ModelError(f"a model's output is NaN or infinite for a reference of `{method}`; {cure}.")
    return predictions


def settle(
    background: Background,
    numbers: IntArray,
    predictions: tuple[FloatArray, ...],
    models: Sequence[Model],
    players: Mapping[str, Sequence[str]],
    plan: JobPlan,
    inside: Collection[str] = (),
) -> References:
    """References with what is to be said of the models' paths, which is logged too.

    Args:
      background: R rows and their weights.
      numbers: (R,) which rows of the job's background they are.
      predictions: (R, n_outputs) of each model.
      models: what is explained, and the baseline model if there is one.
      players: name -> features.
      plan: the job's so far.
      inside: features that are looked into.

    Raises:
      ModelError: a model has no gradients.
    """
    notes = tuple(
        _note(model, paths_of(model, players, plan.background, inside), background.rows, values, plan)
        for model, values in zip(models, predictions, strict=True)
    )
    settled = References(background, predictions, plan.outputs, numbers, notes)
    if settled.note:
        _LOG.warning("%s", settled.note)
    return settled


def _note(model: Model, paths: Paths, rows: pa.RecordBatch, predictions: FloatArray, plan: JobPlan) -> str:
    """What the model's paths note, where background rows show that paths do not start at the references' outputs."""
    if not paths.note:
        return ""
    n = len(plan.background.weights)
    starts = paths.enter(model.inputs(rows)).take(np.arange(n) % len(predictions))
    ends = paths.enter(model.inputs(plan.background.rows))
    outputs = np.tile(plan.outputs, (n, 1))
    expected = predictions[np.arange(n) % len(predictions)][:, plan.outputs]
    off = np.abs(paths.values(starts, ends, np.zeros((n, 1)), outputs)[:, 0] - expected)
    return paths.note if (off > _UNITS_OF_OUTPUTS * rounding_floor(expected, expected)).any() else ""


def of_background(
    numbers: IntArray,
    weights: FloatArray,
    models: Sequence[Model],
    players: Mapping[str, Sequence[str]],
    plan: JobPlan,
) -> References:
    """Rows of the background (R,) with weights (R,) as references."""
    rows = take_rows(plan.background.rows, numbers)
    background = Background(rows, weights, background_digest(rows, weights))
    predictions = tuple(values[numbers] for values in plan.predictions)
    return settle(background, numbers, predictions, models, players, plan)
