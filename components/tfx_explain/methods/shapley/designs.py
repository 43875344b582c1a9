"""Which design explains a row: settled by the configuration, the background and the row's hash alone."""

from __future__ import annotations

from collections import deque
from weakref import WeakValueDictionary

import numpy as np
import numpy.typing as npt

from tfx_explain.attribution import Design, choose_estimator, make_design, minimum_budget
from tfx_explain.attribution.choice import n_inner_coalitions
from tfx_explain.config import ExplainConfig

# Designs that something still uses: those of both models are the same, and what checks or describes a job has the first
# one. That is kept from the job's start to its end.
_MADE: WeakValueDictionary[tuple[object, ...], Design] = WeakValueDictionary()
_FIRST: deque[Design] = deque(maxlen=2)


def shapley_design(
    config: ExplainConfig,
    n_players: int,
    background_weights: npt.NDArray[np.float64],
    *,
    design_id: int = 0,
    budget: int | None = None,
) -> Design:
    """The design with this number; `budget` where it is to be other than the configured one. Made once in a process.

    Raises:
      EstimationError: the estimator cannot work with this budget and these players.
    """
    interactions = config.shapley.interactions
    estimator, resolved = _resolve(config, n_players, len(background_weights), budget)
    key = estimator, n_players, resolved, background_weights.tobytes(), config.seed, design_id, interactions
    design = _MADE.get(key)
    if design is None:
        design = _MADE[key] = make_design(
            estimator,
            n_players=n_players,
            budget=resolved,
            background_weights=background_weights,
            seed=config.seed,
            design_id=design_id,
            interactions=interactions,
        )
        if design_id == 0:
            _FIRST.append(design)
    return design


def evaluates_all_coalitions(config: ExplainConfig, n_players: int, n_background: int) -> bool:
    """Whether the configured design evaluates every coalition."""
    estimator, budget = _resolve(config, n_players, n_background, None)
    return estimator == "exact" or budget >= n_inner_coalitions(n_players)


def uses_surrogate(config: ExplainConfig, n_players: int, n_background: int) -> bool:
    """Whether the configured design needs a surrogate of the model."""
    estimator, budget = _resolve(config, n_players, n_background, None)
    return estimator == "surrogate" and budget < minimum_budget("leverage", n_players)


def _resolve(config: ExplainConfig, n_players: int, n_background: int, budget: int | None) -> tuple[str, int]:
    settings = config.shapley
    return choose_estimator(
        n_players,
        settings.budget if budget is None else budget,
        n_background,
        estimator=settings.estimator,
        interactions=settings.interactions,
    )
