"""Confidence bounds of importance that grew or shrank, and of effects and ranks that were reversed, one-sided each."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tfx_explain.judgement.bounds import Bounds
from tfx_explain.judgement.drift.comparison import Comparison, Moments
from tfx_explain.judgement.skewness import of_difference, widened
from tfx_explain.summary.ratio import Array, t_quantile


def fold_change_bounds(comparison: Comparison, chosen: Sequence[int], confidence: float) -> Bounds:
    """How many times larger or smaller the importance of the chosen players became: max(r, 1 / r) of their sums.

    Fieller's bounds of the ratio r of two independent means, with Student's t and the smaller one of the degrees of
    freedom, widened for skewness. That r is above the limit or below its inverse are two chances of a false alarm,
    which share the error of the lower bound. An importance that is exactly 0 on one side only is an infinite change;
    one of which noise leaves nothing may be one.

    Source: E. C. Fieller, JRSS B 16 (1954) 175-185.
    """
    sides = comparison.candidate, comparison.baseline
    ours, theirs = (max(float(side.uncut[chosen].sum()), 0.0) for side in sides)
    variances = [max(float(side.covariance[np.ix_(chosen, chosen)].sum()), 0.0) for side in sides]
    if ours == theirs == 0:
        return Bounds(1.0, 1.0, math.inf) if any(variances) else Bounds.exact(1.0)
    if 0 in (ours, theirs):
        left, gone = variances if theirs == 0 else variances[::-1]
        return _vanished_bounds(max(ours, theirs), left, gone, _quantile(comparison, confidence))
    # Either side in units of its own estimate, so that the ratio is 1.
    relative = variances[0] / ours**2, variances[1] / theirs**2
    parts = [(1.0, v, side.n_effective) for v, side in zip(relative, sides, strict=True)]
    left, right = (float(x) for x in of_difference(parts[0], parts[1], sum(relative)))
    ratio, inner, outer = ours / theirs, _quantile(comparison, 0.5 + confidence / 2), _quantile(comparison, confidence)
    least, most = (_ratio_end(relative, float(widened(inner, g)), up) for g, up in ((left, False), (right, True)))
    lowest, highest = (_ratio_end(relative, float(widened(outer, g)), up) for g, up in ((left, False), (right, True)))
    low = max(ratio * least, _inverse(ratio * most), 1.0)
    return Bounds(max(ratio, 1 / ratio), low, max(ratio * highest, _inverse(ratio * lowest)))


def _vanished_bounds(size: float, variance: float, of_nothing: float, quantile: float) -> Bounds:
    """Fieller's, where one importance is 0: the other one is at least so many times what the error of 0 leaves."""
    least = math.sqrt(max(size**2 - quantile**2 * variance, 0.0))
    most_of_nothing = quantile * math.sqrt(of_nothing)
    if not least > 0:
        return Bounds(math.inf, 1.0, math.inf)
    return Bounds(math.inf, max(least / most_of_nothing, 1.0) if most_of_nothing > 0 else math.inf, math.inf)


def _ratio_end(variances: tuple[float, float], quantile: float, upper: bool) -> float:
    """The end of Fieller's interval for the ratio of two means that are both 1; 0 or infinite where there is none."""
    a, b = (quantile * quantile * variance for variance in variances)
    if upper:
        return math.inf if b >= 1 else (1 + math.sqrt(a + b - a * b)) / (1 - b)
    return 0.0 if a >= 1 else (1 - a) / (1 + math.sqrt(a + b - a * b))


def _inverse(ratio: float) -> float:
    return 1 / ratio if ratio > 0 else math.inf


def sign_flip_bounds(comparison: Comparison, chosen: Sequence[int], confidence: float) -> Bounds:
    """The largest mean effect that changed its direction, as a fraction of all importance.

    Where a player's mean attributions, as fractions a and b of either total, have different signs, what changed
    direction is min(|a|, |b|): an effect that is zero within its error on either side has not flipped.
    """
    effects, errors = zip(
        *[_effects(side, chosen) for side in (comparison.candidate, comparison.baseline)], strict=True
    )
    return _largest_reversal([(comparison.players[i],) for i in chosen], effects, errors, comparison, confidence)


def _effects(side: Moments, chosen: Sequence[int]) -> tuple[Array, Array]:
    """Mean attributions as fractions of all importance, and their standard errors."""
    if not side.total > 0:
        return np.zeros(len(chosen)), np.zeros(len(chosen))
    effect = side.mean_signed[chosen] / side.total
    # How attributions and the total vary together is not in the tables: the errors are added as if at worst.
    error = side.mean_signed_std_error[chosen] + np.abs(effect) * side.total_std_error
    return effect, error / side.total


def rank_reversal_bounds(comparison: Comparison, chosen: Sequence[int], confidence: float) -> Bounds:
    """The largest margin by which two players changed places, as a fraction of all importance.

    Where i was above j by a share of g and is below it by h, they changed places by min(g, h): players that tie within
    their errors on either side have not.
    """
    first, second = (np.asarray(chosen)[index] for index in np.triu_indices(len(chosen), 1))
    if not len(first):
        return Bounds.exact(0.0)
    gaps, errors = zip(
        *[_gaps(side, first, second) for side in (comparison.candidate, comparison.baseline)], strict=True
    )

    names = [(comparison.players[i], comparison.players[j]) for i, j in zip(first, second, strict=True)]
    return _largest_reversal(names, gaps, errors, comparison, confidence)


def _largest_reversal(
    names: Sequence[tuple[str, ...]],
    figures: Sequence[Array],
    errors: Sequence[Array],
    comparison: Comparison,
    confidence: float,
) -> Bounds:
    """The largest min(|a|, |b|) of m figures a of the candidate and b of the baseline that have different signs.

    The lower bound holds for all m together (Bonferroni): any one that is called large is a false alarm. The upper one
    needs no such thing, since one figure alone can break a limit, but it is the smaller one of two bounds, of a and of
    b, and wrong where either is.
    """

    def reversed_by(quantile: float) -> Array:
        """What changed sign at least (quantile < 0), at most (> 0) or apparently (0), (m,)."""
        ours, theirs = (quantile * error for error in errors)
        up = np.minimum(figures[0] + ours, theirs - figures[1])
        down = np.minimum(ours - figures[0], figures[1] + theirs)
        return np.asarray(np.maximum(np.maximum(up, down), 0.0))

    error = 1 - confidence
    values, lows = reversed_by(0.0), reversed_by(-_quantile(comparison, 1 - error / len(names)))
    highs = reversed_by(_quantile(comparison, 1 - error / 2))
    decisive = int(np.argmax(lows if lows.max() > 0 else values))
    about = names[decisive] if values[decisive] > 0 else ()
    return Bounds(float(values.max()), float(lows.max()), float(highs.max()), about)


def _gaps(side: Moments, first: Array, second: Array) -> tuple[Array, Array]:
    """(n_pairs,) differences of shares and their standard errors."""
    share, covariance = side.shares(), side.share_covariance()
    variance = covariance[first, first] + covariance[second, second] - 2 * covariance[first, second]
    return share[first] - share[second], np.sqrt(np.maximum(variance, 0.0))


def _quantile(comparison: Comparison, confidence: float) -> float:
    degrees = min(comparison.candidate.degrees_of_freedom, comparison.baseline.degrees_of_freedom)
    return t_quantile(confidence, degrees)
