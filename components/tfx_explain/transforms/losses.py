"""Losses of batches of labelled rows: with a player's features from other rows, and with coalitions of players."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from tfx_explain.config import ExplainConfig
from tfx_explain.errors import InputError
from tfx_explain.models import Inputs, Model
from tfx_explain.models.features import take_rows
from tfx_explain.rows import HashArray, single_numbers
from tfx_explain.slicing import OVERALL
from tfx_explain.summary.loss_importance import LossImportanceAccumulator
from tfx_explain.summary.losses import loss, usable_labels
from tfx_explain.transforms.background import Background
from tfx_explain.transforms.loss_plan import PERMUTATION_IMPORTANCE, SAGE, LossPlan
from tfx_explain.transforms.row_explainer import CoalitionValues
from tfx_explain.transforms.sage import LabelledRows, SageExplainer

FloatArray = npt.NDArray[np.float64]

_LOSSES: tuple[str, ...] = ("loss_of_mean", "loss")


@dataclasses.dataclass(frozen=True)
class LossRows:
    """What one method says of n examples.

    Attributes:
      output: the name of the model's output, all values of which enter the loss.
      values: (n, T, d) change of the loss, in terms whose means add up; NaN for rows that have no part in a term.
      loss_names: of `losses`.
      losses: (n, T, n_losses) losses of the row; NaN as well.
      clusters: (n,) rows that share random numbers.
      n_clusters: how many.
    """

    output: str
    values: FloatArray
    loss_names: tuple[str, ...]
    losses: FloatArray
    clusters: npt.NDArray[np.int64]
    n_clusters: int

    def contribution(self, rows: npt.NDArray[np.int64], weights: FloatArray) -> Any:
        """What some rows add to an accumulator, as `summarize.Contribution`; None where all of them are left out."""
        figures = np.concatenate([self.values[rows], self.losses[rows]], axis=2)
        known = np.isfinite(figures[:, 0]).all(axis=1) & ~np.isinf(figures).any(axis=(1, 2))
        kept = rows[known]
        if not len(kept):
            return None
        _, n_terms, n_players = self.values.shape
        empty = partial(LossImportanceAccumulator, n_players, self.loss_names, self.n_clusters, n_terms)
        return empty, (self.values[kept], self.losses[kept], self.clusters[kept], weights[known])


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
        self._donors: tuple[LossPlan, Inputs] | None = None

    def evaluate(
        self,
        batch: pa.RecordBatch,
        hashes: HashArray,
        background: Background,
        plan: LossPlan,
        prediction: FloatArray,
        coalition_values: CoalitionValues | None = None,
    ) -> tuple[dict[str, LossRows], dict[str, int]]:
        """What each method says of the rows.

        Args:
          batch: n rows without `row_errors`.
          hashes: (n,) of the rows.
          background: reference rows.
          plan: as resolved.
          prediction: (n, K) outputs of the rows.
          coalition_values: of the rows, where the plan reuses them.

        Returns:
          Method -> its figures; what was done how often.
        """
        found: dict[str, LossRows] = {}
        counts: dict[str, int] = {}
        labels, inputs = single_numbers(batch, str(self.config.label_key)), self.model.inputs(batch)
        for method, metric in plan.metrics.items():
            usable = usable_labels(metric, labels, self.model.n_outputs)
            kept = usable & plan.chosen_rows(hashes, plan.fraction) if method == SAGE else usable
            rows = np.flatnonzero(kept)
            own = loss(metric, self.model.output_space, prediction[rows], labels[rows])
            some = LabelledRows(rows, inputs.take(rows), labels[rows], hashes[rows], own)
            if method == PERMUTATION_IMPORTANCE:
                values, n_model_rows = self._permute(some, plan, metric)
                names, losses = _LOSSES[1:], own[:, None, None]
            else:
                values, losses, n_model_rows = self.sage.evaluate(some, background, plan, metric, coalition_values)
                names = _LOSSES
            clusters = plan.clusters(hashes)
            figures = (_spread(values, rows, len(hashes)), names, _spread(losses, rows, len(hashes)))
            found[method] = LossRows(self.model.output_name, *figures, clusters, plan.n_clusters)
            counts[f"{method}_examples"] = len(rows)
            counts[f"{method}_model_rows"] = n_model_rows
            if method == SAGE:
                counts[f"{method}_examples_on_whole_background"] = int(np.isfinite(losses[:, -1, 0]).sum())
            counts[f"{method}_without_usable_label"] = int((~usable).sum())
        return found, counts

    def _permute(self, some: LabelledRows, plan: LossPlan, metric: str) -> tuple[FloatArray, int]:
        """(n, 1, d) mean increase of the loss over donors, and the model rows it took."""
        if self._donors is None or self._donors[0] is not plan:
            self._donors = (plan, self.model.inputs(plan.donors))
        num_donors = self.config.method(PERMUTATION_IMPORTANCE).num_donors
        given = plan.donors_of(some.hashes, num_donors).reshape(-1)
        repeated, labels = some.inputs.take(np.repeat(np.arange(len(some.rows)), num_donors)), some.labels
        values = np.zeros((len(some.rows), len(plan.players[PERMUTATION_IMPORTANCE])))
        n_evaluated = 0
        for column, player in enumerate(plan.players[PERMUTATION_IMPORTANCE]):
            if self.players[player] and len(given):
                mixed = _replaced(repeated, self._donors[1], given, self.players[player])
                outputs = self.model.predict(mixed)
                losses = loss(metric, self.model.output_space, outputs, np.repeat(labels, num_donors))
                values[:, column] = losses.reshape(-1, num_donors).mean(axis=1) - some.loss
                n_evaluated += 1
        return values[:, None], n_evaluated * len(given)


def _spread(values: FloatArray, rows: npt.NDArray[np.int64], n: int) -> FloatArray:
    """The values in the given rows of n, NaN in the others."""
    everywhere = np.full((n, *values.shape[1:]), np.nan)
    everywhere[rows] = values
    return everywhere


def _replaced(inputs: Inputs, donors: Inputs, rows: npt.NDArray[np.int64], names: Sequence[str]) -> Inputs:
    """The examples with some features taken from rows of the donors; missing where the donors have no such feature."""
    columns = {name: column for name, column in inputs.columns.items() if name not in names}
    columns |= {name: take_rows(donors.columns[name], rows) for name in names if name in donors.columns}
    return Inputs(len(inputs), columns)


def loss_table(
    accumulated: Mapping[tuple[str, str, str], LossImportanceAccumulator],
    players: Sequence[str],
    plan: LossPlan,
) -> list[pd.DataFrame]:
    """The rows of `importance.parquet` that these methods add.

    Args:
      accumulated: (method, slice, output) -> figures.
      players: names of all of them.
      plan: says which losses were used, and for which players.
    """
    frames = []
    for (method, slice_key, output), accumulator in accumulated.items():
        summary = accumulator.result()
        # A slice may have none of the few rows that meet the whole background.
        if not np.isfinite(summary.value).all():
            continue
        names = [players[i] for i in plan.players[method]]
        about = {"slice": slice_key, "output": output, "method": method, "player": names}
        columns = {**about, **summary.columns(), "metric": plan.metrics[method]}
        frames.append(pd.DataFrame(columns).sort_values("rank", kind="stable"))
    return frames


def describe_losses(accumulated: Mapping[Any, Any], plan: LossPlan | None, config: ExplainConfig) -> dict[str, Any]:
    """The methods' entries in the manifest: settings as resolved, and what the whole data say.

    Args:
      accumulated: (method, slice, output) -> figures; other keys may be among them.
      plan: None where none of the methods was asked for.
      config: as given.

    Raises:
      InputError: no explained row has a label.
    """
    if plan is None:
        return {}
    described = plan.describe(config)
    for method, entry in described.items():
        summary = next((v.result() for key, v in accumulated.items() if key[:2] == (method, OVERALL)), None)
        if summary is None:
            raise InputError(
                f"method `{method}` found no explained row with a usable label `{config.label_key}`; give some rows "
                "one, or leave the method out."
            )
        entry["mean_losses"] = summary.losses
        entry["num_examples"] = summary.n_examples
        error = summary.relative_error
        entry["relative_error"] = error if np.isfinite(error) else None
    return described
