"""How many coalitions an asked-for error takes, found by explaining a few rows of the background split."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np

from tfx_explain.config import ExplainConfig
from tfx_explain.errors import ModelCallError
from tfx_explain.methods.batch import Batch
from tfx_explain.methods.refusals import IntArray, by_halves
from tfx_explain.methods.shapley.background import ShapleyBackground
from tfx_explain.methods.shapley.estimates import Estimates
from tfx_explain.methods.shapley.row_explainer import RowExplainer

N_PILOT = 64
_PILOT_QUANTILE = 0.9


def pilot_budget(
    explainer: RowExplainer, pilot: Batch, background: ShapleyBackground, config: ExplainConfig
) -> tuple[int | None, int]:
    """The least budget that keeps nine of ten pilot rows within `max_relative_error`; None = the configured one.

    Also the model rows that finding it took. Budgets are tried by doubling: the error often falls faster than the root
    that a forecast from one budget assumes.
    """
    budget: int | None = None
    n_model_rows = 0
    while True:
        background = dataclasses.replace(background, budget=budget)
        rounds, refused = by_halves(pilot.rows.num_rows, functools.partial(_first_round, explainer, pilot, background))
        if not rounds:
            raise ModelCallError(f"{next(iter(refused.values()))}.")
        n_model_rows += sum(one.n_model_rows for one in rounds)
        error = np.concatenate([one.relative_error() for one in rounds])
        error = error[~np.isnan(error)]
        if not len(error) or np.quantile(error, _PILOT_QUANTILE) <= (config.shapley.max_relative_error or 0):
            return budget, n_model_rows
        larger = explainer.doubled_budget(explainer.design(background))
        if larger is None:
            return budget, n_model_rows
        budget = larger


def _first_round(explainer: RowExplainer, pilot: Batch, background: ShapleyBackground, rows: IntArray) -> Estimates:
    part = pilot.take(rows)
    return explainer.first_round(part, part.sides[0], background)
