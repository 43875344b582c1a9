"""Expected gradients as a method of a job."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tfx_explain import tables
from tfx_explain.config.path_methods import ExpectedGradientsConfig
from tfx_explain.methods.background import JobPlan
from tfx_explain.methods.context import JobContext, Sample
from tfx_explain.methods.method import Accumulated
from tfx_explain.methods.path_gradients.base import PathExplainer, PathMethod, PathSide
from tfx_explain.methods.path_gradients.draws import StratifiedPlaces
from tfx_explain.methods.path_gradients.references import References, of_background
from tfx_explain.methods.path_gradients.rows import PathEstimates
from tfx_explain.models import Model
from tfx_explain.paths import choose_strata, second_difference_dof

KEY = tables.EXPECTED_GRADIENTS
FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_MAX_DOUBLINGS = 6
# Floats of rows at the cut that are held at a time: 64 MiB.
_POINTS = 2**24


@dataclasses.dataclass(frozen=True)
class ExpectedGradients(PathMethod):
    """Attributions along the paths from all background rows to each row."""

    key: str = KEY

    @property
    def settings(self) -> ExpectedGradientsConfig:
        """What the user asked for."""
        settings: ExpectedGradientsConfig = self.context.config.method(KEY)
        return settings

    def plan(self, sample: Sample, models: Sequence[Model], plan: JobPlan) -> tuple[References, Mapping[str, int]]:
        """Chooses the references: all of the background, where there are samples for them."""
        strata = choose_strata(self.settings.num_samples, plan.background.weights)
        return of_background(strata.references, strata.weights, models, self.context.players, plan), {}

    def explainer(self, models: Sequence[Model]) -> ExpectedGradientsExplainer:
        """One of each model."""
        return ExpectedGradientsExplainer(models, self.context, self.settings)

    def describe(self, accumulated: Accumulated, plan: JobPlan) -> Mapping[str, Mapping[str, object]]:
        """How many paths there are, and how many steps each has."""
        references: References = plan.per_method[KEY]
        strata = choose_strata(self.settings.num_samples, plan.background.weights)
        found = {
            **self.settings.model_dump(mode="json"),
            **references.describe(),
            "steps_per_reference": strata.n_strata,
            "model_rows_per_example": len(strata.references) * strata.n_strata,
        }
        return {KEY: found}


class RefinedRows(NamedTuple):
    """What n rows come to.

    Attributes:
      estimates: their attributions.
      n_steps: points that gradients were taken at.
      n_refined: how many rows were done again.
    """

    estimates: PathEstimates
    n_steps: int
    n_refined: int

    def errors(self) -> dict[int, str]:
        """Row -> what is wrong with its attributions."""
        return self.estimates.errors()


class ExpectedGradientsExplainer(PathExplainer[RefinedRows]):
    """At work with all models.

    Args:
      models: what is explained, and the baseline model if there is one.
      context: of the job.
      settings: of the method.
    """

    def __init__(self, models: Sequence[Model], context: JobContext, settings: ExpectedGradientsConfig) -> None:
        super().__init__(models, context, KEY)
        self._settings, self._seed = settings, context.config.seed

    def _explain_side(self, side: PathSide, plan: JobPlan) -> RefinedRows:
        """Attributions, with twice the steps over and over for rows that miss the asked-for error."""
        n, c = side.asked.outputs.shape
        references, limit = plan.per_method[KEY], self._settings.max_relative_error
        n_strata = choose_strata(self._settings.num_samples, plan.background.weights).n_strata
        estimates = PathEstimates.empty((n, side.paths.n_players, c), side.weights)
        rows, spent, refined = np.arange(n), 0, 0
        for doubling in range(_MAX_DOUBLINGS + 1):
            self._round(estimates, rows, side, references, n_strata << doubling)
            spent += len(rows) * len(side.weights) * (n_strata << doubling)
            refined += len(rows) if doubling == 1 else 0
            # Errors that are not known stay so.
            rows = np.flatnonzero(estimates.relative_error() > limit) if limit is not None else rows[:0]
            if not len(rows):
                break
        return RefinedRows(estimates, spent, refined)

    def _counts(self, found: Sequence[RefinedRows], finite: npt.NDArray[np.bool_]) -> Mapping[str, int]:
        n_steps, limit = sum(one.n_steps for one in found), self._settings.max_relative_error
        counts = {f"{KEY}_model_rows": n_steps, f"{KEY}_gradient_rows": n_steps}
        if limit is not None:
            counts[f"{KEY}_refined"] = sum(one.n_refined for one in found)
            above = (int((~(one.estimates.relative_error() <= limit) & finite).sum()) for one in found)
            counts[f"{KEY}_above_max_relative_error"] = sum(above)
        return counts

    def _round(
        self, estimates: PathEstimates, rows: IntArray, side: PathSide, references: References, n_strata: int
    ) -> None:
        """Explains some rows with so many steps from each reference.

        The spread over references shows the error of these as a sample, and the noise of the steps with it.
        """
        weights = side.weights
        at_once = max(_POINTS // max(side.starts.moving.shape[1], 1), 1)
        for some in np.split(rows, range(at_once, len(rows), at_once)) if len(rows) else []:
            places = StratifiedPlaces(side.hashes[some], references.numbers, n_strata, self._seed)
            ends = side.paths.enter(side.inputs.take(some))
            found = side.paths.expected(side.starts, ends, weights, places, side.asked.outputs[some])
            estimates.values[some] = found.values
            estimates.design_variance[some] = found.design_variance
            beyond = np.maximum(found.background_variance - found.design_variance, 0.0)
            estimates.background_variance[some] = beyond if len(weights) > 1 else 0.0
        estimates.design_dof[rows] = second_difference_dof(1 / float(np.square(weights).sum()), n_strata)
