"""Attributions along permutations of the players and their reverses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tfx_explain.attribution.between_blocks import MIN_DOF
from tfx_explain.attribution.maps import FloatArray
from tfx_explain.attribution.partition import DesignStream, n_blocks_with_coalitions, partition
from tfx_explain.attribution.prefixes import PrefixCoalitions
from tfx_explain.attribution.sampling import draw_permutations
from tfx_explain.attribution.solvable import EVERY, BlockSolutions, PairValues, SolvableDesign


@dataclass(frozen=True, eq=False, kw_only=True)
class PermutationDesign(SolvableDesign):
    """Permutations and their reverses; exact for order-2 games with one pair.

    The coalitions of a permutation are its first 1, 2, ..., d - 1 players; those of its reverse are their complements.
    The design error is the spread between the permutations of a block.

    Source: Mitchell et al. 2022 (antithetic permutations); the blocks are ours.
    """

    estimator: ClassVar[str] = "permutation"

    coalitions: PrefixCoalitions

    @classmethod
    def draw(cls, n_players: int, n_permutations: int, weights: FloatArray, stream: DesignStream) -> PermutationDesign:
        """The design for (B,) weights of the background rows."""
        n_coalitions = 2 * n_permutations * (n_players - 1)
        index, weight = partition(weights, n_blocks_with_coalitions(n_coalitions * n_players), stream)
        permutations = np.stack(
            [draw_permutations(stream.block(block), n_players, n_permutations) for block in range(len(index))]
        )
        return cls(
            n_players=n_players,
            n_background=len(weights),
            coalitions=PrefixCoalitions.of(permutations),
            background_index=index,
            background_weight=weight,
        )

    def solve_blocks(self, values: PairValues, blocks: slice = EVERY) -> BlockSolutions:
        """Attributions are differences of odd parts along each permutation, from -totals / 2 to totals / 2.

        A player's mean step along a permutation and its reverse is (v(S + i) - v(S)) / 2 + (v(not S) - v(not (S + i)))
        / 2, the step of odd parts; of the empty and the full coalition these are -total / 2 and total / 2.
        """
        positions = self.coalitions.positions[blocks]
        n_blocks, n_permutations, n_players = positions.shape
        shape = (values.half.shape[1], n_blocks, n_permutations, n_players - 1)
        first, second, ends = (array.transpose(1, 0, 2) for array in values)
        odd = np.subtract(first.reshape(shape), second.reshape(shape))
        steps = np.empty((*shape[:3], n_players))
        np.subtract(odd[..., 1:], odd[..., :-1], out=steps[..., 1:-1])
        np.add(odd[..., 0], ends, out=steps[..., 0])
        np.subtract(ends, odd[..., -1], out=steps[..., -1])
        steps *= 0.5
        # From the order of each permutation to that of the players; `take` on flat rows is the fastest way there.
        starts = n_players * np.arange(n_blocks * n_permutations).reshape(n_blocks, -1, 1)
        place = positions + starts
        in_order = steps.reshape(len(steps), -1).take(place.ravel(), axis=1)
        per_permutation = in_order.reshape(steps.shape).swapaxes(0, 1)
        if n_permutations == 1:
            unknown = np.broadcast_to(0.0, (*per_permutation.shape[:2], n_players))
            return BlockSolutions(per_permutation[:, :, 0], unknown, 0.0)
        variance = per_permutation.var(axis=2, ddof=1) / n_permutations
        if self.n_blocks * (n_permutations - 1) < MIN_DOF:
            variance = np.full_like(variance, np.nan)
        return BlockSolutions(per_permutation.mean(axis=2), variance, n_permutations - 1.0)
