"""From sums over references to expected gradients and the variances of these estimates.

A step is drawn at random in a stratum of width 1 / S, where the contribution c goes its way. The variance that this
gives it is estimated from both neighbours, whose places are known: with the slope m between them, and the bend r, what
c differs by from the line through them, v = (m / S)^2 / 12 + `OF_BENDS` r^2. That is right where c changes evenly, and,
on average over where they are, where it jumps, as at kinks of the model: a jump of 1 has variance 1 / 6, and over the
strata near it (m / S)^2 adds up to 0.523 and r^2 to 0.435. Second differences alone make it twice as large.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tfx_explain.models.path_gradients import ExpectedGradients, FloatArray

OF_BENDS = 0.283
"""(1 / 6 - 0.523 / 12) / 0.435."""


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
    def of_steps(cls, contributions: FloatArray, alphas: FloatArray, weights: FloatArray) -> ReferenceSums:
        """Of n rows; the bits of one do not depend on how many there are.

        Args:
          contributions: (n, B, S, n_players, c) of each step.
          alphas: (n, B, S) where the steps are.
          weights: (B,).
        """
        n_steps = contributions.shape[2]
        mean, w = contributions.mean(axis=2), weights[:, None, None]
        before, there, after = contributions[:, :, :-2], contributions[:, :, 1:-1], contributions[:, :, 2:]
        places = alphas[..., None, None]
        slope = (after - before) / (places[:, :, 2:] - places[:, :, :-2])
        line = before + slope * (places[:, :, 1:-1] - places[:, :, :-2])
        variances = slope**2 / (12.0 * n_steps**2) + OF_BENDS * (there - line) ** 2
        spread = variances.mean(axis=2) / n_steps
        terms = (w * mean, w**2 * mean, w**2 * mean**2, w**2 * spread)
        return cls(np.stack([term.sum(axis=1) for term in terms]), weights)

    def estimates(self) -> ExpectedGradients:
        """Expected gradients, with both variances."""
        values, weighted, squares, design = self.sums
        n = len(self.weights)
        spread = squares - 2.0 * values * weighted + values**2 * np.sum(self.weights**2)
        # What is left of equal contributions is rounding, of either sign.
        factor = n / (n - 1) if n > 1 else 0.0
        return ExpectedGradients(values, design, np.maximum(spread, 0.0) * factor)
