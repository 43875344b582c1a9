"""Each player of a row absent alone: rows of the background stand in its place, all else is as the row has it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tfx_explain.attribution.between_blocks import n_effective_blocks, variance_between_blocks
from tfx_explain.attribution.partition import DesignStream, checked_weights, n_blocks_with_coalitions, partition
from tfx_explain.methods.background import SideBackground
from tfx_explain.methods.batch import BatchSide
from tfx_explain.methods.context import features_of
from tfx_explain.models import Inputs, Model
from tfx_explain.rows import ROWS_PER_BATCH

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

# More tell hardly better how far they are apart.
_MOST_BLOCKS = 32
# Doubles of outputs that are held at a time.
_MOST_VALUES = 2**20


@dataclass(frozen=True, eq=False)
class AllButOne:
    """The background in blocks, each of which meets every coalition that lacks a single player.

    Attributes:
      coalitions: (n_blocks, d, d), True = present.
      background_index: (n_blocks, n_block_rows).
      background_weight: (n_blocks, n_block_rows), of sum 1.
    """

    coalitions: npt.NDArray[np.bool_]
    background_index: npt.NDArray[np.int32]
    background_weight: FloatArray

    @classmethod
    def of(cls, n_players: int, weights: FloatArray, seed: int) -> AllButOne:
        """Of rows of these weights (B,), split at random."""
        most = min(_MOST_BLOCKS, n_blocks_with_coalitions(n_players**2))
        blocks = partition(checked_weights(weights), most, DesignStream(seed, n_players, 1, 0))
        coalitions = np.tile(~np.eye(n_players, dtype=np.bool_), (len(blocks[0]), 1, 1))
        return cls(coalitions, *blocks)


@dataclass(frozen=True)
class PlayerEffects:
    """What the outputs of n rows have more than without each of d players.

    Attributes:
      values: (n, d, c) means over the background.
      std_errors: (n, d, c) of the background as a sample; NaN where it has too few rows to tell.
      dof: degrees of freedom of these.
      n_model_rows: what it took.
    """

    values: FloatArray
    std_errors: FloatArray
    dof: float
    n_model_rows: int


class OccludedPlayers:
    """Players that no part is looked for in.

    Args:
      model: that is explained.
      players: name -> features, of all players.
      inside: names of those that are looked into, which are left as they are.
      seed: of the job.
    """

    def __init__(self, model: Model, players: Mapping[str, Sequence[str]], inside: Collection[str], seed: int) -> None:
        read = features_of(model, players)
        self._model, self._seed, self._n_players = model, seed, len(players)
        self._places = [place for place, name in enumerate(players) if read[place] and name not in inside]
        self._features = [read[place] for place in self._places]
        # Of the background of one job.
        self._made: tuple[str, AllButOne, Inputs] | None = None

    def effects(self, side: BatchSide, background: SideBackground, asked: IntArray, floor: FloatArray) -> PlayerEffects:
        """Of all players; 0 for those that the model does not read, or that are looked into.

        Args:
          side: n rows.
          background: as the model sees it.
          asked: (n, c) the outputs of the model that each row asks for.
          floor: (n, c) their rounding.
        """
        shape = len(asked), self._n_players, asked.shape[1]
        values, errors = np.zeros(shape), np.zeros(shape)
        if not self._places:
            return PlayerEffects(values, errors, np.inf, 0)
        blocks, inputs = self._blocks(background)
        n_values = blocks.coalitions.shape[0] * len(self._places) * self._model.n_outputs
        at_once = int(np.clip(_MOST_VALUES // n_values, 1, ROWS_PER_BATCH))
        own = np.take_along_axis(side.prediction, asked, axis=1)
        for rows in np.split(np.arange(len(asked)), range(at_once, len(asked), at_once)):
            found = self._model.block_values(
                side.inputs, inputs, self._features, blocks, rows=rows, typical_examples=(at_once,)
            )
            changes = own[rows][:, None, None] - np.take_along_axis(found, asked[rows][:, None, None], axis=3)
            of_rows = _means(changes, blocks, floor[rows])
            values[rows[:, None], self._places], errors[rows[:, None], self._places] = of_rows
        dof = n_effective_blocks(blocks.background_weight.sum(axis=1)) - 1
        return PlayerEffects(values, errors, dof, len(asked) * len(self._places) * blocks.background_index.size)

    def _blocks(self, background: SideBackground) -> tuple[AllButOne, Inputs]:
        if self._made is None or self._made[0] != background.digest:
            blocks = AllButOne.of(len(self._places), background.weights, self._seed)
            self._made = background.digest, blocks, self._model.inputs(background.rows)
        return self._made[1:]


# What is not finite is the caller's to report.
@np.errstate(invalid="ignore", over="ignore")
def _means(changes: FloatArray, blocks: AllButOne, floor: FloatArray) -> tuple[FloatArray, FloatArray]:
    """(n, d, c) means of changes (n, n_blocks, d, c) and their errors; 0 where both are rounding (n, c)."""
    n, n_blocks, n_players, n_outputs = changes.shape
    mean = np.einsum("g,ngdc->ndc", blocks.background_weight.sum(axis=1), changes)
    per_block = changes.transpose(1, 0, 3, 2).reshape(n_blocks, n * n_outputs, n_players)
    per_case = mean.transpose(0, 2, 1).reshape(n * n_outputs, n_players)
    variance = variance_between_blocks(blocks.background_weight, per_block, per_case)
    error = np.sqrt(variance).reshape(n, n_outputs, n_players).transpose(0, 2, 1)
    nothing = (np.abs(mean) <= floor[:, None]) & ~(error > floor[:, None])
    return np.where(nothing, 0.0, mean), np.where(nothing, 0.0, error)
