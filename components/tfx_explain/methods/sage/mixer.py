"""Rows mixed with background rows, each row along a permutation of its own."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from tfx_explain.attribution.loss_game import Orders, order_coalitions
from tfx_explain.models import Inputs, Model, SingleRowBlocks
from tfx_explain.models.call_bytes import input_bytes
from tfx_explain.rows import ROWS_PER_BATCH

FloatArray = npt.NDArray[np.float64]

# Groups of rows that go to the model's side together: larger ones save little time and are harder to fill.
_MODEL_ROWS_PER_GROUP = 2**16
_MAX_ROWS_PER_GROUP = 256
_ROWS_PADDED = 1_024
# Batches have more or fewer of the rows than expected.
_MARGIN = 1.1


class Mixer:
    """Mixes rows with background rows, each row along a permutation of its own.

    Examples and background change places here: the model's side lets every block have its own coalitions, so each row
    is a block, and what it lacks is what the background row keeps.

    Args:
      model: what evaluates the mixtures.
      players: their features.
      rows: what is mixed.
      background: with what.
      fraction: part of a full batch that is expected to be mixed, so that groups can be made to measure.
    """

    def __init__(
        self,
        model: Model,
        players: Sequence[Sequence[str]],
        rows: Inputs,
        background: Inputs,
        fraction: float = 1.0,
    ) -> None:
        self.model = model
        self.players = players
        self.background = background
        n_model_rows = max((len(players) - 1) * len(background), 1)
        most = int(np.clip(_MODEL_ROWS_PER_GROUP // n_model_rows, 1, _MAX_ROWS_PER_GROUP))
        expected = max(_MARGIN * fraction * ROWS_PER_BATCH, 1.0)
        self.size = math.ceil(expected / math.ceil(expected / most))
        self._bytes = input_bytes(rows)
        # Few different shapes: each costs the model's side a compilation.
        n_padded = -(-max(len(rows), 1) // _ROWS_PADDED) * _ROWS_PADDED
        self.rows = rows.take(self._filled(np.arange(len(rows)), n_padded)) if len(rows) else rows

    def groups(self) -> Iterator[npt.NDArray[np.int64]]:
        """Positions of rows that are evaluated together."""
        for start in range(0, len(self._bytes), self.size):
            yield np.arange(start, min(start + self.size, len(self._bytes)))

    def outputs(self, part: npt.NDArray[np.int64], orders: Orders) -> FloatArray:
        """(n_background, n, d - 1, K) outputs of a group, (n,) positions, along orders (n, d)."""
        coalitions = ~order_coalitions(orders)[np.resize(np.arange(len(part)), self.size)]
        blocks = SingleRowBlocks.of(coalitions, self._filled(part, self.size))
        outputs = self.model.block_values(
            self.background, self.rows, self.players, blocks, typical_examples=(len(self.background),)
        )
        return outputs[:, : len(part)]

    def _filled(self, part: npt.NDArray[np.int64], n: int) -> npt.NDArray[np.int64]:
        """(n,) the given rows, then copies of the smallest one: it is evaluated for nothing."""
        return np.concatenate([part, np.full(n - len(part), part[np.argmin(self._bytes[part])])])
