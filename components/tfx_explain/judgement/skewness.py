"""How much wider bounds must be because the values behind a mean are skewed.

Student's t takes the values for symmetric. Sizes of attributions are not: most are small and a few are large, and a
sample that happens to hold none of those few comes with too small a mean AND too small an error, so that its upper
bound lies below the truth too often. To second order a bound is right where the quantile q of Student's t is replaced
by q + (1 + 2 q^2) / 6 * skewness of the mean, towards the side of the longer tail.

Where skewness was measured over the examples, as that of players (`sign`, `min_importance`) and of steps of profiles
(`monotonic`), bounds are wider towards the longer tail alone, by 2 + 8 / sqrt(n) times the estimate (`of_estimates`):
the samples whose mean is too small are those whose skewness is too. What that leaves is in tests/judgement: strongly
skewed lognormal values of few examples are missed slightly too often.

Shares, differences and tables of earlier versions come without third moments: the skewness is then not estimated but
taken from above. Values that are never negative, of mean m and standard deviation s, are given a skewness of

  at most 3 s / m to the right: that of slightly skewed lognormal values; gamma, and so exponential, values have 2 s / m
    and half-normal ones 1.3 s / m;
  at most m / s - s / m to the left, which none exceeds (E x^3 * E x >= (E x^2)^2, by Cauchy and Schwarz), but no more
    than 3, where a twelfth of the values are 0 and the others are alike.

The standard error of values that are never negative is at most their mean (and 2 % where they are 30). One above it is
mostly that of noisy attributions, which has no skewness: what is allowed for falls off from there.

Bounds are never made narrower than Student's. Where tails are heavier than what is taken from above, as of these
lognormal values, they are wrong too often. For such values ask for more examples, or more confidence.

No bound knows of rows that were not seen. Of 60 examples in which one player is 0 in 98 of 100 rows and the others
never are, 3 in 10 explanations hold no row of its own (0.98^60), and rules about it are wrong at their limit far more
often than they say; less so where it is 0 in 90 of 100 rows, or where its sizes are strongly lognormal.
`min_slice_examples` and `min_examples` keep rules from that: 150 rows that are all 0 leave fewer than 2 in 100 that are
not (95 %).
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from tfx_explain.summary.ratio import Array

UNKNOWN_SIDE = 2.0
"""The skewness allowed for, to either side, of values of which the mean and its error are all that is known."""

FEW = 30
"""Fewer values than this say little of their skewness: the bound from above is allowed for as well."""

_MOST_OF_MANY = 1.02
_RIGHT = 3.0
_MOST_LEFT = 3.0


def widened(quantile: npt.ArrayLike, skewness: npt.ArrayLike) -> Array:
    """The quantile, in standard errors > 0, that makes up for this skewness of the mean, elementwise."""
    q = np.asarray(quantile, np.float64)
    return np.asarray(q + (1 + 2 * q**2) / 6 * np.asarray(skewness, np.float64))


def reduced(statistic: npt.ArrayLike, skewness: npt.ArrayLike) -> Array:
    """The inverse of `widened`: how many standard errors a statistic >= 0 is worth, 0 where it is within the skew."""
    t, third = np.asarray(statistic, np.float64), np.asarray(skewness, np.float64) / 3
    # The root of third * z^2 + z = t - third / 2, written so that it does not cancel where the skewness is 0.
    rest = np.maximum(t - third / 2, 0.0)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(np.isinf(rest), rest, 2 * rest / (1 + np.sqrt(1 + 4 * third * rest))))


def of_estimates(
    skewness: npt.ArrayLike, n: npt.ArrayLike, from_above: tuple[npt.ArrayLike, npt.ArrayLike]
) -> tuple[Array, Array]:
    """Skewness to allow for, to the left and to the right, of means of values whose own skewness was estimated.

    Args:
      skewness: (k,) of the values, below 0 to the left; NaN where unknown.
      n: (k,) or scalar; (effective) number of values behind each.
      from_above: what is allowed for where the skewness is unknown, and at least where there are few values.

    Returns:
      (k,) and (k,), 0 or more.
    """
    estimate = np.asarray(skewness, np.float64)
    left, right = np.maximum(-estimate, 0.0), np.maximum(estimate, 0.0)
    return _allowed(left, n, from_above[0]), _allowed(right, n, from_above[1])


def of_estimated_sum(
    skewness: npt.ArrayLike, covariance: npt.ArrayLike, n: float, from_above: tuple[npt.ArrayLike, npt.ArrayLike]
) -> tuple[Array, Array]:
    """The same of the mean of a sum of k values; of one value it is that value's own.

    The third moment of a sum of independent values is the sum of theirs; that of values that are large and small
    together is, by Minkowski, at most the cube of the sum of the cube roots of theirs. In between is taken the skewness
    of the one and the other by the square root of the correlation, which is ours: large values go together more than
    others, and by simulation this is as wide as the estimate of the sum itself would be.

    Args:
      skewness: (k,) of the values, below 0 to the left; NaN where unknown.
      covariance: (k, k) of the values, or of their means.
      n: (effective) number of values behind each.
      from_above: as for `of_estimates`, of the sum.
    """
    estimate, between = np.asarray(skewness, np.float64), np.asarray(covariance, np.float64)
    std = np.sqrt(np.maximum(np.diag(between), 0.0))
    together, apart, total = float(std.sum()), float(std @ std), float(between.sum())
    correlation = (total - apart) / (together**2 - apart) if together**2 > apart else 0.0
    weight = math.sqrt(min(max(correlation, 0.0), 1.0))

    def side(tails: Array) -> Array:
        if not total > 0:
            return np.zeros(())
        alone = float(tails @ std**3) / total**1.5
        alike = (float(np.cbrt(tails) @ std) / together) ** 3
        return np.asarray(np.minimum(alone + weight * (alike - alone), math.sqrt(max(n, 1.0))))

    left, right = side(np.maximum(-estimate, 0.0)), side(np.maximum(estimate, 0.0))
    return _allowed(left, n, from_above[0]), _allowed(right, n, from_above[1])


def _allowed(skewness: Array, n: npt.ArrayLike, from_above: npt.ArrayLike) -> Array:
    """Of the means, to one side, from the values' estimated skewness to that side, 0 or more."""
    size = np.maximum(np.asarray(n, np.float64), 1.0)
    of_mean = (2 + 8 / np.sqrt(size)) * skewness / np.sqrt(size)
    at_least = np.where(size < FEW, np.maximum(of_mean, from_above), of_mean)
    return np.asarray(np.where(np.isnan(of_mean), from_above, at_least))


