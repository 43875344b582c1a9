"""Friedman's H: how much of what two players do together neither does by itself, without the bias of noise.

The outputs behind it are matrices over rows and points: row b with some players taken from point z. The mean over rows
is the partial dependence at the point. Rows and points are different examples.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from tfx_explain.errors import InputError
from tfx_explain.summary.ratio import Array, t_quantile

MIN_EXPLAINED_FRACTION = 1e-3
"""H is not given where the pair's joint partial dependence varies less than this part of the output's variance."""

_MIN_EXAMPLES = 3


@dataclasses.dataclass(frozen=True)
class InteractionStrength:
    """The interaction of one pair of players; intervals are about the examples (Student t).

    Attributes:
      n_examples: rows and points together that it is made of.
      value: standard deviation over examples of the pair's interaction, in units of the output; 0 where the estimated
        variance is below 0, as it may be by chance.
      std_error: half the interval's width in quantiles of t; value's standard error where it is clear of 0.
      ci_low: lower end of its interval, not below 0.
      ci_high: upper end.
      h: the same as a part, 0..1 up to noise, of the joint partial dependence's standard deviation; NaN where that is
        too small to divide by, or not larger than its own error.
      h_ci_low: lower end of its interval.
      h_ci_high: upper end.
    """

    n_examples: int
    value: float
    std_error: float
    ci_low: float
    ci_high: float
    h: float
    h_ci_low: float
    h_ci_high: float


def friedman_h(
    joint: Array,
    first: Array,
    second: Array,
    *,
    output_variance: float,
    row_weights: Array | None = None,
    point_weights: Array | None = None,
    confidence: float = 0.95,
) -> InteractionStrength:
    """The strength of one interaction.

    Both variances, of the interaction and of the joint partial dependence, are unbiased: a product of two different
    rows' outputs stands for the square of the mean, and all pairs of rows are averaged. Errors are from leaving out
    each row and each point in turn.

    Args:
      joint: (n_rows, n_points) output of each row with both players taken from each point.
      first: the same with only the first player taken from it.
      second: the same with only the second.
      output_variance: of the plain output over examples.
      row_weights: (n_rows,) example weights > 0; None = all 1.
      point_weights: (n_points,) likewise.
      confidence: of the two-sided intervals.

    Returns:
      The strength; all NaN for fewer than three rows or points. Rows with an output that is NaN or infinite are left
      out.

    Raises:
      InputError: the shapes do not fit.

    Source: J. H. Friedman, B. E. Popescu, "Predictive learning via rule ensembles" (2008), equation 44; they square
    means over the same rows that serve as points, which noise makes too large, and give no errors.
    """
    if not joint.shape == first.shape == second.shape or joint.ndim != 2:
        shapes = f"{joint.shape}, {first.shape}, {second.shape}"
        raise InputError(f"`joint`, `first` and `second` must have one shape (n_rows, n_points), got {shapes}.")
    rows, points = (
        np.ones(n) if weights is None else weights
        for n, weights in zip(joint.shape, (row_weights, point_weights), strict=True)
    )
    kept = np.isfinite(joint + first + second).all(axis=1)
    joint, first, second, rows = joint[kept], first[kept], second[kept], rows[kept]
    n_rows, n_points = joint.shape
    if min(n_rows, n_points) < _MIN_EXAMPLES:
        return InteractionStrength(n_rows + n_points, *[np.nan] * 7)
    quantile = t_quantile(0.5 + confidence / 2, min(n_rows, n_points) - 1)
    interaction = _variance_of_means(joint - first - second, rows, points)
    together = _variance_of_means(joint, rows, points)
    value, low, high = _roots(interaction, quantile)
    h = (np.nan, np.nan, np.nan)
    if together[0] > max(MIN_EXPLAINED_FRACTION * output_variance, _std_error(*together[1:])):
        with np.errstate(divide="ignore", invalid="ignore"):
            without = [a / b for a, b in zip(interaction[1:], together[1:], strict=True)]
        h = _roots((interaction[0] / together[0], without[0], without[1]), quantile)
    return InteractionStrength(n_rows + n_points, value, (high - low) / (2 * quantile), low, high, *h)


_Estimate = tuple[float, Array, Array]
"""A figure, and what it is without each row (n_rows,), and without each point (n_points,)."""


def _variance_of_means(values: Array, rows: Array, points: Array) -> _Estimate:
    """Unbiased variance over points of the mean over rows of (n_rows, n_points) values."""
    # The variance knows no level; a row's own is taken off, which leaves the sums below without rounding.
    values = values - (values @ points / points.sum())[:, None]
    weighted = rows[:, None] * values
    total = weighted.sum(axis=0)
    # The sum over pairs of different rows, at each point.
    products = total**2 - (weighted**2).sum(axis=0)
    pairs = rows.sum() ** 2 - (rows**2).sum()
    freedom = points.sum() - (points**2).sum() / points.sum()
    whole = float(points @ products)
    left = points.sum() - points
    freedom_left = left - ((points**2).sum() - points**2) / left
    without_point = (whole - points * products * (1 + points / left)) / (freedom_left * pairs)
    pairs_left = (rows.sum() - rows) ** 2 - ((rows**2).sum() - rows**2)
    without_row = (whole - 2 * (weighted * (total - weighted)) @ points) / (freedom * pairs_left)
    return whole / (freedom * pairs), without_row, without_point


def _std_error(without_row: Array, without_point: Array) -> float:
    """Jackknife error of a figure of two independent sets of examples."""
    parts = (
        (len(part) - 1) / len(part) * float(((part - part.mean()) ** 2).sum()) for part in (without_row, without_point)
    )
    return float(np.sqrt(sum(parts)))


def _roots(estimate: _Estimate, quantile: float) -> tuple[float, float, float]:
    """The root of a figure that should not be negative, and its interval.

    A variance that comes out small has a small error too, so an even interval ends too low. The upper end is that of an
    interval of the logarithm, to second order, which stays finite where the figure is near 0.
    """
    error = _std_error(*estimate[1:])
    half = quantile * error
    upper = half + half**2 / (2 * max(estimate[0], error)) if error else 0.0
    ends = np.maximum(np.array([estimate[0], estimate[0] - half, estimate[0] + upper]), 0.0)
    value, low, high = np.sqrt(ends).tolist()
    return value, low, high
