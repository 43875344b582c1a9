"""Shapley values of a batch of rows for the outputs that were asked for, and which rows have none."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tfx_explain.methods.attribution_rows import AttributionRows
from tfx_explain.methods.background import LARGEST_OUTPUT, SideBackground
from tfx_explain.methods.refusals import GROUP, TOO_LARGE
from tfx_explain.methods.rounding import INTERACTION_UNITS, rounding_floor, without_rounding
from tfx_explain.methods.shapley.estimates import Estimates

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

NOT_FINITE_MIXED = f"the model's output is NaN or infinite for mixtures of this row with background rows; {GROUP}"


def output_errors(estimates: Estimates) -> dict[int, str]:
    """Row -> what is wrong with the attributions that it asks for; its predictions are known to be finite."""
    values, errors = estimates.values, dict[int, str]()
    for reason, bad in (
        (NOT_FINITE_MIXED, ~np.isfinite(values).all(axis=(1, 2))),
        (TOO_LARGE, (np.abs(values) > LARGEST_OUTPUT).any(axis=(1, 2))),
    ):
        errors = {**dict.fromkeys(np.flatnonzero(bad).tolist(), reason), **errors}
    return errors


def _floor(estimates: Estimates, background: SideBackground) -> FloatArray:
    """(n, K') one unit in the last place of the outputs that are explained."""
    return rounding_floor(background.asked(estimates.prediction), background.asked(background.predictions))


def shapley_rows(
    estimates: Estimates, background: SideBackground, finite: npt.NDArray[np.bool_], chosen: IntArray
) -> AttributionRows:
    """What was asked for of the rows with finite outputs; attributions that are nothing but rounding are 0.

    Args:
      estimates: of all rows.
      background: as the model sees it.
      finite: (n,) whether a row's outputs are.
      chosen: (n_finite, c) which of the explained outputs these ask for.
    """
    prediction = background.asked(estimates.prediction)

    def asked(array: FloatArray) -> FloatArray:
        kept = array[finite]
        return np.take_along_axis(kept, chosen, axis=1)

    floor = asked(_floor(estimates, background))
    found, design_error, interactions, background_error, gap = (
        array[finite]
        for array in (
            estimates.values,
            estimates.design_std_error,
            estimates.interactions,
            estimates.background_std_error,
            estimates.completeness_gap,
        )
    )
    attributions = without_rounding(found, design_error, floor)
    nothing = (attributions == 0) & (design_error <= floor[:, None])
    return AttributionRows(
        attributions=attributions,
        design_std_error=np.where(nothing, 0.0, design_error),
        background_std_error=np.where(nothing, 0.0, background_error),
        prediction=asked(prediction),
        base_value=asked(np.broadcast_to(background.base_values, prediction.shape)),
        completeness_gap=gap + (attributions - found).sum(axis=1),
        interactions=np.where(np.abs(interactions) <= INTERACTION_UNITS * floor[:, None], 0.0, interactions),
        noise_ratio=estimates.noise_ratio[finite],
        design_dof=estimates.design_dof[finite],
        background_dof=estimates.background_dof[finite],
        design_ids=estimates.design_ids[finite],
    )
