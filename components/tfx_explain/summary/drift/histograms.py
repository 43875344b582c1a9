"""How far the distribution of one player's attributions has moved, on bins that the baseline fixes."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from tfx_explain.summary.drift.bounds import N_DRAWS, Bounds, bootstrap_bounds
from tfx_explain.summary.ratio import Array

N_BINS = 10
_MAX_POINTS = 256


@dataclasses.dataclass(frozen=True)
class ReferenceBins:
    """Bins between quantiles of the baseline's attributions, and one for zero.

    Attributes:
      edges: (n_bins - 1,) interior edges; the outer bins are open, so that what is beyond the baseline's range counts.
      zero: attributions of at most this size are zero.
    """

    edges: Array
    zero: float

    @classmethod
    def of(cls, values: Array, weights: Array, zero: float = 0.0, n_bins: int = N_BINS) -> ReferenceBins:
        """Bins that hold equal parts of the baseline's attributions that are not zero.

        Args:
          values: (n,) attributions of one player in the baseline.
          weights: (n,) > 0.
          zero: largest size of an attribution that counts as zero.
          n_bins: how many, without the one for zero; fewer where values repeat.
        """
        kept = np.abs(values) > zero
        edges = _quantiles(values[kept], weights[kept], np.arange(1, n_bins) / n_bins) if kept.any() else np.zeros(0)
        return cls(np.unique(edges), zero)

    def fractions(self, values: Array, weights: Array) -> Array:
        """(n_bins + 1,) weight in each bin, the one for zero first; sum 1."""
        bins = np.where(np.abs(values) <= self.zero, 0, 1 + np.searchsorted(self.edges, values, side="left"))
        counts = np.bincount(bins, weights, minlength=len(self.edges) + 2)
        return np.asarray(counts / counts.sum())


def jensen_shannon(ours: Array, theirs: Array) -> Array:
    """Jensen-Shannon divergence of fractions (..., n_bins), in bits: 0 where they are equal, 1 where they share no bin.

    Source: J. Lin, "Divergence measures based on the Shannon entropy", IEEE Trans. Inf. Theory 37 (1991) 145-151.
    """
    middle = (ours + theirs) / 2
    return np.asarray((_relative_entropy(ours, middle) + _relative_entropy(theirs, middle)) / 2)


def l_infinity(ours: Array, theirs: Array) -> Array:
    """The largest difference of the fractions in any bin, (..., n_bins) to (...)."""
    return np.asarray(np.abs(ours - theirs).max(axis=-1))


def histogram_bounds(
    ours: tuple[Array, Array],
    theirs: tuple[Array, Array],
    measure: str,
    confidence: float,
    fail_confidence: float,
    *,
    scale: float,
    rng: np.random.Generator,
) -> Bounds:
    """Bounds of a distance between two distributions, by a multinomial bootstrap of the bins of both.

    Args:
      ours: the candidate's attributions of one player and their weights, (n,) each.
      theirs: the baseline's, (m,) each.
      measure: a key of `DISTANCES`.
      confidence: of the upper bound.
      fail_confidence: of the lower one.
      scale: total importance in the baseline: what `wasserstein` is divided by, and what zero is relative to.
      rng: of the draws.
    """
    distance: Callable[[Array, Array], Array]
    if measure == "wasserstein":
        points = _grid(np.concatenate([ours[0], theirs[0]]))
        widths = np.diff(points, append=points[-1]) / (scale or 1.0)
        fractions = [_at_points(points, *side) for side in (ours, theirs)]

        distance, largest = functools.partial(_area_between, widths=widths), float(widths.sum())
    else:
        bins = ReferenceBins.of(*theirs, zero=_ZERO * scale)
        fractions = [bins.fractions(*side) for side in (ours, theirs)]
        distance, largest = DISTANCES[measure], 1.0
    drawn = [
        rng.multinomial(max(round(n_effective(side[1])), 1), p, N_DRAWS)
        for side, p in zip((ours, theirs), fractions, strict=True)
    ]
    ours_drawn, theirs_drawn = (counts / counts.sum(axis=1, keepdims=True) for counts in drawn)
    return bootstrap_bounds(
        float(distance(*fractions)),
        distance(ours_drawn, theirs_drawn),
        confidence,
        # The divergence is no norm; its bootstrap errs on the safe side.
        noise=None if measure == "jensen_shannon" else distance(ours_drawn - fractions[0], theirs_drawn - fractions[1]),
        fail_confidence=fail_confidence,
        largest=largest,
    )


DISTANCES: Mapping[str, Callable[[Array, Array], Array]] = {"jensen_shannon": jensen_shannon, "l_infinity": l_infinity}


def _area_between(ours: Array, theirs: Array, *, widths: Array) -> Array:
    """The area between two distribution functions: how far one has to move to become the other, on average."""
    return np.asarray(np.abs(np.cumsum(ours - theirs, axis=-1)) @ widths)


_ZERO = 1e-6
"""Attributions below this fraction of all importance are zero: most models compute in 32-bit floats."""


def n_effective(weights: Array) -> float:
    """(sum w)^2 / sum w^2."""
    return float(weights.sum() ** 2 / (weights**2).sum())


def _relative_entropy(p: Array, q: Array) -> Array:
    ratio = np.divide(p, q, out=np.ones_like(p), where=p > 0)
    return np.asarray((p * np.log2(ratio)).sum(axis=-1))


def _quantiles(values: Array, weights: Array, fractions: npt.ArrayLike) -> Array:
    """The smallest values below or at which each fraction of the weight lies."""
    order = np.argsort(values, kind="stable")
    below = np.cumsum(weights[order])
    index = np.searchsorted(below / below[-1], np.asarray(fractions) - 1e-12)
    return np.asarray(values[order][np.minimum(index, len(values) - 1)])


def _grid(values: Array) -> Array:
    """Where distribution functions are compared: all different values, or as many quantiles as are enough."""
    points = np.unique(values)
    if len(points) <= _MAX_POINTS:
        return points
    return np.asarray(points[np.linspace(0, len(points) - 1, _MAX_POINTS).round().astype(int)])


def _at_points(points: Array, values: Array, weights: Array) -> Array:
    """The weight between each point and the one before it, as fractions; points reach to the largest value."""
    counts = np.bincount(np.searchsorted(points, values, side="left"), weights, minlength=len(points))
    return np.asarray(counts / counts.sum())
