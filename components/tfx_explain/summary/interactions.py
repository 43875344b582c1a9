"""Global pairwise interactions, as a mergeable accumulator."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from tfx_explain.errors import InputError
from tfx_explain.summary.moments import WeightedMoments
from tfx_explain.summary.ratio import Array, t_quantile


@dataclasses.dataclass(frozen=True)
class InteractionSummary:
    """What a set of per-example interactions says about each pair of players; all (n_pairs,), in units of the output.

    Attributes:
      n_examples: examples behind the means.
      mean_abs: mean |interaction|.
      std_error: its standard error over examples.
      ci_low: lower end of its interval (Student's t), not below 0.
      ci_high: upper end.
      mean_signed: mean interaction.
      mean_signed_std_error: its standard error.
    """

    n_examples: int
    mean_abs: Array
    std_error: Array
    ci_low: Array
    ci_high: Array
    mean_signed: Array
    mean_signed_std_error: Array


class InteractionAccumulator:
    """Sums over the examples of one (slice, output), for pairs of players in a fixed order."""

    def __init__(self, n_pairs: int) -> None:
        self.n_pairs = n_pairs
        self.n_examples = 0
        self._absolute = WeightedMoments.empty(n_pairs, full=False)
        self._signed = WeightedMoments.empty(n_pairs, full=False)

    def add(self, interactions: npt.ArrayLike, weights: npt.ArrayLike | None = None) -> None:
        """Adds a batch.

        Args:
          interactions: (n, n_pairs), finite.
          weights: (n,) example weights >= 0; None = all 1. An example of weight 0 does not count.

        Raises:
          InputError: the shapes do not fit, or a weight is negative or not finite.
        """
        values = np.asarray(interactions, np.float64)
        if values.ndim != 2 or values.shape[1] != self.n_pairs:
            raise InputError(f"`interactions` must have shape (n, {self.n_pairs}), got {values.shape}.")
        w = np.ones(len(values)) if weights is None else np.asarray(weights, np.float64)
        if w.shape != (len(values),) or not (np.isfinite(w) & (w >= 0)).all():
            raise InputError(f"`weights` must be {len(values)} finite numbers of 0 or more, one for each example.")
        self.n_examples += int(np.count_nonzero(w))
        self._absolute.add(np.abs(values), w)
        self._signed.add(values, w)

    def merge(self, other: InteractionAccumulator) -> None:
        """Adds everything that another accumulator has seen."""
        self.n_examples += other.n_examples
        self._absolute.merge(other._absolute)
        self._signed.merge(other._signed)

    def result(self, confidence: float = 0.95) -> InteractionSummary:
        """The summary of all examples so far; every mean is NaN where there were none."""
        mean_abs = self._absolute.mean_or_nan()
        std_error = np.sqrt(self._absolute.covariance_of_mean())
        half = t_quantile(0.5 + confidence / 2, self._absolute.n_effective - 1) * std_error
        return InteractionSummary(
            n_examples=self.n_examples,
            mean_abs=mean_abs,
            std_error=std_error,
            ci_low=np.maximum(mean_abs - half, 0.0),
            ci_high=mean_abs + half,
            mean_signed=self._signed.mean_or_nan(),
            mean_signed_std_error=np.sqrt(self._signed.covariance_of_mean()),
        )
