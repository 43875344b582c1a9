"""Confidence bounds of one or several figures, and what follows for a demand on all of them.

A rule that demands the same of k figures holds when it holds for each. To pass it, every figure's bound must be on the
right side: whatever the number of figures, a rule that is broken passes with a probability of at most 1 - confidence,
because the one broken figure must be missed (an intersection-union test). To fail it, one figure's bound on the wrong
side is enough, so the bounds hold together (Bonferroni).

Source: R. L. Berger, "Multiparameter hypothesis testing and acceptance sampling", Technometrics 24 (1982) 295-300.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy import special

from tfx_explain.judgement.evidence import Outcome
from tfx_explain.judgement.skewness import widened
from tfx_explain.summary.ratio import Array

Skewness = tuple[npt.ArrayLike, npt.ArrayLike]
"""Of means, to the left and to the right, 0 or more: (k,) or scalar each."""

Bounds = Callable[[float], tuple[Array, Array]]
"""From the confidence of each bound to lower and upper bounds, (k,) each; NaN where unknown."""


@dataclasses.dataclass(frozen=True)
class Decision:
    """What figures say of a demand on all of them.

    Attributes:
      outcome: of the rule.
      index: of the figure that decides: the worst one.
      value: that figure.
      low: its lower bound.
      high: its upper bound.
    """

    outcome: Outcome
    index: int
    value: float
    low: float
    high: float


def at_most(value: Array, bounds: Bounds, threshold: float, confidence: float) -> Decision:
    """Whether all of k >= 1 figures are at most the threshold.

    Args:
      value: (k,) estimates.
      bounds: of the figures.
      threshold: largest allowed.
      confidence: of a pass, and of a fail over all figures together.
    """
    low, high = bounds(confidence)
    if (high <= threshold).all():
        index = int(np.argmax(high))
        return Decision("pass", index, float(value[index]), float(low[index]), float(high[index]))
    low, high = bounds(1 - (1 - confidence) / len(value))
    failed = low > threshold
    outcome: Outcome = "fail" if failed.any() else "insufficient_evidence"
    # The figure of the highest bound is the one in doubt; an unknown bound is in doubt most of all.
    worst = np.where(failed, low, -np.inf) if failed.any() else np.where(np.isnan(high), np.inf, high)
    index = int(np.argmax(worst))
    return Decision(outcome, index, float(value[index]), float(low[index]), float(high[index]))


def at_least(value: Array, bounds: Bounds, threshold: float, confidence: float) -> Decision:
    """Whether all of k >= 1 figures are at least the threshold; arguments as for `at_most`."""

    def mirrored(level: float) -> tuple[Array, Array]:
        low, high = bounds(level)
        return -high, -low

    found = at_most(-value, mirrored, -threshold, confidence)
    return Decision(found.outcome, found.index, -found.value, -found.high, -found.low)


def t_bounds(
    value: Array, std_error: Array, degrees_of_freedom: npt.ArrayLike, skewness: Skewness, *, least: float = -np.inf
) -> Bounds:
    """Student's t bounds of (k,) means, wider where the means are skewed.

    Args:
      value: (k,) means.
      std_error: (k,) of those means.
      degrees_of_freedom: (k,) or scalar; none of it makes both bounds NaN.
      skewness: of the means, to the left and to the right, (k,) or scalar each.
      least: what none of the true means is below.
    """
    freedom, (left, right) = np.asarray(degrees_of_freedom, np.float64), skewness

    def bounds(confidence: float) -> tuple[Array, Array]:
        quantile = special.stdtrit(np.where(freedom > 0, freedom, np.nan), confidence)
        low = value - widened(quantile, left) * std_error
        return np.maximum(low, least), value + widened(quantile, right) * std_error

    return bounds


def part_bounds(
    part: Array,
    std_error: Array,
    total: float,
    total_std_error: float,
    degrees_of_freedom: npt.ArrayLike,
    skewness: Skewness,
    *,
    either_sign: bool,
) -> Bounds:
    """Bounds of |part| / total where the covariance of the two is unknown: wide enough for any.

    A ratio r is tested by part - r * total, whose standard error is at most std_error + |r| * total_std_error, whatever
    the correlation. The bounds are all r that this test does not reject, and all r where the total cannot be told
    from 0. Where parts have either sign, both are looked at: the lower bound of |part| / total is two-sided then.

    Args:
      part: (k,) means.
      std_error: (k,) of those means.
      total: a mean > 0 that they are parts of.
      total_std_error: of that mean.
      degrees_of_freedom: (k,) or scalar, of all these errors.
      skewness: of |part|, to the left and to the right, (k,) or scalar each.
      either_sign: whether a part may be below 0.
    """
    freedom, (left, right) = np.asarray(degrees_of_freedom, np.float64), skewness

    def bounds(confidence: float) -> tuple[Array, Array]:
        one_sided = special.stdtrit(np.where(freedom > 0, freedom, np.nan), confidence)
        lower_level = 0.5 + confidence / 2 if either_sign else confidence
        below = special.stdtrit(np.where(freedom > 0, freedom, np.nan), lower_level)
        least = total - one_sided * total_std_error
        with np.errstate(divide="ignore", invalid="ignore"):
            high = np.where(least > 0, (np.abs(part) + widened(one_sided, right) * std_error) / least, np.inf)
        low = (np.abs(part) - widened(below, left) * std_error) / (total + below * total_std_error)
        unknown = np.isnan(std_error) | np.isnan(one_sided)
        return np.where(unknown, np.nan, np.maximum(low, 0.0)), np.where(unknown, np.nan, high)

    return bounds
