"""Expected gradients as a method of a job."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tfx_explain import tables
from tfx_explain.config.path_methods import ExpectedGradientsConfig
from tfx_explain.methods.attribution_rows import AttributionRows
from tfx_explain.methods.background import JobPlan
from tfx_explain.methods.batch import Batch
from tfx_explain.methods.context import JobContext, Sample
from tfx_explain.methods.method import Accumulated, Result
from tfx_explain.methods.path_gradients.base import PathMethod
from tfx_explain.methods.path_gradients.draws import stratified_alphas
from tfx_explain.methods.path_gradients.model_paths import paths_of, starts_of
from tfx_explain.methods.path_gradients.references import References, of_background
from tfx_explain.methods.path_gradients.rows import AskedSide, PathEstimates
from tfx_explain.models import Inputs, Model
from tfx_explain.models.path_gradients import Paths, Points
from tfx_explain.paths import choose_strata, second_difference_dof
from tfx_explain.rows import HashArray

KEY = tables.EXPECTED_GRADIENTS
FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_MAX_DOUBLINGS = 6
# Places of steps that are held at a time: 32 MiB.
_PLACES = 2**22


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

    def describe(self, accumulated: Accumulated, plan: JobPlan) -> Mapping[str, Mapping[str, Any]]:
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


@dataclasses.dataclass(frozen=True)
class _Side:
    """What one model needs to explain n rows.

    Attributes:
      paths: of the model.
      starts: B references.
      inputs: n rows.
      hashes: (n,) of the rows' contents.
      outputs: (n, c) which outputs each row asks for.
    """

    paths: Paths
    starts: Points
    inputs: Inputs
    hashes: HashArray
    outputs: IntArray


class ExpectedGradientsExplainer:
    """At work with all models.

    Args:
      models: what is explained, and the baseline model if there is one.
      context: of the job.
      settings: of the method.
    """

    def __init__(self, models: Sequence[Model], context: JobContext, settings: ExpectedGradientsConfig) -> None:
        self._models, self._players, self._settings = tuple(models), context.players, settings
        self._seed = context.config.seed

    def explain(self, batch: Batch, plan: JobPlan, earlier: Mapping[str, tuple[Any, ...]]) -> Result[AttributionRows]:
        """Attributions of each row; errors where they are not finite or too large."""
        references: References = plan.per_method[KEY]
        n_strata = choose_strata(self._settings.num_samples, plan.background.weights).n_strata
        asked, found, n_rows, refined = [], [], 0, 0
        for index, (model, side) in enumerate(zip(self._models, batch.sides, strict=True)):
            of_side = references.side(index)
            asked.append(AskedSide.of(side, of_side, batch.chosen))
            paths = paths_of(model, self._players, plan.background)
            starts = starts_of(paths, model, of_side)
            this = _Side(paths, starts, side.inputs, batch.hashes, asked[index].outputs)
            estimates, spent, again = self._estimate(this, references, n_strata)
            found.append(estimates)
            n_rows, refined = n_rows + spent, refined + again
        errors: dict[int, str] = {}
        for one in found:
            errors = {**one.errors(), **errors}
        finite = np.isin(np.arange(batch.rows.num_rows), list(errors), invert=True)
        counts = {f"{KEY}_model_rows": n_rows, f"{KEY}_gradient_rows": n_rows}
        limit = self._settings.max_relative_error
        if limit is not None:
            counts[f"{KEY}_refined"] = refined
            above = (int((~(one.relative_error() <= limit) & finite).sum()) for one in found)
            counts[f"{KEY}_above_max_relative_error"] = sum(above)
        sides = (one.rows(of_side, batch.hashes, finite) for of_side, one in zip(asked, found, strict=True))
        return Result(tuple(sides), errors, counts)

    def _estimate(self, side: _Side, references: References, n_strata: int) -> tuple[PathEstimates, int, int]:
        """Attributions, with twice the steps over and over for rows that miss the asked-for error.

        Also the gradients that they took, and how many rows were done again.
        """
        n, c = side.outputs.shape
        weights, limit = references.rows.weights, self._settings.max_relative_error
        estimates = PathEstimates.empty((n, side.paths.n_players, c), weights)
        rows, spent, refined = np.arange(n), 0, 0
        for doubling in range(_MAX_DOUBLINGS + 1):
            self._round(estimates, rows, side, references, n_strata << doubling)
            spent += len(rows) * len(weights) * (n_strata << doubling)
            refined += len(rows) if doubling == 1 else 0
            # Errors that are not known stay so.
            rows = np.flatnonzero(estimates.relative_error() > limit) if limit is not None else rows[:0]
            if not len(rows):
                break
        return estimates, spent, refined

    def _round(
        self, estimates: PathEstimates, rows: IntArray, side: _Side, references: References, n_strata: int
    ) -> None:
        """Explains some rows with so many steps from each reference.

        The spread over references shows the error of these as a sample, and the noise of the steps with it.
        """
        weights = references.rows.weights
        at_once = max(_PLACES // (len(weights) * n_strata), 1)
        for some in np.split(rows, range(at_once, len(rows), at_once)) if len(rows) else []:
            alphas = stratified_alphas(side.hashes[some], references.numbers, n_strata, self._seed)
            ends = side.paths.enter(side.inputs.take(some))
            found = side.paths.expected(side.starts, ends, weights, alphas, side.outputs[some])
            estimates.values[some] = found.values
            estimates.design_variance[some] = found.design_variance
            beyond = np.maximum(found.background_variance - found.design_variance, 0.0)
            estimates.background_variance[some] = beyond if len(weights) > 1 else 0.0
        estimates.design_dof[rows] = second_difference_dof(1 / float(np.square(weights).sum()), n_strata)
