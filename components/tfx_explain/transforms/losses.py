"""Losses of batches of labelled rows: with a player's features from other rows, and with coalitions of players."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from tfx_explain.attribution.loss_game import (
    JACKKNIFE_BLOCKS,
    Orders,
    attribute_losses,
    draw_orders,
    merge_blocks,
    order_coalitions,
    solve_orders,
)
from tfx_explain.config import ExplainConfig
from tfx_explain.errors import InputError
from tfx_explain.models import Inputs, Model
from tfx_explain.models.features import take_rows
from tfx_explain.rows import HashArray, single_numbers
from tfx_explain.slicing import OVERALL
from tfx_explain.summary.loss_importance import LossImportanceAccumulator
from tfx_explain.summary.losses import loss, loss_of_mean, usable_labels
from tfx_explain.transforms.background import Background
from tfx_explain.transforms.loss_plan import N_ORDERS, PERMUTATION_IMPORTANCE, SAGE, LossPlan
from tfx_explain.transforms.row_explainer import CoalitionValues

FloatArray = npt.NDArray[np.float64]

_LOSSES: tuple[str, ...] = ("loss_of_mean", "loss")

# Each group of rows meets the whole background in calls of one shape.
_ROWS_PER_GROUP = 32
_ROWS_PER_SOLVE = 128


@dataclasses.dataclass(frozen=True)
class LossRows:
    """What one method says of n examples.

    Attributes:
      output: the name of the model's output, all values of which enter the loss.
      values: (n, d) change of the loss; NaN for rows that the method leaves out.
      loss_names: of `losses`.
      losses: (n, n_losses) mean losses of the row; NaN as well.
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
        known = np.isfinite(self.values[rows]).all(axis=1) & np.isfinite(self.losses[rows]).all(axis=1)
        kept = rows[known]
        if not len(kept):
            return None
        empty = partial(LossImportanceAccumulator, self.values.shape[1], self.loss_names, self.n_clusters)
        return empty, (self.values[kept], self.losses[kept], self.clusters[kept], weights[known])


@dataclasses.dataclass(frozen=True)
class _Design:
    """Blocks of one background row, each with its own coalitions."""

    coalitions: npt.NDArray[np.bool_]
    background_index: npt.NDArray[np.int32]
    background_weight: FloatArray


