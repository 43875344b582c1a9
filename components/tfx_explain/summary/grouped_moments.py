"""Weighted means, their covariance, and how skewed they are, the same to the bit however rows come together.

Kept are sums of powers of the values, which have digits enough for what cancels: a spread that is 1e-7 of the mean has
its variance to some 1e-12 and its skewness to some 1e-8.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from tfx_explain.summary.binned_products import BinnedProducts
from tfx_explain.summary.binned_sums import AT_ONCE, BinnedSums
from tfx_explain.summary.double_double import DoubleDouble, two_product
from tfx_explain.summary.powers import OF_WEIGHTS, Powers, columns
from tfx_explain.summary.ratio import Array

IntArray = npt.NDArray[np.int64]

_LEAST_SKEWED = 1e-8
"""Values whose spread is less than this part of their mean may differ by rounding, and are not skewed."""
_LEAST_SHARED = 3e-9
"""Values whose spread is less than this part of their mean go together with no others."""


class GroupedMoments:
    """Moments of G groups of rows, of C columns each, with one weight w per row.

    The error of a weighted mean depends on the SQUARED weights, and its third moment on the cubed ones, so that of a
    value x the powers of y = w x are summed up, and those of w times those of y.

    Args:
      n_groups: G.
      n_columns: C.
      full: keep covariances, of a single group, otherwise variances only.
      third: keep third moments.

    Attributes:
      sums: (G, ...) sums of powers, where `columns` says.
      products: sums of those of two columns, or None.

    Source: weights as in Taylor linearisation of a ratio mean.
    """

    def __init__(self, n_groups: int, n_columns: int, *, full: bool = False, third: bool = False) -> None:
        self.n_columns, self.third = n_columns, third
        self.sums = BinnedSums(n_groups, columns(n_columns, third=third, weighted=False)["w y^2"].stop)
        self.products = BinnedProducts(n_columns) if full else None
        # Solved once, since several figures are asked for one after the other.
        self._powers: Powers | None = None

    def add(self, values: Array, weights: Array, groups: IntArray | None = None) -> None:
        """Adds rows: values (n, C), weights (n,) >= 0, groups (n,); a row of weight 0 adds nothing."""
        if not weights.all():
            kept = weights > 0
            values, weights, groups = values[kept], weights[kept], None if groups is None else groups[kept]
        if not len(values):
            return
        self._powers = None
        if (weights != 1.0).any():
            self._weigh()
        if self.products is not None:
            self.products.add(weights[:, None] * values)
        step = max(AT_ONCE // self.sums.top.shape[1], 1)
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            for start in range(0, len(values), step):
                rows = slice(start, start + step)
                self._add(values[rows], weights[rows], None if groups is None else groups[rows])

    def _add(self, values: Array, weights: Array, groups: IntArray | None) -> None:
        """Adds a few rows of positive weight, but for products of two columns."""
        w = weights[:, None]
        y = w * values
        once, squares = DoubleDouble(*two_product(w, w)), DoubleDouble(*two_product(y, y))
        powers = {"w^2": once, "w^3": once.times(w), "y^2": squares}
        if self.third:
            powers["y^3"] = squares.times(y)
        if self._is_weighted:
            mixed = DoubleDouble(*two_product(y, np.broadcast_to(w, y.shape)))
            powers |= {"w y": mixed}
            powers |= {"w^2 y": mixed.times(w), "w y^2": squares.times(w)} if self.third else {}
        high = np.concatenate([w, y, *[power.high for power in powers.values()]], axis=1)
        self.sums.add(high, groups, np.concatenate([power.low for power in powers.values()], axis=1))

    @property
    def _is_weighted(self) -> bool:
        return self.sums.top.shape[1] > columns(self.n_columns, third=self.third, weighted=False)["w y^2"].stop

    @property
    def _places(self) -> Mapping[str, slice]:
        """Where the sums are."""
        return columns(self.n_columns, third=self.third, weighted=self._is_weighted)

    def _weigh(self) -> None:
        """Makes room for sums of products with weights, which are what they are where all weights were 1."""
        if not self._is_weighted:
            first, second = (self.sums.take(slice(None), self._places[name]) for name in ("y", "y^2"))
            self.sums = BinnedSums.beside([self.sums, first, *([first, second] if self.third else [])])

    def merge(self, other: GroupedMoments) -> None:
        """Adds the rows that another one has seen."""
        self.merge_at(slice(None), other)

    def merge_at(self, places: IntArray | slice, other: GroupedMoments) -> None:
        """Adds others' rows at different places among the groups."""
        self._powers = None
        if other._is_weighted:
            self._weigh()
        self.sums.merge_at(places, other._sums_like(self))
        if self.products is not None and other.products is not None:
            self.products.merge(other.products)

    def _sums_like(self, other: GroupedMoments) -> BinnedSums:
        """The sums, with those of products with weights where the other one has them."""
        if not other._is_weighted or self._is_weighted:
            return self.sums
        like = self._with(self.sums)
        like._weigh()
        return like.sums

    def take(self, groups: IntArray | slice) -> GroupedMoments:
        """A copy of some groups, without covariances."""
        return self._with(self.sums.take(groups))

    def of_columns(self, kept: IntArray) -> GroupedMoments:
        """A copy of the moments of some columns, without covariances."""
        made = GroupedMoments(0, len(kept), third=self.third)
        of_columns = [
            place.start + (np.zeros(1, np.int64) if name in OF_WEIGHTS else kept)
            for name, place in self._places.items()
            if place.start < place.stop
        ]
        made.sums = self.sums.take(slice(None), np.concatenate(of_columns))
        return made

    def grown(self, n_groups: int) -> GroupedMoments:
        """The same with room for so many groups, without covariances."""
        return self._with(self.sums.grown(n_groups))

    def without(self, part: GroupedMoments) -> GroupedMoments:
        """The moments of the rows that are not in `part`: those of this one, less some that it has seen."""
        rest = self._with(self.sums.without(part._sums_like(self)))
        if self.products is not None and part.products is not None:
            rest.products = self.products.without(part.products)
        return rest

    def weighted_sums(self) -> BinnedSums:
        """(G, 1 + C) sums of w and of y."""
        return self.sums.take(slice(None), slice(self._places["w"].start, self._places["y"].stop))

    def variances(self) -> GroupedMoments:
        """The same without covariances; not to be added to."""
        made = self._with(self.sums)
        made._powers = self._powers
        return made

    def _with(self, sums: BinnedSums) -> GroupedMoments:
        made = GroupedMoments(0, self.n_columns, third=self.third)
        made.sums = sums
        return made

    def _solved(self) -> Powers:
        self._powers = self._powers or Powers.of(self.sums.exact(), self._places)
        return self._powers

    @property
    def weight(self) -> Array:
        """(G,) sum of weights."""
        return self._solved().weight.high[:, 0]

    @property
    def weight_squared(self) -> Array:
        """(G,) sum of squared weights."""
        return self._solved().weight_squared.high[:, 0]

    @property
    def n_effective(self) -> Array:
        """(G,) (sum w)^2 / sum w^2: the number of equally weighted rows that would give the same error."""
        return self._solved().n[:, 0]

    @property
    def mean(self) -> Array:
        """(G, C) weighted means; 0 before the first row."""
        return self._solved().mean

    def mean_or_nan(self) -> Array:
        """(G, C) weighted means; NaN before the first row."""
        return np.where(self.weight[:, None] > 0, self.mean, np.nan)

    def covariance_of_mean(self, n_rows: Array | None = None) -> Array:
        """Covariances (G, C, C), or variances (G, C), of the weighted means; NaN below two rows.

        Args:
          n_rows: (G,) as how many rows of equal weight the groups count; None = `n_effective`.
        """
        powers, columns = self._solved(), slice(None)
        n = powers.n if n_rows is None else n_rows[:, None]
        variances = powers.covariances(powers.second, columns, columns, n)
        # A spread of zero comes out as rounding of either sign.
        variances = np.where(variances < 0, 0.0, variances)
        if self.products is None:
            return variances
        # Of what differs so little products have no digits left: with others it has nothing in common.
        spread = np.where(variances * n > (_LEAST_SHARED * powers.mean) ** 2, np.sqrt(variances), 0.0)
        covariance = np.empty((1, self.n_columns, self.n_columns))
        for first, second, sums in self.products.sums():
            found = powers.covariances(sums[None], first, second, n)
            most = spread[:, first] * spread[:, second]
            covariance[:, first, second] = covariance[:, second, first] = np.clip(found, -most, most)
        np.einsum("gcc->gc", covariance)[:] = variances
        return covariance

    def skewness(self, variance: Array) -> Array:
        """The skewness of the values: that of their weighted mean times sqrt(n_effective).

        Args:
          variance: (G, C) of that mean, as for samples (n - 1).

        Returns:
          (G, C) without most of the bias of few rows: sqrt(n (n - 1)) / (n - 2) times the sample's skewness. NaN below
          three effective rows; 0 where the values hardly differ.
        """
        powers = self._solved()
        n, mean = np.broadcast_to(powers.n, variance.shape), powers.mean
        of_weights, of_squares = powers.mixed_squares
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            # The sum of w^3 (x - mean)^3.
            third = powers.third.plus(of_squares.times(-mean).times(3.0))
            third = third.plus(of_weights.times(mean).times(mean).times(3.0))
            third = third.plus(powers.weight_cubed.times(-mean).times(mean).times(mean))
            weight = powers.weight.high
            # Products and roots, as the last bit of a power may depend on where in memory the numbers are.
            of_mean = third.high / (weight * weight * weight) / (variance * np.sqrt(variance))
            found = of_mean * (n * n * np.sqrt(n)) / ((n - 1) * (n - 2))
            varies = variance * n > (_LEAST_SKEWED * mean) ** 2
        return np.where(n > 2 + 1e-9, np.clip(np.where(varies, found, 0.0), -np.sqrt(n), np.sqrt(n)), np.nan)
