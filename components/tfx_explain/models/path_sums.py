"""From sums over references to expected gradients and the variances of these estimates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tfx_explain.models.path_gradients import ExpectedGradients, FloatArray


@dataclass(frozen=True)
class ReferenceSums:
    """Sums over references b of weight w, mean contribution y and variance v of one step's contribution.

    Attributes:
      sums: (4, n, n_players, c) of w y, w^2 y, w^2 y^2 and w^2 v / S.
      weights: (B,) w.
    """

    sums: FloatArray
    weights: FloatArray

    @classmethod
    def of_steps(cls, contributions: FloatArray, weights: FloatArray) -> ReferenceSums:
        """Of one row, n = 1.

        Args:
          contributions: (B, S, n_players, c) of each step.
          weights: (B,).
        """
        n_steps = contributions.shape[1]
        mean, w = contributions.mean(axis=1), weights[:, None, None]
        bends = contributions[:, :-2] - 2.0 * contributions[:, 1:-1] + contributions[:, 2:]
        spread = (bends**2).mean(axis=1) / (6.0 * n_steps)
        terms = (w * mean, w**2 * mean, w**2 * mean**2, w**2 * spread)
        return cls(np.stack([term.sum(axis=0) for term in terms])[:, None], weights)

    def estimates(self) -> ExpectedGradients:
        """Expected gradients, with both variances."""
        values, weighted, squares, design = self.sums
        n = len(self.weights)
        spread = squares - 2.0 * values * weighted + values**2 * np.sum(self.weights**2)
        # What is left of equal contributions is rounding, of either sign.
        factor = n / (n - 1) if n > 1 else 0.0
        return ExpectedGradients(values, design, np.maximum(spread, 0.0) * factor)
