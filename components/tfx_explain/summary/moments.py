"""Weighted means and the covariance of those means, mergeable without loss of digits."""

from __future__ import annotations

import dataclasses

import numpy as np

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
