"""Shapley values as a method of a job."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfx_explain import tables
from tfx_explain.attribution import Design
from tfx_explain.config import ExplainConfig
from tfx_explain.config.parts import TextPartsConfig
from tfx_explain.methods.attributing import Attributing
from tfx_explain.methods.attribution_rows import AttributionRows
from tfx_explain.methods.attribution_tables import AttributionTables
from tfx_explain.methods.background import JobPlan, pool_size
from tfx_explain.methods.batch import Batch
from tfx_explain.methods.context import FirstRows, JobContext, Sample, features_of
from tfx_explain.methods.method import Accumulated, Earlier, Result, TableRows
from tfx_explain.methods.removal import Removal
from tfx_explain.methods.shapley.background import ShapleyPlan
from tfx_explain.methods.shapley.designs import shapley_design, uses_surrogate
from tfx_explain.methods.shapley.parts.inside import Insides, check_parts, described_parts, parts_of
from tfx_explain.methods.shapley.parts.removal import Removed, removals_of
from tfx_explain.methods.shapley.parts.seen import probe_of
from tfx_explain.methods.shapley.parts.tokens import check_tokens, token_markers
from tfx_explain.methods.shapley.pilot import N_PILOT, pilot_budget
from tfx_explain.methods.shapley.row_explainer import RowExplainer
from tfx_explain.methods.shapley.rows import output_errors, shapley_rows
from tfx_explain.methods.shapley.surrogates import fit_to_model
from tfx_explain.models import Model
from tfx_explain.part_records import PartsOf
from tfx_explain.rows import row_hashes, take_rows

KEY = tables.SHAPLEY


@dataclasses.dataclass(frozen=True)
class Shapley(Attributing):
    """Shapley values of single rows, their importance, and interactions where they were asked for.

    Attributes:
      context: of the job.
      lends_coalitions: whether the outputs of coalitions are lent to methods that come after.
    """

    context: JobContext
    lends_coalitions: bool = False
    key: str = KEY
    needs_row_count: bool = False
    attributes: bool = True

    @property
    def parts(self) -> Mapping[str, PartsOf]:
        """Spans of the texts, windows of the series that the configuration names."""
        return parts_of(self.context.config.shapley.parts)

    @property
    def n_sample(self) -> int:
        """Background rows, and a pilot where an error was asked for."""
        config = self.context.config
        return pool_size(config.background) + (N_PILOT if config.shapley.max_relative_error is not None else 0)

    def check(self, rows: FirstRows, models: Sequence[Model]) -> None:
        """Refuses estimators that cannot work with this budget and these players, and parts of what has none."""
        check_parts(self.context, self.context.config.shapley.parts, rows, models)
        check_tokens(self.context.config.shapley.parts, rows, models)
        n_background = self.context.config.background.num_rows
        shapley_design(self.context.config, len(self.context.players), np.full(n_background, 1 / n_background))

    def plan(self, sample: Sample, models: Sequence[Model], plan: JobPlan) -> tuple[ShapleyPlan, Mapping[str, int]]:
        """Fits surrogates, and finds the budget that an asked-for error takes."""
        config, spent = self.context.config, dict[str, int]()
        texts = [feature for feature, of in config.shapley.parts.items() if isinstance(of, TextPartsConfig)]
        probes = {feature: probe_of(sample.rows, feature) for feature in texts}
        markers = token_markers(models[0], config.shapley.parts, sample.rows, plan.background)
        made = ShapleyPlan(surrogates=self._surrogates(models, plan), probes=probes, markers=markers)
        if made.surrogates:
            spent["surrogate"] = sum(surrogate.n_model_rows for surrogate in made.surrogates)
        if config.shapley.max_relative_error is None:
            return made, spent
        rows, size = sample.rows, pool_size(config.background)
        rest = rows.slice(size, N_PILOT) if rows.num_rows >= size + N_PILOT else rows.slice(0, N_PILOT)
        pilot = take_rows(rest, np.arange(rest.num_rows))
        hashes = row_hashes(pilot)
        batch = Batch.of(models[:1], pilot, hashes, hashes, plan.outputs, config, self.context.labels)
        explainer = RowExplainer(models[0], self.context.players, config)
        budget, spent["pilot"] = pilot_budget(explainer, batch, made.background(plan, 0), config)
        return dataclasses.replace(made, budget=budget), spent

    def _surrogates(self, models: Sequence[Model], plan: JobPlan) -> tuple[Any, ...]:
        config, players = self.context.config, self.context.players
        if not uses_surrogate(config, len(players), len(plan.background.weights)):
            return ()
        return tuple(
            fit_to_model(
                model,
                model.inputs(plan.background.rows),
                predictions,
                features_of(model, players),
                config.seed,
                plan.outputs,
            )
            for model, predictions in zip(models, plan.predictions, strict=True)
        )

    def for_rows(self, plan: ShapleyPlan, n_rows: int, n_background: int) -> ShapleyPlan:
        """The same for any number of rows."""
        return plan

    def explainer(self, models: Sequence[Model]) -> _Explainer:
        """One of each model."""
        config, players = self.context.config, self.context.players
        keeps = self.lends_coalitions
        explainers = [RowExplainer(model, players, config, keep_coalitions=keeps) for model in models]
        return _Explainer(explainers, config, Insides(models, players, config) if config.shapley.parts else None)

    def parts_removals(
        self, models: Sequence[Model], batch: Batch, plan: JobPlan, rows: AttributionRows
    ) -> Mapping[str, Removal]:
        """The parts of each feature that is looked into."""
        inside = self.context.config.shapley.parts
        return removals_of(self.context, inside, plan.absent, Removed(models[0], batch, plan, rows)) if inside else {}

    def tables(self, accumulated: Accumulated, plan: JobPlan) -> Mapping[str, TableRows]:
        """Importance, covariance and interactions, of the baseline model too, and differences of slices."""
        design = self._design(plan)
        players = tuple(self.context.players)
        made = AttributionTables(KEY, players, design.interaction_pairs, design.interaction_index)
        return made.all(accumulated)

    def describe(self, accumulated: Accumulated, plan: JobPlan) -> Mapping[str, Mapping[str, object]]:
        """The design."""
        design = self._design(plan)
        return {
            KEY: {
                "estimator": design.estimator,
                "coalitions_per_background_row": design.n_coalitions,
                "background_blocks": design.n_blocks,
                "model_rows_per_example": design.n_model_rows,
                "interaction_index": design.interaction_index,
                **({"parts": described_parts(self.context.config.shapley.parts, plan.absent)} if self.parts else {}),
            }
        }

    def _design(self, plan: JobPlan) -> Design:
        budget = plan.per_method[KEY].budget
        config, n_players = self.context.config, len(self.context.players)
        return shapley_design(config, n_players, plan.background.weights, budget=budget)


class _Explainer:
    """Row explainers of all models.

    Args:
      explainers: one per side.
      config: of the job.
      insides: of features; None where none is looked into.
    """

    def __init__(
        self, explainers: Sequence[RowExplainer], config: ExplainConfig, insides: Insides | None = None
    ) -> None:
        self.explainers = tuple(explainers)
        self.config = config
        self.insides = insides

    def explain(self, batch: Batch, plan: JobPlan, earlier: Earlier) -> Result[AttributionRows]:
        """Attributions of each row; errors where those that it asks for are not finite or too large."""
        backgrounds = [plan.per_method[KEY].background(plan, index) for index in range(len(self.explainers))]
        estimates = [
            explainer.estimate(batch, side, background)
            for explainer, side, background in zip(self.explainers, batch.sides, backgrounds, strict=True)
        ]
        pairs = list(zip(estimates, backgrounds, strict=True))
        errors: dict[int, str] = {}
        for of_model in estimates:
            errors = {**output_errors(of_model), **errors}
        finite = np.isin(np.arange(batch.rows.num_rows), list(errors), invert=True)
        counts = {
            "model_rows": sum(one.n_model_rows for one in estimates),
            "padding_rows": sum(one.n_padding_rows for one in estimates),
        }
        if self.config.shapley.max_relative_error is not None:
            counts["refined"] = sum(one.n_refined for one in estimates)
            counts["above_max_relative_error"] = sum(one.n_imprecise for one in estimates)
        coalitions = [one.coalition_values for one in estimates]
        found = Result(
            tuple(shapley_rows(*pair, finite, batch.chosen[finite]) for pair in pairs),
            errors,
            counts,
            tuple(None if values is None else values.take(finite) for values in coalitions),
        )
        return found if self.insides is None else self.insides.added(found, batch, backgrounds, plan.absent)
