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


def share_interval(
    part: npt.ArrayLike,
    total: float,
    part_variance: npt.ArrayLike,
    part_total_covariance: npt.ArrayLike,
    total_variance: float,
    quantile: float,
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
      quantile: number of standard errors on either side.

    Returns:
      Lower and upper ends, (k,) each, within 0..1. Both ends are NaN where a variance is unknown; the interval is 0..1
      where the total cannot be told from zero, since any share is then possible.

    Source: E. C. Fieller, "Some problems in interval estimation", JRSS B 16 (1954) 175-185.
    """
    a = np.atleast_1d(np.asarray(part, dtype=np.float64))
    v_a = np.atleast_1d(np.asarray(part_variance, dtype=np.float64))
    v_ab = np.atleast_1d(np.asarray(part_total_covariance, dtype=np.float64))
    t2 = quantile * quantile
    leading = total * total - t2 * total_variance
    if np.isnan(leading):
        return np.full(a.shape, np.nan), np.full(a.shape, np.nan)
    if leading <= 0:
        return np.zeros(a.shape), np.ones(a.shape)
    middle = a * total - t2 * v_ab
    root = np.sqrt(np.maximum(middle * middle - leading * (a * a - t2 * v_a), 0.0))
    return np.clip((middle - root) / leading, 0.0, 1.0), np.clip((middle + root) / leading, 0.0, 1.0)
