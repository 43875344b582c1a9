"""Partial dependence, individual conditional expectation and accumulated local effects as mergeable accumulators.

One accumulator belongs to one feature of one (slice, output). Any split of the examples, in any order, gives the same
curves to the bit. Intervals are about the examples: how far a curve may be from that of all examples of the kind.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tfx_explain.errors import InputError
from tfx_explain.summary.binned_sums import BinnedSums
from tfx_explain.summary.grouped_moments import GroupedMoments
from tfx_explain.summary.moments import WeightedMoments
from tfx_explain.summary.ratio import Array, t_quantile


@dataclasses.dataclass(frozen=True)
class Curve:
    """A feature's profile at n_points values of it, in units of the model's output; 95 % or another confidence.

    Attributes:
      n_examples: examples of positive weight that it is made of.
      value: (n_points,) mean output with the feature set to each point; for accumulated local effects the same as
        `centred_value`, as they know no level.
      std_error: (n_points,) its standard error.
      ci_low: (n_points,) lower end of its interval (Student t).
      ci_high: (n_points,) upper end.
      centred_value: (n_points,) the same with the mean over the feature's distribution taken off: 0 is average.
      centred_std_error: (n_points,) its standard error, smaller where examples differ by level more than by shape.
      centred_ci_low: (n_points,) lower end of its interval.
      centred_ci_high: (n_points,) upper end.
      n_examples_of_point: (n_points,) examples in the bin below each edge, for accumulated local effects; else
        `n_examples` each.
      step: (n_points,) value less that of the point before; NaN at the first. It means something only along a line.
      step_std_error: (n_points,) its standard error, from the examples' own steps: what they share in level and in
        earlier points cancels. For accumulated local effects that of the bin's own mean.
      step_skewness: (n_points,) skewness of the examples' own steps; NaN below three examples.
    """

    n_examples: int
    value: Array
    std_error: Array
    ci_low: Array
    ci_high: Array
    centred_value: Array
    centred_std_error: Array
    centred_ci_low: Array
    centred_ci_high: Array
    n_examples_of_point: npt.NDArray[np.int64]
    step: Array
    step_std_error: Array
    step_skewness: Array

    def columns(self) -> dict[str, Any]:
        """The curve as table columns, a row per point."""
        columns = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        columns["num_examples"] = columns.pop("n_examples")
        columns["num_examples_of_point"] = columns.pop("n_examples_of_point")
        return columns


@dataclasses.dataclass(frozen=True)
class IceCurves:
    """The curves of single examples, in random order.

    Attributes:
      example_ids: (n_curves,).
      values: (n_curves, n_points) outputs with the feature set to each point.
      centred_values: (n_curves, n_points) the same, each with its own mean over the feature's distribution taken off.
    """

    example_ids: npt.NDArray[np.object_]
    values: Array
    centred_values: Array


class PartialDependenceAccumulator:
    """Mean of the outputs with one feature set to each of its points; keeps a few single curves (ICE).

    The error of the level is that of the outputs, the error of the shape that of the outputs less each row's own mean.

    Args:
      fractions: (n_points,) the part of the rows that each point stands for, summing to 1: the weights of centring.
      num_ice: single curves to keep, those of the smallest random numbers.

    Source: J. H. Friedman, "Greedy function approximation" (2001), section 8.2; A. Goldstein et al., "Peeking inside
    the black box" (2015), who centre at one end of the curve, not at its mean.

    Example:
      >>> accumulator = PartialDependenceAccumulator([0.5, 0.5])
      >>> accumulator.add(np.array([[1.0, 3.0], [5.0, 9.0]]))
      >>> accumulator.result().value
      array([3., 6.])
    """

    def __init__(self, fractions: Sequence[float], num_ice: int = 0) -> None:
        self.fractions = np.asarray(fractions, dtype=np.float64)
        self.n_examples = 0
        # Of the outputs, and of the outputs less each row's own mean.
        self._outputs = WeightedMoments.empty(2 * len(self.fractions), full=False)
        self._steps = WeightedMoments.empty(len(self.fractions) - 1, full=False, third=True)
        self._ice = _SmallestDraws(num_ice, len(self.fractions))

    def add(
        self,
        curves: npt.ArrayLike,
        weights: npt.ArrayLike | None = None,
        draws: npt.NDArray[np.uint64] | None = None,
        example_ids: npt.NDArray[np.object_] | None = None,
    ) -> None:
        """Adds n examples; those with an output that is NaN or infinite, or of weight 0, are left out.

        Args:
          curves: (n, n_points) outputs with the feature set to each point.
          weights: (n,) example weights >= 0; None = all 1.
          draws: (n,) random numbers of the rows, by which single curves are chosen; None keeps none.
          example_ids: (n,) of the rows.

        Raises:
          InputError: a shape does not fit.
        """
        values = np.asarray(curves, dtype=np.float64)
        if values.ndim != 2 or values.shape[1] != len(self.fractions):
            raise InputError(f"`curves` must have shape (n, {len(self.fractions)}), got {values.shape}.")
        w = _weights(weights, len(values))
        kept = np.isfinite(values).all(axis=1) & (w > 0)
        values, w = values[kept], w[kept]
        self.n_examples += len(values)
        self._outputs.add(np.concatenate([values, values - self._row_means(values)], axis=1), w)
        self._steps.add(np.diff(values, axis=1), w)
        if draws is not None and example_ids is not None:
            self._ice.add(draws[kept], example_ids[kept], values)

    def merge(self, other: PartialDependenceAccumulator) -> None:
        """Adds everything that another accumulator of the same points has seen."""
        self.n_examples += other.n_examples
        self._outputs.merge(other._outputs)
        self._steps.merge(other._steps)
        self._ice.add(other._ice.draws, other._ice.example_ids, other._ice.values)

    def _row_means(self, values: Array) -> Array:
        """(n, 1) of curves; a product with a matrix would add up in an order that depends on n."""
        return np.asarray((np.ascontiguousarray(values) * self.fractions).sum(axis=1, keepdims=True))

    def result(self, confidence: float = 0.95) -> Curve:
        """The curve of all examples so far; NaN where there were none, without errors where there was one."""
        n, n_points = self._outputs.n_effective, len(self.fractions)
        quantile = t_quantile(0.5 + confidence / 2, n - 1)
        means, errors = self._outputs.mean_or_nan(), np.sqrt(self._outputs.covariance_of_mean())
        variance = self._steps.covariance_of_mean()
        return _curve(
            self.n_examples,
            (means[:n_points], errors[:n_points]),
            (means[n_points:], errors[n_points:]),
            (self._steps.mean_or_nan(), np.sqrt(variance), self._steps.skewness(variance)),
            quantile,
            np.full(n_points, self.n_examples, np.int64),
        )

    def ice(self) -> IceCurves:
        """The single curves that were kept."""
        values = self._ice.values
        return IceCurves(self._ice.example_ids, values, values - self._row_means(values))


class AccumulatedLocalEffectsAccumulator:
    """Mean change of the output over each bin of one feature, for the examples in that bin, added up over the bins.

    Args:
      edges: (n_bins + 1,) ascending and different.

    A bin that no example is in gets the slope that its neighbours suggest, and a bin of fewer than two examples the
    spread of slopes that the other bins have, so that a thin bin does not end the curve. The error has two parts: the
    means of the bins, through the sums and the centring they enter, and where the examples are, which the centring also
    depends on.

    Source: D. W. Apley and J. Zhu, "Visualizing the effects of predictor variables in black box supervised learning
    models" (2020), equations 15 and 16; they centre by the value at each example's edge, we by the line between the
    edges; they drop empty bins and give no errors.
    """

    def __init__(self, edges: Sequence[float]) -> None:
        self.edges = np.asarray(edges, dtype=np.float64)
        n_bins = len(self.edges) - 1
        self._n_examples = np.zeros(n_bins, np.int64)
        # Of the changes of the output over each bin; and w t, w t^2, where t is an example's place in its bin.
        self._changes = GroupedMoments(n_bins, 1, third=True)
        self._places = BinnedSums(n_bins, 2)

    def add(
        self,
        differences: npt.ArrayLike,
        bins: npt.NDArray[np.int64],
        places: npt.ArrayLike | None = None,
        weights: npt.ArrayLike | None = None,
    ) -> None:
        """Adds n examples; those without a bin, with a change that is NaN or infinite, or of weight 0, are left out.

        Args:
          differences: (n,) output with the feature at the upper edge of the example's bin less that at the lower.
          bins: (n,) the example's bin, -1 for none.
          places: (n,) the example's place in its bin, 0 at the lower edge, 1 at the upper; None = all in the middle.
          weights: (n,) example weights >= 0; None = all 1.

        Raises:
          InputError: a shape does not fit.
        """
        x = np.asarray(differences, dtype=np.float64)
        t = np.full(x.shape, 0.5) if places is None else np.asarray(places, dtype=np.float64)
        if x.shape != bins.shape or x.shape != t.shape or x.ndim != 1:
            raise InputError(
                f"`differences`, `bins` and `places` must have one shape (n,), got {x.shape}, {bins.shape}, {t.shape}."
            )
        w = _weights(weights, len(x))
        kept = np.isfinite(x) & (bins >= 0) & (w > 0)
        x, t, w = x[kept], t[kept], w[kept]
        bins = bins[kept]
        self._n_examples += np.bincount(bins, minlength=len(self._n_examples))
        self._changes.add(x[:, None], w, bins)
        self._places.add(np.stack([w * t, w * t**2], axis=1), bins)

    def merge(self, other: AccumulatedLocalEffectsAccumulator) -> None:
        """Adds everything that another accumulator of the same bins has seen."""
        self._n_examples = self._n_examples + other._n_examples
        self._changes.merge(other._changes)
        self._places.merge(other._places)

    def result(self, confidence: float = 0.95) -> Curve:
        """The curve at the edges; NaN where there were no examples, without errors where no bin had two."""
        n_examples, weight, weight_squared = self._n_examples, self._changes.weight, self._changes.weight_squared
        of_place, of_place_squared = self._places.total().T
        total = float(weight.sum())
        if total == 0:
            nothing = np.full(len(self.edges), np.nan)
            counted = np.zeros(len(self.edges), np.int64)
            return _curve(0, (nothing, nothing), (nothing, nothing), (nothing[1:],) * 3, np.nan, counted)
        mean, variance = self._bin_means(weight)
        fractions = weight / total
        up_to = np.tri(len(self.edges), len(mean), -1)
        # The mean over the examples of the line through the edges; it and each centred value are linear in the means.
        average = fractions @ up_to[:-1] + of_place / total
        centred = up_to - average
        n = total**2 / float(weight_squared.sum())
        at_lower = up_to[:-1] @ mean
        second = (weight @ at_lower**2 + 2 * of_place @ (at_lower * mean) + of_place_squared @ mean**2) / total
        spread = max(float(second - (average @ mean) ** 2), 0.0)
        of_fractions = spread / (n - 1) if n > 1 else np.nan
        pair = (centred @ mean, np.sqrt(centred**2 @ variance + of_fractions))
        quantile = t_quantile(0.5 + confidence / 2, n - np.count_nonzero(weight))
        counted = np.concatenate([[0], n_examples]).astype(np.int64)
        steps = mean, np.sqrt(variance), self._changes.skewness(variance[:, None])[:, 0]
        return _curve(int(n_examples.sum()), pair, pair, steps, quantile, counted)

    def _bin_means(self, weight: Array) -> tuple[Array, Array]:
        """(n_bins,) mean change over each bin and the variance of that mean."""
        width = np.diff(self.edges)
        filled = weight > 0
        n = self._changes.n_effective
        centre = (self.edges[:-1] + self.edges[1:]) / 2
        own = self._changes.mean[:, 0]
        slope = np.interp(centre, centre[filled], (own / width)[filled])
        mean = np.where(filled, own, slope * width)
        known = n > 1 + 1e-9
        variance = self._changes.covariance_of_mean()[:, 0]
        freedom = float((n - 1)[known].sum())
        pooled = float(((n - 1) * n * variance / width**2)[known].sum()) / freedom if freedom else np.nan
        return mean, np.where(known, variance, pooled * width**2 / np.maximum(n, 1.0))


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


def _weights(weights: npt.ArrayLike | None, n: int) -> Array:
    w = np.ones(n) if weights is None else np.asarray(weights, dtype=np.float64)
    if w.shape != (n,) or not (w >= 0).all():
        raise InputError(f"`weights` must be {n} numbers of 0 or more, got shape {w.shape}.")
    return w


def _curve(
    n_examples: int,
    level: tuple[Array, Array],
    shape: tuple[Array, Array],
    steps: tuple[Array, Array, Array],
    quantile: float,
    n_examples_of_point: npt.NDArray[np.int64],
) -> Curve:
    """A curve from (value, standard error) of its level and shape; of the steps between its points skewness as well."""
    (value, error), (centred, centred_error) = level, shape
    step, step_error, step_skewness = (np.concatenate([[np.nan], part]) for part in steps)
    return Curve(
        n_examples=n_examples,
        value=value,
        std_error=error,
        ci_low=value - quantile * error,
        ci_high=value + quantile * error,
        centred_value=centred,
        centred_std_error=centred_error,
        centred_ci_low=centred - quantile * centred_error,
        centred_ci_high=centred + quantile * centred_error,
        n_examples_of_point=n_examples_of_point,
        step=step,
        step_std_error=step_error,
        step_skewness=step_skewness,
    )
