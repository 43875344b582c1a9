"""Partial dependence and individual conditional expectation as a mergeable accumulator.

One accumulator has all features of one (slice, output). Any split of the examples, in any order, gives the same
curves to the bit. Intervals are about the examples: how far a curve may be from that of all examples of the kind.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tfx_explain.errors import InputError
from tfx_explain.summary.curves import Curve, IceCurves, curve_of, curve_weights
from tfx_explain.summary.moments import WeightedMoments
from tfx_explain.summary.ratio import Array, t_quantile


class PartialDependenceAccumulator:
    """Mean of the outputs with one feature at a time set to each of its points; keeps a few single curves (ICE).

    The error of the level is that of the outputs, the error of the shape that of the outputs less each row's own mean.

    Args:
      fractions: of each feature (n_points,) the part of the rows that each point stands for, summing to 1: the weights
        of centring.
      num_ice: single curves to keep of each feature, those of the smallest random numbers.

    Source: J. H. Friedman, "Greedy function approximation" (2001), section 8.2; A. Goldstein et al., "Peeking inside
    the black box" (2015), who centre at one end of the curve, not at its mean.

    Example:
      >>> accumulator = PartialDependenceAccumulator([[0.5, 0.5]])
      >>> accumulator.add([np.array([[1.0, 3.0], [5.0, 9.0]])])
      >>> accumulator.result(0).value
      array([3., 6.])
    """

    def __init__(self, fractions: Sequence[Sequence[float]], num_ice: int = 0) -> None:
        self.fractions = [np.asarray(of_feature, dtype=np.float64) for of_feature in fractions]
        self.num_ice = num_ice
        # Of the examples whose curves are all finite, and by feature of those that lack another curve.
        self._whole = _CurveSums(self.fractions, num_ice)
        self._others: dict[int, _CurveSums] = {}

    def add(
        self,
        curves: Sequence[npt.ArrayLike],
        weights: npt.ArrayLike | None = None,
        draws: npt.NDArray[np.uint64] | None = None,
        example_ids: npt.NDArray[np.object_] | None = None,
    ) -> None:
        """Adds n examples; a curve with an output that is NaN or infinite, and examples of weight 0, are left out.

        Args:
          curves: of each feature (n, n_points) outputs with the feature set to each point.
          weights: (n,) example weights >= 0; None = all 1.
          draws: (n,) random numbers of the rows, by which single curves are chosen; None keeps none.
          example_ids: (n,) of the rows.

        Raises:
          InputError: a shape does not fit.
        """
        values = [np.asarray(of_feature, dtype=np.float64) for of_feature in curves]
        if not values:
            return
        shapes = [of_feature.shape for of_feature in values]
        expected = [(shapes[0][0] if shapes[0] else 0, len(of_feature)) for of_feature in self.fractions]
        if shapes != expected:
            raise InputError(f"`curves` must have shapes {expected}, got {shapes}.")
        rows = _Rows(curve_weights(weights, shapes[0][0]), draws, example_ids)
        finite = np.stack([np.isfinite(of_feature).all(axis=1) for of_feature in values], axis=1)
        finite &= rows.weights[:, None] > 0
        whole = np.asarray(finite.all(axis=1))
        self._whole.add(values, rows, whole)
        for place in np.flatnonzero(finite[~whole].any(axis=0)).tolist():
            self._other(place).add([values[place]], rows, finite[:, place] & ~whole)

    def merge(self, other: PartialDependenceAccumulator) -> None:
        """Adds everything that another accumulator of the same points has seen."""
        self._whole.merge(other._whole)
        for place, sums in other._others.items():
            self._other(place).merge(sums)

    def _other(self, place: int) -> _CurveSums:
        return self._others.setdefault(place, _CurveSums([self.fractions[place]], self.num_ice))

    def _of(self, place: int) -> _CurveSums:
        """Of one feature alone."""
        sums = self._whole.of(place)
        if place in self._others:
            sums.merge(self._others[place])
        return sums

    def result(self, place: int, confidence: float = 0.95) -> Curve:
        """The curve of a feature, of all examples so far.

        Args:
          place: of the feature.
          confidence: of its intervals.

        Returns:
          Numbers that are NaN where there were no examples, without errors where there was one.
        """
        sums, n_points = self._of(place), len(self.fractions[place])
        n = sums.outputs.n_effective
        quantile = t_quantile(0.5 + confidence / 2, n - 1)
        means, errors = sums.outputs.mean_or_nan(), np.sqrt(sums.outputs.covariance_of_mean())
        variance = sums.steps.covariance_of_mean()
        return curve_of(
            sums.n_examples,
            (means[:n_points], errors[:n_points]),
            (means[n_points:], errors[n_points:]),
            (sums.steps.mean_or_nan(), np.sqrt(variance), sums.steps.skewness(variance)),
            quantile,
            np.full(n_points, sums.n_examples, np.int64),
        )

    def ice(self, place: int) -> IceCurves:
        """The single curves of a feature that were kept."""
        kept = self._whole.ice_of(place)
        if place in self._others:
            kept.merge(self._others[place].ice)
        return IceCurves(kept.example_ids, kept.values, kept.values - _row_means(kept.values, self.fractions[place]))


class _Rows(NamedTuple):
    """Of n examples: weights, and what single curves are chosen by and called."""

    weights: Array
    draws: npt.NDArray[np.uint64] | None
    example_ids: npt.NDArray[np.object_] | None


class _CurveSums:
    """What the curves of some features, of examples that have all of them, add up to, side by side.

    Args:
      fractions: as of `PartialDependenceAccumulator`.
      num_ice: single curves to keep.
    """

    def __init__(self, fractions: Sequence[Array], num_ice: int) -> None:
        self.fractions = fractions
        self.n_examples = 0
        n_points = sum(map(len, fractions))
        # Of the outputs, and of the outputs less each row's own mean.
        self.outputs = WeightedMoments.empty(2 * n_points, full=False)
        self.steps = WeightedMoments.empty(n_points - len(fractions), full=False, third=True)
        self.ice = _SmallestDraws(num_ice, n_points)

    def add(self, curves: Sequence[Array], rows: _Rows, kept: npt.NDArray[np.bool_]) -> None:
        """Adds those of n examples that are kept, all of whose curves (n, n_points) are finite."""
        if not kept.all():
            curves = [of_feature[kept] for of_feature in curves]
        weights = rows.weights[kept]
        centred = [values - _row_means(values, of) for values, of in zip(curves, self.fractions, strict=True)]
        values = np.concatenate([*curves, *centred], axis=1)
        self.n_examples += len(values)
        self.outputs.add(values, weights)
        self.steps.add(np.concatenate([np.diff(of_feature, axis=1) for of_feature in curves], axis=1), weights)
        if rows.draws is not None and rows.example_ids is not None:
            self.ice.add(rows.draws[kept], rows.example_ids[kept], values[:, : values.shape[1] // 2])

    def merge(self, other: _CurveSums) -> None:
        """Adds the examples that another one has seen."""
        self.n_examples += other.n_examples
        self.outputs.merge(other.outputs)
        self.steps.merge(other.steps)
        self.ice.merge(other.ice)

    def of(self, place: int) -> _CurveSums:
        """A copy of what one feature has."""
        points, n_points = self._points_of(place), sum(map(len, self.fractions))
        made = _CurveSums([self.fractions[place]], self.ice.n)
        made.n_examples = self.n_examples
        made.outputs = self.outputs.of_columns(np.concatenate([points, n_points + points]))
        made.steps = self.steps.of_columns(points[:-1] - place)
        made.ice = self.ice_of(place)
        return made

    def ice_of(self, place: int) -> _SmallestDraws:
        """A copy of the single curves of one feature."""
        points = self._points_of(place)
        made = _SmallestDraws(self.ice.n, len(points))
        made.add(self.ice.draws, self.ice.example_ids, self.ice.values[:, points])
        return made

    def _points_of(self, place: int) -> npt.NDArray[np.int64]:
        """Where the points of a feature are among those of all."""
        start = sum(map(len, self.fractions[:place]))
        return np.arange(start, start + len(self.fractions[place]))


def _row_means(curves: Array, fractions: Array) -> Array:
    """(n, 1) of curves; a product with a matrix would add up in an order that depends on n."""
    return np.asarray((np.ascontiguousarray(curves) * fractions).sum(axis=1, keepdims=True))


class _SmallestDraws:
    """The `n` rows of the smallest random numbers: which they are depends neither on order nor on sharding."""

    def __init__(self, n: int, n_points: int) -> None:
        self.n = n
        self.draws = np.zeros(0, np.uint64)
        self.example_ids = np.zeros(0, object)
        self.values = np.zeros((0, n_points))

    def add(self, draws: npt.NDArray[np.uint64], example_ids: npt.NDArray[np.object_], values: Array) -> None:
        """Offers rows: draws (n,), ids (n,), values (n, n_points)."""
        if not self.n:
            return
        all_draws = np.concatenate([self.draws, draws])
        order = np.argsort(all_draws, kind="stable")[: self.n]
        self.draws = all_draws[order]
        self.example_ids = np.concatenate([self.example_ids, example_ids])[order]
        self.values = np.concatenate([self.values, values])[order]

    def merge(self, other: _SmallestDraws) -> None:
        """Offers the rows that another one has kept."""
        self.add(other.draws, other.example_ids, other.values)
