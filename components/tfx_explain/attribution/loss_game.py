"""The game of SAGE: how much of one example's loss each player takes away, from the losses of its coalitions.

The game of one example with label y is `w(S) = -loss(v(S), y)`, where v(S) is the mean output over the background with
the players in S kept. Its Shapley values, averaged over examples, are SAGE values.

Source: I. Covert, S. Lundberg, S.-I. Lee, "Understanding global feature contributions with additive importance
measures" (2020), equations 4 and 6.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tfx_explain.attribution.exact import ExactDesign
from tfx_explain.attribution.maps import FloatArray
from tfx_explain.attribution.sampling import Coalitions, RandomWords

Orders = npt.NDArray[np.int64]
"""(n, n_players) permutations, each the players in the order in which they join."""

JACKKNIFE_BLOCKS = 8
"""Blocks of the background that are left out in turn to correct for its size."""

# Names the stream; the upper words of other streams are budgets and blocks that are never this large.
_STREAM = 2**63 + 1


def draw_orders(seed: int, n_players: int, n_orders: int) -> Orders:
    """Uniform random permutations of the players, equal on every machine."""
    return RandomWords(seed, n_players, 0, _STREAM, 0).orders(n_orders, n_players)


def order_coalitions(orders: Orders) -> Coalitions:
    """The coalitions that permutations pass through: the first 1, 2, ..., d - 1 players of each, (n, d - 1, d)."""
    position = np.argsort(orders, axis=1)
    return np.asarray(position[:, None, :] < np.arange(1, orders.shape[1])[:, None])


def solve_orders(orders: Orders, losses: FloatArray, empty: FloatArray, full: FloatArray) -> FloatArray:
    """What each player takes off the loss as it joins.

    Args:
      orders: (n, d).
      losses: (n, d - 1) losses of `order_coalitions`.
      empty: (n,) losses without any player.
      full: (n,) losses with all of them.

    Returns:
      (n, d) unbiased estimates of the Shapley values of -loss; each row sums to empty - full.
    """
    steps = -np.diff(np.hstack([empty[:, None], losses, full[:, None]]), axis=1)
    return np.asarray(np.take_along_axis(steps, np.argsort(orders, axis=1), axis=1))


def attribute_losses(design: ExactDesign, losses: FloatArray, empty: FloatArray, full: FloatArray) -> FloatArray:
    """The same from the losses of every coalition, exactly.

    Args:
      design: from whose coalitions the losses come.
      losses: (n, n_coalitions).
      empty: (n,).
      full: (n,).

    Returns:
      (n, d) Shapley values of -loss.
    """
    # Losses have the background averaged inside, so to the solver they are values over one background row.
    gains = (empty[:, None] - losses)[:, None, :, None]
    return design.over_one_row().solve(gains, (empty - full)[:, None], np.zeros((1, 1))).values[..., 0]


def merge_blocks(
    values: FloatArray, weights: FloatArray, n_blocks: int, *, axis: int = 1
) -> tuple[FloatArray, FloatArray]:
    """Weighted means over at most `n_blocks` groups of neighbouring blocks (or background rows).

    Args:
      values: (n, G, ...) where `axis` is 1.
      weights: (G,) that sum to 1, none 0.
      n_blocks: how many are left at most.
      axis: of the blocks.

    Returns:
      The means, and the weights of the groups.
    """
    starts = np.array([part[0] for part in np.array_split(np.arange(len(weights)), min(n_blocks, len(weights)))])
    merged = np.add.reduceat(weights, starts)
    shape = [1] * values.ndim
    shape[axis] = -1
    sums = np.add.reduceat(values * weights.reshape(shape), starts, axis=axis)
    return sums / merged.reshape(shape), merged
