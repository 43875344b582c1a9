"""Linear maps from coalition values to attributions and to pairwise interactions.

Coalitions come in pairs {S, complement}. Half the difference of a pair's values is its odd part, half the sum its even
part. Shapley values depend on odd parts only, pairwise interactions on even parts only, so the two solve apart.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tfx_explain.attribution.sampling import Coalitions, Strata

FloatArray = npt.NDArray[np.float64]

_SMALLEST_EIGENVALUE_RATIO = 1e-9


def kernel_weights(strata: Strata) -> FloatArray:
    """Regression weight of each drawn pair: its Shapley kernel weight times (pairs that exist / pairs drawn).

    The kernel mu(s) = 1 / (C(d, s) s (d - s)) times the C(d, s) coalitions of that size leaves 1 / (s (d - s)), so no
    binomial is ever formed.

    Args:
      strata: pairs drawn per size.

    Returns:
      (n_pairs,) positive weights.

    Source: Lundberg & Lee 2017, theorem 2; importance weights as in Musco & Witter 2024.
    """
    d = strata.n_players
    sizes = np.arange(1, d // 2 + 1)
    halves = np.where(2 * sizes == d, 0.5, 1.0)
    counts = np.maximum(strata.counts, 1)
    return strata.per_pair(halves / (sizes * (d - sizes) * counts))


def odd_map(coalitions: Coalitions, weights: FloatArray) -> tuple[FloatArray, FloatArray] | None:
    """The weighted least squares fit of an additive game, as a matrix.

    Solved in the space of attributions that sum to zero (the prediction minus the base value is shared out evenly and
    added later), where the problem is well conditioned: there are no huge weights for the empty and full coalition.

    Args:
      coalitions: (n_pairs, n_players), one half of each pair.
      weights: (n_pairs,).

    Returns:
      The map A, (n_players, n_pairs): centred attributions = A @ odd parts; and the leverages h, (n_pairs,), the
      diagonal of the hat matrix. None where the coalitions do not determine all attributions.

    Source: Musco & Witter 2024 (arXiv 2410.01917), section 2 (projected problem).
    """
    n_players = coalitions.shape[1]
    centred = centre(coalitions)
    weighted = centred * weights[:, None]
    gram = centred.T @ weighted
    scale = np.trace(gram) / max(n_players - 1, 1)
    # The all-ones direction is not in the space; giving it the average eigenvalue makes the matrix invertible.
    filled = gram + (scale or 1.0) / n_players
    solved = _solve(filled, weighted.T)
    return None if solved is None else (solved, np.einsum("pd,dp->p", centred, solved))


def centre(coalitions: Coalitions) -> FloatArray:
    """Coalitions as 0/1 with each row's mean removed, (..., n_pairs, n_players)."""
    return np.asarray(coalitions - coalitions.mean(axis=-1, keepdims=True), dtype=np.float64)


def faith_shap_map(coalitions: Coalitions, weights: FloatArray, pairs: npt.NDArray[np.int64]) -> FloatArray | None:
    """The weighted least squares fit of all pairwise interactions, as a matrix.

    With players coded as -1/+1 the even part of an order-2 game, less its mean over the empty and the full
    coalition, is minus half the sum of the interactions that the coalition separates.

    Args:
      coalitions: (n_pairs, n_players), one half of each pair.
      weights: (n_pairs,).
      pairs: (n_interactions, 2) players.

    Returns:
      (n_interactions, n_pairs), or None where the coalitions do not determine all interactions.

    Source: Tsai, Yeh & Ravikumar 2023, Faith-Shap, equation 16 with order 2 (constraints at both ends included).
    """
    separated = -0.5 * _separated(coalitions, pairs)
    weighted = separated * weights[:, None]
    return _solve(separated.T @ weighted, weighted.T)


def shapley_interaction_map(coalitions: Coalitions, pairs: npt.NDArray[np.int64]) -> FloatArray:
    """Shapley interaction indices of all pairs of players from ALL coalitions, as a matrix.

    Args:
      coalitions: (2^(d-1) - 1, n_players), one half of every pair.
      pairs: (n_interactions, 2) players.

    Returns:
      (n_interactions, n_pairs), to be applied to even parts that are zero at the empty and the full coalition.

    Source: Grabisch & Roubens 1999, definition of I(ij).
    """
    n_players = coalitions.shape[1]
    if not len(pairs):
        return np.zeros((0, len(coalitions)))
    sizes = coalitions.sum(axis=1)
    separated = _separated(coalitions, pairs)
    both = coalitions[:, pairs[:, 0]] & coalitions[:, pairs[:, 1]]
    # s! (d - s - 2)! / (d - 1)! of the discrete derivative at a set of size s, for s = 0 .. d - 2.
    steps = np.arange(1, n_players - 1)
    per_size = np.concatenate([[1.0], np.cumprod(steps / (n_players - 1 - steps))]) / (n_players - 1)
    last = n_players - 2

    def weight(size: npt.NDArray[np.int64]) -> FloatArray:
        return np.asarray(per_size[np.clip(size, 0, last)], dtype=np.float64)

    apart = -weight(sizes - 1) - weight(n_players - sizes - 1)
    with_both = weight(sizes - 2) + weight(n_players - sizes)
    with_none = weight(sizes) + weight(n_players - sizes - 2)
    together = np.where(both, with_both[:, None], with_none[:, None])
    return np.ascontiguousarray(np.where(separated, apart[:, None], together).T)


def _separated(coalitions: Coalitions, pairs: npt.NDArray[np.int64]) -> Coalitions:
    return coalitions[:, pairs[:, 0]] ^ coalitions[:, pairs[:, 1]]


def _solve(gram: FloatArray, right: FloatArray) -> FloatArray | None:
    """gram^-1 @ right, or None where gram has (nearly) no inverse."""
    if not len(gram):
        return right
    eigenvalues = np.linalg.eigvalsh(gram)
    if eigenvalues[0] <= _SMALLEST_EIGENVALUE_RATIO * eigenvalues[-1]:
        return None
    return np.asarray(np.linalg.solve(gram, right))
