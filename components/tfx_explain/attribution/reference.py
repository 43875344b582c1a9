"""What balance does to the error, known from random games of order 3."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from tfx_explain.attribution.maps import FloatArray, centre
from tfx_explain.attribution.sampling import Coalitions


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
      The ratio; 1 where the sandwich is right, or nothing is left but rounding.
    """
    squared_error, sandwich = 0.0, 0.0
    for half, linear_map, leverage in zip(halves, linear_maps, leverages, strict=True):
        game = _order_three(half)
        squared_error += _squared_error(game, linear_map, 1.0)
        centred, mapped = centre(half), linear_map @ game.covariance
        # The residuals' variances: the diagonal of (I - Z A) C (I - Z A)'.
        residual = np.diag(game.covariance) - 2 * np.einsum("ki,ik->k", centred, mapped)
        residual += np.einsum("ki,ij,kj->k", centred, mapped @ linear_map.T, centred, optimize=True)
        sandwich += _sandwich(linear_map, variance_factors * residual, leverage)
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
    squared_error, sandwich, expected = 0.0, 0.0, []
    for half, linear_map, leverage, weight in zip(halves, linear_maps, leverages, weights, strict=True):
        game, centred = _order_three(half), centre(half)
        kept = linear_map @ centred - weight * (np.eye(d) - 1 / d)
        squared_error += _squared_error(game, linear_map, weight) / math.comb(d, 3) + float((kept**2 @ spread).sum())
        residual = np.diag(game.covariance) / math.comb(d, 3) + centred**2 @ spread
        expected.append(residual.mean())
        sandwich += _sandwich(linear_map, residual, leverage)
    return squared_error / sandwich, float(np.mean(expected))


class _OrderThree(NamedTuple):
    """Of the odd parts of a random game of order 3 less an even share of its total, and of its attributions.

    Attributes:
      covariance: (n_pairs, n_pairs) of the odd parts.
      with_attributions: (n_pairs, n_players) covariances of odd parts and centred attributions.
      attribution_variance: of a centred attribution.
    """

    covariance: FloatArray
    with_attributions: FloatArray
    attribution_variance: float


def _squared_error(game: _OrderThree, linear_map: FloatArray, weight: float) -> float:
    """Expected square, over all players, of map @ odd parts less `weight` times the attributions."""
    mapped = np.einsum("ij,jk,ik->", linear_map, game.covariance, linear_map, optimize=True)
    crossed = np.einsum("ik,ki->", linear_map, game.with_attributions)
    return float(mapped - 2 * weight * crossed + len(linear_map) * weight**2 * game.attribution_variance)


def _sandwich(linear_map: FloatArray, residual: FloatArray, leverage: FloatArray) -> float:
    """Sum over players of the variances that residuals with these mean squares, (n_pairs,), would say."""
    return float((linear_map**2 @ (residual / np.maximum(1 - leverage, np.finfo(float).eps))).sum())


def _order_three(half: Coalitions) -> _OrderThree:
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
    return _OrderThree(covariance, with_attributions, variance)
