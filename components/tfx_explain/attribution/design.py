"""What all designs have in common: which coalitions meet which background rows."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from tfx_explain.attribution.maps import FloatArray
from tfx_explain.attribution.prefixes import CoalitionTable
from tfx_explain.attribution.sampling import Coalitions


@dataclass(frozen=True, eq=False, kw_only=True)
class Design:
    """Which (coalition, background row) pairs are evaluated; each estimator has a class of its own.

    The background is split at random into blocks. Each block has its own coalitions, every row of a block meets all of
    them, and each block is solved for itself; attributions are the weighted mean over blocks. Different coalitions in
    each block cost nothing and cut the error 1.3-4 times against crossing all rows with the same coalitions.

    Coalitions are stored in pairs: in each block, row p + n_coalitions / 2 is the complement of row p. Neither the
    empty nor the full coalition is among them: their values are the background predictions and the prediction.

    Attributes:
      estimator: `exact`, `leverage`, `permutation` or `surrogate`; what is really used, so `exact` where the budget
        allows it.
      n_players: number of players d.
      n_background: number of background rows B that the design was made for.
      coalitions: (n_blocks, n_coalitions, n_players) bool, True = present.
      background_index: (n_blocks, n_block_rows) int32, rows of the background that each coalition of the block meets.
      background_weight: (n_blocks, n_block_rows) float64, sums to 1 over everything; shorter blocks repeat a row with
        weight 0. Rows of weight 0 are in no block.
      interaction_index: "SII", "Faith-SHAP", or "" where no interactions were asked for.
      interaction_pairs: (n_interactions, 2) int32 players.
    """

    estimator: ClassVar[str]

    n_players: int
    n_background: int
    coalitions: CoalitionTable
    background_index: npt.NDArray[np.int32]
    background_weight: FloatArray
    interaction_index: str = ""
    interaction_pairs: npt.NDArray[np.int32] = field(default_factory=lambda: np.zeros((0, 2), np.int32), repr=False)

    def __post_init__(self) -> None:
        """Freezes the arrays: designs are shared between threads."""
        for entry in fields(self):
            value = getattr(self, entry.name)
            if isinstance(value, np.ndarray):
                value.setflags(write=False)

    @property
    def n_blocks(self) -> int:
        """Number of blocks of background rows."""
        return self.coalitions.shape[0]

    @property
    def n_coalitions(self) -> int:
        """Coalitions evaluated per background row."""
        return self.coalitions.shape[1]

    @property
    def n_model_rows(self) -> int:
        """Model rows evaluated per example, padding included, the prediction and the background's not."""
        return self.n_coalitions * self.background_index.size

    @property
    def n_elements(self) -> int:
        """How much memory the design takes, in doubles; its largest array counts."""
        return max(self.coalitions.size // 8, 1)

    @property
    def halves(self) -> Coalitions:
        """(n_blocks, n_pairs, n_players) one half of each pair."""
        return self.coalitions[:, : self.n_coalitions // 2]


def with_complements(halves: Coalitions) -> Coalitions:
    """Coalitions as a design has them: one half of each pair, (..., n_pairs, n_players), then all complements."""
    return np.concatenate([halves, ~halves], axis=-2)