@dataclasses.dataclass(frozen=True)
class _Labelled:
    """The rows with a label that the method can use."""

    rows: npt.NDArray[np.int64]
    inputs: Inputs
    labels: FloatArray
    hashes: HashArray
    loss: FloatArray


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
        self._donors: tuple[LossPlan, Inputs] | None = None
        self._background: tuple[str, Inputs] | None = None
        self._orders: Orders | None = None

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
            kept = usable & plan.chosen_rows(hashes) if method == SAGE else usable
            rows = np.flatnonzero(kept)
            own = loss(metric, self.model.output_space, prediction[rows], labels[rows])
            some = _Labelled(rows, inputs.take(rows), labels[rows], hashes[rows], own)
            if method == PERMUTATION_IMPORTANCE:
                values, n_model_rows = self._permute(some, plan, metric)
                names, losses = _LOSSES[1:], own[:, None]
            else:
                values, empty, n_model_rows = self._sage(some, background, plan, metric, coalition_values)
                names, losses = _LOSSES, np.stack([empty, own], axis=1)
            clusters = plan.clusters(hashes)
            figures = (_spread(values, rows, len(hashes)), names, _spread(losses, rows, len(hashes)))
            found[method] = LossRows(self.model.output_name, *figures, clusters, plan.n_clusters)
            counts[f"{method}_examples"] = len(rows)
            counts[f"{method}_model_rows"] = n_model_rows
            counts[f"{method}_without_usable_label"] = int((~usable).sum())
        return found, counts

    def _permute(self, some: _Labelled, plan: LossPlan, metric: str) -> tuple[FloatArray, int]:
        """(n, d) mean increase of the loss over donors, and the model rows it took."""
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
        return values, n_evaluated * len(given)

    def _sage(
        self,
        some: _Labelled,
        background: Background,
        plan: LossPlan,
        metric: str,
        coalition_values: CoalitionValues | None,
    ) -> tuple[FloatArray, FloatArray, int]:
        """(n, d) Shapley values of -loss, (n,) losses without any player, and the model rows it took."""
        n_blocks = JACKKNIFE_BLOCKS if self.config.background.strategy == "sample" else 1
        judge = partial(loss_of_mean, metric, self.model.output_space)
        n = len(some.rows)
        values = np.zeros((n, len(self.players)))
        if coalition_values is not None and plan.reuses_coalitions:
            of_rows = coalition_values.take(some.rows)
            base, weights = merge_blocks(of_rows.base, of_rows.weights, n_blocks, axis=0)
            empty = judge(np.broadcast_to(base, (n, *base.shape)), weights, some.labels)
            for part in _parts(n, _ROWS_PER_SOLVE):
                merged, _ = merge_blocks(of_rows.values[part], of_rows.weights, n_blocks)
                losses = judge(merged, weights, some.labels[part])
                values[part] = attribute_losses(of_rows.design, losses, empty[part], some.loss[part])
            return values, empty, 0
        base, weights = merge_blocks(background.predictions, background.weights, n_blocks, axis=0)
        empty = judge(np.broadcast_to(base, (n, *base.shape)), weights, some.labels)
        orders = self._orders_of(some.hashes, plan)
        for repeat in range(orders.shape[1]):
            for part in _parts(n, _ROWS_PER_GROUP):
                order = orders[part, repeat]
                means = self._mean_outputs(some.inputs, part, order, background, n_blocks)
                losses = judge(means, weights, some.labels[part])
                values[part] += solve_orders(order, losses, empty[part], some.loss[part]) / orders.shape[1]
        n_coalitions = 2 * (len(self.players) - 1)
        return values, empty, n * orders.shape[1] * n_coalitions * len(background.weights)

    def _orders_of(self, hashes: HashArray, plan: LossPlan) -> Orders:
        """(n, orders_per_row, d)."""
        if self._orders is None:
            self._orders = draw_orders(self.config.seed, len(self.players), N_ORDERS)
        return self._orders[plan.orders_of(hashes)]

    def _mean_outputs(
        self, inputs: Inputs, part: npt.NDArray[np.int64], orders: Orders, background: Background, n_blocks: int
    ) -> FloatArray:
        """(n, n_blocks, n_coalitions, K) means over blocks of the background, with each row's own coalitions.

        Examples and background change places here: the model's side lets every block have its own coalitions, so each
        row is a block, and what it lacks is what the background row keeps.
        """
        if self._background is None or self._background[0] != background.digest:
            self._background = (background.digest, self.model.inputs(background.rows))
        # The last group is filled up with rows of its own, so that all calls have one shape.
        filled = np.resize(np.arange(len(part)), _ROWS_PER_GROUP)
        design = _Design(
            coalitions=~order_coalitions(orders)[filled],
            background_index=np.arange(_ROWS_PER_GROUP, dtype=np.int32)[:, None],
            background_weight=np.ones((_ROWS_PER_GROUP, 1)),
        )
        rows = inputs.take(part[filled])
        values = self.model.block_values(self._background[1], rows, self.players, design)
        values, _ = merge_blocks(values, background.weights, n_blocks, axis=0)
        return np.moveaxis(values, 0, 1)[: len(part)]


def _parts(n: int, size: int) -> Iterator[npt.NDArray[np.int64]]:
    for start in range(0, n, size):
        yield np.arange(start, min(start + size, n))


def _spread(values: FloatArray, rows: npt.NDArray[np.int64], n: int) -> FloatArray:
    """The values in the given rows of n, NaN in the others."""
    everywhere = np.full((n, values.shape[1]), np.nan)
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
        names = [players[i] for i in plan.players[method]]
        about = {"slice": slice_key, "output": output, "method": method, "player": names}
        columns = {**about, **accumulator.result().columns(), "metric": plan.metrics[method]}
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
