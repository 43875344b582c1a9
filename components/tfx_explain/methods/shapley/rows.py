"""Attributions of a batch of rows for the outputs that were asked for, and what they add to summaries."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

from tfx_explain.attribution.result import population_dof
from tfx_explain.methods.background import LARGEST_OUTPUT, SideBackground
from tfx_explain.methods.refusals import GROUP
from tfx_explain.methods.rounding import INTERACTION_UNITS, rounding_floor, without_rounding
from tfx_explain.methods.shapley.estimates import Estimates
from tfx_explain.summary.ratio import Array
from tfx_explain.summary.sizes import debiased_sizes

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_NOT_FINITE = "the model's output is NaN or infinite for this row"
_NOT_FINITE_MIXED = f"the model's output is NaN or infinite for mixtures of this row with background rows; {GROUP}"
_TOO_LARGE = "the model's output, or an attribution, is larger than the 3.4e38 that tf.Examples hold; scale the output"


@dataclasses.dataclass(frozen=True)
class ShapleyRows:
    """Attributions of n examples for the outputs that were asked for, n_outputs of them, in units of the output space.

    Attributes:
      attributions: (n_examples, n_players, n_outputs).
      design_std_error: the same shape: error of the estimate for this background.
      background_std_error: the same shape: error of this background as a sample.
      prediction, base_value, completeness_gap: (n_examples, n_outputs).
      interactions: (n_examples, n_pairs, n_outputs); n_pairs is 0 where none were asked for.
      noise_ratio: (n_examples,) of the actual error, as near as can be, to `design_std_error`.
      design_dof, background_dof: (n_examples,) degrees of freedom of the errors.
      design_ids: (n_examples,) number of each example's design; those of one share its coalitions.
    """

    attributions: FloatArray
    design_std_error: FloatArray
    background_std_error: FloatArray
    prediction: FloatArray
    base_value: FloatArray
    completeness_gap: FloatArray
    interactions: FloatArray
    noise_ratio: FloatArray
    design_dof: FloatArray
    background_dof: FloatArray
    design_ids: IntArray

    @property
    def std_error(self) -> FloatArray:
        """Both errors together."""
        return np.hypot(self.design_std_error, self.background_std_error)

    @property
    def degrees_of_freedom(self) -> FloatArray:
        """Of `std_error`; of an error of 0, or one that is not known, as of the row's least certain one."""
        of_design, of_background = self.design_dof[:, None, None], self.background_dof[:, None, None]
        dof = population_dof(self.background_std_error, of_design, of_background)
        known = self.std_error > 0
        least = np.where(known, dof, np.inf).min(axis=(1, 2), keepdims=True, initial=np.inf)
        return np.where(known, dof, np.where(np.isfinite(least), least, 1.0))

    def take(self, rows: IntArray) -> ShapleyRows:
        """The given rows, (k,) integers."""
        return ShapleyRows(**{name: array[rows] for name, array in vars(self).items()})

    def noise(self, index: int, rows: IntArray) -> Array:
        """(k, n_players) standard deviations of some rows' errors for one output."""
        return np.asarray(self.design_std_error[..., index][rows] * self.noise_ratio[rows, None])

    def importance(self, index: int, rows: IntArray, weights: FloatArray) -> tuple[Any, ...]:
        """What `ImportanceAccumulator.add` takes of some rows for one output."""
        names = ("attributions", "design_std_error", "background_std_error", "completeness_gap", "prediction")
        figures = tuple(getattr(self, name)[..., index][rows] for name in names)
        return (*figures, weights, self.noise(index, rows), self.design_ids[rows])


def change_of_sizes(
    ours: ShapleyRows, theirs: ShapleyRows, index: int, rows: IntArray, weights: FloatArray
) -> tuple[Any, ...]:
    """What `NoisyMoments.add` takes of the paired differences of sizes; what is alike in both has the same bias."""
    values = [side.attributions[..., index][rows] for side in (ours, theirs)]
    noise = [side.noise(index, rows) for side in (ours, theirs)]
    (our_sizes, our_doubt), (their_sizes, their_doubt) = map(debiased_sizes, values, noise)
    doubt = np.minimum(our_doubt + their_doubt, np.abs(values[0] - values[1]))
    return our_sizes - their_sizes, weights, noise[0] ** 2 + noise[1] ** 2, doubt, ours.design_ids[rows]


def output_errors(estimates: Estimates, background: SideBackground, chosen: IntArray) -> dict[int, str]:
    """Row -> what is wrong with what each row asks for; the same outputs of the baseline model are asked for."""
    asked = np.maximum(chosen, 0)
    prediction = np.take_along_axis(background.asked(estimates.prediction), asked, axis=1)
    values = np.take_along_axis(estimates.values, asked[:, None], axis=2)
    written = np.abs(np.concatenate([prediction[:, None], values], axis=1))
    errors: dict[int, str] = {}
    for reason, bad in (
        (_NOT_FINITE, ~np.isfinite(prediction).all(axis=1) | (chosen < 0).any(axis=1)),
        (_NOT_FINITE_MIXED, ~np.isfinite(values).all(axis=(1, 2))),
        (_TOO_LARGE, (written > LARGEST_OUTPUT).any(axis=(1, 2))),
    ):
        errors = {**dict.fromkeys(np.flatnonzero(bad).tolist(), reason), **errors}
    return errors


def _floor(estimates: Estimates, background: SideBackground) -> FloatArray:
    """(n, K') one unit in the last place of the outputs that are explained."""
    return rounding_floor(background.asked(estimates.prediction), background.asked(background.predictions))


def shapley_rows(
    estimates: Estimates, background: SideBackground, finite: npt.NDArray[np.bool_], chosen: IntArray
) -> ShapleyRows:
    """What was asked for of the rows with finite outputs; attributions that are nothing but rounding are 0."""
    prediction = background.asked(estimates.prediction)

    def asked(array: FloatArray) -> FloatArray:
        kept = array[finite]
        index = chosen.reshape(len(chosen), *[1] * (array.ndim - 2), chosen.shape[1])
        return np.take_along_axis(kept, index, axis=-1)

    floor = asked(_floor(estimates, background))
    found, design_error, interactions = (
        asked(array) for array in (estimates.values, estimates.design_std_error, estimates.interactions)
    )
    attributions = without_rounding(found, design_error, floor)
    nothing = (attributions == 0) & (design_error <= floor[:, None])
    return ShapleyRows(
        attributions=attributions,
        design_std_error=np.where(nothing, 0.0, design_error),
        background_std_error=np.where(nothing, 0.0, asked(estimates.background_std_error)),
        prediction=asked(prediction),
        base_value=asked(np.broadcast_to(background.base_values, prediction.shape)),
        completeness_gap=asked(estimates.completeness_gap) + (attributions - found).sum(axis=1),
        interactions=np.where(np.abs(interactions) <= INTERACTION_UNITS * floor[:, None], 0.0, interactions),
        noise_ratio=estimates.noise_ratio[finite],
        design_dof=estimates.design_dof[finite],
        background_dof=estimates.background_dof[finite],
        design_ids=estimates.design_ids[finite],
    )
