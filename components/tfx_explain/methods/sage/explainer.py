"""SAGE of batches of labelled rows: from coalitions that are there already, or along permutations."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
import numpy.typing as npt
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
from tfx_explain.methods.background import SideBackground
from tfx_explain.methods.labels import Labels
from tfx_explain.methods.losses.plan import MIN_PILOT, N_ORDERS, SAGE, LossPlan
from tfx_explain.methods.losses.rows import LabelledRows
from tfx_explain.methods.rounding import rounding_floor, rounding_of_loss, settled
from tfx_explain.methods.shapley.estimates import CoalitionValues
from tfx_explain.models import Inputs, Model, SingleRowBlocks
from tfx_explain.models.call_bytes import input_bytes
from tfx_explain.rows import HashArray
from tfx_explain.summary.losses import loss, loss_of_mean, usable_labels

FloatArray = npt.NDArray[np.float64]
MeanLoss = Callable[[FloatArray, FloatArray, FloatArray], FloatArray]
"""From outputs of blocks, weights of the blocks and labels to the loss of the mean output."""

# Groups of rows that go to the model's side together: larger ones save little time and are harder to fill.
_MODEL_ROWS_PER_GROUP = 2**16
_MAX_ROWS_PER_GROUP = 256
_ROWS_PER_SOLVE = 128
_ROWS_PADDED = 1_024
_ROUGH_ROWS = (4, 8, 12, 16, 24, 32)


class SageExplainer:
    """SAGE of batches of rows, with one model.

    Args:
      model: what is explained.
      players: their features, those that the model reads.
      config: says how the background was chosen, and the seed.
      labels: where those of the rows come from.
    """

    def __init__(self, model: Model, players: Sequence[Sequence[str]], config: ExplainConfig, labels: Labels) -> None:
        self.model = model
        self.players = tuple(tuple(names) for names in players)
        self.config = config
        self.labels = labels
        self._background: tuple[str, Inputs] | None = None
        self._orders: Orders | None = None

    def evaluate(
        self,
        some: LabelledRows,
        background: SideBackground,
        plan: LossPlan,
        metric: str,
        coalition_values: CoalitionValues | None,
    ) -> tuple[FloatArray, FloatArray, int]:
        """(n, T, d) Shapley values of -loss, (n, T, 2) losses, and the model rows it took.

        With a rough background there are two terms: the rough values, and what they miss, NaN for rows that do not meet
        the whole background. Values that are nothing but the outputs' rounding are 0.
        """
        values, losses, n_model_rows = self._evaluate(some, background, plan, metric, coalition_values)
        return settled(values, np.zeros((len(values), 1)), self._floor(some, background, metric)), losses, n_model_rows

    def _floor(self, some: LabelledRows, background: SideBackground, metric: str) -> FloatArray:
        """(n, 1) sizes below which values are rounding: as far as that of outputs moves the loss at either end."""
        base = np.broadcast_to(background.base_values, some.prediction.shape)
        by_ends = [
            rounding_of_loss(metric, self.model.loss_space, outputs, some.labels, some.floor)
            for outputs in (some.prediction, base)
        ]
        return np.asarray(np.maximum(*by_ends)[:, None])

    def _evaluate(
        self,
        some: LabelledRows,
        background: SideBackground,
        plan: LossPlan,
        metric: str,
        coalition_values: CoalitionValues | None,
    ) -> tuple[FloatArray, FloatArray, int]:
        if coalition_values is not None and plan.reuses_coalitions:
            values, empty = self._enumerated(some, metric, coalition_values)
            return values[:, None], np.stack([empty, some.loss], axis=1)[:, None], 0
        if plan.rough is None:
            values, empty, _, n_model_rows = self._drawn(some, background, plan, metric)
            return values[:, None], np.stack([empty, some.loss], axis=1)[:, None], n_model_rows
        n, full = len(some.rows), plan.chosen_rows(some.draws, plan.full_fraction)
        values, losses = np.full((n, 2, len(self.players)), np.nan), np.full((n, 2, 2), np.nan)
        rough_empty = self._empty(some, background, metric, plan.rough)
        real, empty, cheap, n_model_rows = self._drawn(some.take(full), background, plan, metric)
        values[full, 0], values[full, 1] = cheap, real - cheap
        losses[:, 0] = np.stack([rough_empty, some.loss], axis=1)
        losses[full, 1] = np.stack([empty - rough_empty[full], np.zeros(len(empty))], axis=1)
        only_rough = dataclasses.replace(plan, rough=None)
        values[~full, 0], _, _, n_rough = self._drawn(some.take(~full), background, only_rough, metric, plan.rough)
        return values, losses, n_model_rows + n_rough

    def _enumerated(self, some: LabelledRows, metric: str, of_all: CoalitionValues) -> tuple[FloatArray, FloatArray]:
        """(n, d) values and (n,) losses without any player, from the outputs of every coalition."""
        of_rows = of_all.take(some.rows)
        values, empty = np.zeros((len(some.rows), len(self.players))), np.zeros(len(some.rows))
        base, weights = merge_blocks(of_rows.base, of_rows.weights, self._n_blocks, axis=0)
        for part in _parts(len(some.rows), _ROWS_PER_SOLVE):
            merged, _ = merge_blocks(of_rows.values[part], of_rows.weights, self._n_blocks)
            judge = partial(loss_of_mean, metric, self.model.loss_space)
            empty[part] = judge(np.broadcast_to(base, (len(part), *base.shape)), weights, some.labels[part])
            losses = judge(merged, weights, some.labels[part])
            values[part] = attribute_losses(of_rows.design, losses, empty[part], some.loss[part])
        return values, empty

    def _drawn(
        self,
        some: LabelledRows,
        background: SideBackground,
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
        mixer = _Mixer(self.model, self.players, some.inputs, self._background_inputs(background, used), size)
        for repeat in range(plan.orders_per_row):
            for part in _parts(n, size):
                orders = self._orders_of(some.draws[part], plan, repeat)
                outputs = mixer.outputs(part, orders)
                solve = partial(_solve, orders, some.labels[part], some.loss[part], self._mean_loss(metric))
                blocks, weights = self._blocks(outputs, background, instead)
                values[part] += solve(blocks, weights, empty[part]) / plan.orders_per_row
                if plan.rough is not None:
                    rough = np.tensordot(plan.rough.weights, outputs[plan.rough.rows], axes=1)[:, None]
                    cheap[part] += solve(rough, np.ones(1), rough_empty[part]) / plan.orders_per_row
        return values, empty, cheap, n * plan.orders_per_row * (d - 1) * len(used)

    def _mean_loss(self, metric: str) -> MeanLoss:
        return partial(loss_of_mean, metric, self.model.loss_space)

    @property
    def _n_blocks(self) -> int:
        """Rows that were chosen stand for themselves; only drawn ones are corrected for their number."""
        return JACKKNIFE_BLOCKS if self.config.background.strategy == "sample" else 1

    def _blocks(
        self, outputs: FloatArray, background: SideBackground, instead: RoughBackground | None
    ) -> tuple[FloatArray, FloatArray]:
        """(n, n_blocks, ..., K) means of (n_background, n, ..., K) outputs, and the blocks' weights."""
        if instead is not None:
            return np.tensordot(instead.weights, outputs, axes=1)[:, None], np.ones(1)
        blocks, weights = merge_blocks(outputs, background.weights, self._n_blocks, axis=0)
        return np.moveaxis(blocks, 0, 1), weights

    def _empty(
        self, some: LabelledRows, background: SideBackground, metric: str, rough: RoughBackground | None
    ) -> FloatArray:
        """(n,) losses of the mean output over the background, or over a rough one."""
        base = background.predictions if rough is None else background.predictions[rough.rows]
        blocks, weights = self._blocks(base[:, None], background, rough)
        blocks = np.broadcast_to(blocks, (len(some.rows), *blocks.shape[1:]))
        return loss_of_mean(metric, self.model.loss_space, blocks, weights, some.labels)

    def _orders_of(self, draws: HashArray, plan: LossPlan, repeat: int) -> Orders:
        """(n, d) the permutation of each row with this number; odd numbers are reverses."""
        if self._orders is None:
            self._orders = draw_orders(self.config.seed, len(self.players), N_ORDERS)
        orders = self._orders[plan.orders_of(draws)[:, repeat]]
        return orders[:, ::-1] if repeat % 2 else orders

    def _background_inputs(self, background: SideBackground, used: npt.NDArray[np.int64]) -> Inputs:
        if self._background is None or self._background[0] != background.digest:
            self._background = (background.digest, self.model.inputs(background.rows))
        return self._background[1].take(used)

    def pilot(
        self,
        batch: pa.RecordBatch,
        draws: HashArray,
        background: SideBackground,
        plan: LossPlan,
        prediction: FloatArray,
    ) -> Pilot | None:
        """What some rows say about the cost of SAGE by permutations; None where too few have a label.

        Rough backgrounds are chosen on one half of the rows and judged on the other.
        """
        metric = plan.metrics[SAGE]
        labels = self.labels.of(batch)
        rows = np.flatnonzero(usable_labels(metric, labels, self.model.n_outputs))
        if len(rows) < MIN_PILOT:
            return None
        own = loss(metric, self.model.loss_space, prediction[rows], labels[rows])
        floor = rounding_floor(prediction[rows], background.predictions)
        some = LabelledRows(
            rows, self.model.inputs(batch).take(rows), labels[rows], draws[rows], prediction[rows], own, floor
        )
        used = np.arange(len(background.weights))
        orders = self._orders_of(some.draws, plan, 0)
        size = _group_size(len(self.players), len(used))
        mixer = _Mixer(self.model, self.players, some.inputs, self._background_inputs(background, used), size)
        parts = [mixer.outputs(part, orders[part]) for part in _parts(len(rows), size)]
        outputs = np.concatenate(parts, axis=1)
        solve = partial(_solve, orders, some.labels, own, self._mean_loss(metric))
        real = solve(*self._blocks(outputs, background, None), self._empty(some, background, metric, None))
        half = len(rows) // 2
        mixtures = outputs[:, :half].reshape(len(used), -1).T
        games = []
        sizes = [size for size in _ROUGH_ROWS if 2 * size <= len(used)]
        for rough in representative_rows(mixtures, background.weights, sizes) if sizes else []:
            means = np.tensordot(rough.weights, outputs[rough.rows], axes=1)[:, None]
            cheap = solve(means, np.ones(1), self._empty(some, background, metric, rough))[half:]
            games.append(RoughGame(rough, cheap.var(axis=0, ddof=1), (real[half:] - cheap).var(axis=0, ddof=1)))
        return Pilot(len(rows), float(np.ptp(real.mean(axis=0))), real.var(axis=0, ddof=1), tuple(games))


