"""Mean sizes of attributions without the bias of their noise, and the errors that examples share.

The size |x| of an estimate x = phi + e with normal noise e of standard deviation s is too large on average: by 0.8 s
where phi is 0. No function of x is free of bias for every phi, since |phi| has a corner (Cai & Low); the smaller the
worst bias, the larger the variance. Taken is

    |x| + s (c u^2 - a) w(u),  u = x / s,  w(u) = (1 - u^2 / 16)^8 for |u| < 4, else 0,

with c and a such that the bias is 0 where phi is 0 in every example, and also where the phi of examples spread evenly
about 0 (the integral of the bias over phi is 0). In between it is 0.3 s at worst, where |phi| is 0.3 to 1 s in every
example, and its standard deviation at most 1.6 s, against 0.6 to 1 s of |x|. Without noise it is |x| to the last bit.

Two errors remain that the spread over examples does not show. Examples of one design share its coalitions, so their
noise goes together; how much is learned from how the means of designs differ, over all players, and moderated towards
that for each. And what bias may be left, by the formula or since s itself is an estimate, is allowed for as an error:
`_OWN_BIAS` s for each player and `_COMMON_BIAS` s for all alike, over examples whose phi may be near 0. Both
are ours, found by simulation (`benchmarks/coverage.py`).

Source: T. T. Cai, M. G. Low, "Testing composite hypotheses, Hermite polynomials and optimal estimation of a nonsmooth
functional", Annals of Statistics 39 (2011) 1012-1041, for what is possible; the formula is ours. G. K. Smyth, "Linear
models and empirical Bayes methods", SAGMB 3 (2004), article 3, for moderated variances of few degrees of freedom.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tfx_explain.summary.binned_sums import OF_ONE_SIGN, BinnedSums
from tfx_explain.summary.moments import WeightedMoments
from tfx_explain.summary.ratio import Array

MAX_DESIGNS = 8
"""Designs that can be told apart."""

# Solve E |Z| + E (c Z^2 - a) w(Z) = 0, Z standard normal, and 1 + integral of (c u^2 - a) w(u) = 0; the integral over
# phi of E |phi + Z| - |phi| is 1.
_C, _A = 1.979642417943, 2.084376106693

_REACH = 4.0
_OWN_BIAS = 0.2
_COMMON_BIAS = 0.1
_PRIOR_DESIGNS = 8.0
# Of the noise's variance, where a single design leaves nothing to learn it from.
_SHARED = 0.05


def debiased_sizes(values: Array, noise: Array) -> tuple[Array, Array]:
    """Sizes of estimates without the bias of their noise, and what of it may be left.

    Args:
      values: estimates.
      noise: of their shape, standard deviations of their errors; NaN where unknown.

    Returns:
      The sizes, which may be below 0 by chance, and the noise of those that may be near 0. Where noise is unknown, so
      is the latter, and the size is |value|.
    """
    sizes = np.abs(values)
    noisy = noise > 0
    if not noisy.any():
        return sizes, np.where(np.isnan(noise), np.nan, 0.0)
    with np.errstate(over="ignore"):
        far = np.minimum(np.divide(sizes, noise, out=np.zeros_like(sizes), where=noisy), 2 * _REACH)
    scaled = far * far
    correction = np.where(noisy, noise * (_C * scaled - _A) * _bell(scaled / _REACH**2), 0.0)
    return sizes + correction, noise * _bell(scaled / (2 * _REACH) ** 2)


def _bell(squares: Array) -> Array:
    """(1 - x)^8 for x below 1, else 0: by products alone, whose bits are the same on every machine."""
    rest = np.maximum(1.0 - squares, 0.0)
    for _ in range(3):
        rest = rest * rest
    return np.asarray(rest)


class DesignMoments:
    """Running moments of (n, d) values, and of those of each design.

    Attributes:
      moments: of all values.
      designs: (n_designs - 1, 1 + d) sums of weights of each design's rows, and weighted sums of their values. The
        first one, to which most explanations come, has what the others leave; those beyond the last one that was seen
        are left out.
    """

    def __init__(self, moments: WeightedMoments, designs: BinnedSums) -> None:
        self.moments, self.designs = moments, designs

    @classmethod
    def empty(cls, n_columns: int, *, full: bool, third: bool = False) -> DesignMoments:
        """No rows yet; `full` keeps covariances, otherwise variances only; `third` keeps third moments."""
        return cls(WeightedMoments.empty(n_columns, full=full, third=third), BinnedSums(0, 1 + n_columns))

    def add(self, values: Array, weights: Array, design_ids: npt.NDArray[np.int64]) -> None:
        """Adds rows: values (n, d), weights (n,) >= 0, designs (n,) from 0 to MAX_DESIGNS - 1."""
        self.moments.add(values, weights)
        later = design_ids > 0
        if later.any():
            w, designs = weights[later, None], design_ids[later] - 1
            self._make_room(int(designs.max()) + 1)
            self.designs.add(np.concatenate([w, w * values[later]], axis=1), designs)

    def _make_room(self, n_designs: int) -> None:
        if n_designs > len(self.designs.top):
            self.designs = self.designs.grown(n_designs)

    def merge(self, other: DesignMoments) -> None:
        """Adds the rows that another one has seen."""
        self.moments.merge(other.moments)
        n_designs = len(other.designs.top)
        self._make_room(n_designs)
        self.designs.merge_at(slice(0, n_designs), other.designs)

    def without(self, part: DesignMoments) -> DesignMoments:
        """The moments of the rows that are not in `part`: those of this one, less some that it has seen."""
        designs = self.designs.without(part.designs.grown(len(self.designs.top)))
        return DesignMoments(self.moments.without(part.moments), designs)

    def variances(self) -> DesignMoments:
        """The same without covariances; not to be added to."""
        return DesignMoments(self.moments.variances(), self.designs)

    def of_designs(self) -> Array:
        """(n_designs, 1 + d) weights of each design's rows, and weighted sums of their values."""
        first = self.moments.of_groups.weighted_sums().without(self.designs.together())
        return np.concatenate([first.total(), self.designs.total()])


