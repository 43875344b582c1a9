"""SAGE of batches of labelled rows: from coalitions that are there already, or along permutations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tfx_explain.attribution.levels import Pilot
from tfx_explain.attribution.loss_game import Orders, attribute_losses, draw_orders, merge_blocks
from tfx_explain.config import ExplainConfig
from tfx_explain.methods.background import SideBackground
from tfx_explain.methods.labels import Labels
from tfx_explain.methods.losses.plan import MIN_PILOT, N_ORDERS, SAGE, LossPlan
from tfx_explain.methods.losses.rows import LabelledRows
from tfx_explain.methods.rounding import rounding_floor, rounding_of_loss, settled
from tfx_explain.methods.sage.games import CheapGames, Guesser, SageGames
from tfx_explain.methods.sage.guesses import fit_guesses
from tfx_explain.methods.sage.mixer import Mixer
from tfx_explain.methods.sage.pilot import judge_games, n_choosing
from tfx_explain.methods.shapley.estimates import CoalitionValues
from tfx_explain.models import Inputs, Model
from tfx_explain.rows import HashArray
from tfx_explain.summary.losses import loss, loss_of_mean, usable_labels

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_ROWS_PER_SOLVE = 128


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

        There is a term for each game of the plan: the values of the cheapest one, then what each adds to the one
        before, NaN for rows that are not in it. Values that are nothing but the outputs' rounding are 0.
        """
        games = self._games(some, background, metric)
        if coalition_values is not None and plan.reuses_coalitions:
            values, empty = self._enumerated(games, metric, coalition_values)
            values, n_model_rows = values[:, None], 0
        else:
            values, n_model_rows = self._drawn(games, plan)
            empty = games.empty
        losses = np.where(np.isnan(values[:, :, :1]), np.nan, np.zeros(2))
        losses[:, 0] = np.stack([empty, some.loss], axis=1)
        return settled(values, np.zeros((len(values), 1)), self._floor(some, background, metric)), losses, n_model_rows

    def _games(self, some: LabelledRows, background: SideBackground, metric: str) -> SageGames:
        return SageGames(some, background, metric, self.model.loss_space, self.config.background.strategy)

    def _floor(self, some: LabelledRows, background: SideBackground, metric: str) -> FloatArray:
        """(n, 1) sizes below which values are rounding: as far as that of outputs moves the loss at either end."""
        base = np.broadcast_to(background.base_values, some.prediction.shape)
        by_ends = [
            rounding_of_loss(metric, self.model.loss_space, outputs, some.labels, some.floor)
            for outputs in (some.prediction, base)
        ]
        return np.asarray(np.maximum(*by_ends)[:, None])

    def _enumerated(self, games: SageGames, metric: str, of_all: CoalitionValues) -> tuple[FloatArray, FloatArray]:
        """(n, d) values and (n,) losses without any player, from the outputs of every coalition."""
        some = games.some
        of_rows = of_all.take(some.rows)
        values, empty = np.zeros((len(some.rows), len(self.players))), np.zeros(len(some.rows))
        base, weights = merge_blocks(of_rows.base, of_rows.weights, games.n_blocks, axis=0)
        for part in _groups(len(some.rows), _ROWS_PER_SOLVE):
            merged, _ = merge_blocks(of_rows.values[part], of_rows.weights, games.n_blocks)
            judge = partial(loss_of_mean, metric, self.model.loss_space)
            empty[part] = judge(np.broadcast_to(base, (len(part), *base.shape)), weights, some.labels[part])
            losses = judge(merged, weights, some.labels[part])
            values[part] = attribute_losses(of_rows.design, losses, empty[part], some.loss[part])
        return values, empty

    def _drawn(self, games: SageGames, plan: LossPlan) -> tuple[FloatArray, int]:
        """(n, T, d) terms of the values from permutations, and the model rows evaluated."""
        draws, guesser = games.some.draws, self._guesser(plan, games.background)
        found = np.full((plan.n_games, len(draws), len(self.players)), np.nan)
        in_full, in_rough = plan.chosen_rows(draws, plan.full_fraction), plan.chosen_rows(draws, plan.rough_fraction)
        parts = None if guesser is None else guesser.guesses.parts(games.some.inputs)
        n_model_rows = self._fill(found, np.flatnonzero(in_full), games, plan, guesser, parts)
        n_model_rows += self._fill(found[:-1], np.flatnonzero(in_rough & ~in_full), games, plan, guesser, parts)
        failed = in_full & np.isnan(found).any(axis=(0, 2)) | in_rough & np.isnan(found[:-1]).any(axis=(0, 2))
        values = np.moveaxis(np.diff(found, axis=0, prepend=0.0), 0, 1)
        if guesser is not None and parts is not None:
            values[:, 0] = self._guessed(games, plan, guesser, parts)
        values[failed] = np.nan
        return values, n_model_rows

    def _fill(
        self,
        found: FloatArray,
        rows: IntArray,
        games: SageGames,
        plan: LossPlan,
        guesser: Guesser | None,
        parts: FloatArray | None,
    ) -> int:
        """Evaluates rows with the whole background, or with a rough one where that is all there is to be found.

        Args:
          found: (n_games, n, d) gets the values of all games, or (n_games - 1, n, d) of all but the real one.
          rows: which of the n rows.
          games: of all n rows.
          plan: which games there are.
          guesser: of the guessed game.
          parts: what it has of the n rows.

        Returns:
          The model rows evaluated.
        """
        if not len(rows):
            return 0
        is_real = len(found) == plan.n_games
        mixer = self._mixer(games.some.inputs.take(rows), games.background, plan, is_real=is_real)
        found[:, rows] = 0.0
        for repeat in range(plan.orders_per_row):
            for group in mixer.groups():
                orders = self._orders_of(games.some.draws[rows[group]], plan, repeat)
                outputs, of_games = mixer.outputs(group, orders), []
                if guesser is not None and parts is not None:
                    of_games.append(guesser.values(games, rows[group], orders, parts[:, rows[group]]))
                if plan.rough is not None and plan.rough_fraction:
                    of_rough = outputs[plan.rough.rows] if is_real else outputs
                    of_games.append(games.rough(rows[group], orders, of_rough, plan.rough, plan.cheap[0].active))
                if is_real:
                    of_games.append(games.real(rows[group], orders, outputs))
                found[:, rows[group]] += np.stack(of_games) / plan.orders_per_row
        return len(rows) * plan.orders_per_row * (len(self.players) - 1) * len(mixer.background)

    def _guessed(self, games: SageGames, plan: LossPlan, guesser: Guesser, parts: FloatArray) -> FloatArray:
        """(n, d) values of the guessed game, the mean over several permutations of each row."""
        values = np.zeros((parts.shape[1], len(self.players)))
        for group in _groups(len(values), _ROWS_PER_SOLVE):
            for repeat in range(plan.n_guesses):
                orders = self._orders_of(games.some.draws[group], plan, repeat)
                values[group] += guesser.values(games, group, orders, parts[:, group]) / plan.n_guesses
        return values

    def _guesser(self, plan: LossPlan, background: SideBackground) -> Guesser | None:
        if not plan.n_guesses or plan.rough is None:
            return None
        return Guesser.of(plan.cheap[0], plan.rough, self._background_inputs(background))

    def _orders_of(self, draws: HashArray, plan: LossPlan, repeat: int) -> Orders:
        """(n, d) the permutation of each row with this number; odd numbers are reverses."""
        if self._orders is None:
            self._orders = draw_orders(self.config.seed, len(self.players), N_ORDERS)
        orders = self._orders[plan.order_of(draws, repeat)]
        return orders[:, ::-1] if repeat % 2 else orders

    def _mixer(self, rows: Inputs, background: SideBackground, plan: LossPlan, *, is_real: bool) -> Mixer:
        others, fraction = self._background_inputs(background), plan.full_fraction
        if not is_real and plan.rough is not None:
            others, fraction = others.take(plan.rough.rows), plan.rough_fraction - plan.full_fraction
        return Mixer(self.model, self.players, rows, others, fraction)

    def _background_inputs(self, background: SideBackground) -> Inputs:
        if self._background is None or self._background[0] != background.digest:
            self._background = (background.digest, self.model.inputs(background.rows))
        return self._background[1]

    def pilot(
        self,
        batch: pa.RecordBatch,
        draws: HashArray,
        background: SideBackground,
        plan: LossPlan,
        prediction: FloatArray,
    ) -> tuple[Pilot, CheapGames] | None:
        """What some rows say about the cost of SAGE by permutations; None where too few have a label."""
        metric = plan.metrics[SAGE]
        labels = self.labels.of(batch)
        rows = np.flatnonzero(usable_labels(metric, labels, self.model.n_outputs))
        if len(rows) < MIN_PILOT:
            return None
        inputs, outputs = self.model.inputs(batch).take(rows), prediction[rows]
        own = loss(metric, self.model.loss_space, outputs, labels[rows])
        floor = rounding_floor(outputs, background.predictions)
        some = LabelledRows(rows, inputs, labels[rows], draws[rows], outputs, own, floor)
        orders = self._orders_of(some.draws, plan, 0)
        mixer = Mixer(self.model, self.players, inputs, self._background_inputs(background))
        others = mixer.background
        mixed = np.concatenate([mixer.outputs(group, orders[group]) for group in mixer.groups()], axis=1)
        known = np.isfinite(mixed).all(axis=(0, 2, 3))
        if known.sum() < MIN_PILOT:
            return None
        some, orders, mixed = some.take(known), orders[known], mixed[:, known]
        games = self._games(some, background, metric)
        real = games.real(np.arange(len(orders)), orders, mixed)
        active = np.asarray((np.abs(real) > self._floor(some, background, metric)).any(axis=0))
        first = np.arange(n_choosing(len(orders)))
        guesses = fit_guesses(
            some.inputs.take(first),
            others,
            self.players,
            active,
            orders[first],
            mixed[:, first],
            is_probability=self.model.loss_space == "probability",
        )
        cheap = CheapGames(active, guesses)
        return judge_games(games, orders, mixed, cheap, others), cheap


def _groups(n: int, size: int) -> Iterator[IntArray]:
    for start in range(0, n, size):
        yield np.arange(start, min(start + size, n))
