"""Losses of batches of labelled rows: with a player's features from other rows, and with coalitions of players."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tfx_explain.config import ExplainConfig
from tfx_explain.methods.background import SideBackground
from tfx_explain.methods.context import features_of
from tfx_explain.methods.labels import Labels
from tfx_explain.methods.losses.plan import PERMUTATION_IMPORTANCE, SAGE, LossPlan
from tfx_explain.methods.losses.rows import LabelledRows, LossRows, MethodRows, ScoredRows
from tfx_explain.methods.permutation_importance.explainer import PermutationExplainer
from tfx_explain.methods.rounding import rounding_floor
from tfx_explain.methods.sage.explainer import SageExplainer
from tfx_explain.methods.shapley.estimates import CoalitionValues
from tfx_explain.models import Inputs, Model
from tfx_explain.rows import HashArray
from tfx_explain.summary.losses import AUC, loss, usable_labels

FloatArray = npt.NDArray[np.float64]

_LOSSES: tuple[str, ...] = ("loss_of_mean", "loss")


class LossExplainer:
    """Permutation importance and SAGE of batches of rows, with one model.

    Args:
      model: what is explained.
      players: name -> features; those that the model does not read have no effect on it.
      config: which methods, and their settings.
      labels: where those of the rows come from.
    """

    def __init__(
        self, model: Model, players: Mapping[str, Sequence[str]], config: ExplainConfig, labels: Labels
    ) -> None:
        self.model = model
        self.players = features_of(model, players)
        self.labels = labels
        self.sage = SageExplainer(model, self.players, config, labels)
        self.permutation = PermutationExplainer(model, self.players, config)

    def evaluate(
        self,
        batch: pa.RecordBatch,
        draws: HashArray,
        background: SideBackground,
        plan: LossPlan,
        prediction: FloatArray,
        coalition_values: CoalitionValues | None = None,
    ) -> tuple[dict[str, MethodRows], dict[str, int]]:
        """What each method says of the rows.

        Args:
          batch: n rows without `row_errors`.
          draws: (n,) of the rows.
          background: reference rows.
          plan: as resolved, for this model.
          prediction: (n, K) outputs of the rows.
          coalition_values: of the rows, where the plan reuses them.

        Returns:
          Method -> its figures; what was done how often.
        """
        found: dict[str, MethodRows] = {}
        counts: dict[str, int] = {}
        labels, inputs = self.labels.of(batch), self.model.inputs(batch)
        clusters = plan.clusters(draws)
        for method, metric in plan.metrics.items():
            usable = usable_labels(metric, labels, self.model.n_outputs)
            kept = usable & plan.chosen_rows(draws, plan.fraction) if method == SAGE else usable
            some = self._labelled(np.flatnonzero(kept), metric, inputs, labels, draws, prediction, background)
            if method == PERMUTATION_IMPORTANCE:
                found[method] = self._permute(some, plan, clusters)
                n_model_rows = self.permutation.n_model_rows(len(some.rows), plan)
            else:
                values, losses, n_model_rows = self.sage.evaluate(some, background, plan, metric, coalition_values)
                found[method] = self._of_losses(some, values, _LOSSES, losses, plan, clusters)
                in_games = np.isfinite(losses[:, :, 0])
                on_rough = in_games[:, -2] & ~in_games[:, -1] if plan.rough_fraction else np.zeros(0)
                counts[f"{method}_examples_on_whole_background"] = int(in_games[:, -1].sum())
                counts[f"{method}_examples_on_rough_background"] = int(on_rough.sum())
            counts[f"{method}_examples"] = len(some.rows)
            counts[f"{method}_model_rows"] = n_model_rows
            counts[f"{method}_without_usable_label"] = int((~usable).sum())
        return found, counts

    def _labelled(
        self,
        rows: npt.NDArray[np.int64],
        metric: str,
        inputs: Inputs,
        labels: FloatArray,
        draws: HashArray,
        prediction: FloatArray,
        background: SideBackground,
    ) -> LabelledRows:
        outputs, of_rows = prediction[rows], labels[rows]
        own = np.full(len(rows), np.nan)
        if metric != AUC:
            own = loss(metric, self.model.loss_space, outputs, of_rows)
        floor = rounding_floor(outputs, background.predictions)
        return LabelledRows(rows, inputs.take(rows), of_rows, draws[rows], outputs, own, floor)

    def _permute(self, some: LabelledRows, plan: LossPlan, clusters: npt.NDArray[np.int64]) -> MethodRows:
        """Permutation importance of the rows by whichever metric it has."""
        metric = plan.metrics[PERMUTATION_IMPORTANCE]
        if metric != AUC:
            values = self.permutation.changes(some, plan, metric)
            return self._of_losses(some, values[:, None], _LOSSES[1:], some.loss[:, None, None], plan, clusters)
        bins, finite = self.permutation.bins(some, plan)
        parts = [_spread(part, some.rows, len(clusters), 0) for part in (bins, some.labels.astype(np.int64), finite)]
        sizes = (len(plan.score_edges[0]) + 1, plan.n_clusters)
        return ScoredRows(self.model.output_name, parts[0], parts[1], parts[2], clusters, *sizes, plan.score_groups[0])

    def _of_losses(
        self,
        some: LabelledRows,
        values: FloatArray,
        names: tuple[str, ...],
        losses: FloatArray,
        plan: LossPlan,
        clusters: npt.NDArray[np.int64],
    ) -> LossRows:
        n = len(clusters)
        figures = (_spread(values, some.rows, n, np.nan), names, _spread(losses, some.rows, n, np.nan))
        return LossRows(self.model.output_name, *figures, clusters, plan.n_clusters)


def _spread(values: npt.NDArray[Any], rows: npt.NDArray[np.int64], n: int, missing: float) -> npt.NDArray[Any]:
    """The values in the given rows of n, `missing` in the others."""
    everywhere = np.full((n, *values.shape[1:]), missing, values.dtype)
    everywhere[rows] = values
    return everywhere
