"""Attributions by least squares on coalitions drawn by their leverage, block by block."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from tfx_explain.attribution.balance import balance_pairs
from tfx_explain.attribution.design import with_complements
from tfx_explain.attribution.linear import LinearDesign, odd_parts, of_blocks, player_pairs
from tfx_explain.attribution.maps import FloatArray, centre, faith_shap_map, kernel_weights, odd_map
from tfx_explain.attribution.partition import DesignStream, n_blocks_with_maps, partition
from tfx_explain.attribution.reference import variance_ratio
from tfx_explain.attribution.row_products import row_products
from tfx_explain.attribution.sampling import Coalitions, RandomWords, Strata, allocate_pairs, draw_pairs
from tfx_explain.attribution.solvable import EVERY, BlockSolutions, PairValues
from tfx_explain.errors import EstimationError

_DRAWS = 8
# Of more pairs, most directions are even by themselves, and exchanges take long.
_MAX_BALANCED_PAIRS_PER_PLAYER = 16
# Blocks are alike, so a few say what balance does to the error of all.
_REFERENCE_BLOCKS = 8
_SMALLEST_RESIDUAL_SHARE = 1e-6
# Residuals of few coalitions of many players are too small, more than their leverages say; by simulation.
_TOO_SMALL = 0.3


@dataclass(frozen=True, eq=False, kw_only=True)
class LeverageDesign(LinearDesign):
    """Pairs of coalitions drawn without replacement, sizes equally often, and a least squares solve per block.

    Exact for order-2 games. As many blocks as background rows, while the matrices stay below 32 MiB. Interactions are
    Faith-SHAP.

    The design error is the sandwich estimate per block, with residuals inflated for their leverage and a finite
    population correction per coalition size. Residuals are divided by sqrt(1 - h) (HC2) and not centred within strata.
    Leave-one-out residuals (HC3) make the errors far too large at 4d; centring makes intervals too short for a single
    background row. What balanced coalitions take off the variance is in `variance_factors`.

    Attributes:
      variance_factors: (n_pairs,) (1 - f) n / (n - 1) of each pair's size stratum, f the fraction of it that was drawn,
        times what balance leaves of the variance.

    Source: Musco & Witter 2024 (arXiv 2410.01917) for leverage sampling; MacKinnon & White 1985 (HC2) for the sandwich;
      Cochran 1977, chapter 5, for strata; the blocks are ours.
    """

    estimator: ClassVar[str] = "leverage"

    variance_factors: FloatArray = field(repr=False)

    @classmethod
    def draw(
        cls, n_players: int, n_pairs: int, weights: FloatArray, stream: DesignStream, interactions: int
    ) -> LeverageDesign:
        """The design for (B,) weights of the background rows.

        Raises:
          EstimationError: interactions of so many players need too much memory, or coalitions do not determine all.
        """
        pairs = player_pairs(n_players if interactions else 0, n_pairs)
        index, weight = partition(weights, n_blocks_with_maps(max(n_players, len(pairs)) * n_pairs), stream)
        strata = allocate_pairs(n_players, n_pairs)
        kernel = kernel_weights(strata)
        streams = [stream.block(block) for block in range(len(index))]
        halves = np.stack([draw_pairs(random, strata) for random in streams])
        is_balanced = n_pairs <= _MAX_BALANCED_PAIRS_PER_PLAYER * n_players
        if is_balanced:
            orders = np.concatenate([random.orders(1, n_players) for random in streams])
            halves = balance_pairs(halves, strata, kernel, orders)
        blocks = [
            _Block.determined(random, half, strata, kernel, pairs) for random, half in zip(streams, halves, strict=True)
        ]
        linear_maps = np.stack([block.linear_map for block in blocks])
        leverages = np.stack([block.leverages for block in blocks])
        factors = _stratum_factors(strata)
        if is_balanced:
            few = slice(0, _REFERENCE_BLOCKS)
            final = np.stack([block.half for block in blocks[few]])
            factors *= variance_ratio(final, linear_maps[few], leverages[few], factors)
        return cls(
            n_players=n_players,
            n_background=len(weights),
            coalitions=np.stack([with_complements(block.half) for block in blocks]),
            background_index=index,
            background_weight=weight,
            linear_map=linear_maps,
            leverages=leverages,
            variance_factors=factors,
            interaction_index="Faith-SHAP" if interactions else "",
            interaction_pairs=pairs.astype(np.int32),
            interaction_map=np.stack([block.interaction_map for block in blocks]) if interactions else None,
        )

    @property
    def noise_ratio(self) -> float:
        """Of the actual design error to its estimate, for attributions near 0."""
        return 1.0 + _TOO_SMALL * self.n_players / self.n_coalitions

    def solve_blocks(self, values: PairValues, blocks: slice = EVERY) -> BlockSolutions:
        """Attributions of each block, and their sandwich variances."""
        odd = odd_parts(values)
        centred = self.centred_attributions(odd, values.totals, blocks)
        terms, sensitivity = of_blocks(self._terms, blocks), of_blocks(self._sensitivity, blocks)
        odd -= row_products(np.concatenate([centred, values.totals], axis=2), terms.transpose(0, 2, 1))
        variance = row_products(np.square(odd, out=odd), sensitivity.transpose(0, 2, 1))
        dof = odd.shape[2] - self.n_players + 1.0
        return BlockSolutions(centred + values.totals / self.n_players, variance, dof)

    @functools.cached_property
    def _terms(self) -> FloatArray:
        """(n_blocks, n_pairs, d + 1) from attributions and the even share of the total to fitted odd parts."""
        return np.concatenate([centre(self.halves), self.share_of_total], axis=2)

    @functools.cached_property
    def _sensitivity(self) -> FloatArray:
        """(n_blocks, d, n_pairs) from squared residuals to variances.

        Of the sandwich A diag(r^2) A' only the diagonal is wanted: a product of squares. Where a pair determines its
        own fit (h = 1) there is no residual to speak of, and no variance either.
        """
        scale = self.variance_factors / np.maximum(1 - self.leverages, _SMALLEST_RESIDUAL_SHARE)
        return np.asarray(self.linear_map**2 * scale[:, None, :])


def _stratum_factors(strata: Strata) -> FloatArray:
    """(n_pairs,) (1 - f) n / (n - 1) of each pair's stratum."""
    counts = np.array(strata.counts)
    fractions = np.array(
        [count / population for count, population in zip(strata.counts, strata.populations, strict=True)]
    )
    return strata.per_pair((1 - fractions) * counts / np.maximum(counts - 1, 1))


@dataclass(frozen=True)
class _Block:
    half: Coalitions
    linear_map: FloatArray
    leverages: FloatArray
    interaction_map: FloatArray

    @classmethod
    def determined(
        cls, random: RandomWords, half: Coalitions, strata: Strata, kernel: FloatArray, pairs: npt.NDArray[np.int64]
    ) -> _Block:
        """Draws anew until coalitions determine all unknowns; at the budgets allowed the first nearly always do."""
        for _ in range(_DRAWS):
            solved = odd_map(half, kernel)
            interaction_map = faith_shap_map(half, kernel, pairs)
            if solved is not None and interaction_map is not None:
                return cls(half, *solved, interaction_map)
            half = draw_pairs(random, strata)
        raise EstimationError(
            f"{2 * len(half)} coalitions per background row do not determine the attributions of {strata.n_players} "
            f"players; raise `budget` to {4 * len(half)}."
        )
