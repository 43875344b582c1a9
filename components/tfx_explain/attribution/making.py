"""The design of an estimator, by the estimator's name."""

from __future__ import annotations

from typing import Literal, overload

import numpy as np
import numpy.typing as npt

from tfx_explain.attribution.choice import ESTIMATORS, check_budget, minimum_budget, n_inner_coalitions
from tfx_explain.attribution.design import Design
from tfx_explain.attribution.exact import ExactDesign
from tfx_explain.attribution.leverage import LeverageDesign
from tfx_explain.attribution.partition import DesignStream, checked_weights
from tfx_explain.attribution.permutation import PermutationDesign
from tfx_explain.attribution.solvable import SolvableDesign
from tfx_explain.attribution.surrogate_design import SurrogateDesign


@overload
def make_design(
    estimator: Literal["exact", "leverage", "permutation"],
    *,
    n_players: int,
    budget: int,
    background_weights: npt.ArrayLike,
    seed: int,
    design_id: int = 0,
    interactions: int = 0,
) -> SolvableDesign: ...


@overload
def make_design(
    estimator: str,
    *,
    n_players: int,
    budget: int,
    background_weights: npt.ArrayLike,
    seed: int,
    design_id: int = 0,
    interactions: int = 0,
) -> Design: ...


def make_design(
    estimator: str,
    *,
    n_players: int,
    budget: int,
    background_weights: npt.ArrayLike,
    seed: int,
    design_id: int = 0,
    interactions: int = 0,
) -> Design:
    """Makes a design; equal arguments give equal designs on every machine.

    Any estimator becomes `exact` where the budget reaches 2^d - 2, and `surrogate` becomes `leverage` from 4d up.

    Args:
      estimator: `exact`, `leverage`, `permutation` or `surrogate`; see `choose_estimator` for `auto`.
      n_players: number of players d, at least 1.
      budget: coalitions per background row; `leverage` rounds down to even, `permutation` to a multiple of 2 (d - 1).
      background_weights: (B,) non-negative weights that sum to 1.
      seed: seed of the whole job.
      design_id: number of this design among several of one job.
      interactions: 2 for all pairwise interactions besides the attributions, 0 for none. `exact` gives the Shapley
        interaction index (SII), `leverage` Faith-SHAP; the two are equal for order-2 games only.

    Returns:
      The design: an `ExactDesign`, `LeverageDesign`, `PermutationDesign` or `SurrogateDesign`.

    Raises:
      EstimationError: the budget is below `minimum_budget`, the players are too many, or the weights are no weights.

    Example:
      Of a + 2 b + a b where a and b are 1, and 0 in the only background row:

      >>> design = make_design("exact", n_players=2, budget=2, background_weights=[1.0], seed=0)
      >>> a, b = np.moveaxis(design.coalitions.astype(float), -1, 0)
      >>> found = design.solve((a + 2 * b + a * b)[None, ..., None], prediction=[[4.0]], background_predictions=[[0.0]])
      >>> found.values.ravel().tolist()
      [1.5, 2.5]
    """
    if estimator in ESTIMATORS and n_players >= 1 and budget >= n_inner_coalitions(n_players):
        estimator = "exact"
    weights = checked_weights(background_weights)
    if estimator == "surrogate" and budget >= minimum_budget("leverage", n_players, interactions):
        estimator = "leverage"
    check_budget(estimator, n_players, budget, interactions, int(np.count_nonzero(weights)))
    stream = DesignStream(seed, n_players, budget, design_id)
    if estimator == "exact":
        return ExactDesign.enumerate(n_players, weights, stream, interactions)
    if estimator == "leverage":
        return LeverageDesign.draw(n_players, budget // 2, weights, stream, interactions)
    if estimator == "surrogate":
        return SurrogateDesign.draw(n_players, budget // 2, weights, stream)
    return PermutationDesign.draw(n_players, budget // (2 * (n_players - 1)), weights, stream)
