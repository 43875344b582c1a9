"""Attributions from every coalition there is."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from tfx_explain.attribution.design import with_complements
from tfx_explain.attribution.linear import LinearDesign, odd_parts, player_pairs
from tfx_explain.attribution.maps import FloatArray, kernel_weights, odd_map, shapley_interaction_map
from tfx_explain.attribution.partition import DesignStream, n_blocks_with_coalitions, partition
from tfx_explain.attribution.sampling import Coalitions, Strata, n_pairs_of_size
from tfx_explain.attribution.solvable import EVERY, BlockSolutions, PairValues
from tfx_explain.errors import EstimationError

# Blocks serve only the background's standard error; 32 know it to 13 %.
_MAX_BLOCKS = 32


@dataclass(frozen=True, eq=False, kw_only=True)
class ExactDesign(LinearDesign):
    """All 2^d - 2 coalitions in every block.

    Attributions have no design error. Blocks only serve the standard error of the background; they do not change the
    attributions or the number of model rows. Interactions are the Shapley interaction index (SII).
    """

    estimator: ClassVar[str] = "exact"

    @classmethod
    def enumerate(cls, n_players: int, weights: FloatArray, stream: DesignStream, interactions: int) -> ExactDesign:
        """The design for (B,) weights of the background rows.

        Raises:
          EstimationError: interactions of so many players need too much memory.
        """
        halves = _all_pairs(n_players)
        counts = tuple(n_pairs_of_size(n_players, size) for size in range(1, n_players // 2 + 1))
        # Least squares with kernel weights over ALL coalitions has the Shapley values as its solution (Lundberg & Lee
        # 2017, theorem 2), so enumeration is the same matrix product as a regression on some of them.
        solved = odd_map(halves, kernel_weights(Strata(n_players, counts)))
        if solved is None:
            raise EstimationError(f"enumerating {n_players} players has no solution; this is a defect of this package.")
        max_blocks = min(_MAX_BLOCKS, n_blocks_with_coalitions(2 * max(halves.size, 1)))
        index, weight = partition(weights, max_blocks, stream)
        pairs = player_pairs(n_players if interactions else 0, len(halves))
        return cls(
            n_players=n_players,
            n_background=len(weights),
            coalitions=np.broadcast_to(with_complements(halves), (len(index), 2 * len(halves), n_players)),
            background_index=index,
            background_weight=weight,
            linear_map=solved[0][None],
            leverages=solved[1][None],
            interaction_index="SII" if interactions else "",
            interaction_pairs=pairs.astype(np.int32),
            interaction_map=shapley_interaction_map(halves, pairs)[None] if interactions else None,
        )

    def over_one_row(self) -> ExactDesign:
        """The same for a background of a single row, without interactions."""
        return replace(
            self,
            n_background=1,
            coalitions=self.coalitions[:1],
            background_index=np.zeros((1, 1), np.int32),
            background_weight=np.ones((1, 1)),
            interaction_map=None,
        )

    def solve_blocks(self, values: PairValues, blocks: slice = EVERY) -> BlockSolutions:
        """Attributions of each block, without any variance."""
        centred = self.centred_attributions(odd_parts(values), values.totals, blocks)
        return BlockSolutions(centred + values.totals / self.n_players, np.zeros_like(centred), np.inf)


def _all_pairs(n_players: int) -> Coalitions:
    """One half of every pair, the one without the last player, ordered by the size of the smaller half."""
    codes = np.arange(1, 2 ** (n_players - 1))
    halves = np.zeros((len(codes), n_players), dtype=bool)
    halves[:, :-1] = codes[:, None] >> np.arange(n_players - 1) & 1
    sizes = halves.sum(axis=1)
    return halves[np.argsort(np.minimum(sizes, n_players - sizes), kind="stable")]
