"""Where a feature is varied: the points of a partial dependence curve, the bins of accumulated local effects.

Both are made of values that were observed, so that every point can be put back into an example without rounding.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from tfx_explain.summary.ratio import Array

MAX_INTEGER_LEVELS = 10
"""Integers with at most this many different values are taken for codes or small counts, each a level of its own."""

Values = npt.NDArray[np.generic]
"""(n,) numbers or bytes."""

Value = float | int | bytes | None
"""One value of a feature as examples hold it; None where it is missing."""


@dataclasses.dataclass(frozen=True)
class Grid:
    """The points of one feature's curve.

    Attributes:
      feature: its name.
      values: what the feature is set to, ascending where it is a number; levels of text by frequency, most frequent
        first. None, the missing value, is last, if any row lacked the feature.
      fractions: (n_points,) summing to 1, the part of the rows that each point stands for: those of that level; of an
        ordered feature, a row between two points counts for both, the more the nearer, so that the mean of a curve with
        these weights is that of the line drawn through its points over the rows.
      ordered: whether the points lie on a line; otherwise each is a level by itself. A missing value never does.
      n_levels_left_out: levels that were too rare to be points.
      fraction_left_out: the part of the rows that had one of those.
    """

    feature: str
    values: tuple[Value, ...]
    fractions: tuple[float, ...]
    ordered: bool
    n_levels_left_out: int = 0
    fraction_left_out: float = 0.0

    @property
    def numbers(self) -> Array:
        """(n_points,) the values as numbers, NaN where they are none."""
        return np.array([float(v) if isinstance(v, int | float) else np.nan for v in self.values])


@dataclasses.dataclass(frozen=True)
class Bins:
    """Intervals that the values of one feature fall into, half open: a bin holds its upper edge, not its lower.

    Attributes:
      feature: its name.
      edges: n_bins + 1 of them, ascending and different.
    """

    feature: str
    edges: tuple[float | int, ...]

    @property
    def n_bins(self) -> int:
        """Number of bins."""
        return len(self.edges) - 1

    def bin_of(self, values: npt.ArrayLike) -> tuple[npt.NDArray[np.int64], Array]:
        """Where (n,) values fall.

        Values on or outside the outermost edges belong to the outermost bins: edges come from a sample of rows, which
        seldom holds the extremes.

        Returns:
          The bin of each value, -1 where it is NaN or infinite; and its place there, from 0 at the lower edge to 1 at
          the upper (also for values outside), 0 where it has no bin.
        """
        array = np.asarray(values, dtype=np.float64)
        bins = np.searchsorted(np.array(self.edges, np.float64), array, side="left") - 1
        bins = np.clip(bins, 0, self.n_bins - 1)
        edges, finite = np.array(self.edges, np.float64), np.isfinite(array)
        inside = np.where(finite, np.clip(array, edges[0], edges[-1]), edges[bins])
        # Halved, as the distance of the largest floats is none.
        return np.where(finite, bins, -1).astype(np.int64), (inside / 2 - edges[bins] / 2) / np.diff(edges / 2)[bins]


def choose_grid(feature: str, values: Values, n_missing: int, size: int) -> Grid | None:
    """The points of a feature, from a sample of its values; None where there would be only one.

    Numbers get quantiles, each an observed value, the smallest and the largest among them; all of their values, where
    these are at most `size`. Text, and integers of at most MAX_INTEGER_LEVELS different values, get a point per level,
    the `size` most frequent. NaN and infinite values are no points.

    Args:
      feature: its name.
      values: (n,) floats, integers or bytes of the rows that have one.
      n_missing: how many more rows lack the feature.
      size: points at most, the missing value not counted.
    """
    values = values[np.isfinite(values)] if values.dtype.kind == "f" else values
    distinct, counts = np.unique(values, return_counts=True)
    codes = values.dtype.kind in "iub" and len(distinct) <= min(MAX_INTEGER_LEVELS, size)
    n_rows = len(values) + n_missing
    left_out = 0
    if values.dtype.kind not in "iufb":
        kept = np.argsort(-counts, kind="stable")[:size]
        left_out = len(distinct) - len(kept)
        points, of_point = distinct[kept], counts[kept].astype(np.float64)
    else:
        points = distinct if len(distinct) <= size else _quantiles(values, size)
        of_point = _shared_out(distinct, counts, points)
    missing = [None] if n_missing else []
    if len(points) + len(missing) < 2:
        return None
    covered = np.array([*of_point, *[n_missing] * len(missing)], np.float64)
    return Grid(
        feature=feature,
        values=(*points.tolist(), *missing),
        fractions=tuple((covered / covered.sum()).tolist()),
        ordered=values.dtype.kind in "iufb" and not codes,
        n_levels_left_out=left_out,
        fraction_left_out=float(1 - covered.sum() / n_rows),
    )


def choose_bins(feature: str, values: Values, n_bins: int) -> Bins | None:
    """Bins of about equally many of the values, or one between any two neighbours where there are few different ones.

    Args:
      feature: its name.
      values: (n,) floats or integers; NaN and infinite ones are left out.
      n_bins: bins at most; ties make them fewer.

    Returns:
      The bins; None where there are not two different values.
    """
    values = values[np.isfinite(values)]
    distinct = np.unique(values)
    edges = distinct if len(distinct) <= n_bins + 1 else _quantiles(values, n_bins + 1)
    # Places in bins are floats: whole numbers above 2**53 that are one float64 are one edge.
    edges = edges[np.unique(edges.astype(np.float64), return_index=True)[1]]
    return Bins(feature, tuple(edges.tolist())) if len(edges) > 1 else None


def _shared_out(distinct: Values, counts: npt.NDArray[np.intp], points: Values) -> Array:
    """(n_points,) how many rows each point stands for, values between two points shared between them."""
    if len(points) < 2:
        return np.full(len(points), float(counts.sum()))
    # Neighbours above 2**53 are one float64, their distances more than an int64 holds, and those of the largest floats
    # more than a float64 does, if they are not halved.
    exact = [
        array.astype(object) if array.dtype.kind in "iu" else 0.5 * array.astype(np.float64)
        for array in (distinct, points)
    ]
    lower = np.clip(np.searchsorted(points, distinct, side="right") - 1, 0, len(points) - 2)
    upper_part = ((exact[0] - exact[1][lower]) / np.diff(exact[1])[lower]).astype(np.float64)
    shares = np.bincount(lower, weights=counts * (1 - upper_part), minlength=len(points))
    return np.asarray(shares + np.bincount(lower + 1, weights=counts * upper_part, minlength=len(points)))


def _quantiles(values: Values, n: int) -> Values:
    """At most n different observed values, the smallest and the largest among them."""
    # The inverse of the empirical distribution, in whole numbers: quantile k / (n - 1) is the ceil(k len / (n - 1))-th.
    places = -(-np.arange(n) * len(values) // (n - 1)) - 1
    return np.unique(np.sort(values)[np.maximum(places, 0)])
