"""Estimates whose errors are known from clusters of examples: their intervals, and those of their differences."""

from __future__ import annotations

import dataclasses

import numpy as np

from tfx_explain.summary.ratio import Array, t_quantile


@dataclasses.dataclass(frozen=True)
class ClusteredEstimates:
    """d estimates from examples in C clusters that share nothing.

    Attributes:
      value: (d,).
      residuals: (C, d) what each cluster moves the estimates by, to first order; they sum to 0.
      n_clusters: as how many clusters of equal weight they count.

    Source: cluster-robust (Taylor linearisation) variance, W. G. Cochran, "Sampling Techniques" (1977), section 9A.
    """

    value: Array
    residuals: Array
    n_clusters: float

    def __sub__(self, other: ClusteredEstimates) -> ClusteredEstimates:
        """The paired differences: both must come from the same examples in the same clusters."""
        n_clusters = min(self.n_clusters, other.n_clusters)
        return ClusteredEstimates(self.value - other.value, self.residuals - other.residuals, n_clusters)

    @property
    def std_error(self) -> Array:
        """(d,); NaN below two clusters."""
        if not self.n_clusters > 1 + 1e-9:
            return np.full(self.value.shape, np.nan)
        return np.asarray(np.sqrt((self.residuals**2).sum(axis=0) * self.n_clusters / (self.n_clusters - 1)))

    def interval(self, confidence: float = 0.95) -> tuple[Array, Array]:
        """Ends of the two-sided intervals, (d,) each, by Student's t over clusters."""
        half_width = t_quantile(0.5 + confidence / 2, self.n_clusters - 1) * self.std_error
        return self.value - half_width, self.value + half_width
