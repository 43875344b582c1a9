"""What all workers need before they explain: background, grids of profiles, budget where an error was asked for."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator, Sequence

import apache_beam as beam
import numpy as np
import pyarrow as pa

from tfx_explain.config import ExplainConfig
from tfx_explain.config.explain import LOSS_METHODS, SageConfig
from tfx_explain.content_sample import SampledRows
from tfx_explain.errors import EmptySplitError, ModelCallError, ModelError
from tfx_explain.job.refusals import GROUP, IntArray, by_halves, refused_rows, said
from tfx_explain.job.request import ExplainRequest, features_read
from tfx_explain.methods.background import Background, choose_background, pool_size
from tfx_explain.methods.losses.explainer import LossExplainer
from tfx_explain.methods.losses.plan import N_PILOT, needs_pilot, plan_losses, wants_losses
from tfx_explain.methods.profiles.plan import N_SAMPLE, plan_profiles, wants_profiles
from tfx_explain.methods.shapley.designs import uses_surrogate
from tfx_explain.methods.shapley.estimates import Estimates
from tfx_explain.methods.shapley.row_explainer import RowExplainer, players_of
from tfx_explain.methods.shapley.surrogates import fit_to_model
from tfx_explain.models import Model
from tfx_explain.rows import HashArray, row_hashes, take_rows
from tfx_explain.transforms.explain import set_aside
from tfx_explain.transforms.read import FAILED
from tfx_explain.transforms.select import SampleRows, Selection

_N_PILOT = 64
_PILOT_QUANTILE = 0.9


class ChooseBackground(beam.PTransform):
    """One Background from the usable SplitRows of the background split; refused rows are `failed`."""

    def __init__(self, request: ExplainRequest) -> None:
        super().__init__()
        self.request = request

    def expand(self, rows: beam.PCollection) -> beam.pvalue.DoOutputsTuple:
        """Adds the steps."""
        config = self.request.config
        n_pilot = _N_PILOT if config.shapley.max_relative_error is not None else 0
        n = pool_size(config.background) + n_pilot
        if wants_profiles(config) or wants_losses(config):
            n = max(n, N_SAMPLE)
        selection = Selection(n, config.seed, f"background {config.background.split}")
        sample = rows | "Sample" >> SampleRows(selection, self.request.background_pattern)
        return sample | "Plan" >> beam.FlatMap(plan_without_refused, self.request).with_outputs(
            FAILED, main="background"
        )


def background_name(split: str) -> str:
    """How the rows of a split that the background is drawn from are called among counts and failures."""
    return f"{split} (background)"


def plan_without_refused(
    sampled: SampledRows, request: ExplainRequest
) -> Iterator[Background | beam.pvalue.TaggedOutput]:
    """As `plan`, of the rows that the models can predict; the others go to the `failed` output.

    Raises:
      EmptySplitError: there are none.
      ModelCallError: the models can predict none of them, or fail on mixtures of those that they can.
    """
    rows = sampled.rows
    try:
        yield plan(sampled, request)
        return
    except ModelCallError as error:
        if rows is None:
            raise
        refused = refused_rows([handle.acquire() for handle in request.models], rows)
        if len(refused) == rows.num_rows:
            raise
        failed = error
    good = np.setdiff1d(np.arange(rows.num_rows), list(refused))
    _, failures = set_aside(rows, refused)
    split = request.config.background.split
    if failures:
        yield beam.pvalue.TaggedOutput(FAILED, (background_name(split), failures))
    try:
        yield plan(SampledRows(take_rows(rows, good), sampled.hashes[good], sampled.draws[good]), request)
    except ModelCallError as error:
        raise ModelCallError(
            f"{said(error)}: it is asked about mixtures of rows of split `{split}`, too; {GROUP}."
        ) from failed


def plan(sampled: SampledRows, request: ExplainRequest) -> Background:
    """Background, grids of profiles and budget from rows of the background split.

    Raises:
      EmptySplitError: there are none.
    """
    config, rows = request.config, sampled.rows
    if rows is None:
        raise EmptySplitError(
            f"no row of split `{config.background.split}` can serve as background: the model can read none of them."
        )
    size = pool_size(config.background)
    model = request.model.acquire()
    baseline = None if request.baseline_model is None else request.baseline_model.acquire()
    features = sorted(name for names in request.players.values() for name in names)
    background = choose_background(model, rows.slice(0, size), config.background, features, baseline, config.model)
    if wants_profiles(config):
        explained = [name for player, names in request.players.items() if player != request.rest for name in names]
        read = features_read([model] if baseline is None else [model, baseline], features)
        sample = rows.slice(0, N_SAMPLE)
        background = dataclasses.replace(background, profiles=plan_profiles(sample, config, explained, read))
    if wants_losses(config):
        draws = sampled.draws[:N_SAMPLE]
        background = with_loss_plan(background, rows.slice(0, N_SAMPLE), draws, request, model, baseline)
    background = with_surrogate(background, request, [model] if baseline is None else [model, baseline])
    background = dataclasses.replace(background, model_rows=_model_rows(background, request, rows.num_rows))
    if config.shapley.max_relative_error is None:
        return background
    rest = rows.slice(size, _N_PILOT) if rows.num_rows >= size + _N_PILOT else rows.slice(0, _N_PILOT)
    pilot = take_rows(rest, np.arange(rest.num_rows))
    explainer = RowExplainer(model, request.players, config)
    budget, n_model_rows = pilot_budget(explainer, pilot, background, config)
    return dataclasses.replace(background, budget=budget, model_rows={**background.model_rows, "pilot": n_model_rows})


def _model_rows(background: Background, request: ExplainRequest, n_sampled: int) -> dict[str, int]:
    """What was spent on making a background -> model rows, of all models together."""
    n_predicted = min(n_sampled, pool_size(request.config.background))
    n_predicted += min(n_sampled, N_SAMPLE) if wants_losses(request.config) else 0
    spent = {"prediction": n_predicted * len(request.models)}
    fitted = [one for one in (background.surrogate, background.baseline_surrogate) if one is not None]
    if fitted:
        spent["surrogate"] = sum(one.n_model_rows for one in fitted)
    pilot = None if background.losses is None else background.losses.pilot
    if pilot is not None:
        spent["sage_pilot"] = pilot.n_examples * (len(request.players) - 1) * len(background.weights)
    return spent


def with_surrogate(background: Background, request: ExplainRequest, models: Sequence[Model]) -> Background:
    """The background with a surrogate of each model, where the configured estimator uses one.

    Args:
      background: as chosen.
      request: what is explained and how.
      models: what is explained, and the baseline model if there is one.
    """
    if not uses_surrogate(request.config, len(request.players), len(background.weights)):
        return background
    fitted = []
    for model, predictions in zip(models, (background.predictions, background.baseline_predictions), strict=False):
        players, inputs = players_of(model, request.players), model.inputs(background.rows)
        seed = request.config.seed
        fitted.append(fit_to_model(model, inputs, np.asarray(predictions), players, seed, background.outputs))
    return dataclasses.replace(background, surrogate=fitted[0], baseline_surrogate=fitted[1] if fitted[1:] else None)


def pilot_budget(
    explainer: RowExplainer, pilot: pa.RecordBatch, background: Background, config: ExplainConfig
) -> tuple[int | None, int]:
    """The least budget that keeps nine of ten pilot rows within `max_relative_error`; None = the configured one.

    Also the model rows that finding it took. Budgets are tried by doubling: the error often falls faster than the root
    that a forecast from one budget assumes.
    """
    hashes = row_hashes(pilot)
    budget: int | None = None
    n_model_rows = 0
    while True:
        background = dataclasses.replace(background, budget=budget)
        rounds, refused = by_halves(
            pilot.num_rows, functools.partial(_first_round, explainer, pilot, hashes, background)
        )
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


def _first_round(
    explainer: RowExplainer, pilot: pa.RecordBatch, hashes: HashArray, background: Background, rows: IntArray
) -> Estimates:
    return explainer.first_round(take_rows(pilot, rows), hashes[rows], background)


def with_loss_plan(
    background: Background,
    sample: pa.RecordBatch,
    draws: HashArray,
    request: ExplainRequest,
    model: Model,
    baseline_model: Model | None = None,
) -> Background:
    """The background with what permutation importance and SAGE need.

    Args:
      background: as chosen.
      sample: n rows of the background split in random order, from which donors are taken.
      draws: (n,) random numbers of these rows.
      request: which methods.
      model: what is explained.
      baseline_model: explained with the same donors.

    Raises:
      ModelError: there is no row for which all outputs are finite.
    """
    config, n_players = request.config, len(request.players)
    models = [model] if baseline_model is None else [model, baseline_model]
    predictions = [one.predict(one.inputs(sample)) for one in models]
    finite = np.flatnonzero(np.all([np.isfinite(values).all(axis=1) for values in predictions], axis=0))
    if not len(finite):
        name = next(name for name in LOSS_METHODS if config.method(name) is not None)
        raise ModelError(
            f"method `{name}` judges all outputs of the model together, but some are NaN or infinite for every row of "
            f"split `{config.background.split}`; leave the method out, or explain a model whose outputs are finite."
        )
    donors = take_rows(sample, finite)
    of_donors = [values[finite] for values in predictions]
    plan = plan_losses(donors, of_donors, config, model, tuple(request.players), len(background.weights))
    background = dataclasses.replace(background, losses=plan)
    if not needs_pilot(config, n_players, len(background.weights)):
        return background
    explainer = LossExplainer(model, request.players, config)
    # The last ones, which are the least likely to be in the background.
    pilot = finite[-N_PILOT:]
    rows = take_rows(sample, pilot)
    try:
        found = explainer.sage.pilot(rows, draws[pilot], background, plan, predictions[0][pilot])
    except ModelCallError:
        # Without a forecast all rows are evaluated, and those that the model refuses are found.
        found = None
    return dataclasses.replace(background, losses=dataclasses.replace(plan, pilot=found))


class SettleLosses(beam.PTransform):
    """The Background, told how many SplitRows there are to explain.

    Args:
      rows: one PCollection per split.
      sage: its settings, if it was asked for.
    """

    def __init__(self, rows: list[beam.PCollection], sage: SageConfig | None) -> None:
        super().__init__()
        self.rows = rows
        self.sage = sage

    def expand(self, background: beam.PCollection) -> beam.PCollection:
        n_rows = (
            self.rows
            | "AllRows" >> beam.Flatten()
            | "NumRows" >> beam.Map(lambda element: element.rows.num_rows)
            | "Sum" >> beam.CombineGlobally(sum)
        )
        return background | "Settle" >> beam.Map(_for_rows, self.sage, beam.pvalue.AsSingleton(n_rows))


def _for_rows(background: Background, sage: SageConfig | None, n_rows: int) -> Background:
    if background.losses is None or sage is None:
        return background
    plan = background.losses.for_rows(n_rows, len(background.weights), sage.max_relative_error)
    return dataclasses.replace(background, losses=plan)
