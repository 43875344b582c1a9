"""Integrated gradients as a method of a job."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

from tfx_explain import tables
from tfx_explain.config.path_methods import IntegratedGradientsConfig
from tfx_explain.methods.absent import with_absent_features
from tfx_explain.methods.attribution_rows import AttributionRows
from tfx_explain.methods.background import Background, JobPlan, background_digest, pool_size
from tfx_explain.methods.batch import Batch
from tfx_explain.methods.context import FirstRows, Sample
from tfx_explain.methods.method import Accumulated
from tfx_explain.methods.path_gradients.base import PathExplainer, PathMethod, PathSide
from tfx_explain.methods.path_gradients.insides import PathInsides, balanced, forms_of, markers_of
from tfx_explain.methods.path_gradients.integrals import IntegratedRows, integrated_rows
from tfx_explain.methods.path_gradients.model_paths import paths_of
from tfx_explain.methods.path_gradients.reference_values import check_values, with_values, zero_row
from tfx_explain.methods.path_gradients.references import (
    References,
    of_background,
    predictions_of,
    settle,
    typical_rows,
)
from tfx_explain.methods.removal import Removal
from tfx_explain.methods.shapley.parts.inside import check_parts, described_parts, parts_of
from tfx_explain.methods.shapley.parts.removal import Removed, removals_of
from tfx_explain.models import Model
from tfx_explain.models.calls import calls_at_once
from tfx_explain.part_records import PartsOf
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

    @property
    def inside(self) -> tuple[str, ...]:
        """The texts and series that the configuration names."""
        return tuple(self.settings.parts)

    @property
    def parts(self) -> Mapping[str, PartsOf]:
        """Spans of the texts, windows of the series that the configuration names."""
        return parts_of(self.settings.parts)

    def check(self, rows: FirstRows, models: Sequence[Model]) -> None:
        """As `PathMethod.check`; also a ConfigError where values of references, or parts, do not fit the models."""
        check_parts(self.context, self.settings.parts, rows, models)
        super().check(rows, models)
        if not isinstance(self.settings.references, str):
            check_values(self.settings.references, rows, models)

    def plan(self, sample: Sample, models: Sequence[Model], plan: JobPlan) -> tuple[References, Mapping[str, int]]:
        """Chooses the references."""
        asked, players = self.settings.references, self.context.players
        features = sorted(name for names in players.values() for name in names)
        numbers, weights = typical_rows(plan, self.settings.num_references, features)
        if asked == "background" and not self.inside:
            return of_background(numbers, weights, models, players, plan), {}
        if asked == "zero":
            numbers, weights, rows = np.zeros(0, np.int64), np.ones(1), zero_row(models)
        else:
            rows = take_rows(plan.background.rows, numbers)
        if not isinstance(asked, str):
            rows = with_values(rows, asked, models)
        pool = sample.first(pool_size(self.context.config.background)).rows
        rows, absent = with_absent_features(rows, models, self.settings.parts, pool)
        predictions = predictions_of(models, rows, plan.outputs, KEY)
        background = Background(rows, weights, background_digest(rows, weights))
        made = settle(background, numbers, predictions, models, players, plan, self.inside)
        markers = tuple(self._markers(model, sample, plan) for model in models) if self.inside else ()
        spent = {"references": rows.num_rows * len(models)}
        return dataclasses.replace(made, absent=absent, markers=markers), spent

    def _markers(self, model: Model, sample: Sample, plan: JobPlan) -> dict[str, tuple[bytes, bytes]]:
        paths = paths_of(model, self.context.players, plan.background, self.inside)
        return markers_of(paths, self.settings.parts, list(self.context.players), sample.rows)

    def explainer(self, models: Sequence[Model]) -> IntegratedGradientsExplainer:
        """One of each model."""
        return IntegratedGradientsExplainer(models, self)

    def parts_removals(
        self, models: Sequence[Model], batch: Batch, plan: JobPlan, rows: AttributionRows
    ) -> Mapping[str, Removal]:
        """The parts of each feature that is looked into: taken out of what the model reads, as of Shapley values."""
        references: References = plan.per_method[KEY]
        return removals_of(self.context, self.settings.parts, references.absent, Removed(models[0], batch, plan, rows))

    def describe(self, accumulated: Accumulated, plan: JobPlan) -> Mapping[str, Mapping[str, object]]:
        """The references, and how accurate integrals are asked to be."""
        references: References = plan.per_method[KEY]
        found = {
            "background_rows": references.numbers.tolist(),
            "reference_weights": references.rows.weights.tolist(),
        }
        inside = {"parts": described_parts(self.settings.parts, references.absent)} if self.inside else {}
        settings = self.settings.model_dump(mode="json", exclude={"parts"})
        return {KEY: {**settings, **references.describe(), **found, **inside}}


class IntegratedGradientsExplainer(PathExplainer[IntegratedRows]):
    """At work with all models.

    Args:
      models: what is explained, and the baseline model if there is one.
      method: of the job.
    """

    def __init__(self, models: Sequence[Model], method: IntegratedGradients) -> None:
        super().__init__(models, method.context, KEY, method.inside)
        self._settings = method.settings
        self._threads = ThreadPoolExecutor(calls_at_once())
        self._forms = forms_of(self._settings.parts, models)
        # Of each model, kept from batch to batch.
        self._insides: dict[int, PathInsides] = {}

    def _explain_side(self, side: PathSide, plan: JobPlan) -> IntegratedRows:
        if self._inside and side.index not in self._insides:
            of = side.paths, self._settings.parts, list(self._players), self._forms
            self._insides[side.index] = PathInsides(*of, plan.per_method[KEY], side.index)
        return integrated_rows(side, self._settings, self._threads, self._insides.get(side.index))

    def _rows(self, side: PathSide, found: IntegratedRows, kept: npt.NDArray[np.bool_]) -> AttributionRows:
        rows = super()._rows(side, found, kept)
        if not found.parts:
            return rows
        parts = {feature: of_feature.take(np.flatnonzero(kept)) for feature, of_feature in found.parts.items()}
        return dataclasses.replace(rows, parts=balanced(parts, rows, self._insides[side.index].places))

    def _counts(self, found: Sequence[IntegratedRows], finite: npt.NDArray[np.bool_]) -> Mapping[str, int]:
        n_steps = sum(one.n_steps for one in found)
        return {
            f"{KEY}_model_rows": n_steps + sum(one.n_values for one in found),
            f"{KEY}_gradient_rows": n_steps,
            "above_max_completeness_gap": sum(int((~one.is_complete & finite).sum()) for one in found),
        }
