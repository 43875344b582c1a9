"""The games of SAGE on labelled rows: from outputs along permutations to values."""

from __future__ import annotations

import dataclasses
from functools import partial

import numpy as np
import numpy.typing as npt

from tfx_explain.attribution.levels import RoughBackground
from tfx_explain.attribution.loss_game import JACKKNIFE_BLOCKS, Orders, merge_blocks, solve_orders
from tfx_explain.methods.algebra import single_threaded_algebra
from tfx_explain.methods.background import SideBackground
from tfx_explain.methods.losses.rows import LabelledRows
from tfx_explain.methods.sage.guesses import Guesses
from tfx_explain.models import Inputs
from tfx_explain.summary.losses import loss_of_mean

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclasses.dataclass(frozen=True, eq=False)
class CheapGames:
    """What cheap games of one model need.

    Attributes:
      active: (d,) players that a pilot saw to matter; the others have no value in cheap games.
      guesses: a surrogate of the model; None where there is none.
    """

    active: npt.NDArray[np.bool_]
    guesses: Guesses | None


@dataclasses.dataclass(frozen=True, eq=False)
class Guesser:
    """What guesses values of rows with a rough background.

    Attributes:
      guesses: a surrogate of the model.
      background: (K + r, n_rough, d) parts of the background rows.
      weights: (n_rough,) of these.
      active: (d,) players that matter.
    """

    guesses: Guesses
    background: FloatArray
    weights: FloatArray
    active: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, cheap: CheapGames, rough: RoughBackground, background: Inputs) -> Guesser | None:
        """From all rows of the background; None without a surrogate."""
        if cheap.guesses is None:
            return None
        return cls(cheap.guesses, cheap.guesses.parts(background.take(rough.rows)), rough.weights, cheap.active)

    def values(self, games: SageGames, part: IntArray, orders: Orders, parts: FloatArray) -> FloatArray:
        """(k, d) values of k of the rows along permutations (k, d), from their parts (K + r, k, d)."""
        # The number of threads must not show in the last bits.
        with single_threaded_algebra:
            path = self.guesses.surrogate.path(orders, parts, self.background, self.weights)
        return games.cheap(part, orders, path, self.active)


class SageGames:
    """The games of n rows with one model: all add up to the loss without any player less that of the row itself.

    Args:
      some: the rows.
      background: reference rows.
      metric: the loss.
      space: of the outputs.
      strategy: how the background was chosen.

    Attributes:
      empty: (n,) losses of the mean output over the background.
    """

    def __init__(self, some: LabelledRows, background: SideBackground, metric: str, space: str, strategy: str) -> None:
        self.some = some
        self.background = background
        # Rows that were chosen stand for themselves; only drawn ones are corrected for their number.
        self.n_blocks = JACKKNIFE_BLOCKS if strategy == "sample" else 1
        self._loss = partial(loss_of_mean, metric, space)
        blocks, weights = self._blocks(background.predictions[:, None])
        blocks = np.broadcast_to(blocks, (len(some.rows), *blocks.shape[1:]))
        self.empty = self._loss(blocks, weights, some.labels)

    def real(self, part: IntArray, orders: Orders, outputs: FloatArray) -> FloatArray:
        """(k, d) values from (n_background, k, d - 1, K) outputs of k of the rows along permutations (k, d)."""
        blocks, weights = self._blocks(outputs)
        losses = self._loss(blocks, weights, self.some.labels[part])
        return solve_orders(orders, losses, self.empty[part], self.some.loss[part])

    def rough(
        self, part: IntArray, orders: Orders, outputs: FloatArray, rough: RoughBackground, active: npt.NDArray[np.bool_]
    ) -> FloatArray:
        """The same from outputs with a rough background, (n_rough, k, d - 1, K)."""
        means = np.tensordot(rough.weights, outputs, axes=1)
        base = np.broadcast_to(rough.weights @ self.background.predictions[rough.rows], means[:, 0].shape)
        path = np.concatenate([base[:, None], means, self.some.prediction[part][:, None]], axis=1)
        return self.cheap(part, orders, path, active)

    def cheap(self, part: IntArray, orders: Orders, path: FloatArray, active: npt.NDArray[np.bool_]) -> FloatArray:
        """The same from (k, d + 1, K) outputs that stand for the means with the first 0, 1, ..., d players.

        What their losses miss in sum is shared out evenly among the players that matter.
        """
        losses = self._loss(path[:, None], np.ones(1), self.some.labels[part])
        values = solve_orders(orders, losses[:, 1:-1], losses[:, 0], losses[:, -1])
        missed = self.empty[part] - self.some.loss[part] - (losses[:, 0] - losses[:, -1])
        return np.asarray(values + missed[:, None] * (active / max(active.sum(), 1)))

    def _blocks(self, outputs: FloatArray) -> tuple[FloatArray, FloatArray]:
        """(n, n_blocks, ..., K) means of (n_background, n, ..., K) outputs, and the blocks' weights."""
        blocks, weights = merge_blocks(outputs, self.background.weights, self.n_blocks, axis=0)
        return np.moveaxis(blocks, 0, 1), weights
