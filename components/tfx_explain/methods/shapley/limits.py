"""The largest budget of Shapley values that fits a number of model rows."""

from __future__ import annotations

from tfx_explain.attribution import choose_estimator, minimum_budget
from tfx_explain.config.shapley import Estimator, ShapleyConfig
from tfx_explain.errors import EstimationError


def cheaper(settings: ShapleyConfig, n_players: int, n_background: int, most_rows: float) -> ShapleyConfig | None:
    """Settings with as many coalitions as fit; None where not even the smallest budget does.

    Args:
      settings: as asked for. An estimator that they name is kept, `exact` with all its coalitions; from `auto`,
        `leverage` comes first, then `permutation`, which takes fewer.
      n_players: number of players.
      n_background: number of background rows.
      most_rows: how many model rows one example and model may take.
    """
    budget = max(int(most_rows // n_background), 0)
    budget -= budget % 2
    if budget >= nominal_budget(settings, n_players, n_background):
        return settings.model_copy(update={"max_relative_error": None})
    for estimator, least in _least_budgets(settings, n_players, n_background):
        if budget >= least:
            return _with(settings, estimator, budget)
    return None


def cheapest(settings: ShapleyConfig, n_players: int, n_background: int) -> ShapleyConfig:
    """Settings with the smallest budget that an estimator takes."""
    found = _least_budgets(settings, n_players, n_background)
    if not found:
        return settings
    estimator, least = min(found, key=lambda pair: pair[1])
    return _with(settings, estimator, least)


def nominal_budget(settings: ShapleyConfig, n_players: int, n_background: int) -> int:
    """Coalitions evaluated per background row, before rows that come out the same are evaluated once."""
    _, budget = choose_estimator(
        n_players,
        settings.budget,
        n_background,
        estimator=settings.estimator,
        interactions=settings.interactions,
    )
    return budget


def _least_budgets(settings: ShapleyConfig, n_players: int, n_background: int) -> list[tuple[Estimator, int]]:
    """The estimators that may be used, in order, and the smallest budget of each; none where nothing can be cut."""
    if settings.estimator == "exact":
        return []
    allowed: tuple[Estimator, ...] = ("leverage", "permutation")
    found: list[tuple[Estimator, int]] = []
    for estimator in allowed if settings.estimator == "auto" else (settings.estimator,):
        try:
            found.append((estimator, minimum_budget(estimator, n_players, settings.interactions, n_background)))
        except EstimationError:  # it gives no interactions
            continue
    return found


def _with(settings: ShapleyConfig, estimator: Estimator, budget: int) -> ShapleyConfig:
    return settings.model_copy(update={"estimator": estimator, "budget": budget, "max_relative_error": None})