class _Mixer:
    """Mixes rows with background rows, each row along a permutation of its own.

    Examples and background change places here: the model's side lets every block have its own coalitions, so each row
    is a block, and what it lacks is what the background row keeps.

    Args:
      model: what evaluates the mixtures.
      players: their features.
      rows: what is mixed.
      background: with what.
      size: rows that are evaluated together.
    """

    def __init__(
        self, model: Model, players: Sequence[Sequence[str]], rows: Inputs, background: Inputs, size: int
    ) -> None:
        self.model = model
        self.players = players
        self.background = background
        self.size = size
        self._bytes = input_bytes(rows)
        # Few different shapes: each costs the model's side a compilation.
        n_padded = -(-max(len(rows), 1) // _ROWS_PADDED) * _ROWS_PADDED
        self.rows = rows.take(self._filled(np.arange(len(rows)), n_padded)) if len(rows) else rows

    def _filled(self, part: npt.NDArray[np.int64], n: int) -> npt.NDArray[np.int64]:
        """(n,) the given rows, then copies of the smallest one: it is evaluated for nothing."""
        return np.concatenate([part, np.full(n - len(part), part[np.argmin(self._bytes[part])])])

    def outputs(self, part: npt.NDArray[np.int64], orders: Orders) -> FloatArray:
        """(n_background, n, d - 1, K) outputs of at most `size` rows, (n,) positions, along orders (n, d)."""
        coalitions = ~order_coalitions(orders)[np.resize(np.arange(len(part)), self.size)]
        blocks = SingleRowBlocks.of(coalitions, self._filled(part, self.size))
        outputs = self.model.block_values(
            self.background, self.rows, self.players, blocks, typical_examples=(len(self.background),)
        )
        return outputs[:, : len(part)]


def _solve(
    orders: Orders,
    labels: FloatArray,
    own: FloatArray,
    mean_loss: MeanLoss,
    blocks: FloatArray,
    weights: FloatArray,
    empty: FloatArray,
) -> FloatArray:
    """(n, d) values from (n, n_blocks, d - 1, K) outputs along each row's permutation."""
    return solve_orders(orders, mean_loss(blocks, weights, labels), empty, own)


def _group_size(n_players: int, n_background: int) -> int:
    return int(np.clip(_MODEL_ROWS_PER_GROUP // max((n_players - 1) * n_background, 1), 1, _MAX_ROWS_PER_GROUP))


def _parts(n: int, size: int) -> Iterator[npt.NDArray[np.int64]]:
    for start in range(0, n, size):
        yield np.arange(start, min(start + size, n))
