"""Designs with too few coalitions per background row to solve any row for itself."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from tfx_explain.attribution.balance import balance_pairs
from tfx_explain.attribution.design import Design, with_complements
from tfx_explain.attribution.maps import FloatArray, kernel_weights
from tfx_explain.attribution.partition import DesignStream, n_blocks_with_maps, partition
from tfx_explain.attribution.sampling import allocate_pairs, draw_pairs

# Enough to be balanced together, and few enough to be looked through quickly.
_GROUP_PAIRS_PER_PLAYER = 4


@dataclass(frozen=True, eq=False, kw_only=True)
class SurrogateDesign(Design):
    """As `LeverageDesign`, with fewer pairs per block than players; `PooledRegression` solves it with a surrogate.

    Attributes:
      pair_weights: (n_blocks, n_pairs) of the regression, about 1 for pairs of halves.
    """

    estimator: ClassVar[str] = "surrogate"

    pair_weights: FloatArray = field(repr=False)

    @property
    def n_elements(self) -> int:
        """How much memory a regression on the design takes, in doubles: its map has one for each pair and player."""
        return self.coalitions.size // 2

    @classmethod
    def draw(cls, n_players: int, n_pairs: int, weights: FloatArray, stream: DesignStream) -> SurrogateDesign:
        """The design for (B,) weights of the background rows.

        Coalitions of several blocks are drawn and balanced together, then dealt out: one block has too few of them.
        """
        index, weight = partition(weights, n_blocks_with_maps(n_players * n_pairs), stream)
        n_groups = math.ceil(len(index) * n_pairs / (_GROUP_PAIRS_PER_PLAYER * n_players))
        per_group = math.ceil(len(index) / n_groups)
        strata = allocate_pairs(n_players, per_group * n_pairs)
        streams = [stream.block(group) for group in range(n_groups)]
        drawn = np.stack([draw_pairs(random, strata) for random in streams])
        kernel = kernel_weights(strata)
        orders = np.concatenate([random.orders(1, n_players) for random in streams])
        halves = balance_pairs(drawn, strata, kernel, orders)
        deal = np.concatenate([random.orders(1, per_group * n_pairs) for random in streams])
        shape = (n_groups * per_group, n_pairs)
        dealt = np.take_along_axis(halves, deal[:, :, None], axis=1).reshape(*shape, n_players)[: len(index)]
        # Brings pairs of two halves to about 1, the unit that the spread between blocks is in.
        scale = n_players * len(kernel) / 2
        return cls(
            n_players=n_players,
            n_background=len(weights),
            coalitions=with_complements(dealt),
            background_index=index,
            background_weight=weight,
            pair_weights=scale * kernel[deal].reshape(shape)[: len(index)],
        )
