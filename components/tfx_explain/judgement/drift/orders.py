"""Confidence bounds of measures that see the order of players only.

The order of two players is known where a test of their importances shows it. Which pairs those are holds for all pairs
and both sides together (Bonferroni); a measure is then bounded by the best and the worst order that the known pairs
allow. A bootstrap of such measures is wrong where players tie: every draw reverses some pair of them, and so does the
estimate, although nothing has changed.

Source: resampling fails for statistics that jump at ties, as shown for ranks by M.-H. Xie, K. Singh, C.-H. Zhang,
"Confidence intervals for population ranks in the presence of ties and near ties", JASA 104 (2009) 775-788.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from typing_extensions import Self

from tfx_explain.judgement.bounds import Bounds
from tfx_explain.judgement.drift import distances
from tfx_explain.judgement.drift.comparison import Comparison, Moments
from tfx_explain.judgement.skewness import of_difference, widened
from tfx_explain.summary.ratio import Array, t_quantile

Relation = npt.NDArray[np.bool_]
"""(d, d), [i, j] of players i and j."""


@dataclasses.dataclass(frozen=True)
class KnownOrder:
    """What is known of the order of d players by importance, on one side.

    Attributes:
      ahead: whether i is certainly before j. Players whose importances are equal without any error come as listed.
      tied: whether i and j are certainly equal.
    """

    ahead: Relation
    tied: Relation

    @classmethod
    def of(cls, side: Moments, chosen: Sequence[int], error: float) -> Self:
        """The order of the chosen players; each comparison is wrong with a probability of at most `error`."""
        mean, variances = side.mean_abs[chosen], np.diag(side.covariance)[chosen]
        covariance = side.covariance[np.ix_(chosen, chosen)]
        variance = np.maximum(variances[:, None] + variances - 2 * covariance, 0.0)
        first, second = (np.broadcast_to(x[:, None], variance.shape) for x in (mean, variances))
        n = side.n_effective
        left, _ = of_difference((first, second, n), (first.T, second.T, n), variance)
        gap = mean[:, None] - mean
        ahead = gap > widened(t_quantile(1 - error, side.degrees_of_freedom), left) * np.sqrt(variance)
        tied = (gap == 0) & (variance == 0)
        return cls(ahead | (tied & np.triu(np.ones_like(tied), 1)), tied)

    @property
    def earliest(self) -> npt.NDArray[np.int64]:
        """(d,) the best place that each player can have, from 0."""
        return np.asarray(self.ahead.sum(axis=0))

    @property
    def latest(self) -> npt.NDArray[np.int64]:
        """(d,) the worst place."""
        return np.asarray(len(self.ahead) - 1 - self.ahead.sum(axis=1))


def _known(comparison: Comparison, chosen: Sequence[int], confidence: float) -> tuple[KnownOrder, KnownOrder]:
    """The orders of candidate and baseline, all comparisons right together with the confidence."""
    error = (1 - confidence) / max(2 * len(chosen) * (len(chosen) - 1), 1)
    return KnownOrder.of(comparison.candidate, chosen, error), KnownOrder.of(comparison.baseline, chosen, error)


def kendall_bounds(comparison: Comparison, chosen: Sequence[int], confidence: float) -> Bounds:
    """The fraction of pairs whose order is reversed: at least those that are so on both sides for certain.

    Args:
      comparison: the importances.
      chosen: positions of the players that are measured.
      confidence: of both bounds together.
    """
    ours, theirs = _known(comparison, chosen, confidence)
    pairs = np.triu_indices(len(chosen), 1)
    if not len(pairs[0]):
        return Bounds.exact(0.0)
    reversed_pairs = (ours.ahead & theirs.ahead.T) | (ours.ahead.T & theirs.ahead)
    same = (ours.ahead & theirs.ahead) | (ours.ahead.T & theirs.ahead.T) | ours.tied | theirs.tied
    reversed_pairs &= ~(ours.tied | theirs.tied)
    value = float(distances.kendall_distance(*_shares(comparison, chosen)))
    return Bounds(value, float(reversed_pairs[pairs].mean()), float((~same)[pairs].mean()))


def top_k_bounds(comparison: Comparison, chosen: Sequence[int], confidence: float, k: int) -> Bounds:
    """The fraction of the baseline's k most important players that are not among the candidate's.

    Args:
      comparison: the importances.
      chosen: positions of the players that are measured.
      confidence: of both bounds together.
      k: size of the top.
    """
    ours, theirs = _known(comparison, chosen, confidence)
    k = min(k, len(chosen))
    lost = (theirs.latest < k) & (ours.earliest >= k)
    gained = (ours.latest < k) & (theirs.earliest >= k)
    maybe_lost = (theirs.earliest < k) & (ours.latest >= k)
    maybe_gained = (ours.earliest < k) & (theirs.latest >= k)
    value = float(distances.top_k_loss(*_shares(comparison, chosen), k))
    # As many leave the top as enter it, so that either number bounds both.
    low, high = (choose(a.sum(), b.sum()) for choose, a, b in ((max, lost, gained), (min, maybe_lost, maybe_gained)))
    return Bounds(value, float(low) / k, float(high) / k)


def ndcg_bounds(comparison: Comparison, chosen: Sequence[int], confidence: float) -> Bounds:
    """1 - nDCG of the candidate's order by the baseline's importance.

    Half of the error is for the order of players, and half for the importance in the baseline, by the delta method.

    Args:
      comparison: the importances.
      chosen: positions of the players that are measured.
      confidence: of each bound.
    """
    half = 0.5 + confidence / 2
    ours, theirs = _known(comparison, chosen, half)
    candidate, baseline = _shares(comparison, chosen)
    value = float(distances.ndcg_loss(candidate, baseline))
    if not baseline.sum() > 0:
        return Bounds(value, 0.0, 1.0)
    covariance = _as_it_is(comparison.baseline).share_covariance()[np.ix_(chosen, chosen)]
    quantile = t_quantile(half, comparison.baseline.degrees_of_freedom)
    best, worst = _best_places(ours, baseline), _worst_places(ours, baseline)
    ideal = np.argsort(np.argsort(-baseline, kind="stable"), kind="stable")
    ends = []
    # Where the baseline's own order is in doubt, the ideal one is the least ideal that it may be.
    for places, of_ideal, sign in ((best, _worst_places(theirs, baseline), 1.0), (worst, ideal, -1.0)):
        gained, most = 1 / np.log2(places + 2), 1 / np.log2(of_ideal + 2)
        ratio = float(baseline @ gained / (baseline @ most))
        slope = (gained - ratio * most) / (baseline @ most)
        ends.append(1 - ratio - sign * quantile * math.sqrt(max(float(slope @ covariance @ slope), 0.0)))
    return Bounds(value, float(np.clip(ends[0], 0.0, value)), float(np.clip(ends[1], value, 1.0)))


def _best_places(known: KnownOrder, gain: Array) -> npt.NDArray[np.int64]:
    """(d,) places, from 0, that gain the most where no player may come before its earliest place.

    From the first place on, each goes to the largest gain that may have it, which is best as the discount only falls.
    """
    places, earliest = np.zeros(len(gain), dtype=np.int64), known.earliest
    left = np.ones(len(gain), dtype=bool)
    for place in range(len(gain)):
        player = int(np.argmax(np.where(left & (earliest <= place), gain, -np.inf)))
        places[player], left[player] = place, False
    return places


def _worst_places(known: KnownOrder, gain: Array) -> npt.NDArray[np.int64]:
    """(d,) places, from 0, that gain the least where no player may come after its latest place."""
    places, latest = np.zeros(len(gain), dtype=np.int64), known.latest
    left = np.ones(len(gain), dtype=bool)
    for place in reversed(range(len(gain))):
        player = int(np.argmax(np.where(left & (latest >= place), gain, -np.inf)))
        places[player], left[player] = place, False
    return places


def _shares(comparison: Comparison, chosen: Sequence[int]) -> tuple[Array, Array]:
    ours, theirs = (_as_it_is(side) for side in (comparison.candidate, comparison.baseline))
    return ours.shares()[chosen], theirs.shares()[chosen]


def _as_it_is(side: Moments) -> Moments:
    """The side with shares of the sum of its importances: places, and ratios of gains, depend on no total."""
    return dataclasses.replace(side, cut_off=0.0)
