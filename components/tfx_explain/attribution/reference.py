"""What balance does to the error, known from random games of order 3."""

from __future__ import annotations

import math

import numpy as np

from tfx_explain.attribution.maps import FloatArray, centre
from tfx_explain.attribution.sampling import Coalitions

_MIN_PLAYERS = 3


def variance_ratio(
    halves: Coalitions, linear_maps: FloatArray, leverages: FloatArray, variance_factors: FloatArray
) -> float:
    """Mean squared error of attributions over their mean sandwich variance, if the game were a random one of order 3.

    The sandwich takes the residuals of different pairs to be independent. Balanced coalitions make them cancel, above
    all where the effect of a player changes with the size of the coalition, and the sandwich does not know. Order 3 is
    the lowest that paired regression does not reproduce, and what is left of most games is mainly that. Its covariances
    are known: of a game with coefficients of variance 1 for all products of three players in -1 / +1, two coalitions
    have e3 = (h^3 - (3 d - 2) h) / 6 of them, h the inner product of their codes. A player's Shapley value of a product
    is 2 / 3 if it is one of the three.

    Args:
      halves: (n_blocks, n_pairs, n_players) one half of each pair.
      linear_maps: (n_blocks, n_players, n_pairs) odd parts to centred attributions.
      leverages: (n_blocks, n_pairs).
      variance_factors: (n_pairs,) of the sandwich.

    Returns:
      The ratio; 1 where the sandwich is right, or there is no game of order 3.
    """
    if halves.shape[2] < _MIN_PLAYERS:
        return 1.0
    squared_error, sandwich = 0.0, 0.0
    for half, linear_map, leverage in zip(halves, linear_maps, leverages, strict=True):
        covariance, with_attributions, attribution_variance = _order_three(half)
        mapped = linear_map @ covariance
        error = np.einsum("ik,ik->i", mapped, linear_map) - 2 * np.einsum("ik,ki->i", linear_map, with_attributions)
        squared_error += float((error + attribution_variance).sum())
        centred = centre(half)
        # The residuals' variances: the diagonal of (I - Z A) C (I - Z A)'.
        fitted = centred @ mapped
        residual = np.diag(covariance) - 2 * np.diag(fitted)
        residual += np.einsum("ki,ij,kj->k", centred, mapped @ linear_map.T, centred, optimize=True)
        scaled = variance_factors * residual / np.maximum(1 - leverage, np.finfo(float).eps)
        sandwich += float((linear_map**2 @ scaled).sum())
    return squared_error / sandwich if squared_error > 0 and sandwich > 0 else 1.0


def pooled_variance_ratio(
    halves: Coalitions, linear_maps: FloatArray, leverages: FloatArray, weights: FloatArray, spread: FloatArray
) -> tuple[float, float]:
    """The same for a pooled regression, whose blocks have games of their own and effects that vary between them.

    Args:
      halves: (n_blocks, n_pairs, n_players).
      linear_maps: (n_blocks, n_players, n_pairs), shares of the blocks included.
      leverages: (n_blocks, n_pairs) of the whole regression.
      weights: (n_blocks,) shares of the blocks.
      spread: (n_players,) variances of effects between blocks, in units of the variance of one odd part.

    Returns:
      The ratio, and the mean square that residuals have where odd parts have variance 1.
    """
    d = halves.shape[2]
    if d < _MIN_PLAYERS:
        return 1.0, 1.0
    squared_error, sandwich, expected = 0.0, 0.0, []
    for half, linear_map, leverage, weight in zip(halves, linear_maps, leverages, weights, strict=True):
        covariance, with_attributions, attribution_variance = (part / math.comb(d, 3) for part in _order_three(half))
        centred = centre(half)
        error = np.einsum("ij,jk,ik->i", linear_map, covariance, linear_map, optimize=True)
        error -= 2 * weight * np.einsum("ik,ki->i", linear_map, with_attributions)
        kept = linear_map @ centred - weight * (np.eye(d) - 1 / d)
        squared_error += float((error + weight**2 * attribution_variance + kept**2 @ spread).sum())
        residual = np.diag(covariance) + centred**2 @ spread
        expected.append(residual.mean())
        sandwich += float((linear_map**2 @ (residual / np.maximum(1 - leverage, np.finfo(float).eps))).sum())
    return squared_error / sandwich, float(np.mean(expected))


def _order_three(half: Coalitions) -> tuple[FloatArray, FloatArray, float]:
    """Of the odd parts of a random game less an even share of its total: covariances, and those with attributions.

    Returns:
      (n_pairs, n_pairs), (n_pairs, n_players), and the variance of a centred attribution.
    """
    d = half.shape[1]
    codes = 2.0 * half - 1

    def third(inner: FloatArray) -> FloatArray:
        return np.asarray((inner**3 - (3 * d - 2) * inner) / 6)

    sums = codes.sum(axis=1)
    share, with_full = sums / d, third(sums)
    covariance = third(codes @ codes.T) - np.outer(share, with_full) - np.outer(with_full, share)
    covariance += math.comb(d, 3) * np.outer(share, share)
    # Products of three that hold player i: its code times the second elementary symmetric sum of the others' codes.
    own = codes * ((sums[:, None] - codes) ** 2 - (d - 1)) / 2
    # All players together are in every product three times, so an even share is 2 / d of all; with the total, which
    # the share takes off, centred attributions have no covariance.
    with_attributions = 2 / 3 * own - 2 / d * with_full[:, None]
    pairs_of_others = math.comb(d - 1, 2)
    variance = 4 / 9 * pairs_of_others - 8 / (3 * d) * pairs_of_others + 4 / d**2 * math.comb(d, 3)
    return covariance, with_attributions, variance
