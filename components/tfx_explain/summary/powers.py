"""What central moments are made of: sums of powers of weights and values."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from tfx_explain.summary.double_double import DoubleDouble
from tfx_explain.summary.ratio import Array

IntArray = npt.NDArray[np.int64]

OF_WEIGHTS = ("w", "w^2", "w^3")
"""Sums of which there is one, however many values there are."""


@functools.lru_cache(maxsize=64)
def columns(d: int, *, third: bool, weighted: bool) -> Mapping[str, slice]:
    """Where the sums of powers are among the columns that are summed up, by name.

    Those from `w^2` on have twice the digits of a float64, since central moments are what is left of them.

    Args:
      d: number of values y = w x of each row.
      third: whether there are third moments.
      weighted: whether any weight w was not 1; else products of weights with values are sums that are there anyway.
    """
    mixed = d * (third and weighted)
    widths = {"w": 1, "y": d, "w^2": 1, "w^3": 1, "y^2": d, "y^3": d * third}
    widths |= {"w y": d * weighted, "w^2 y": mixed, "w y^2": mixed}
    ends = np.cumsum(list(widths.values())).tolist()
    return {name: slice(end - width, end) for (name, width), end in zip(widths.items(), ends, strict=True)}


@dataclasses.dataclass(frozen=True)
class Powers:
    """What central moments are made of.

    Attributes:
      n: (G, 1) (sum w)^2 / sum w^2.
      mean: (G, C).
      weight, weight_squared, weight_cubed: (G, 1) sums.
      second: (G, C) sums of y^2.
      third: (G, C) sums of y^3; none where there are no third moments.
      mixed: (G, C) sums of w y.
      mixed_squares: (G, C) sums of w^2 y, and those of w y^2.
    """

    n: Array
    mean: Array
    weight: DoubleDouble
    weight_squared: DoubleDouble
    weight_cubed: DoubleDouble
    second: DoubleDouble
    third: DoubleDouble
    mixed: DoubleDouble
    mixed_squares: tuple[DoubleDouble, DoubleDouble]

    @classmethod
    def of(cls, sums: DoubleDouble, places: Mapping[str, slice]) -> Powers:
        """Those of all groups.

        Args:
          sums: (G, ...) as `GroupedMoments` keeps them.
          places: of each sum among them, as `columns` says.
        """
        found = {name: sums[:, place] for name, place in places.items() if place.start < place.stop}
        first, second = found.get("y", sums[:, :0]), found.get("y^2", sums[:, :0])
        weight, squared = found["w"].high, found["w^2"].high
        n = np.divide(weight**2, squared, out=np.zeros_like(weight), where=weight > 0)
        with np.errstate(over="ignore", invalid="ignore"):
            mean = _mean(first, found["w"])
        return cls(
            n=n,
            mean=mean,
            weight=found["w"],
            weight_squared=found["w^2"],
            weight_cubed=found["w^3"],
            second=second,
            third=found.get("y^3", sums[:, :0]),
            mixed=found.get("w y", first),
            mixed_squares=(found.get("w^2 y", first), found.get("w y^2", second)),
        )

    def covariances(self, products: DoubleDouble, first: IntArray | slice, second: IntArray | slice, n: Array) -> Array:
        """(G, n_pairs) of the means of pairs of columns.

        Args:
          products: (G, n_pairs) sums of their products.
          first: column of each pair.
          second: the other one.
          n: (G, 1) as how many rows of equal weight the groups count; NaN comes of less than two.
        """
        ours, theirs, mixed = self.mean[:, first], self.mean[:, second], self.mixed
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            # The sum of w^2 (x - mean)(x - mean)'.
            scatter = products.plus(mixed[:, first].times(-theirs)).plus(mixed[:, second].times(-ours))
            scatter = scatter.plus(self.weight_squared.times(ours).times(theirs))
            return np.where(n > 1, scatter.high * (n / (n - 1)) / self.weight.high**2, np.nan)


def _mean(sums: DoubleDouble, weight: DoubleDouble) -> Array:
    """(G, C) the sums as parts of the weights (G, 1), rounded once; 0 where there is none."""
    divisor = np.where(weight.high > 0, weight.high, 1.0)
    near = sums.high / divisor
    rest = sums.plus(weight.times(-near)).high / divisor
    # What is not finite has no rest.
    return np.where(weight.high > 0, np.where(np.isfinite(near), near + rest, near), 0.0)
