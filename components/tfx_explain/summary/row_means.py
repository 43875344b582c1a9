"""Means of several figures over rows, of which some may have none."""

from __future__ import annotations

import numpy as np

from tfx_explain.summary.moments import WeightedMoments
from tfx_explain.summary.ratio import Array


class RowMeans:
    """Sums of q figures over the rows of one slice.

    Attributes:
      n_examples: rows of positive weight that the figures are of.
      n_left_out: rows of positive weight that have none.
    """

    def __init__(self, n_columns: int) -> None:
        self.n_examples = self.n_left_out = 0
        self._moments = WeightedMoments.empty(n_columns, full=False)

    def add(self, values: Array, weights: Array) -> None:
        """Adds rows.

        Args:
          values: (n, q); a row whose first one is NaN has none. Others that are NaN make the mean unknown.
          weights: (n,) 0 or more.
        """
        has_some = ~np.isnan(values[:, 0])
        self.n_examples += int((has_some & (weights > 0)).sum())
        self.n_left_out += int((~has_some & (weights > 0)).sum())
        self._moments.add(values[has_some], weights[has_some])

    def merge(self, other: RowMeans) -> None:
        """Adds everything that another one has seen."""
        self.n_examples += other.n_examples
        self.n_left_out += other.n_left_out
        self._moments.merge(other._moments)

    def means(self) -> Array:
        """(q,) NaN where there is no row."""
        return self._moments.mean_or_nan()

    def std_errors(self) -> Array:
        """(q,) over rows; NaN below two effective ones."""
        return np.sqrt(self._moments.covariance_of_mean())
