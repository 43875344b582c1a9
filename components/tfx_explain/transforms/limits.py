"""Keeps a job within `max_model_rows` and `max_seconds`, with the largest budget that fits."""

from __future__ import annotations

import dataclasses
import logging
import time

from tfx_explain.config import ExplainConfig
from tfx_explain.config.methods import Method
from tfx_explain.config.shapley import ShapleyConfig
from tfx_explain.errors import InputError
from tfx_explain.job.request import ExplainRequest
from tfx_explain.methods.shapley.limits import cheaper, cheapest, nominal_budget
from tfx_explain.tables import SHAPLEY
from tfx_explain.transforms.trial import Forecast, Run, forecast

_LOG = logging.getLogger(__name__)

_TRIES = 5
_OF_TIME = 0.85
"""Of the time that is left, what a forecast may fill: machines are not always equally fast."""
_OF_ROWS = 0.95
"""The same of model rows, where rows do not all take the same."""


def within_limits(request: ExplainRequest, run: Run) -> ExplainRequest:
    """The job, with fewer coalitions where it would take too much, and then fewer rows.

    Args:
      request: the job as it was asked for.
      run: runs a job; jobs on few rows are tried.

    Raises:
      InputError: not even one row with the smallest budget fits.
      TfxExplainError: as of the job.
    """
    config = request.config
    if config.max_model_rows is None and config.max_seconds is None:
        return request
    started, asked = time.monotonic(), config
    found: Forecast | None = None
    for _ in range(_TRIES):
        found = forecast(request, run, timed=config.max_seconds is not None, before=found)
        most = _most_rows_per_row(found, asked, time.monotonic() - started)
        if found.model_rows_per_row <= most:
            return dataclasses.replace(request, asked=asked, limits=_described(asked, request.config, found))
        request = dataclasses.replace(request, config=_cut(request, found, most))
    raise InputError(
        f"{_named(asked)} cannot be kept: jobs on few rows take more in each try; explain fewer rows (`max_examples`)."
    )


def _most_rows_per_row(found: Forecast, asked: ExplainConfig, elapsed: float) -> float:
    """How many model rows each explained row may take.

    Raises:
      InputError: none, as what comes before the first row takes too much.
    """
    most = float("inf")
    if asked.max_model_rows is not None:
        certain = found.model_rows_per_row == round(found.model_rows_per_row)
        most = (asked.max_model_rows * (1 if certain else _OF_ROWS) - found.settling_rows) / found.n_rows
    if asked.max_seconds is not None and found.seconds_per_row is not None and found.fixed_seconds is not None:
        left = (asked.max_seconds - elapsed) * _OF_TIME - found.fixed_seconds
        share = left / max(found.seconds_per_row * found.n_rows, 1e-9)
        if share < 1:
            share = (left - found.seconds_to_try_again) / max(found.seconds_per_row * found.n_rows, 1e-9)
            most = min(most, found.model_rows_per_row * share)
    if most <= 0:
        seconds = "" if found.fixed_seconds is None else f" and about {found.fixed_seconds + elapsed:,.0f} s"
        raise InputError(
            f"{_named(asked)} is less than what comes before the first row takes: {found.settling_rows:,} model rows"
            f"{seconds}; allow more."
        )
    return most


def _cut(request: ExplainRequest, found: Forecast, most: float) -> ExplainConfig:
    """The configuration with as many coalitions as fit, else with as many rows of the fewest coalitions.

    Args:
      request: the job.
      found: what it takes.
      most: model rows that one row may take.

    Raises:
      InputError: not even one row fits.
    """
    config, per_row = request.config, found.model_rows_per_row
    settings: ShapleyConfig | None = config.method(SHAPLEY)
    if settings is not None:
        n_sides, size = len(request.models), (len(request.players), config.background.num_rows)
        of_each = n_sides * config.background.num_rows
        others = per_row - min(found.coalition_rows_per_row, of_each * nominal_budget(settings, *size))
        fitting = cheaper(settings, *size, (most - others) / n_sides)
        if fitting is not None and fitting != settings:
            return _with_shapley(config, fitting)
        least = cheapest(settings, *size)
        if least != settings:
            config, per_row = _with_shapley(config, least), others + of_each * nominal_budget(least, *size)
    n_rows = int(most * found.n_rows / per_row) // len(found.rows)
    if n_rows < 1:
        raise InputError(
            f"a single row takes about {per_row:,.0f} model rows at least, and about {most * found.n_rows:,.0f} fit "
            "`max_model_rows` or `max_seconds`; allow more, or take fewer background rows (`background.num_rows`)."
        )
    return config.model_copy(update={"max_examples": n_rows})


def _with_shapley(config: ExplainConfig, settings: ShapleyConfig) -> ExplainConfig:
    methods = tuple(Method(shapley=settings) if one.name == SHAPLEY else one for one in config.methods)
    return config.model_copy(update={"methods": methods})


def _described(asked: ExplainConfig, used: ExplainConfig, found: Forecast) -> dict[str, object]:
    """The entry `limits` of the manifest."""
    cut: dict[str, dict[str, object]] = {}
    if asked.max_examples != used.max_examples:
        cut["max_examples"] = {"asked": asked.max_examples, "used": used.max_examples}
    for name in ("estimator", "budget", "max_relative_error"):
        before, after = getattr(asked.shapley, name), getattr(used.shapley, name)
        if before != after:
            cut[f"{SHAPLEY}.{name}"] = {"asked": before, "used": after}
    for name, change in cut.items():
        _LOG.warning("%s: `%s` is %s in place of %s.", _named(asked), name, change["used"], change["asked"])
    return {
        "max_model_rows": asked.max_model_rows,
        "max_seconds": asked.max_seconds,
        "forecast_model_rows": found.model_rows,
        "forecast_seconds": None if found.seconds is None else round(found.seconds, 1),
        "cut": cut,
    }


def _named(asked: ExplainConfig) -> str:
    limits = {"max_model_rows": asked.max_model_rows, "max_seconds": asked.max_seconds}
    return " or ".join(f"`{name}: {value:,}`" for name, value in limits.items() if value is not None)