class NoisyMoments:
    """Running moments of (n, d) values of which each has noise, and rows of one design have noise in common.

    Attributes:
      values: moments of the values.
      noise: (1, 2 d) weighted sums of the variances of the noise, and of the noise that may have left a bias.
    """

    def __init__(self, values: DesignMoments, noise: BinnedSums) -> None:
        self.values, self.noise = values, noise

    @classmethod
    def empty(cls, n_columns: int, *, full: bool, third: bool = False) -> NoisyMoments:
        """No rows yet; `full` keeps covariances, otherwise variances only; `third` keeps third moments."""
        noise = BinnedSums(1, 2 * n_columns, OF_ONE_SIGN)
        return cls(DesignMoments.empty(n_columns, full=full, third=third), noise)

    def add(
        self, values: Array, weights: Array, variance: Array, doubt: Array, design_ids: npt.NDArray[np.int64]
    ) -> None:
        """Adds rows.

        Args:
          values: (n, d).
          weights: (n,) >= 0.
          variance: (n, d) of the noise.
          doubt: (n, d) noise that may have left a bias; 0 where the values have none.
          design_ids: (n,) of each row, from 0 to MAX_DESIGNS - 1.
        """
        self.values.add(values, weights, design_ids)
        self.noise.add(weights[:, None] * np.concatenate([variance, doubt], axis=1))

    def merge(self, other: NoisyMoments) -> None:
        """Adds the rows that another one has seen."""
        self.values.merge(other.values)
        self.noise.merge(other.noise)

    def without(self, part: NoisyMoments) -> NoisyMoments:
        """The moments of the rows that are not in `part`: those of this one, less some that it has seen."""
        return NoisyMoments(self.values.without(part.values), self.noise.without(part.noise))

    def variances(self) -> NoisyMoments:
        """The same without covariances; not to be added to."""
        return NoisyMoments(self.values.variances(), self.noise)

    def of_unbiased(self, values: DesignMoments) -> NoisyMoments:
        """Moments of other values of the same rows and noise, which left no bias in them; not to be added to."""
        n_columns = self.noise.top.shape[1] // 2
        variance = self.noise.take(slice(None), slice(n_columns))
        return NoisyMoments(values, BinnedSums.beside([variance, BinnedSums(1, n_columns, OF_ONE_SIGN)]))

    @property
    def moments(self) -> WeightedMoments:
        """Of the values."""
        return self.values.moments

    @property
    def weight(self) -> float:
        """Sum of weights."""
        return self.moments.weight

    @property
    def n_effective(self) -> float:
        """(sum w)^2 / sum w^2: the number of equally weighted rows that would give the same error."""
        return self.moments.n_effective

    def mean_or_nan(self) -> Array:
        """The (d,) weighted mean; NaN before the first row."""
        return self.moments.mean_or_nan()

    def covariance_of_mean(self) -> Array:
        """Covariance (d, d), or variances (d,), of the weighted mean, all errors together; NaN below two rows.

        NaN too for values whose noise is not known.
        """
        found = self.moments.covariance_of_mean()
        own, common = self.beyond_rows()
        if not (own.any() or common.any()):
            return found
        if found.ndim == 1:
            return found + (own + common**2)
        # Of thousands of players each matrix takes more memory than all else.
        together = np.outer(common, common)
        np.einsum("ii->i", together)[:] += own
        together += found
        return together

    def beyond_rows(self) -> tuple[Array, Array]:
        """Variances (d,) of what the spread over rows does not show of each mean, and an error (d,) of all alike."""
        doubt = self._of_noise()[1] / (self.weight or np.nan)
        return self._shared() + (_OWN_BIAS * doubt) ** 2, _COMMON_BIAS * doubt

    def _of_noise(self) -> Array:
        """(2, d) weighted sums of the variances of the noise, and of the noise that may have left a bias."""
        return self.noise.total().reshape(2, -1)

    def _shared(self) -> Array:
        """(d,) variances that means have since rows of one design share noise, beyond those of independent rows."""
        noise = self._of_noise()[0] / (self.weight or np.nan)
        noisy = noise > 0
        if not noisy.any():
            return np.where(np.isnan(noise), np.nan, 0.0)
        rows = self.moments.variances().covariance_of_mean()
        if np.isnan(rows).all():
            return np.where(np.isnan(noise), np.nan, 0.0)
        designs = self.values.of_designs()
        used = designs[:, 0] > 0
        n_designs = int(used.sum())
        if n_designs < 2:
            return np.where(noise == 0, 0.0, _SHARED * noise)
        centred = designs[used, 1:] - designs[used, :1] * self.moments.mean
        of_designs = np.square(centred / self.weight).sum(axis=0) * n_designs / (n_designs - 1)
        known = np.where(noisy, noise, 0.0)
        trust = np.divide(known, rows, out=np.zeros_like(rows), where=noisy & (rows > 0)) ** 2
        excess = np.divide(of_designs - rows, known, out=np.zeros_like(rows), where=noisy)
        share = float(np.clip(trust @ excess / trust.sum(), 0.0, 1.0)) if trust.any() else _SHARED
        freedom = n_designs - 1.0
        moderated = (_PRIOR_DESIGNS * share * known + freedom * (of_designs - rows)) / (_PRIOR_DESIGNS + freedom)
        # The variance of Student's t of so many degrees of freedom, since bounds take those of the rows.
        freedom += _PRIOR_DESIGNS
        # Examples share no more than all of their noise; what designs differ by beyond it is chance of their examples.
        extra = np.clip(moderated, 0.0, known) * freedom / (freedom - 2)
        return np.where(np.isnan(noise), np.nan, np.where(noisy, extra, 0.0))
