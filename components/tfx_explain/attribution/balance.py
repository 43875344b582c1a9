"""Coalitions that tell players apart as evenly as their sizes allow, by exchanging players between them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tfx_explain.attribution.maps import FloatArray
from tfx_explain.attribution.sampling import Coalitions, Strata

# Most of what exchanges can gain comes with the first ones.
_MAX_EXCHANGES = 8
# The second pass sees all coalitions, the first only those before each.
_PASSES = 2
# Whole numbers keep every sum exact, and so the outcome the same whatever the machine's arithmetic.
_WEIGHT_LEVELS = 128


def balance_pairs(halves: Coalitions, strata: Strata, weights: FloatArray, orders: npt.NDArray[np.int64]) -> Coalitions:
    """Exchanges players of drawn coalitions for others, so that the Gram matrix comes near a multiple of the identity.

    The Gram matrix of players' memberships does two things to the variance of least squares. Its small eigenvalues
    raise it: with m pairs and d - 1 unknowns by m / (m - d + 1) where coalitions are drawn at random. And an entry
    (j, k) off the diagonal is how much of an interaction of i, j and k is taken for an effect of i. Coalition after
    coalition, a member makes way for a player outside while that lowers the sum of squares of the matrix. Players are
    treated alike, so that each coalition alone stays uniform among those of its size. No pair comes twice, and strata
    that are drawn whole stay.

    Args:
      halves: (n_blocks, n_pairs, n_players) from `draw_pairs`; every block is balanced for itself.
      strata: what they were drawn for.
      weights: (n_pairs,) of the regression.
      orders: (n_blocks, n_players) random permutations, which say who goes first among equals.

    Returns:
      Coalitions of the same shape and sizes.

    Source: Meyer & Nachtsheim 1995 (coordinate exchange) for the search, Deville & Tille 2004 for balance as a way to
      less variance; the two put together for Shapley regressions are ours.
    """
    n_blocks, _, n_players = halves.shape
    first = np.argmin(orders, axis=1)
    renamed = np.take_along_axis(halves, orders[:, None, :], axis=2)
    packed = np.packbits(renamed, axis=2)
    is_whole = strata.per_pair([n == all_ for n, all_ in zip(strata.counts, strata.populations, strict=True)]) > 0
    levels = np.ceil(_WEIGHT_LEVELS * weights / weights.max())
    gram = np.zeros((n_blocks, n_players, n_players))
    # Whole strata first: the others have to go with them.
    for pair in np.flatnonzero(is_whole):
        gram += _share(renamed[:, pair], levels[pair])
    for is_second in range(_PASSES):
        for pair in np.flatnonzero(~is_whole):
            if is_second:
                gram -= _share(renamed[:, pair], levels[pair])
            better = _exchanged(renamed[:, pair], gram, first)
            is_new = ~(packed == np.packbits(better, axis=1)[:, None]).all(axis=2).any(axis=1)
            renamed[is_new, pair] = better[is_new]
            packed[:, pair] = np.packbits(renamed[:, pair], axis=1)
            gram += _share(renamed[:, pair], levels[pair])
    return np.take_along_axis(renamed, np.argsort(orders, axis=1)[:, None, :], axis=2)


def _exchanged(coalitions: Coalitions, gram: FloatArray, first: npt.NDArray[np.int64]) -> Coalitions:
    """One coalition of each block, (n_blocks, n_players), after the exchanges that pay."""
    # Of centred memberships z (times d) and the Gram matrix G of the others, |G + z z'|^2 is 2 z' G z and terms that no
    # exchange changes: sizes stay, so z' z does. With j instead of i, z becomes z + d (e_j - e_i), and z' G z grows by
    # 2 d times (G z)_j + d G_jj / 2 - d G_ij less (G z)_i - d G_ii / 2. First the i is taken that is best by itself,
    # then the best j beside it; G z follows without being computed anew.
    coalitions = coalitions.copy()
    blocks, n_players = np.arange(len(coalitions)), coalitions.shape[1]
    half_diagonal = n_players * np.einsum("bii->bi", gram) / 2
    # Half the derivative of the sum of squares by each player's membership.
    slope = np.matmul(gram, _centre(coalitions)[:, :, None])[:, :, 0]
    for _ in range(_MAX_EXCHANGES):
        leaving = np.where(coalitions, slope - half_diagonal, -np.inf).argmax(axis=1)
        cost = slope + half_diagonal - n_players * gram[blocks, leaving]
        coming = np.where(coalitions, np.inf, cost).argmin(axis=1)
        gain = slope[blocks, leaving] - half_diagonal[blocks, leaving] - cost[blocks, coming]
        pays = np.flatnonzero(gain > 0)
        if not len(pays):
            break
        leaving, coming = leaving[pays], coming[pays]
        coalitions[pays, leaving], coalitions[pays, coming] = False, True
        slope[pays] += n_players * (gram[pays, coming] - gram[pays, leaving])
    # Of a pair of two halves of the same size, the half with the first player names it.
    other_half = (2 * coalitions.sum(axis=1) == n_players) & ~coalitions[blocks, first]
    return np.where(other_half[:, None], ~coalitions, coalitions)


def _share(coalitions: Coalitions, level: float) -> FloatArray:
    """What one coalition of each block adds to the Gram matrix, (n_blocks, n_players, n_players)."""
    centred = _centre(coalitions)
    return np.asarray(level * centred[:, :, None] * centred[:, None, :])


def _centre(coalitions: Coalitions) -> FloatArray:
    """(n_blocks, n_players) memberships less their mean, times the number of players: whole numbers."""
    n_players = coalitions.shape[1]
    return np.asarray(n_players * coalitions - coalitions.sum(axis=1, keepdims=True), dtype=np.float64)
