"""Attributions of another output, drawn at random: those of the asked one are to differ from them.

Source: L. Sixt, M. Granz and T. Landgraf, "When explanations lie: why many modified BP attributions fail", ICML 2020
(random logit).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from tfx_explain.content_sample import copy_keys, stream_of, uniform_of
from tfx_explain.errors import ModelCallError
from tfx_explain.methods.attribution_rows import AttributionRows
from tfx_explain.methods.background import JobPlan
from tfx_explain.methods.batch import Batch
from tfx_explain.methods.faithfulness.randomised import AttributingMethod
from tfx_explain.methods.method import BatchExplainer, Earlier
from tfx_explain.models import Model
from tfx_explain.rows import HashArray

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


def drawn_others(chosen: IntArray, draws: HashArray, n_outputs: int, seed: int) -> IntArray:
    """(n, c) another of the n_outputs >= 2 explained ones for each that a row asks for, all equally likely.

    Args:
      chosen: (n, c) which ones it asks for.
      draws: (n,) random numbers of the rows.
      n_outputs: that are explained.
      seed: of the job.
    """
    keys = copy_keys(draws[:, None], chosen, stream_of(seed, "faithfulness other outputs"))
    ahead = 1 + (uniform_of(keys) * (n_outputs - 1)).astype(np.int64)
    return np.asarray((chosen + ahead) % n_outputs)


@dataclasses.dataclass(frozen=True)
class OtherOutputs:
    """What a method says of other outputs than the rows ask for.

    Attributes:
      rows: what it says, of as many outputs.
      good: (k,) which of the rows it says something of.
      outputs: (k, c) which of the outputs of `rows` stands beside each that the row asks for.
      counts: what was done how often.
    """

    rows: AttributionRows
    good: IntArray
    outputs: IntArray
    counts: Mapping[str, int]


class OtherOutputExplainers:
    """The methods at work with the model that is explained, asked for other outputs.

    Args:
      model: what is explained.
      methods: that explain it.
      seed: of the job.
    """

    def __init__(self, model: Model, methods: Sequence[AttributingMethod], seed: int) -> None:
        self._model, self._seed = model, seed
        self._methods = {method.key: method for method in methods}
        self._made: dict[str, BatchExplainer[AttributionRows]] = {}

    def explain(self, method: str, batch: Batch, plan: JobPlan, said: AttributionRows) -> OtherOutputs | None:
        """Attributions of other outputs; None where no row has any.

        Args:
          method: its key.
          batch: n rows.
          plan: of the job.
          said: what it says of the outputs that they ask for: already all there are, where they ask for each.
        """
        n_rows, n_asked = batch.chosen.shape
        others = drawn_others(batch.chosen, batch.draws, len(plan.outputs), self._seed)
        if n_asked == len(plan.outputs):
            # Where among the outputs that a row asks for the other one stands.
            stands = np.argsort(batch.chosen, axis=1)
            return OtherOutputs(said, np.arange(n_rows), np.take_along_axis(stands, others, axis=1), {})
        if method not in self._made:
            self._made[method] = self._methods[method].explainer([self._model])
        asked = dataclasses.replace(batch, chosen=others)
        good = np.setdiff1d(np.arange(n_rows), list(asked.prediction_errors(plan)))
        try:
            result = self._made[method].explain(asked.take(good), plan, Earlier()) if len(good) else None
        except ModelCallError:
            # The row was explained; that another output of it cannot be is not its fault.
            return None
        if result is None:
            return None
        good = np.delete(good, list(result.errors))
        outputs = np.tile(np.arange(n_asked), (len(good), 1))
        return OtherOutputs(result.sides[0], good, outputs, result.counts)
