"""Accumulated local effects as a mergeable accumulator.

One accumulator has all features of one (slice, output). Any split of the examples, in any order, gives the same
curves to the bit. Intervals are about the examples: how far a curve may be from that of all examples of the kind.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tfx_explain.errors import InputError
from tfx_explain.summary.binned_sums import BinnedSums
from tfx_explain.summary.curves import Curve, curve_of, curve_weights
from tfx_explain.summary.grouped_moments import GroupedMoments
from tfx_explain.summary.ratio import Array, t_quantile


class AccumulatedLocalEffectsAccumulator:
    """Mean change of the output over each bin of a feature, for the examples in that bin, added up over the bins.

    Args:
      edges: of each feature (n_bins + 1,) ascending and different.

    A bin that no example is in gets the slope that its neighbours suggest, and a bin of fewer than two examples the
    spread of slopes that the other bins have, so that a thin bin does not end the curve. The error has two parts: the
    means of the bins, through the sums and the centring they enter, and where the examples are, which the centring also
    depends on.

    Source: D. W. Apley and J. Zhu, "Visualizing the effects of predictor variables in black box supervised learning
    models" (2020), equations 15 and 16; they centre by the value at each example's edge, we by the line between the
    edges; they drop empty bins and give no errors.
    """

    def __init__(self, edges: Sequence[Sequence[float]]) -> None:
        self.edges = [np.asarray(of_feature, dtype=np.float64) for of_feature in edges]
        # The bins of all features are groups, one after the other.
        self._starts = np.cumsum([0, *(len(of_feature) - 1 for of_feature in self.edges)])
        n_bins = int(self._starts[-1])
        self._n_examples = np.zeros(n_bins, np.int64)
        # Of the changes of the output over each bin; and w t, w t^2, where t is an example's place in its bin.
        self._changes = GroupedMoments(n_bins, 1, third=True)
        self._places = BinnedSums(n_bins, 2)

    def add(
        self,
        differences: npt.ArrayLike,
        bins: npt.ArrayLike,
        places: npt.ArrayLike | None = None,
        weights: npt.ArrayLike | None = None,
    ) -> None:
        """Adds n examples; for a feature, those without a bin, or with a change that is NaN or infinite, are left out.

        Args:
          differences: (n_features, n) output with the feature at the upper edge of the example's bin less that at the
            lower.
          bins: (n_features, n) the example's bin, -1 for none.
          places: (n_features, n) the example's place in its bin, 0 at the lower edge, 1 at the upper; None = all in
            the middle.
          weights: (n,) example weights >= 0, of which 0 is left out; None = all 1.

        Raises:
          InputError: a shape does not fit.
        """
        if not self.edges:
            return
        x, own_bins = np.asarray(differences, dtype=np.float64), np.asarray(bins, np.int64)
        t = np.full(x.shape, 0.5) if places is None else np.asarray(places, dtype=np.float64)
        if x.shape != own_bins.shape or x.shape != t.shape or x.shape[:-1] != (len(self.edges),):
            raise InputError(
                f"`differences`, `bins` and `places` must have one shape ({len(self.edges)}, n), got {x.shape}, "
                f"{own_bins.shape}, {t.shape}."
            )
        w = np.broadcast_to(curve_weights(weights, x.shape[1]), x.shape)
        kept = np.isfinite(x) & (own_bins >= 0) & (w > 0)
        groups = (own_bins + self._starts[:-1, None])[kept]
        x, t, w = x[kept], t[kept], w[kept]
        self._n_examples += np.bincount(groups, minlength=len(self._n_examples))
        self._changes.add(x[:, None], w, groups)
        self._places.add(np.stack([w * t, w * t**2], axis=1), groups)

    def merge(self, other: AccumulatedLocalEffectsAccumulator) -> None:
        """Adds everything that another accumulator of the same bins has seen."""
        self._n_examples = self._n_examples + other._n_examples
        self._changes.merge(other._changes)
        self._places.merge(other._places)

    def result(self, place: int, confidence: float = 0.95) -> Curve:
        """The curve of a feature, at its edges.

        Args:
          place: of the feature.
          confidence: of its intervals.

        Returns:
          Numbers that are NaN where there were no examples, without errors where no bin had two.
        """
        bins, edges = slice(*self._starts[place : place + 2].tolist()), self.edges[place]
        n_examples, changes = self._n_examples[bins], self._changes.take(bins)
        weight, weight_squared = changes.weight, changes.weight_squared
        of_place, of_place_squared = self._places.take(bins).total().T
        total = float(weight.sum())
        if total == 0:
            nothing = np.full(len(edges), np.nan)
            counted = np.zeros(len(edges), np.int64)
            return curve_of(0, (nothing, nothing), (nothing, nothing), (nothing[1:],) * 3, np.nan, counted)
        mean, variance = _bin_means(changes, edges)
        fractions = weight / total
        up_to = np.tri(len(edges), len(mean), -1)
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
        steps = mean, np.sqrt(variance), changes.skewness(variance[:, None])[:, 0]
        return curve_of(int(n_examples.sum()), pair, pair, steps, quantile, counted)


def _bin_means(changes: GroupedMoments, edges: Array) -> tuple[Array, Array]:
    """(n_bins,) mean change over each bin and the variance of that mean."""
    width = np.diff(edges)
    n, filled = changes.n_effective, changes.weight > 0
    centre = (edges[:-1] + edges[1:]) / 2
    own = changes.mean[:, 0]
    slope = np.interp(centre, centre[filled], (own / width)[filled])
    mean = np.where(filled, own, slope * width)
    known = n > 1 + 1e-9
    variance = changes.covariance_of_mean()[:, 0]
    freedom = float((n - 1)[known].sum())
    pooled = float(((n - 1) * n * variance / width**2)[known].sum()) / freedom if freedom else np.nan
    return mean, np.where(known, variance, pooled * width**2 / np.maximum(n, 1.0))
