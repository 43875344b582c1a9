"""Designs whose attributions are one matrix product away from the values of their coalitions."""

from __future__ import annotations

import functools
import itertools
from abc import ABC
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from tfx_explain.attribution.maps import FloatArray
from tfx_explain.attribution.row_products import row_products
from tfx_explain.attribution.solvable import EVERY, PairValues, SolvableDesign
from tfx_explain.errors import EstimationError

_MAX_INTERACTION_BLOCK_ELEMENTS = 2**23


@dataclass(frozen=True, eq=False, kw_only=True)
class LinearDesign(SolvableDesign, ABC):
    """A design with a least squares solution per block.

    Attributes:
      linear_map: (n_blocks or 1, n_players, n_pairs) odd parts to centred attributions.
      leverages: (n_blocks or 1, n_pairs) diagonal of the hat matrix of `linear_map`.
      interaction_map: (n_blocks or 1, n_interactions, n_pairs) even parts to interactions, or None.
    """

    linear_map: FloatArray = field(repr=False)
    leverages: FloatArray = field(repr=False)
    interaction_map: FloatArray | None = field(default=None, repr=False)

    @property
    def n_elements(self) -> int:
        """How much memory the design takes, in doubles; its largest array counts."""
        return max(self.coalitions.size // 8, self.linear_map.size)

    def solve_interactions(self, values: PairValues, ends: FloatArray, blocks: slice = EVERY) -> FloatArray | None:
        """Interactions are linear in even parts, less what both ends have in common."""
        if self.interaction_map is None:
            return None
        even = (values.half + values.complement) / 2 - ends
        return row_products(even, of_blocks(self.interaction_map, blocks).transpose(0, 2, 1))

    @functools.cached_property
    def share_of_total(self) -> FloatArray:
        """(n_blocks or 1, n_pairs, 1) the odd part of each pair in the game that gives all players the same, in sum 1.

        Of that game v(S) - v(complement of S) = (2 |S| - d) / d, and half of it is |S| / d - 1/2.
        """
        return np.asarray(self.halves[: len(self.linear_map)].mean(axis=2, keepdims=True) - 0.5)

    @functools.cached_property
    def _mapped_share(self) -> FloatArray:
        """(n_blocks or 1, 1, d) what the map makes of that."""
        return np.asarray(np.matmul(self.linear_map, self.share_of_total).transpose(0, 2, 1))

    def centred_attributions(self, odd: FloatArray, totals: FloatArray, blocks: slice = EVERY) -> FloatArray:
        """(n_blocks, c, d) attributions less an even share of their total.

        The fit is constrained to attributions that add up to the total. Writing them as centred + total / d leaves a
        problem without constraint, for odd parts less what the even share gives (Musco & Witter 2024, section 2). As
        A (odd - total * share) = A odd - total * (A share), the values are passed over once only.

        Args:
          odd: (n_blocks, c, n_pairs) odd parts.
          totals: (n_blocks, c, 1).
          blocks: which of the design's these are.
        """
        centred = row_products(odd, of_blocks(self.linear_map, blocks).transpose(0, 2, 1))
        centred -= totals * of_blocks(self._mapped_share, blocks)
        return np.asarray(centred)


def of_blocks(array: FloatArray, blocks: slice) -> FloatArray:
    """Some blocks of (n_blocks or 1, ...); where all blocks share one, that."""
    return array if len(array) == 1 else array[blocks]


def odd_parts(values: PairValues) -> FloatArray:
    """(n_blocks, c, n_pairs) half the differences of the values of each pair."""
    odd = np.subtract(values.half, values.complement)
    odd *= 0.5
    return np.asarray(odd)


def player_pairs(n_players: int, n_pairs: int) -> npt.NDArray[np.int64]:
    """(n_interactions, 2) all pairs of players, for which a block with so many pairs of coalitions has a matrix.

    Raises:
      EstimationError: the matrix is too large.
    """
    pairs = np.array(list(itertools.combinations(range(n_players), 2)), dtype=np.int64).reshape(-1, 2)
    if len(pairs) * n_pairs > _MAX_INTERACTION_BLOCK_ELEMENTS:
        raise EstimationError(
            f"pairwise interactions of {n_players} players need a matrix that is too large; group features into fewer "
            "players, lower `budget`, or set `interactions: 0`."
        )
    return pairs
