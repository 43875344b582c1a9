"""Losses of batches of labelled rows: with a player's features from other rows, and with coalitions of players."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from tfx_explain.config import ExplainConfig
from tfx_explain.errors import InputError
from tfx_explain.methods.background import Background
from tfx_explain.methods.losses.plan import BASELINE_METHODS, PERMUTATION_IMPORTANCE, SAGE, LossPlan
from tfx_explain.methods.losses.rows import LabelledRows, LossRows, MethodRows, ScoredRows
from tfx_explain.methods.permutation_importance.explainer import PermutationExplainer
from tfx_explain.methods.rounding import rounding_floor
from tfx_explain.methods.sage.explainer import SageExplainer
from tfx_explain.methods.shapley.estimates import CoalitionValues
from tfx_explain.models import Inputs, Model
from tfx_explain.rows import HashArray, single_numbers
from tfx_explain.slicing import OVERALL
from tfx_explain.summary.auc_importance import AucImportanceAccumulator
from tfx_explain.summary.loss_importance import LossImportanceAccumulator
from tfx_explain.summary.losses import AUC, loss, usable_labels

FloatArray = npt.NDArray[np.float64]

MethodAccumulator = LossImportanceAccumulator | AucImportanceAccumulator

_LOSSES: tuple[str, ...] = ("loss_of_mean", "loss")


class LossExplainer:
    """Permutation importance and SAGE of batches of rows, with one model.

    Args:
      model: what is explained.
      players: name -> features; those that the model does not read have no effect on it.
      config: which methods, and their settings.
    """

    def __init__(self, model: Model, players: Mapping[str, Sequence[str]], config: ExplainConfig) -> None:
        read = {feature.name for feature in model.features} or {name for names in players.values() for name in names}
        self.model = model
        self.players = tuple(tuple(name for name in names if name in read) for names in players.values())
        self.config = config
        self.sage = SageExplainer(model, self.players, config)
        self.permutation = PermutationExplainer(model, self.players, config)

    def evaluate(
        self,
        batch: pa.RecordBatch,
        draws: HashArray,
        background: Background,
        plan: LossPlan,
        prediction: FloatArray,
        coalition_values: CoalitionValues | None = None,
    ) -> tuple[dict[str, MethodRows], dict[str, int]]:
        """What each method says of the rows.

        Args:
          batch: n rows without `row_errors`.
          draws: (n,) of the rows.
          background: reference rows.
          plan: as resolved.
          prediction: (n, K) outputs of the rows.
          coalition_values: of the rows, where the plan reuses them.

        Returns:
          Method -> its figures; what was done how often.
        """
        found: dict[str, MethodRows] = {}
        counts: dict[str, int] = {}
        labels, inputs = single_numbers(batch, str(self.config.label_key)), self.model.inputs(batch)
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
                counts[f"{method}_examples_on_whole_background"] = int(np.isfinite(losses[:, -1, 0]).sum())
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
        background: Background,
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


def loss_table(
    accumulated: Mapping[tuple[str, str, str], Any],
    players: Sequence[str],
    plan: LossPlan,
    *,
    of_baseline: bool = False,
) -> list[pd.DataFrame]:
    """The rows of `importance.parquet` that these methods add, or of `baseline_importance.parquet`.

    Args:
      accumulated: (table, slice, output) -> figures; those of other methods may be among them.
      players: names of all of them.
      plan: says which losses were used, and for which players.
      of_baseline: whether the figures of the baseline model are meant, with paired differences to them.
    """
    tables = {BASELINE_METHODS[method] if of_baseline else method: method for method in plan.metrics}
    frames = []
    for (table, slice_key, output), accumulator in accumulated.items():
        if table not in tables:
            continue
        method, summary = tables[table], accumulator.result()
        # A slice may have none of the few rows that meet the whole background, or rows of one class only.
        if not np.isfinite(summary.value).all():
            continue
        names = [players[i] for i in plan.players[method]]
        about = {"slice": slice_key, "output": output, "method": method, "player": names}
        columns = {**about, **summary.columns(), "metric": plan.metrics[method]}
        if of_baseline:
            change = accumulated[method, slice_key, output].estimates() - accumulator.estimates()
            columns |= {"difference": change.value, "difference_std_error": change.std_error}
            columns["difference_ci_low"], columns["difference_ci_high"] = change.interval()
        frames.append(pd.DataFrame(columns).sort_values("rank", kind="stable"))
    return frames


def describe_losses(accumulated: Mapping[Any, Any], plan: LossPlan | None, config: ExplainConfig) -> dict[str, Any]:
    """The methods' entries in the manifest: settings as resolved, and what the whole data say.

    Args:
      accumulated: (method, slice, output) -> figures; other keys may be among them.
      plan: None where none of the methods was asked for.
      config: as given.

    Raises:
      InputError: no explained row has a label, or all have the same and there is no AUC.
    """
    if plan is None:
        return {}
    described = plan.describe(config)
    for method, entry in described.items():
        of_slices = {key[1]: value for key, value in accumulated.items() if key[0] == method}
        summary = of_slices[OVERALL].result() if OVERALL in of_slices else None
        if summary is None:
            raise InputError(
                f"method `{method}` found no explained row with a usable label `{config.label_key}`; give some rows "
                "one, or leave the method out."
            )
        is_auc = plan.metrics[method] == AUC
        if is_auc:
            entry["slices_of_one_class"] = _slices_of_one_class(of_slices, method, config)
        entry |= summary.losses if is_auc else {"mean_losses": summary.losses}
        for key, theirs in accumulated.items():
            if key[:2] == (BASELINE_METHODS[method], OVERALL):
                losses = theirs.result().losses
                entry["baseline_model"] = losses if is_auc else {"mean_losses": losses}
        entry["num_examples"] = summary.n_examples
        error = summary.relative_error
        entry["relative_error"] = error if np.isfinite(error) else None
    return described


def _slices_of_one_class(of_slices: Mapping[str, MethodAccumulator], method: str, config: ExplainConfig) -> list[str]:
    """Names of the slices that have no AUC.

    Raises:
      InputError: the whole data has none.
    """
    names = sorted(name for name, value in of_slices.items() if np.isnan(value.estimates().value).any())
    if OVERALL in names:
        raise InputError(
            f"every explained row that counts has the same label `{config.label_key}`, so method `{method}` has no "
            "AUC; explain rows of both classes, or choose `metric: log_loss`."
        )
    return names
