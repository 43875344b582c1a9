"""Confidence bounds of what changed between two explanations, one-sided each."""

from __future__ import annotations

import dataclasses
import hashlib
import math
from collections.abc import Callable, Sequence

import numpy as np

from tfx_explain.summary.drift.comparison import Comparison, Moments, shares
from tfx_explain.summary.ratio import Array, t_quantile

N_DRAWS = 2_000


@dataclasses.dataclass(frozen=True)
class Bounds:
    """A figure and where the true one may lie.

    Attributes:
      value: the estimate.
      low: the true figure is at least this, with the confidence.
      high: and at most this, likewise.
      about: the players that decide; none where the figure is about all.
    """

    value: float
    low: float
    high: float
    about: tuple[str, ...] = ()


def bootstrap_bounds(
    value: float, draws: Array, confidence: float, *, fail_confidence: float | None = None, largest: float = math.inf
) -> Bounds:
    """Bounds of a distance >= 0 from draws of it: the wider of the percentile and the basic bootstrap.

    A distance is biased upwards by noise. Drawn about estimates it is so twice, which makes the percentile's upper
    bound safe and its lower one not; for the basic bootstrap, which subtracts the bias, it is the other way round.

    Args:
      value: the estimate.
      draws: (n_draws,) of the same figure.
      confidence: of each bound.
      fail_confidence: of the lower bound where it is one of several; default: `confidence`.
      largest: what the figure cannot exceed.

    Source: A. C. Davison, D. V. Hinkley, "Bootstrap Methods and their Application" (1997), sections 5.2 and 5.3.
    """
    low, high = np.quantile(draws, [1 - (fail_confidence or confidence), confidence])
    reflected_low = 2 * value - np.quantile(draws, fail_confidence or confidence)
    reflected_high = 2 * value - np.quantile(draws, 1 - confidence)
    lower, upper = min(low, reflected_low), max(high, reflected_high)
    return Bounds(value, float(np.clip(lower, 0, value)), float(np.clip(upper, value, max(largest, value))))


def share_bounds(
    comparison: Comparison, chosen: Sequence[int], measure: Callable[[Array, Array], Array], confidence: float
) -> Bounds:
    """Bounds of a distance between shares, by a parametric bootstrap of both importances.

    Args:
      comparison: the importances.
      chosen: positions of the players that are measured; shares are of the total of all.
      measure: of `measures`.
      confidence: of each bound.
    """
    rng = generator("drift", comparison.slice_key, comparison.output)
    ours, theirs = (shares(drawn)[:, chosen] for drawn in comparison.draws(N_DRAWS, rng))
    value = measure(comparison.candidate.shares()[chosen], comparison.baseline.shares()[chosen])
    return bootstrap_bounds(float(value), measure(ours, theirs), confidence, largest=1.0)


def generator(*key: str) -> np.random.Generator:
    """A generator that depends on nothing but the key, so that the same explanations give the same verdict."""
    digest = hashlib.sha256("\0".join(key).encode()).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest[:16], "little")))


def fold_change_bounds(comparison: Comparison, chosen: Sequence[int], confidence: float) -> Bounds:
    """How many times larger or smaller the importance of the chosen players became: max(r, 1 / r) of their sums.

    On the logarithm of the ratio, with Student's t and the smaller one of the degrees of freedom. An importance that is
    exactly 0 on one side only is an infinite change.
    """
    ours, theirs = (float(side.mean_abs[chosen].sum()) for side in (comparison.candidate, comparison.baseline))
    if ours == theirs == 0:
        return Bounds(1.0, 1.0, 1.0)
    errors = [
        math.sqrt(max(float(side.covariance[np.ix_(chosen, chosen)].sum()), 0.0))
        for side in (comparison.candidate, comparison.baseline)
    ]
    quantile = _quantile(comparison, confidence)
    if 0 in (ours, theirs):
        sure = max(ours, theirs) > quantile * max(errors)
        return Bounds(math.inf, math.inf if sure else 1.0, math.inf)
    change = abs(math.log(ours / theirs))
    margin = quantile * math.hypot(errors[0] / ours, errors[1] / theirs)
    return Bounds(math.exp(change), _exp(max(change - margin, 0.0)), _exp(change + margin))


