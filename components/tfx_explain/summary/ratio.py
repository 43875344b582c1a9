"""Confidence intervals for a ratio of two correlated means that both come from the same examples."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import special

Array = npt.NDArray[np.float64]


def t_quantile(probability: float, degrees_of_freedom: float) -> float:
    """The quantile of Student's t; NaN where there is no degree of freedom.

    Args:
      probability: in (0, 1).
      degrees_of_freedom: number of independent pieces of information in the standard error; may be fractional.
    """
    if not degrees_of_freedom > 0:
        return float("nan")
    return float(special.stdtrit(degrees_of_freedom, probability))


def parts_of(sizes: npt.ArrayLike, total: npt.ArrayLike) -> Array:
    """Sizes >= 0 as parts of a total, which noise may have made too small: at most 1, and 0 where it is not above 0.

    Args:
      sizes: (..., d).
      total: of a shape that broadcasts with theirs.
    """
    values, whole = np.asarray(sizes, np.float64), np.asarray(total, np.float64)
    parts = np.divide(values, whole, out=np.zeros_like(values), where=np.broadcast_to(whole > 0, values.shape))
    return np.asarray(np.minimum(parts, 1.0))


def share_interval(
    part: npt.ArrayLike,
    total: float,
    part_variance: npt.ArrayLike,
    part_total_covariance: npt.ArrayLike,
    total_variance: float,
    quantile: npt.ArrayLike,
) -> tuple[Array, Array]:
    """Fieller's interval for part / total, where a part never exceeds its total.

    A share r belongs to the interval when the mean of `part - r * total` is within `quantile` standard errors of zero.
    Unlike the delta method this stays right when the total is uncertain, and it agrees with the test of any one r.

    Args:
      part: (k,) or scalar means of the parts.
      total: mean of the total.
      part_variance: (k,) or scalar variances of the means of the parts.
      part_total_covariance: (k,) or scalar covariances of those means with the mean of the total.
      total_variance: variance of the mean of the total.
      quantile: (k,) or scalar number of standard errors on either side.

    Returns:
      Lower and upper ends, (k,) each, within 0..1. Both ends are NaN where a variance is unknown; the interval is 0..1
      where the total cannot be told from zero, since any share is then possible.

    Source: E. C. Fieller, "Some problems in interval estimation", JRSS B 16 (1954) 175-185.
    """
    a = np.atleast_1d(np.asarray(part, dtype=np.float64))
    v_a = np.atleast_1d(np.asarray(part_variance, dtype=np.float64))
    v_ab = np.atleast_1d(np.asarray(part_total_covariance, dtype=np.float64))
    t2 = np.square(np.asarray(quantile, dtype=np.float64))
    leading = np.broadcast_to(total * total - t2 * total_variance, a.shape)
    middle = a * total - t2 * v_ab
    root = np.sqrt(np.maximum(middle * middle - leading * (a * a - t2 * v_a), 0.0))
    divisor = np.where(leading > 0, leading, 1.0)
    low, high = np.clip((middle - root) / divisor, 0.0, 1.0), np.clip((middle + root) / divisor, 0.0, 1.0)
    unknown, anything = np.isnan(leading), leading <= 0
    low, high = np.where(anything, 0.0, low), np.where(anything, 1.0, high)
    return np.where(unknown, np.nan, low), np.where(unknown, np.nan, high)
