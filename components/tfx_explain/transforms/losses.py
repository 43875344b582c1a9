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
from tfx_explain.attribution.two_level import Pilot, RoughBackground, RoughGame, representative_rows
from tfx_explain.config import ExplainConfig
from tfx_explain.errors import InputError
from tfx_explain.models import Inputs, Model
from tfx_explain.models.features import take_rows
from tfx_explain.rows import HashArray, single_numbers
from tfx_explain.slicing import OVERALL
from tfx_explain.summary.loss_importance import LossImportanceAccumulator
from tfx_explain.summary.losses import loss, loss_of_mean, usable_labels
from tfx_explain.transforms.background import Background
from tfx_explain.transforms.loss_plan import MIN_PILOT, N_ORDERS, PERMUTATION_IMPORTANCE, SAGE, LossPlan
from tfx_explain.transforms.row_explainer import CoalitionValues

FloatArray = npt.NDArray[np.float64]

_LOSSES: tuple[str, ...] = ("loss_of_mean", "loss")

# Groups of rows that go to the model's side together: larger ones save little time and are harder to fill.
_MODEL_ROWS_PER_GROUP = 2**17
_MAX_ROWS_PER_GROUP = 256
_ROWS_PER_SOLVE = 128
_ROUGH_ROWS = (4, 8, 16, 32)


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

    def take(self, chosen: npt.NDArray[np.bool_]) -> _Labelled:
        """Some of the rows, (n,) booleans."""
        inputs = self.inputs.take(np.flatnonzero(chosen))
        return _Labelled(self.rows[chosen], inputs, self.labels[chosen], self.hashes[chosen], self.loss[chosen])


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
            kept = usable & plan.chosen_rows(hashes, plan.fraction) if method == SAGE else usable
            rows = np.flatnonzero(kept)
            own = loss(metric, self.model.output_space, prediction[rows], labels[rows])
            some = _Labelled(rows, inputs.take(rows), labels[rows], hashes[rows], own)
            if method == PERMUTATION_IMPORTANCE:
                values, n_model_rows = self._permute(some, plan, metric)
                names, losses = _LOSSES[1:], own[:, None, None]
            else:
                values, losses, n_model_rows = self._sage(some, background, plan, metric, coalition_values)
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

    def _permute(self, some: _Labelled, plan: LossPlan, metric: str) -> tuple[FloatArray, int]:
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

    def _sage(
        self,
        some: _Labelled,
        background: Background,
        plan: LossPlan,
        metric: str,
        coalition_values: CoalitionValues | None,
    ) -> tuple[FloatArray, FloatArray, int]:
        """(n, T, d) Shapley values of -loss, (n, T, 2) losses, and the model rows it took.

        With a rough background there are two terms: the rough values, and what they miss, NaN for rows that do not meet
        the whole background.
        """
        if coalition_values is not None and plan.reuses_coalitions:
            values, empty = self._enumerated(some, metric, coalition_values)
            return values[:, None], np.stack([empty, some.loss], axis=1)[:, None], 0
        if plan.rough is None:
            values, empty, _, n_model_rows = self._drawn(some, background, plan, metric)
            return values[:, None], np.stack([empty, some.loss], axis=1)[:, None], n_model_rows
        n, full = len(some.rows), plan.chosen_rows(some.hashes, plan.full_fraction)
        values, losses = np.full((n, 2, len(self.players)), np.nan), np.full((n, 2, 2), np.nan)
        rough_empty = self._empty(some, background, metric, plan.rough)
        real, empty, cheap, n_model_rows = self._drawn(some.take(full), background, plan, metric)
        values[full, 0], values[full, 1] = cheap, real - cheap
        losses[:, 0] = np.stack([rough_empty, some.loss], axis=1)
        losses[full, 1] = np.stack([empty - rough_empty[full], np.zeros(len(empty))], axis=1)
        only_rough = dataclasses.replace(plan, rough=None)
        values[~full, 0], _, _, n_rough = self._drawn(some.take(~full), background, only_rough, metric, plan.rough)
        return values, losses, n_model_rows + n_rough

    def _enumerated(self, some: _Labelled, metric: str, of_all: CoalitionValues) -> tuple[FloatArray, FloatArray]:
        """(n, d) values and (n,) losses without any player, from the outputs of every coalition."""
        of_rows = of_all.take(some.rows)
        values, empty = np.zeros((len(some.rows), len(self.players))), np.zeros(len(some.rows))
        base, weights = merge_blocks(of_rows.base, of_rows.weights, self._n_blocks, axis=0)
        for part in _parts(len(some.rows), _ROWS_PER_SOLVE):
            merged, _ = merge_blocks(of_rows.values[part], of_rows.weights, self._n_blocks)
            judge = partial(loss_of_mean, metric, self.model.output_space)
            empty[part] = judge(np.broadcast_to(base, (len(part), *base.shape)), weights, some.labels[part])
            losses = judge(merged, weights, some.labels[part])
            values[part] = attribute_losses(of_rows.design, losses, empty[part], some.loss[part])
        return values, empty

    def _drawn(
        self,
        some: _Labelled,
        background: Background,
        plan: LossPlan,
        metric: str,
        instead: RoughBackground | None = None,
    ) -> tuple[FloatArray, FloatArray, FloatArray, int]:
        """Values from permutations, evaluated with the whole background or with a rough one instead.

        Returns:
          (n, d) values, (n,) losses without any player, (n, d) values of the plan's rough game from the same outputs
          (zeros where it has none), and the model rows evaluated.
        """
        n, d = len(some.rows), len(self.players)
        empty = self._empty(some, background, metric, instead)
        rough_empty = empty if plan.rough is None else self._empty(some, background, metric, plan.rough)
        values, cheap = np.zeros((n, d)), np.zeros((n, d))
        used = np.arange(len(background.weights)) if instead is None else instead.rows
        size = _group_size(d, len(used))
        for repeat in range(plan.orders_per_row):
            for part in _parts(n, size):
                orders = self._orders_of(some.hashes[part], plan, repeat)
                outputs = self._outputs(some.inputs, part, orders, background, used, size)
                solve = partial(_solve, orders, some.labels[part], some.loss[part], metric, self.model.output_space)
                blocks, weights = self._blocks(outputs, background, instead)
                values[part] += solve(blocks, weights, empty[part]) / plan.orders_per_row
                if plan.rough is not None:
                    rough = np.tensordot(plan.rough.weights, outputs[plan.rough.rows], axes=1)[:, None]
                    cheap[part] += solve(rough, np.ones(1), rough_empty[part]) / plan.orders_per_row
        return values, empty, cheap, n * plan.orders_per_row * (d - 1) * len(used)

    @property
    def _n_blocks(self) -> int:
        """Rows that were chosen stand for themselves; only drawn ones are corrected for their number."""
        return JACKKNIFE_BLOCKS if self.config.background.strategy == "sample" else 1

    def _blocks(
        self, outputs: FloatArray, background: Background, instead: RoughBackground | None
    ) -> tuple[FloatArray, FloatArray]:
        """(n, n_blocks, ..., K) means of (n_background, n, ..., K) outputs, and the blocks' weights."""
        if instead is not None:
            return np.tensordot(instead.weights, outputs, axes=1)[:, None], np.ones(1)
        blocks, weights = merge_blocks(outputs, background.weights, self._n_blocks, axis=0)
        return np.moveaxis(blocks, 0, 1), weights

    def _empty(self, some: _Labelled, background: Background, metric: str, rough: RoughBackground | None) -> FloatArray:
        """(n,) losses of the mean output over the background, or over a rough one."""
        base = background.predictions if rough is None else background.predictions[rough.rows]
        blocks, weights = self._blocks(base[:, None], background, rough)
        blocks = np.broadcast_to(blocks, (len(some.rows), *blocks.shape[1:]))
        return loss_of_mean(metric, self.model.output_space, blocks, weights, some.labels)

    def _orders_of(self, hashes: HashArray, plan: LossPlan, repeat: int) -> Orders:
        """(n, d) the permutation of each row with this number; odd numbers are reverses."""
        if self._orders is None:
            self._orders = draw_orders(self.config.seed, len(self.players), N_ORDERS)
        orders = self._orders[plan.orders_of(hashes)[:, repeat]]
        return orders[:, ::-1] if repeat % 2 else orders

    def _outputs(
        self,
        inputs: Inputs,
        part: npt.NDArray[np.int64],
        orders: Orders,
        background: Background,
        used: npt.NDArray[np.int64],
        size: int,
    ) -> FloatArray:
        """(n_used, n, d - 1, K) outputs of some rows, each with its own coalitions and every background row used.

        Examples and background change places here: the model's side lets every block have its own coalitions, so each
        row is a block, and what it lacks is what the background row keeps.
        """
        if self._background is None or self._background[0] != background.digest:
            self._background = (background.digest, self.model.inputs(background.rows))
        # The last group is filled up with rows of its own, so that all calls have one shape.
        filled = np.resize(np.arange(len(part)), size)
        design = _Design(
            coalitions=~order_coalitions(orders)[filled],
            background_index=np.arange(size, dtype=np.int32)[:, None],
            background_weight=np.ones((size, 1)),
        )
        of_background = self._background[1].take(used)
        values = self.model.block_values(of_background, inputs.take(part[filled]), self.players, design)
        return values[:, : len(part)]

    def pilot(
        self, batch: pa.RecordBatch, hashes: HashArray, background: Background, plan: LossPlan, prediction: FloatArray
    ) -> Pilot | None:
        """What some rows say about the cost of SAGE by permutations; None where too few have a label.

        Rough backgrounds are chosen on one half of the rows and judged on the other.
        """
        metric = plan.metrics[SAGE]
        labels = single_numbers(batch, str(self.config.label_key))
        rows = np.flatnonzero(usable_labels(metric, labels, self.model.n_outputs))
        if len(rows) < MIN_PILOT:
            return None
        own = loss(metric, self.model.output_space, prediction[rows], labels[rows])
        some = _Labelled(rows, self.model.inputs(batch).take(rows), labels[rows], hashes[rows], own)
        used = np.arange(len(background.weights))
        orders = self._orders_of(some.hashes, plan, 0)
        size = _group_size(len(self.players), len(used))
        parts = [
            self._outputs(some.inputs, part, orders[part], background, used, size) for part in _parts(len(rows), size)
        ]
        outputs = np.concatenate(parts, axis=1)
        solve = partial(_solve, orders, some.labels, own, metric, self.model.output_space)
        real = solve(*self._blocks(outputs, background, None), self._empty(some, background, metric, None))
        half = len(rows) // 2
        mixtures = outputs[:, :half].reshape(len(used), -1).T
        games = []
        for n_rows in _ROUGH_ROWS:
            if 2 * n_rows <= len(used):
                rough = representative_rows(mixtures, background.weights, n_rows)
                means = np.tensordot(rough.weights, outputs[rough.rows], axes=1)[:, None]
                cheap = solve(means, np.ones(1), self._empty(some, background, metric, rough))[half:]
                games.append(RoughGame(rough, cheap.var(axis=0, ddof=1), (real[half:] - cheap).var(axis=0, ddof=1)))
        return Pilot(len(rows), float(np.ptp(real.mean(axis=0))), real.var(axis=0, ddof=1), tuple(games))


def _solve(
    orders: Orders,
    labels: FloatArray,
    own: FloatArray,
    metric: str,
    output_space: str,
    blocks: FloatArray,
    weights: FloatArray,
    empty: FloatArray,
) -> FloatArray:
    """(n, d) values from (n, n_blocks, d - 1, K) outputs along each row's permutation."""
    return solve_orders(orders, loss_of_mean(metric, output_space, blocks, weights, labels), empty, own)


def _group_size(n_players: int, n_background: int) -> int:
    return int(np.clip(_MODEL_ROWS_PER_GROUP // max((n_players - 1) * n_background, 1), 1, _MAX_ROWS_PER_GROUP))


def _parts(n: int, size: int) -> Iterator[npt.NDArray[np.int64]]:
    for start in range(0, n, size):
        yield np.arange(start, min(start + size, n))


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