def _exp(exponent: float) -> float:
    return math.exp(exponent) if exponent < 700 else math.inf


def sign_flip_bounds(comparison: Comparison, chosen: Sequence[int], confidence: float) -> Bounds:
    """The largest mean effect that changed its direction, as a fraction of the baseline's total importance.

    Where the mean attributions a and b of a player have different signs, what changed direction is min(|a|, |b|): an
    effect that is zero within its error on either side has not flipped. The lower bound holds for all players together
    (Bonferroni); the upper one need not, since one player alone can break a limit.
    """
    total = comparison.baseline.total or comparison.candidate.total
    if not total > 0:
        return Bounds(0.0, 0.0, 0.0)
    ours, theirs = comparison.candidate, comparison.baseline

    def flipped(quantile: float) -> Array:
        """What changed direction at least (quantile < 0), at most (> 0) or apparently (0), (d,)."""
        shift = quantile * ours.mean_signed_std_error, quantile * theirs.mean_signed_std_error
        up = np.minimum(ours.mean_signed + shift[0], -theirs.mean_signed + shift[1])
        down = np.minimum(-ours.mean_signed + shift[0], theirs.mean_signed + shift[1])
        return np.asarray(np.maximum(np.maximum(up, down), 0.0) / total)

    sure = _quantile(comparison, 1 - (1 - confidence) / len(chosen))
    return _largest(
        [(comparison.players[i],) for i in chosen],
        flipped(0.0)[chosen],
        flipped(-sure)[chosen],
        flipped(_quantile(comparison, confidence))[chosen],
    )


def rank_reversal_bounds(comparison: Comparison, chosen: Sequence[int], confidence: float) -> Bounds:
    """The largest margin by which two players changed places, as a fraction of all importance.

    Where i was above j by a share of g and is below it by h, they changed places by min(g, h): players that tie within
    their errors on either side have not. The lower bound holds for all pairs together (Bonferroni), the upper one need
    not.
    """
    first, second = (np.asarray(chosen)[index] for index in np.triu_indices(len(chosen), 1))
    if not len(first):
        return Bounds(0.0, 0.0, 0.0)
    gaps, errors = zip(
        *[_gaps(side, first, second) for side in (comparison.candidate, comparison.baseline)], strict=True
    )

    def reversed_by(quantile: float) -> Array:
        up = np.minimum(gaps[0] + quantile * errors[0], -gaps[1] + quantile * errors[1])
        down = np.minimum(-gaps[0] + quantile * errors[0], gaps[1] + quantile * errors[1])
        return np.asarray(np.maximum(np.maximum(up, down), 0.0))

    names = [(comparison.players[i], comparison.players[j]) for i, j in zip(first, second, strict=True)]
    sure = _quantile(comparison, 1 - (1 - confidence) / len(first))
    return _largest(names, reversed_by(0.0), reversed_by(-sure), reversed_by(_quantile(comparison, confidence)))


def _gaps(side: Moments, first: Array, second: Array) -> tuple[Array, Array]:
    """(n_pairs,) differences of shares and their standard errors."""
    share, covariance = side.shares(), side.share_covariance()
    variance = covariance[first, first] + covariance[second, second] - 2 * covariance[first, second]
    return share[first] - share[second], np.sqrt(np.maximum(variance, 0.0))


def _largest(names: Sequence[tuple[str, ...]], values: Array, lows: Array, highs: Array) -> Bounds:
    """The largest figure of several, and the bounds of the largest."""
    decisive = int(np.argmax(lows if lows.max() > 0 else values if values.max() > 0 else highs))
    about = names[decisive] if values[decisive] > 0 else ()
    return Bounds(float(values.max()), float(lows.max()), float(highs.max()), about)


def _quantile(comparison: Comparison, confidence: float) -> float:
    degrees = min(comparison.candidate.degrees_of_freedom, comparison.baseline.degrees_of_freedom)
    return t_quantile(confidence, degrees)