def of_sizes(mean: npt.ArrayLike, variance: npt.ArrayLike, n: float) -> tuple[Array, Array]:
    """Skewness, to the left and to the right, of means of values that are never negative.

    Args:
      mean: (k,) means.
      variance: (k,) of those means.
      n: (effective) number of values behind each.

    Returns:
      (k,) and (k,), 0 or more; the values' own skewness is that times sqrt(n). 0 where nothing varies.
    """
    m, v = np.asarray(mean, np.float64), np.asarray(variance, np.float64)
    relative = np.sqrt(np.divide(np.maximum(v, 0.0), m**2, out=np.zeros(np.shape(m)), where=m > 0))
    noisy = relative > _MOST_OF_MANY if n >= FEW else relative < 0
    relative = np.where(noisy, _MOST_OF_MANY**3 / np.where(noisy, relative, 1.0) ** 2, relative)
    inverse = np.divide(1.0, relative * n, out=np.zeros_like(relative), where=relative * n > 0)
    return np.clip(inverse - relative, 0.0, _MOST_LEFT / np.sqrt(max(n, 1.0))), _RIGHT * relative


def of_difference(
    ours: tuple[npt.ArrayLike, npt.ArrayLike, float],
    theirs: tuple[npt.ArrayLike, npt.ArrayLike, float],
    variance: npt.ArrayLike,
) -> tuple[Array, Array]:
    """Skewness, to the left and to the right, of the difference of two means of values that are never negative.

    Each side counts with the cube of its part of the standard deviation, as for independent sides; where they vary
    together and a side's own error is larger than the difference's, it counts in full.

    Args:
      ours: (k,) means, (k,) variances of those means, and the number of values behind them.
      theirs: the same of what is subtracted.
      variance: (k,) of ours - theirs.

    Returns:
      (k,) and (k,), 0 or more.
    """
    v = np.asarray(variance, np.float64)
    total_left, total_right = np.zeros(np.shape(v)), np.zeros(np.shape(v))
    for (mean, own, n), is_subtracted in ((ours, False), (theirs, True)):
        left, right = of_sizes(mean, own, n)
        part = np.divide(np.maximum(own, 0.0), v, out=np.ones(np.shape(v)), where=v > 0)
        weight = np.minimum(part, 1.0) ** 1.5
        if is_subtracted:
            left, right = right, left
        total_left, total_right = total_left + weight * left, total_right + weight * right
    return total_left, total_right


def of_share(
    part: npt.ArrayLike,
    total: float,
    part_variance: npt.ArrayLike,
    part_total_covariance: npt.ArrayLike,
    total_variance: float,
    n: float,
) -> tuple[Array, Array]:
    """Skewness of what decides a share r of k parts: part - r * total, that is (1 - r) * part - r * rest.

    Args:
      part: (k,) means of the parts.
      total: mean of the total > 0.
      part_variance: (k,) variances of the means of the parts.
      part_total_covariance: (k,) covariances of those means with the mean of the total.
      total_variance: variance of the mean of the total.
      n: (effective) number of examples behind all of them.

    Returns:
      (k,) to the left and (k,) to the right, 0 or more, where r is the estimated share.
    """
    a, v, c = (np.atleast_1d(np.asarray(x, np.float64)) for x in (part, part_variance, part_total_covariance))
    share = a / total
    ours = (1 - share) * a, (1 - share) ** 2 * v, n
    theirs = share * (total - a), share**2 * (total_variance - 2 * c + v), n
    return of_difference(ours, theirs, v - 2 * share * c + share**2 * total_variance)
