"""Importance that is a mean over examples of a change of the loss, as a mergeable accumulator.

Examples that share random numbers (donor rows, permutations) are in one cluster, and examples of different clusters
share none. The spread between clusters then holds every error there is: of the examples and of the random numbers.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

from tfx_explain.errors import InputError
from tfx_explain.summary.binned_sums import BinnedSums
from tfx_explain.summary.clusters import ClusteredEstimates
from tfx_explain.summary.counts import RowCount
from tfx_explain.summary.ratio import Array


@dataclasses.dataclass(frozen=True)
class LossImportanceSummary:
    """What a set of examples says about d players, in units of the loss or metric.

    Attributes:
      n_examples: examples of positive weight.
      n_effective: (sum w)^2 / sum w^2.
      value: (d,) mean change of the loss; below 0 where a player makes the model worse.
      std_error: (d,) its standard error; NaN below two clusters.
      ci_low: (d,) lower end of its interval (Student t over clusters).
      ci_high: (d,) upper end.
      rank: (d,) 1 = largest; equal values share the best rank.
      losses: mean losses by name.
      relative_error: largest standard error / (largest - smallest value), which `sage` aims at; NaN where all values
        are equal.
    """

    n_examples: int
    n_effective: float
    value: Array
    std_error: Array
    ci_low: Array
    ci_high: Array
    rank: npt.NDArray[np.int64]
    losses: dict[str, float]
    relative_error: float

    @classmethod
    def of(
        cls,
        estimates: ClusteredEstimates,
        n_examples: int,
        n_effective: float,
        losses: dict[str, float],
        confidence: float,
    ) -> LossImportanceSummary:
        """The summary that estimates of d players make, ranked and with two-sided intervals."""
        value, std_error = estimates.value, estimates.std_error
        ci_low, ci_high = estimates.interval(confidence)
        return cls(
            n_examples=n_examples,
            n_effective=n_effective,
            value=value,
            std_error=std_error,
            ci_low=ci_low,
            ci_high=ci_high,
            rank=np.asarray(1 + (value[None, :] > value[:, None]).sum(axis=1), dtype=np.int64),
            losses=losses,
            relative_error=float(std_error.max(initial=0.0)) / (float(np.ptp(value)) or np.nan),
        )

    def columns(self) -> dict[str, Any]:
        """The figures as table columns, a row per player."""
        names = ("value", "std_error", "ci_low", "ci_high", "rank")
        return {
            **{name: getattr(self, name) for name in names},
            "num_examples": self.n_examples,
            "num_effective_examples": self.n_effective,
        }


class LossImportanceAccumulator:
    """Sums over the examples of one (slice, method), cluster by cluster.

    What is estimated is a sum of terms, each a mean over examples of its own: all of them, or those that a costly
    correction was computed for.

    Args:
      n_players: d.
      loss_names: of the losses that are averaged beside the players.
      n_clusters: C.
      n_terms: T.

    Degrees of freedom count clusters as if they were (sum W)^2 / sum W^2 of equal weight.

    Example:
      >>> accumulator = LossImportanceAccumulator(1, ("loss",), n_clusters=2)
      >>> accumulator.add([[[1.0]], [[3.0]]], [[[0.5]], [[0.5]]], np.array([0, 1]))
      >>> accumulator.result().value
      array([2.])
    """

    def __init__(self, n_players: int, loss_names: tuple[str, ...], n_clusters: int, n_terms: int = 1) -> None:
        self.n_players = n_players
        self.loss_names = loss_names
        self._rows = RowCount()
        self._shape = (n_terms, n_clusters, 1 + n_players + len(loss_names))
        # Of each term and cluster the weights, and the weighted figures.
        self._sums = BinnedSums(n_terms * n_clusters, self._shape[-1])

    def add(
        self,
        values: npt.ArrayLike,
        losses: npt.ArrayLike,
        clusters: npt.NDArray[np.int64],
        weights: npt.ArrayLike | None = None,
    ) -> None:
        """Adds n examples; those of weight 0 add nothing.

        Args:
          values: (n, T, d) change of the loss; NaN in the terms that an example has no part in, not in the first.
          losses: (n, T, n_losses), NaN in the same terms.
          clusters: (n,) each example's cluster.
          weights: (n,) example weights >= 0; None = all 1.

        Raises:
          InputError: a shape does not fit, or a figure is not finite.
        """
        figures = np.concatenate([np.asarray(values, np.float64), np.asarray(losses, np.float64)], axis=2)
        n_terms, n_clusters, n_columns = self._shape
        w = np.ones(len(figures)) if weights is None else np.asarray(weights, dtype=np.float64)
        if figures.shape[1:] != (n_terms, n_columns - 1) or w.shape != (len(figures),):
            raise InputError(
                f"the examples need {n_terms} terms of {self.n_players} values and {len(self.loss_names)} losses, and "
                f"a weight each, got shapes {figures.shape} and {w.shape}."
            )
        if not np.isfinite(figures[:, 0]).all() or np.isinf(figures).any():
            raise InputError("a change of the loss is not finite; leave out examples whose loss is unknown.")
        self._rows.add(w)
        for term in range(n_terms):
            part = np.flatnonzero(~np.isnan(figures[:, term]).any(axis=1))
            weighted = np.concatenate([w[part, None], figures[part, term] * w[part, None]], axis=1)
            self._sums.add(weighted, term * n_clusters + clusters[part])

    def merge(self, other: LossImportanceAccumulator) -> None:
        """Adds everything that another accumulator of the same players, clusters and terms has seen."""
        self._rows.merge(other._rows)
        self._sums.merge(other._sums)

    def estimates(self) -> ClusteredEstimates:
        """(d,) mean changes of the loss; NaN where a term has no examples."""
        weights, totals, sums = self._summed()
        sums = sums[..., : self.n_players]
        of_terms = sums.sum(axis=1) / totals[:, None]
        # The fewest clusters of any term: the others are known better.
        n_clusters = float((totals**2 / (weights**2).sum(axis=1)).min()) if np.isfinite(totals).all() else 0.0
        residuals = sums - weights[..., None] * of_terms[:, None]
        return ClusteredEstimates(of_terms.sum(axis=0), (residuals / totals[:, None, None]).sum(axis=0), n_clusters)

    def result(self, confidence: float = 0.95) -> LossImportanceSummary:
        """The summary of all examples so far; NaN where a term has none."""
        _, totals, sums = self._summed()
        losses = (sums[..., self.n_players :].sum(axis=1) / totals[:, None]).sum(axis=0)
        return LossImportanceSummary.of(
            self.estimates(),
            self._rows.n_examples,
            self._rows.n_effective,
            dict(zip(self.loss_names, losses.tolist(), strict=True)),
            confidence,
        )

    def _summed(self) -> tuple[Array, Array, Array]:
        """Weights (T, C), those of all clusters (T,), NaN where there are none, and sums (T, C, d + n_losses)."""
        summed = self._sums.total().reshape(self._shape)
        weights = summed[..., 0]
        totals = weights.sum(axis=1)
        return weights, np.where(totals == 0, np.nan, totals), summed[..., 1:]
