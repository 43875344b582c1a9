"""How far the distribution of one player's attributions has moved, on bins that the baseline fixes."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt
from scipy import special

from tfx_explain.judgement.bounds import Bounds
from tfx_explain.judgement.drift.bootstrap import N_DRAWS, distance_bounds
from tfx_explain.judgement.drift.transport import wasserstein_bounds
from tfx_explain.judgement.drift.values import Levels, Scale, Values
from tfx_explain.summary.ratio import Array

N_BINS = 10
_LEAST_IN_BIN = 5
"""Where either side has fewer rows for each bin than this, bins say what these rows happened to be."""


@dataclasses.dataclass(frozen=True)
class ReferenceBins:
    """Bins between quantiles of the baseline's attributions, and one for zero.

    Attributes:
      edges: (n_bins - 1,) interior edges; the outer bins are open, so that what is beyond the baseline's range counts.
      zero: attributions of at most this size are zero.
      levels: (n_bins - 1,) fraction of the baseline below each edge that it was made for; the mean one of those that
        fell together.
    """

    edges: Array
    zero: float
    levels: Array

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
        if not kept.any():
            return cls(np.zeros(0), zero, np.zeros(0))
        levels = np.arange(1, n_bins) / n_bins
        edges, which = np.unique(_quantiles(values[kept], weights[kept], levels), return_inverse=True)
        return cls(edges, zero, np.bincount(which, levels) / np.bincount(which))

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
    nats = special.rel_entr(ours, middle).sum(axis=-1) + special.rel_entr(theirs, middle).sum(axis=-1)
    return np.asarray(nats / (2 * math.log(2)))


def l_infinity(ours: Array, theirs: Array) -> Array:
    """The largest difference of the fractions in any bin, (..., n_bins) to (...)."""
    return np.asarray(np.abs(ours - theirs).max(axis=-1))


def histogram_bounds(
    ours: Values, theirs: Values, measure: str, levels: Levels, scale: Scale, rng: np.random.Generator
) -> Bounds:
    """Bounds of a distance between two distributions, by a bootstrap of both.

    The bins are quantiles of a sample. The distance is meant either on these very bins, or on the quantiles of all rows
    like the baseline's, on which another sample of them would measure it; the bounds hold for both.

    Args:
      ours: the candidate's attributions of one player, (n,).
      theirs: the baseline's, (m,).
      measure: a key of `DISTANCES`, or `wasserstein`.
      levels: the confidence of either bound.
      scale: what `wasserstein` is divided by, and what zero is relative to.
      rng: of the draws.
    """
    if measure == "wasserstein":
        return wasserstein_bounds(ours, theirs, levels, scale, N_DRAWS, rng)
    zero = _ZERO * scale.value
    bounds = _bounds_on(ReferenceBins.of(*theirs, zero), ours, theirs, measure, levels, rng)
    two = ReferenceBins(np.zeros(0), zero, np.zeros(0))
    not_zero = [side.size * two.fractions(*side)[1] for side in (ours, theirs)]
    n_bins = int(min(not_zero)) // _LEAST_IN_BIN
    if measure == "jensen_shannon" and n_bins < N_BINS:
        # Bins of a row or two fit the very rows that made them. Where bins are joined the divergence can only fall.
        coarse = ReferenceBins.of(*theirs, zero, max(n_bins, 1))
        on_coarse = _bounds_on(coarse, ours, theirs, measure, levels, rng)
        bounds = dataclasses.replace(bounds, low=min(bounds.low, on_coarse.low))
    return bounds


def _bounds_on(
    bins: ReferenceBins, ours: Values, theirs: Values, measure: str, levels: Levels, rng: np.random.Generator
) -> Bounds:
    """The bounds on these bins, whatever the baseline's error does to them and whatever they were not seen to hold."""
    estimates, sizes = (bins.fractions(*ours), bins.fractions(*theirs)), (ours.size, theirs.size)
    distance, of_draws = DISTANCES[measure], []
    baseline = rng.multinomial(sizes[1], estimates[1], N_DRAWS) / sizes[1]
    moved, moved_baseline = moved_bins(bins, ours, theirs, baseline)
    # The same draws of the baseline twice: on the bins as they are, and on those that each draw would have led to.
    for ours_drawn, theirs_drawn in (
        (rng.multinomial(sizes[0], estimates[0], N_DRAWS) / sizes[0], baseline),
        (rng.multinomial(sizes[0], moved, N_DRAWS) / sizes[0], moved_baseline),
        tuple(_with_unseen(*side, rng) for side in zip(estimates, sizes, strict=True)),
    ):
        # The divergence is no norm; its bootstrap errs on the safe side.
        is_norm = measure != "jensen_shannon"
        noise = distance(ours_drawn - estimates[0], theirs_drawn - estimates[1]) if is_norm else None
        drawn, value = distance(ours_drawn, theirs_drawn), float(distance(*estimates))
        of_draws.append(distance_bounds(value, drawn, noise, levels, largest=1.0))
    return Bounds(of_draws[0].value, min(each.low for each in of_draws), max(each.high for each in of_draws))


