"""Integrated gradients as a method of a job."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from tfx_explain import tables
from tfx_explain.config.path_methods import IntegratedGradientsConfig
from tfx_explain.methods.background import Background, JobPlan, background_digest
from tfx_explain.methods.context import FirstRows, JobContext, Sample
from tfx_explain.methods.method import Accumulated
from tfx_explain.methods.path_gradients.base import PathExplainer, PathMethod, PathSide
from tfx_explain.methods.path_gradients.integrals import IntegratedRows, integrated_rows
from tfx_explain.methods.path_gradients.reference_values import check_values, with_values, zero_row
from tfx_explain.methods.path_gradients.references import (
    References,
    of_background,
    predictions_of,
    settle,
    typical_rows,
)
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
        predictions = predictions_of(models, rows, plan.outputs, KEY)
        background = Background(rows, weights, background_digest(rows, weights))
        spent = {"references": rows.num_rows * len(models)}
        return settle(background, numbers, predictions, models, players, plan), spent

    def explainer(self, models: Sequence[Model]) -> IntegratedGradientsExplainer:
        """One of each model."""
        return IntegratedGradientsExplainer(models, self.context, self.settings)

    def describe(self, accumulated: Accumulated, plan: JobPlan) -> Mapping[str, Mapping[str, object]]:
        """The references, and how accurate integrals are asked to be."""
        references: References = plan.per_method[KEY]
        found = {
            "background_rows": references.numbers.tolist(),
            "reference_weights": references.rows.weights.tolist(),
        }
        return {KEY: {**self.settings.model_dump(mode="json"), **references.describe(), **found}}


class IntegratedGradientsExplainer(PathExplainer[IntegratedRows]):
    """At work with all models.

    Args:
      models: what is explained, and the baseline model if there is one.
      context: of the job.
      settings: of the method.
    """

    def __init__(self, models: Sequence[Model], context: JobContext, settings: IntegratedGradientsConfig) -> None:
        super().__init__(models, context, KEY)
        self._settings = settings

    def _explain_side(self, side: PathSide, plan: JobPlan) -> IntegratedRows:
        return integrated_rows(side.paths, side.inputs, side.starts, side.weights, side.asked, self._settings)

    def _counts(self, found: Sequence[IntegratedRows], finite: npt.NDArray[np.bool_]) -> Mapping[str, int]:
        n_steps = sum(one.n_steps for one in found)
        return {
            f"{KEY}_model_rows": n_steps + sum(one.n_values for one in found),
            f"{KEY}_gradient_rows": n_steps,
            "above_max_completeness_gap": sum(int((~one.is_complete & finite).sum()) for one in found),
        }
