"""What central moments are made of: sums of powers of weights and values."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tfx_explain.summary.double_double import DoubleDouble
from tfx_explain.summary.ratio import Array

IntArray = npt.NDArray[np.int64]


@dataclasses.dataclass(frozen=True)
class Powers:
    """What central moments are made of.

    Attributes:
      n: (G, 1) (sum w)^2 / sum w^2.
      mean: (G, C).
      weights: (G, 3) sums of w, w^2 and w^3.
      second: (G, C) sums of y^2.
      third: (G, C) sums of y^3; those of y^2 where there are none.
      mixed: (G, C) sums of w y; where there are third moments, also those of w^2 y and w y^2.
    """

    n: Array
    mean: Array
    weights: DoubleDouble
    second: DoubleDouble
    third: DoubleDouble
    mixed: Sequence[DoubleDouble]

    @classmethod
    def of(cls, sums: DoubleDouble, d: int, n_powers: int) -> Powers:
        """Those of all groups.

        Args:
          sums: (G, ...) as `GroupedMoments` keeps them.
          d: number of columns.
          n_powers: 3 where there are third moments, else 2.
        """
        weights = sums[:, [0, 1 + d, 2 + d]]
        n_parts = (sums.high.shape[1] - 3) // d - 1 if d else 0
        parts = [sums[:, start : start + d] for start in (3 + d + d * part for part in range(n_parts))]
        first, powers = sums[:, 1 : 1 + d], parts[: n_powers - 1] or [sums[:, 3:]]
        second = powers[0]
        mixed = parts[n_powers - 1 :] or ([first] if n_powers == 2 else [first, first, second])
        weight, squared = weights.high[:, :1], weights.high[:, 1:2]
        n = np.divide(weight**2, squared, out=np.zeros_like(weight), where=weight > 0)
        with np.errstate(over="ignore", invalid="ignore"):
            return cls(n, _mean(first, weights[:, :1]), weights, second, powers[-1], mixed)

    def covariances(self, products: DoubleDouble, first: IntArray | slice, second: IntArray | slice, n: Array) -> Array:
        """(G, n_pairs) of the means of pairs of columns.

        Args:
          products: (G, n_pairs) sums of their products.
          first: column of each pair.
          second: the other one.
          n: (G, 1) as how many rows of equal weight the groups count; NaN comes of less than two.
        """
        ours, theirs, mixed = self.mean[:, first], self.mean[:, second], self.mixed[0]
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            # The sum of w^2 (x - mean)(x - mean)'.
            scatter = products.plus(mixed[:, first].times(-theirs)).plus(mixed[:, second].times(-ours))
            scatter = scatter.plus(self.weights[:, 1:2].times(ours).times(theirs))
            return np.where(n > 1, scatter.high * (n / (n - 1)) / self.weights.high[:, :1] ** 2, np.nan)


def _mean(sums: DoubleDouble, weight: DoubleDouble) -> Array:
    """(G, C) the sums as parts of the weights (G, 1), rounded once; 0 where there is none."""
    divisor = np.where(weight.high > 0, weight.high, 1.0)
    near = sums.high / divisor
    rest = sums.plus(weight.times(-near)).high / divisor
    # What is not finite has no rest.
    return np.where(weight.high > 0, np.where(np.isfinite(near), near + rest, near), 0.0)
