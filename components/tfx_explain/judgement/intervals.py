"""Confidence intervals of several means or ratios, wider where they are skewed, for any confidence."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import special

from tfx_explain.judgement.bounds import Intervals
from tfx_explain.judgement.skewness import widened
from tfx_explain.summary.ratio import Array

Skewness = tuple[npt.ArrayLike, npt.ArrayLike]
"""Of means, to the left and to the right, 0 or more: (k,) or scalar each."""


def t_intervals(
    value: Array, std_error: Array, degrees_of_freedom: npt.ArrayLike, skewness: Skewness, *, least: float = -np.inf
) -> Intervals:
    """Student's t intervals of (k,) means, wider where the means are skewed.

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


def share_intervals(share: Array, n: Array) -> Intervals:
    """Intervals of (k,) shares of rows; each bound is right with at least the confidence, however few the rows.

    Args:
      share: (k,) of the rows.
      n: (k,) rows, or what weighted rows are worth.

    Sources: C. J. Clopper, E. S. Pearson, "The use of confidence or fiducial limits illustrated in the case of the
    binomial", Biometrika 26 (1934) 404-413; E. L. Korn, B. I. Graubard, "Confidence intervals for proportions with
    small expected number of positive counts estimated from survey data", Survey Methodology 24 (1998) 193-201, for
    what weighted rows are worth in place of their number.
    """
    hits, misses = share * n, np.maximum(1 - share, 0.0) * n

    def bounds(confidence: float) -> tuple[Array, Array]:
        low = special.betaincinv(np.where(hits > 0, hits, 1.0), misses + 1, 1 - confidence)
        high = special.betaincinv(hits + 1, np.where(misses > 0, misses, 1.0), confidence)
        return np.where(hits > 0, low, 0.0), np.where(misses > 0, high, 1.0)

    return bounds


def part_intervals(
    part: Array,
    std_error: Array,
    total: float,
    total_std_error: float,
    degrees_of_freedom: npt.ArrayLike,
    skewness: Skewness,
    *,
    either_sign: bool,
) -> Intervals:
    """Intervals of |part| / total where the covariance of the two is unknown: wide enough for any.

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
