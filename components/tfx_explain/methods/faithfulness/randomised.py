"""The same explanations of models with random weights."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tfx_explain.errors import ModelCallError, ModelError
from tfx_explain.methods.attribution_rows import AttributionRows
from tfx_explain.methods.background import JobPlan
from tfx_explain.methods.batch import Batch, BatchSide
from tfx_explain.methods.context import Sample
from tfx_explain.methods.method import BatchExplainer, Earlier, Method
from tfx_explain.methods.refusals import said
from tfx_explain.models import Model

IntArray = npt.NDArray[np.int64]

AttributingMethod = Method[Any, AttributionRows]
"""Whatever its plan is."""


def plans_of(
    model: Model, methods: Sequence[AttributingMethod], n_models: int, sample: Sample, plan: JobPlan
) -> tuple[JobPlan, ...]:
    """What explaining each model with random weights takes, against the same background.

    Args:
      model: whose weights are drawn anew.
      methods: that explain it.
      n_models: how many times.
      sample: of the background split.
      plan: of the job.

    Raises:
      ModelError: it has no weights, or cannot be explained with random ones.
    """
    made = []
    for seed in range(n_models):
        random = model.with_random_weights(seed)
        try:
            predictions = (random.predict(random.inputs(plan.background.rows)),)
            of_model = dataclasses.replace(plan, predictions=predictions, per_method={})
            for method in methods:
                settled, _ = method.plan(sample, [random], of_model)
                of_model = dataclasses.replace(of_model, per_method={**of_model.per_method, method.key: settled})
        except ModelError as error:
            raise ModelError(
                f"with random weights the model cannot be explained ({said(error)}); leave `randomisation` of "
                "`faithfulness` out."
            ) from error
        made.append(of_model)
    return tuple(made)


def model_rows(counts: Mapping[str, int]) -> int:
    """Rows that models evaluated, of what was done how often."""
    return sum(n for what, n in counts.items() if f"_{what}".endswith("_model_rows"))


class RandomisedExplainers:
    """Explainers of models with random weights, made as they are needed.

    Args:
      model: whose weights are drawn anew.
      methods: that explain it.
    """

    def __init__(self, model: Model, methods: Sequence[AttributingMethod]) -> None:
        self._model = model
        self._methods = {method.key: method for method in methods}
        self._made: dict[tuple[int, str], BatchExplainer[AttributionRows]] = {}

    def explain(
        self, method: str, seed: int, batch: Batch, plan: JobPlan
    ) -> tuple[IntArray, AttributionRows, Mapping[str, int]] | None:
        """Which of the rows of a batch have attributions by the model of this seed, these, and what was counted.

        None where no row has any.
        """
        random = self._model.with_random_weights(seed)
        if (seed, method) not in self._made:
            self._made[seed, method] = self._methods[method].explainer([random])
        inputs = batch.sides[0].inputs
        try:
            own = dataclasses.replace(batch, sides=(BatchSide(inputs, random.predict(inputs)),))
            good = np.setdiff1d(np.arange(batch.rows.num_rows), list(own.prediction_errors(plan)))
            if not len(good):
                return None
            result = self._made[seed, method].explain(own.take(good), plan, Earlier())
        except ModelCallError:
            # It is not the row's fault that random weights cannot take it.
            return None
        return np.delete(good, list(result.errors)), result.sides[0], result.counts
