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

from tfx_explain.summary.evidence import Outcome
from tfx_explain.summary.ratio import Array

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


def t_bounds(value: Array, std_error: Array, degrees_of_freedom: npt.ArrayLike) -> Bounds:
    """Student's t bounds of (k,) means; NaN where an error is unknown or has no degree of freedom."""
    freedom = np.asarray(degrees_of_freedom, np.float64)

    def bounds(confidence: float) -> tuple[Array, Array]:
        quantile = special.stdtrit(np.where(freedom > 0, freedom, np.nan), confidence)
        return value - quantile * std_error, value + quantile * std_error

    return bounds


def log_bounds(value: Array, std_error: Array, degrees_of_freedom: npt.ArrayLike) -> Bounds:
    """Student's t bounds of (k,) means of values that are never negative, taken on the scale of the logarithm.

    Such values are skewed to the right: a mean that comes out small comes with an error that is too small as well, so
    that plain bounds lie too low. The logarithm's curvature moves both up by about what the skew asks for.
    """
    freedom = np.asarray(degrees_of_freedom, np.float64)

    def bounds(confidence: float) -> tuple[Array, Array]:
        quantile = special.stdtrit(np.where(freedom > 0, freedom, np.nan), confidence)
        factor = np.exp(quantile * std_error / np.where(value > 0, value, 1.0))
        return value / factor, value * factor

    return bounds


def part_bounds(
    part: Array,
    std_error: Array,
    total: float,
    total_std_error: float,
    degrees_of_freedom: npt.ArrayLike,
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
      either_sign: whether a part may be below 0.
    """
    freedom = np.asarray(degrees_of_freedom, np.float64)

    def bounds(confidence: float) -> tuple[Array, Array]:
        one_sided = special.stdtrit(np.where(freedom > 0, freedom, np.nan), confidence)
        lower_level = 0.5 + confidence / 2 if either_sign else confidence
        below = special.stdtrit(np.where(freedom > 0, freedom, np.nan), lower_level)
        least = total - one_sided * total_std_error
        with np.errstate(divide="ignore", invalid="ignore"):
            high = np.where(least > 0, (np.abs(part) + one_sided * std_error) / least, np.inf)
        low = np.maximum((np.abs(part) - below * std_error) / (total + below * total_std_error), 0.0)
        unknown = np.isnan(std_error) | np.isnan(one_sided)
        return np.where(unknown, np.nan, low), np.where(unknown, np.nan, high)

    return bounds
