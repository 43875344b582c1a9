"""The floor below which figures are rounding: what is smaller is no effect that the model's arithmetic could show.

A model that gets a feature and does not use it, as where it multiplies it by 0, gives outputs that differ in their last
bits: sums are taken in another order where a row lies elsewhere in its batch, or where a compiler fuses other steps.
Attributions are weighted means of differences of such outputs, so they end near 1e-9 and not at 0, and whatever
compares two of them finds a difference.

The floor of outputs is one unit in the last place, eps times the largest output there is: of the row, and of the
background rows that it is mixed with. Errors of single outputs may be a few such units (`_UNITS_OF_OUTPUTS`). In an
attribution those of mixtures average out, and that of the row itself, which is no mean, is shared by all players; one
unit is allowed for. More would take away effects that are there: of 1e6 + effects near 1 in 32 bits it is 0.12.

The floating-point type is that of the outputs, whatever they are kept in: float32, unless some output of a background
row is no float32 number.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tfx_explain.summary.losses import loss

FloatArray = npt.NDArray[np.float64]

_UNITS_OF_OUTPUTS = 4.0

INTERACTION_UNITS = 4.0
"""Floors: an interaction is made of four outputs where an attribution is made of differences of two."""


def rounding_floor(prediction: FloatArray, background_predictions: FloatArray) -> FloatArray:
    """One unit in the last place of a model's outputs.

    Args:
      prediction: (n, K) outputs of rows.
      background_predictions: (B, K) outputs of the background rows.

    Returns:
      (n, K).
    """
    with np.errstate(over="ignore"):
        is_single = background_predictions.astype(np.float32) == background_predictions
    epsilon = np.finfo(np.float32 if is_single.all() else np.float64).eps
    largest = np.abs(background_predictions).max(axis=0, initial=0.0)
    return np.asarray(epsilon * np.maximum(np.abs(prediction), largest))


def settled(outputs: FloatArray, prediction: FloatArray, floor: FloatArray) -> FloatArray:
    """Outputs of a row with something changed, where they differ from its own by rounding: its own.

    Args:
      outputs: (n, ..., K).
      prediction: (n, K) of the same rows as they are.
      floor: (n, K) of the outputs.
    """
    shape = (len(prediction), *[1] * (outputs.ndim - 2), prediction.shape[-1])
    own, least = prediction.reshape(shape), _UNITS_OF_OUTPUTS * floor.reshape(shape)
    # NaN and infinity, which the caller reports, are near nothing.
    with np.errstate(invalid="ignore"):
        return np.where(np.abs(outputs - own) <= least, own, outputs)


def level(curves: FloatArray, floor: FloatArray) -> FloatArray:
    """Curves whose steps from point to point are 0 where they are rounding.

    A point stays where the last one was until the curve has left it by more than the floor, so a slow rise of many
    steps is not lost, and a curve that goes one way still does.

    Args:
      curves: (n, n_points, K).
      floor: (n, K).
    """
    found = curves.copy()
    for point in range(1, curves.shape[1]):
        found[:, point] = settled(found[:, point], found[:, point - 1], floor)
    return found


def without_rounding(values: FloatArray, error: FloatArray, floor: FloatArray) -> FloatArray:
    """Attributions with those that are rounding set to exactly 0.

    One with an error of its own above the floor is not rounding, however near to 0 it happens to come; nor is one whose
    error is not known. What they add up to goes to the row's other attributions, by their sizes, so that the sum stays;
    rows that have no others but a sum above the floor stay as they are.

    Args:
      values: (n, d, K).
      error: (n, d, K) standard errors of the estimates.
      floor: (n, K).
    """
    nothing = (np.abs(values) <= floor[:, None]) & (error <= floor[:, None])
    lost = np.where(nothing, values, 0.0).sum(axis=1, keepdims=True)
    kept = np.where(nothing, 0.0, values)
    sizes = np.abs(kept)
    total = sizes.sum(axis=1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        shared = np.where(total > 0, kept + lost * (sizes / total), kept)
    untouched = ((total == 0) & (np.abs(lost) > floor[:, None])) | ~nothing.any(axis=1, keepdims=True)
    return np.where(untouched, values, shared)


def rounding_of_loss(
    metric: str, output_space: str, outputs: FloatArray, labels: FloatArray, floor: FloatArray
) -> FloatArray:
    """(n,) sizes below which changes of a loss are rounding: those of moving any output by its floor.

    Args:
      metric: of the loss.
      output_space: of the outputs.
      outputs: (n, K).
      labels: (n,).
      floor: (n, K).
    """
    n_outputs = outputs.shape[1]
    moved = outputs[:, None] + np.concatenate([np.eye(n_outputs), -np.eye(n_outputs)]) * floor[:, None]
    own = loss(metric, output_space, outputs, labels)
    return np.asarray(np.abs(loss(metric, output_space, moved, labels) - own[:, None]).max(axis=1))
