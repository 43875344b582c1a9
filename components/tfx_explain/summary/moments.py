"""Weighted means, their covariance, and how skewed they are, mergeable without loss of digits."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from tfx_explain.summary.ratio import Array


@dataclasses.dataclass
class WeightedMoments:
    """Running first and second moments of (n, d) values with one weight per row.

    The error of a weighted mean depends on the SQUARED weights, so the scatter is kept with those, about the mean that
    they define. All updates shift to the current mean first: sums of raw squares would lose the digits of a small
    spread around a large mean.

    Attributes:
      weight: sum of weights.
      weight_squared: sum of squared weights.
      mean: (d,) weighted by the weights; 0 before the first row.
      mean_by_squares: (d,) weighted by the squared weights.
      scatter: (d, d), or (d,) where only variances are kept: sum of w^2 (x - mean_by_squares)(x - mean_by_squares)'.

    Source: T. F. Chan, G. H. Golub, R. J. LeVeque, "Updating formulae and a pairwise algorithm for computing sample
    variances" (1979), equation 2.1; weights as in Taylor linearisation of a ratio mean.
    """

    weight: float
    weight_squared: float
    mean: Array
    mean_by_squares: Array
    scatter: Array

    @classmethod
    def empty(cls, n_columns: int, *, full: bool) -> WeightedMoments:
        """No rows yet; `full` keeps covariances, otherwise variances only."""
        shape = (n_columns, n_columns) if full else (n_columns,)
        return cls(0.0, 0.0, np.zeros(n_columns), np.zeros(n_columns), np.zeros(shape))

    def add(self, values: Array, weights: Array) -> None:
        """Adds rows: values (n, d), weights (n,) >= 0; a row of weight 0 adds nothing."""
        if not weights.all():
            values, weights = values[weights > 0], weights[weights > 0]
        if not len(values):
            return
        squared = weights**2
        weight, weight_squared = float(weights.sum()), float(squared.sum())
        mean_by_squares = squared @ values / weight_squared
        centred = values - mean_by_squares
        scatter = centred.T @ (centred * squared[:, None]) if self.scatter.ndim == 2 else squared @ centred**2
        self.merge(WeightedMoments(weight, weight_squared, weights @ values / weight, mean_by_squares, scatter))

    def merge(self, other: WeightedMoments) -> None:
        """Adds the rows that another one has seen."""
        if other.weight == 0:
            return
        weight, weight_squared = (self.weight + other.weight, self.weight_squared + other.weight_squared)
        shift = other.mean_by_squares - self.mean_by_squares
        between = np.outer(shift, shift) if self.scatter.ndim == 2 else shift**2
        self.scatter = self.scatter + other.scatter
        self.scatter += between * (self.weight_squared * other.weight_squared / weight_squared)
        self.mean = self.mean + (other.mean - self.mean) * (other.weight / weight)
        self.mean_by_squares = self.mean_by_squares + shift * (other.weight_squared / weight_squared)
        self.weight, self.weight_squared = weight, weight_squared

    def without(self, part: WeightedMoments) -> WeightedMoments:
        """The moments of the rows that are not in `part`: those of this one, less some that it has seen.

        Undoes `merge`. What is left carries the rounding of the whole, so a rest that is far smaller than the whole has
        fewer digits: relative to the whole's mean the error of a mean is about 1e-16 * weight / weight of the rest.

        Args:
          part: moments of some of the rows, not of all.
        """
        weight, weight_squared = self.weight - part.weight, self.weight_squared - part.weight_squared
        mean = self.mean + (self.mean - part.mean) * (part.weight / weight)
        by_squares = self.mean_by_squares - part.mean_by_squares
        mean_by_squares = self.mean_by_squares + by_squares * (part.weight_squared / weight_squared)
        shift = part.mean_by_squares - mean_by_squares
        full = self.scatter.ndim == 2
        between = np.outer(shift, shift) if full else shift**2
        scatter = self.scatter - part.scatter - between * (weight_squared * part.weight_squared / self.weight_squared)
        # A spread of zero comes out as rounding of either sign.
        variances = np.diagonal(scatter) if full else scatter
        lost = variances < 0
        scatter[lost] = 0.0
        if full:
            scatter[:, lost] = 0.0
        return WeightedMoments(weight, weight_squared, mean, mean_by_squares, scatter)

    def variances(self) -> WeightedMoments:
        """The same without covariances."""
        scatter = np.diagonal(self.scatter) if self.scatter.ndim == 2 else self.scatter
        return dataclasses.replace(self, scatter=scatter.copy())

    @property
    def n_effective(self) -> float:
        """(sum w)^2 / sum w^2: the number of equally weighted rows that would give the same error."""
        return self.weight**2 / self.weight_squared if self.weight else 0.0

    def mean_or_nan(self) -> Array:
        """The (d,) weighted mean; NaN before the first row."""
        return self.mean.copy() if self.weight else np.full_like(self.mean, np.nan)

    def covariance_of_mean(self) -> Array:
        """Covariance (d, d), or variances (d,), of the weighted mean; NaN below two rows."""
        n = self.n_effective
        if not n > 1:
            return np.full_like(self.scatter, np.nan)
        shift = self.mean_by_squares - self.mean
        between = np.outer(shift, shift) if self.scatter.ndim == 2 else shift**2
        return (self.scatter + between * self.weight_squared) * (n / (n - 1)) / self.weight**2


@dataclasses.dataclass
class ThirdMoments:
    """Running third central moments of d values, each with its own weights: how skewed their weighted means are.

    The third central moment of a weighted mean depends on the CUBED weights, so all moments are kept with those.

    Attributes:
      weight: (d,) sum of cubed weights.
      mean: (d,) by the cubed weights; 0 before the first row.
      second: (d,) sum of w^3 (x - mean)^2.
      third: (d,) sum of w^3 (x - mean)^3.

    Source: P. Pebay, "Formulas for robust, one-pass parallel computation of covariances and arbitrary-order statistical
    moments", Sandia report SAND2008-6212 (2008), equations 1.1 to 1.4.
    """

    weight: Array
    mean: Array
    second: Array
    third: Array

    @classmethod
    def empty(cls, n_columns: int) -> ThirdMoments:
        """No rows yet."""
        return cls(*np.zeros((4, n_columns)))

    def add(self, values: Array, weights: Array) -> None:
        """Adds rows: values (n, d), weights (n,) >= 0; a row of weight 0 adds nothing."""
        cubed = weights * weights * weights
        weight = float(cubed.sum())
        if not weight > 0:
            return
        mean = cubed @ values / weight
        centred = values - mean
        squares = centred * centred
        second = cubed @ squares
        squares *= centred
        self.merge(ThirdMoments(np.full_like(self.weight, weight), mean, second, cubed @ squares))

    def merge(self, other: ThirdMoments) -> None:
        """Adds the rows that another one has seen."""
        total = self.weight + other.weight
        part = other.weight / np.where(total > 0, total, 1.0)
        rest, shift = 1 - part, other.mean - self.mean
        between = shift * self.weight * part
        self.third = self.third + other.third + shift * between * shift * (rest - part)
        self.third += 3 * shift * (rest * other.second - part * self.second)
        self.second = self.second + other.second + shift * between
        self.mean = self.mean + shift * part
        self.weight = total

    def skewness(self, mean: Array, variance: Array, weight: npt.ArrayLike, n_effective: npt.ArrayLike) -> Array:
        """The skewness of the values: that of their weighted mean times sqrt(n_effective).

        Args:
          mean: (d,) weighted by the weights.
          variance: (d,) of that mean, as for samples (n - 1).
          weight: (d,) or scalar; sum of weights.
          n_effective: (d,) or scalar; (sum w)^2 / sum w^2.

        Returns:
          (d,) without most of the bias of few rows: sqrt(n (n - 1)) / (n - 2) times the sample's skewness. NaN below
          three effective rows; 0 where the values differ by rounding only.
        """
        n = np.broadcast_to(np.asarray(n_effective, np.float64), self.third.shape)
        shift = self.mean - mean
        third = self.third + 3 * shift * self.second + shift**3 * self.weight
        varies = variance * n > (_ROUNDING * mean) ** 2
        with np.errstate(divide="ignore", invalid="ignore"):
            of_mean = third / np.asarray(weight, np.float64) ** 3 / variance**1.5
            found = np.where(varies, of_mean * n**2.5 / ((n - 1) * (n - 2)), 0.0)
        return np.where(n > 2 + 1e-9, np.clip(found, -np.sqrt(n), np.sqrt(n)), np.nan)


_ROUNDING = 1e-14
"""A spread below this part of the mean is none."""