def _with_unseen(fractions: Array, size: int, rng: np.random.Generator) -> Array:
    """(N_DRAWS, n_bins + 1) fractions that may lie behind these, each as if one more row were in its bin.

    Of few rows in a bin, or none, a bootstrap shows too little: it never draws what was not seen. A gamma variable of
    one row more has the upper bound of C. J. Clopper, E. S. Pearson, Biometrika 26 (1934) 404-413.
    """
    drawn = rng.gamma(fractions * size + 1, size=(N_DRAWS, len(fractions)))
    return np.asarray(drawn / drawn.sum(axis=1, keepdims=True))


def moved_bins(bins: ReferenceBins, ours: Values, theirs: Values, drawn: Array) -> tuple[Array, Array]:
    """What both sides would have in their bins had the baseline come out otherwise, and the bins with it.

    Where a draw has more of the baseline below an edge than the estimate has, the quantile lies lower by as much, and
    the candidate's attributions between the two places change bins: many where it is dense and the baseline is not. An
    edge that many attributions equal stays where it is.

    Args:
      bins: of the baseline.
      ours: the candidate's attributions of one player, (n,).
      theirs: the baseline's, (m,).
      drawn: (n_draws, n_bins + 1) fractions of the baseline in the bins as they are.

    Returns:
      (n_draws, n_bins + 1) expected fractions of the candidate, and fractions of the baseline.

    Source: R. R. Bahadur, "A note on quantiles in large samples", Ann. Math. Statist. 37 (1966) 577-580.
    """
    (values, below), (ours_values, ours_below) = (_distribution(*side, bins.zero) for side in (theirs, ours))
    ours_zero = bins.fractions(*ours)[0]
    others = 1 - drawn[:, :1]
    if not len(bins.edges):
        return np.tile([ours_zero, 1 - ours_zero], (len(drawn), 1)), np.concatenate([drawn[:, :1], others], axis=1)
    at = np.searchsorted(values, bins.edges, side="right") - 1
    more = np.cumsum(drawn[:, 1:-1], axis=1) / np.maximum(others, 1e-300) - below[at]
    place = np.searchsorted(below, np.clip(bins.levels - more, 0.0, 1.0) - 1e-12)
    place = np.minimum(np.maximum.accumulate(place, axis=1), len(values) - 1)
    ours_at = np.concatenate([[0.0], ours_below])[np.searchsorted(ours_values, values, side="right")]
    theirs_at = np.clip(below[np.searchsorted(values, values, side="right") - 1][place] + more, 0.0, 1.0)
    ours_part, theirs_part = _between(ours_at[place]), _between(np.maximum.accumulate(theirs_at, axis=1))
    zeros = np.full((len(drawn), 1), ours_zero)
    return (
        np.concatenate([zeros, (1 - ours_zero) * ours_part], axis=1),
        np.concatenate([drawn[:, :1], others * theirs_part], axis=1),
    )


def _between(below: Array) -> Array:
    """(n, n_edges + 1) fractions between edges, from those below each."""
    return np.diff(below, axis=1, prepend=0.0, append=1.0)


def _distribution(values: Array, weights: Array, zero: float) -> tuple[Array, Array]:
    """The values that are not zero in order, (k,), and the fraction of their weight up to each, (k,)."""
    kept = np.abs(values) > zero
    order = np.argsort(values[kept], kind="stable")
    below = np.cumsum(weights[kept][order])
    return values[kept][order], below / below[-1] if len(below) else below


DISTANCES: Mapping[str, Callable[[Array, Array], Array]] = {"jensen_shannon": jensen_shannon, "l_infinity": l_infinity}


_ZERO = 1e-6
"""Attributions below this fraction of all importance are zero: most models compute in 32-bit floats."""


def _quantiles(values: Array, weights: Array, fractions: npt.ArrayLike) -> Array:
    """The smallest values below or at which each fraction of the weight lies."""
    order = np.argsort(values, kind="stable")
    below = np.cumsum(weights[order])
    index = np.searchsorted(below / below[-1], np.asarray(fractions) - 1e-12)
    return np.asarray(values[order][np.minimum(index, len(values) - 1)])
