"""Shapley values from model outputs: which coalitions to evaluate, and what their values say. Numpy and scipy only.

The game of one example x with background rows b of weight w_b is `v(S) = sum_b w_b f(x_S, b_notS)`: the players in
coalition S keep the example's values, the others take a background row's. The model is called elsewhere. Three steps:

    estimator, budget = choose_estimator(n_players, None, n_background)
    design = make_design(estimator, n_players=..., budget=budget, background_weights=..., seed=...)
    attributions = design.solve(block_values, prediction, background_predictions)

With the estimator `surrogate` the third step is that of `PooledRegression(design, surrogate, background_predictions)`,
which takes a surrogate that `fit_surrogate` made.

A design is data: the coalitions, the background rows each of them meets, and the matrices that turn their values into
attributions. It depends on nothing but the arguments of `make_design`, so every worker makes the same one. Each
estimator has a class: `ExactDesign`, `LeverageDesign` and `PermutationDesign` solve themselves (`SolvableDesign`),
`SurrogateDesign` does not.
"""

from tfx_explain.attribution.choice import choose_estimator, minimum_budget
from tfx_explain.attribution.design import Design
from tfx_explain.attribution.exact import ExactDesign
from tfx_explain.attribution.making import make_design
from tfx_explain.attribution.medoids import medoids, row_distances
from tfx_explain.attribution.pooled import PooledRegression
from tfx_explain.attribution.result import Attributions
from tfx_explain.attribution.solvable import SolvableDesign
from tfx_explain.attribution.surrogate import Surrogate
from tfx_explain.attribution.surrogate_design import SurrogateDesign
from tfx_explain.attribution.surrogate_fit import fit_surrogate

__all__ = [
    "Attributions",
    "Design",
    "ExactDesign",
    "PooledRegression",
    "SolvableDesign",
    "Surrogate",
    "SurrogateDesign",
    "choose_estimator",
    "fit_surrogate",
    "make_design",
    "medoids",
    "minimum_budget",
    "row_distances",
]
