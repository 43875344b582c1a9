"""Integrated gradients as a method of a job."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfx_explain import tables
from tfx_explain.config.path_methods import IntegratedGradientsConfig
from tfx_explain.methods.attribution_rows import AttributionRows
from tfx_explain.methods.background import Background, JobPlan, background_digest
from tfx_explain.methods.batch import Batch
from tfx_explain.methods.context import FirstRows, JobContext, Sample
from tfx_explain.methods.method import Accumulated, Result
from tfx_explain.methods.path_gradients.base import PathMethod
from tfx_explain.methods.path_gradients.integrals import integrated_rows
from tfx_explain.methods.path_gradients.model_paths import paths_of, starts_of
from tfx_explain.methods.path_gradients.reference_values import check_values, with_values, zero_row
from tfx_explain.methods.path_gradients.references import (
    References,
    of_background,
    predictions_of,
    settle,
    typical_rows,
)
from tfx_explain.methods.path_gradients.rows import AskedSide
from tfx_explain.models import Model
from tfx_explain.rows import take_rows

KEY = tables.INTEGRATED_GRADIENTS


@dataclasses.dataclass(frozen=True)
class IntegratedGradients(PathMethod):
    """Attributions along the paths from a few references to each row."""

    key: str = KEY

    @property
    def settings(self) -> IntegratedGradientsConfig:
        """What the user asked for."""
        settings: IntegratedGradientsConfig = self.context.config.method(KEY)
        return settings

    def check(self, rows: FirstRows, models: Sequence[Model]) -> None:
        """As `PathMethod.check`; also a ConfigError where values of references do not fit the models."""
        super().check(rows, models)
        if not isinstance(self.settings.references, str):
            check_values(self.settings.references, rows, models)

    def plan(self, sample: Sample, models: Sequence[Model], plan: JobPlan) -> tuple[References, Mapping[str, int]]:
        """Chooses the references."""
        asked, players = self.settings.references, self.context.players
        features = sorted(name for names in players.values() for name in names)
        numbers, weights = typical_rows(plan, self.settings.num_references, features)
        if asked == "background":
            return of_background(numbers, weights, models, players, plan), {}
        if isinstance(asked, str):
            numbers, weights, rows = np.zeros(0, np.int64), np.ones(1), zero_row(models)
        else:
            rows = with_values(take_rows(plan.background.rows, numbers), asked, models)
        predictions = predictions_of(models, rows, plan.outputs)
        background = Background(rows, weights, background_digest(rows, weights))
        spent = {"references": rows.num_rows * len(models)}
        return settle(background, numbers, predictions, models, players, plan), spent

    def explainer(self, models: Sequence[Model]) -> IntegratedGradientsExplainer:
        """One of each model."""
        return IntegratedGradientsExplainer(models, self.context, self.settings)

    def describe(self, accumulated: Accumulated, plan: JobPlan) -> Mapping[str, Mapping[str, Any]]:
        """The references, and how accurate integrals are asked to be."""
        references: References = plan.per_method[KEY]
        found = {
            "background_rows": references.numbers.tolist(),
            "reference_weights": references.rows.weights.tolist(),
        }
        return {KEY: {**self.settings.model_dump(mode="json"), **references.describe(), **found}}


class IntegratedGradientsExplainer:
    """At work with all models.

    Args:
      models: what is explained, and the baseline model if there is one.
      context: of the job.
      settings: of the method.
    """

    def __init__(self, models: Sequence[Model], context: JobContext, settings: IntegratedGradientsConfig) -> None:
        self._models, self._players, self._settings = tuple(models), context.players, settings

    def explain(self, batch: Batch, plan: JobPlan, earlier: Mapping[str, tuple[Any, ...]]) -> Result[AttributionRows]:
        """Attributions of each row; errors where they are not finite or too large."""
        asked, found = [], []
        for index, (model, side) in enumerate(zip(self._models, batch.sides, strict=True)):
            references = plan.per_method[KEY].side(index)
            asked.append(AskedSide.of(side, references, batch.chosen))
            paths = paths_of(model, self._players, plan.background)
            starts = starts_of(paths, model, references)
            found.append(integrated_rows(paths, side.inputs, starts, references.weights, asked[index], self._settings))
        errors: dict[int, str] = {}
        for one in found:
            errors = {**one.estimates.errors(), **errors}
        finite = np.isin(np.arange(batch.rows.num_rows), list(errors), invert=True)
        n_steps = sum(one.n_steps for one in found)
        counts = {
            f"{KEY}_model_rows": n_steps + sum(one.n_values for one in found),
            f"{KEY}_gradient_rows": n_steps,
            "above_max_completeness_gap": sum(int((~one.is_complete & finite).sum()) for one in found),
        }
        sides = (one.estimates.rows(of_side, batch.hashes, finite) for of_side, one in zip(asked, found, strict=True))
        return Result(tuple(sides), errors, counts)
