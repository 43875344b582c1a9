"""Distances between two vectors of importance: 0 where nothing changed, larger the more did.

Each takes shares of importance, candidate and baseline, of shape (..., d), and gives (...), so that one call measures
an estimate and one call all draws about it. All but `total_variation` and `l_infinity` see the order only.
"""

from __future__ import annotations

import numpy as np

from tfx_explain.summary.ratio import Array

_MAX_CELLS = 4_000_000
"""Pairs of players are compared in blocks of at most this many numbers, to bound memory."""


def total_variation(candidate: Array, baseline: Array) -> Array:
    """The importance that moved from some players to others, as a fraction of all: half the sum of |differences|."""
    return np.asarray(np.abs(candidate - baseline).sum(axis=-1) / 2)


def l_infinity(candidate: Array, baseline: Array) -> Array:
    """The largest change of any one player's share."""
    return np.asarray(np.abs(candidate - baseline).max(axis=-1))


def ndcg_loss(candidate: Array, baseline: Array) -> Array:
    """1 - nDCG of the candidate's order by the baseline's importance: 0.1 is where SageMaker Clarify raises an alarm.

    Players are ranked by the candidate; the gain of the one in place i is its importance in the baseline, discounted
    by log2(i + 1); the sum is divided by that of the best order. Blind to changes that keep the order, and nearly blind
    to swaps of players of similar importance.

    Source: K. Järvelin, J. Kekäläinen, "Cumulated gain-based evaluation of IR techniques", ACM TOIS 20 (2002) 422-446;
    gain used as it is, as Amazon SageMaker Clarify does.
    """
    discount = 1 / np.log2(np.arange(candidate.shape[-1]) + 2)
    order = np.argsort(-candidate, axis=-1, kind="stable")
    gained = np.take_along_axis(baseline, order, axis=-1) @ discount
    best = -np.sort(-baseline, axis=-1) @ discount
    return np.asarray(1 - np.divide(gained, best, out=np.ones_like(gained), where=best > 0))


def kendall_distance(candidate: Array, baseline: Array) -> Array:
    """The fraction of pairs of players whose order is reversed: (1 - Kendall's tau) / 2 where nothing ties.

    A pair that ties in either is not reversed.

    Source: M. G. Kendall, "A new measure of rank correlation", Biometrika 30 (1938) 81-93.
    """
    d = candidate.shape[-1]
    if d < 2:
        return np.zeros(candidate.shape[:-1])
    first, second = np.triu_indices(d, 1)
    ours, theirs = candidate.reshape(-1, d), baseline.reshape(-1, d)
    rows = max(_MAX_CELLS // len(first), 1)
    reversed_pairs = [
        (
            (ours[at : at + rows, first] - ours[at : at + rows, second])
            * (theirs[at : at + rows, first] - theirs[at : at + rows, second])
            < 0
        ).mean(axis=1)
        for at in range(0, len(ours), rows)
    ]
    return np.concatenate(reversed_pairs).reshape(candidate.shape[:-1])


def top_k_loss(candidate: Array, baseline: Array, k: int) -> Array:
    """The fraction of the baseline's k most important players that are not among the candidate's.

    Ties go to the player that comes first.
    """
    k = min(k, candidate.shape[-1])
    ours, theirs = (
        np.argsort(np.argsort(-values, axis=-1, kind="stable"), axis=-1) < k for values in (candidate, baseline)
    )
    return np.asarray(1 - (ours & theirs).sum(axis=-1) / k)
