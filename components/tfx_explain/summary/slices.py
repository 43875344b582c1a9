"""Whether players matter more or less in a slice than in the rest of the data."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt
from scipy import special

from tfx_explain.summary.ratio import Array
from tfx_explain.summary.sizes import NoisyMoments

MIN_COMPARED = 10
"""Fewer (effective) examples than this, in the slice or in the rest, are not compared: no test is right for them."""

_ROUNDING = 1e-6
"""Differences and errors below this fraction of the importance are rounding: most models compute in 32-bit floats."""


@dataclasses.dataclass(frozen=True)
class SliceDifference:
    """The importance of d players in a slice against that in the rest of the examples, all (d,).

    Attributes:
      value: mean |attribution| in the slice, in units of the model's output.
      rest_value: the same over the examples outside it.
      difference: value - rest_value.
      std_error: its standard error over examples, the two variances added.
      pooled_std_error: the same where slice and rest are taken to spread alike, as in Student's test.
      statistic: Welch's t, difference / std_error; infinite where the error is 0 and the difference is not.
      p_value: of no difference, two-sided; NaN where slice or rest have fewer than `MIN_COMPARED` examples.
      degrees_of_freedom: of the smaller one of slice and rest: its (effective) number of examples - 1.
    """

    value: Array
    rest_value: Array
    difference: Array
    std_error: Array
    pooled_std_error: Array
    statistic: Array
    p_value: Array
    degrees_of_freedom: Array


def compare_with_rest(overall: NoisyMoments, part: NoisyMoments) -> SliceDifference:
    """Compares a slice with everything outside it.

    The p-value is the larger one of two t tests: Welch's, which lets the spreads differ, and Student's, which pools
    them. Each is right where the other fails. Attributions are often small in nearly all rows and large in a few; a
    slice that happens to hold none of those few has next to no spread, which Welch's test takes for certainty. Where
    it happens to hold one too many, the pooled spread is the smaller one.

    Args:
      overall: moments of the sizes of attributions over all examples, those of the slice among them. The noise that
        examples of one design share counts for either side as if it were its own.
      part: moments of the slice's.

    Source: B. L. Welch, "The generalization of 'Student's' problem when several different population variances are
    involved", Biometrika 34 (1947) 28-35; weighted means by linearisation with (sum w)^2 / sum w^2 for the number of
    examples.
    """
    overall, part = overall.variances(), part.variances()
    inside = part.moments
    if inside.weight_squared >= overall.moments.weight_squared:
        unknown = np.full_like(inside.mean, np.nan)
        return SliceDifference(np.maximum(inside.mean_or_nan(), 0.0), *[unknown.copy() for _ in range(7)])
    rest_moments = overall.without(part)
    rest = rest_moments.moments
    (own_in, common_in), (own_out, common_out) = part.beyond_rows(), rest_moments.beyond_rows()
    beyond_rows = own_in + common_in**2 + own_out + common_out**2
    n_in, n_out = inside.n_effective, rest.n_effective
    mean, rest_mean = inside.mean, rest.mean
    rounding = _ROUNDING * np.maximum(mean, rest_mean)
    # Sizes of noise may be below 0 by chance; cut off there, means differ no more than they did.
    value, rest_value = np.maximum(mean, 0.0), np.maximum(rest_mean, 0.0)
    difference = value - rest_value
    difference = np.where(np.abs(difference) <= rounding, 0.0, difference)
    var_in, var_out = (
        np.where(variance <= rounding**2, 0.0, variance)
        for variance in (inside.covariance_of_mean(), rest.covariance_of_mean())
    )
    if min(n_in, n_out) < MIN_COMPARED:
        p_value = pooled = np.full_like(difference, np.nan)
    else:
        with np.errstate(invalid="ignore"):
            degrees = (var_in + var_out) ** 2 / (var_in**2 / (n_in - 1) + var_out**2 / (n_out - 1))
        welch_variance = var_in + var_out + beyond_rows
        welch = _p_value(difference, welch_variance, np.nan_to_num(degrees, nan=n_in + n_out - 2))
        spread = ((n_in - 1) * n_in * var_in + (n_out - 1) * n_out * var_out) / (n_in + n_out - 2)
        pooled = spread * (1 / n_in + 1 / n_out) + beyond_rows
        student = _p_value(difference, pooled, np.full_like(difference, n_in + n_out - 2))
        p_value = np.maximum(welch, student)
    std_error = np.sqrt(var_in + var_out + beyond_rows)
    return SliceDifference(
        value=value,
        rest_value=rest_value,
        difference=difference,
        std_error=std_error,
        pooled_std_error=np.sqrt(pooled),
        statistic=_ratio(difference, std_error),
        p_value=p_value,
        degrees_of_freedom=np.full_like(difference, min(n_in, n_out) - 1),
    )


def _ratio(difference: Array, std_error: Array) -> Array:
    """Standard errors in a difference; 0 where there is no difference, infinite where there is no error."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(difference == 0, 0.0, difference / std_error))


def _p_value(difference: Array, variance: Array, degrees_of_freedom: Array) -> Array:
    """Of a two-sided t test."""
    return np.asarray(2 * special.stdtr(degrees_of_freedom, -np.abs(_ratio(difference, np.sqrt(variance)))))


def false_discovery_q_values(p_values: npt.ArrayLike) -> Array:
    """The smallest false discovery rate at which each hypothesis is rejected.

    Among all with q <= a, at most a fraction a is expected to be false, for tests that are independent or positively
    dependent.

    Args:
      p_values: (m,); NaN = not tested, which stays NaN and does not count.

    Returns:
      (m,) q-values.

    Source: Y. Benjamini, Y. Hochberg, "Controlling the false discovery rate", JRSS B 57 (1995) 289-300.
    """
    p = np.asarray(p_values, np.float64)
    q = np.full_like(p, np.nan)
    tested = np.flatnonzero(~np.isnan(p))
    order = tested[np.argsort(p[tested], kind="stable")]
    ranked = p[order] * len(order) / np.arange(1, len(order) + 1)
    q[order] = np.minimum(np.minimum.accumulate(ranked[::-1])[::-1], 1.0)
    return q
