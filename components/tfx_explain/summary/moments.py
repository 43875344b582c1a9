"""The moments of one group of rows: weighted means, their covariance, and how skewed they are."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tfx_explain.summary.grouped_moments import GroupedMoments
from tfx_explain.summary.ratio import Array


class WeightedMoments:
    """The moments of one group of rows, as `GroupedMoments` has them of several."""

    def __init__(self, of_groups: GroupedMoments) -> None:
        self.of_groups = of_groups

    @classmethod
    def empty(cls, n_columns: int, *, full: bool, third: bool = False) -> WeightedMoments:
        """No rows yet; `full` keeps covariances, otherwise variances only; `third` keeps third moments."""
        return cls(GroupedMoments(1, n_columns, full=full, third=third))

    def add(self, values: Array, weights: Array) -> None:
        """Adds rows: values (n, d), weights (n,) >= 0; a row of weight 0 adds nothing."""
        self.of_groups.add(values, weights)

    def merge(self, other: WeightedMoments) -> None:
        """Adds the rows that another one has seen."""
        self.of_groups.merge(other.of_groups)

    def without(self, part: WeightedMoments) -> WeightedMoments:
        """The moments of the rows that are not in `part`: those of this one, less some that it has seen.

        Args:
          part: moments of some of the rows.
        """
        return WeightedMoments(self.of_groups.without(part.of_groups))

    def variances(self) -> WeightedMoments:
        """The same without covariances."""
        return WeightedMoments(self.of_groups.variances())

    def of_columns(self, kept: npt.NDArray[np.int64]) -> WeightedMoments:
        """A copy of the moments of some columns, without covariances."""
        return WeightedMoments(self.of_groups.of_columns(kept))

    @property
    def weight(self) -> float:
        """Sum of weights."""
        return float(self.of_groups.weight[0])

    @property
    def weight_squared(self) -> float:
        """Sum of squared weights."""
        return float(self.of_groups.weight_squared[0])

    @property
    def n_effective(self) -> float:
        """(sum w)^2 / sum w^2: the number of equally weighted rows that would give the same error."""
        return float(self.of_groups.n_effective[0])

    @property
    def mean(self) -> Array:
        """The (d,) weighted mean; 0 before the first row."""
        return self.of_groups.mean[0]

    def mean_or_nan(self) -> Array:
        """The (d,) weighted mean; NaN before the first row."""
        return self.of_groups.mean_or_nan()[0]

    def covariance_of_mean(self) -> Array:
        """Covariance (d, d), or variances (d,), of the weighted mean; NaN below two rows."""
        return np.asarray(self.of_groups.covariance_of_mean()[0])

    def skewness(self, variance: Array) -> Array:
        """(d,) skewness of the values, as `GroupedMoments.skewness`; `variance` (d,) is that of the mean."""
        return self.of_groups.skewness(variance[None])[0]
