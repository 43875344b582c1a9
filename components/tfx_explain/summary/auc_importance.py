"""Importance as a loss of AUC, as a mergeable accumulator: weighted histograms of scores by class."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from tfx_explain.errors import InputError
from tfx_explain.summary.binned_sums import IntArray, unit, whole_units
from tfx_explain.summary.clusters import ClusteredEstimates
from tfx_explain.summary.counts import RowCount
from tfx_explain.summary.loss_importance import LossImportanceSummary
from tfx_explain.summary.ratio import Array
from tfx_explain.summary.score_bins import ScoreBins

_Added = tuple[ScoreBins, npt.NDArray[np.int64], npt.NDArray[np.int64], Array]


class AucImportanceAccumulator:
    """How far the AUC falls when a player's features come from donors, over the examples of one slice.

    An AUC is the weighted share of pairs of an example of class 1 and one of class 0 in which the former scores higher;
    with donors, over all of their scores. Pairs in one bin count half, so an AUC is off by at most half the share of
    pairs that are in one bin, about 1 / 2,000 for as many bins as `choose_score_edges` makes, and by nothing where only
    equal scores share a bin. Both classes are mixed within a bin, so the real error is some 100 times less than that.

    The standard error is that of the linearised difference: each example adds how often it is ranked right, in both
    AUCs, and clusters are what varies. How often is counted in groups of bins, which with those of
    `choose_group_starts` changes it little, with ties or without. Where classes hardly overlap groups tell too little
    apart, and it is too large, not too small, for players that move the AUC by next to nothing.

    Few examples are kept as they are, so that small slices need little memory; many as sums.

    Args:
      n_players: d.
      n_bins: B.
      n_clusters: C.
      group_starts: (G,) first bins of the groups of bins that clusters are told apart by, from 0.

    Source: E. R. DeLong, D. M. DeLong, D. L. Clarke-Pearson, "Comparing the areas under two or more correlated receiver
    operating characteristic curves", Biometrics 44 (1988) 837-845; their placements summed by cluster as in N. A.
    Obuchowski, "Nonparametric analysis of clustered ROC curve data", Biometrics 53 (1997) 567-578.

    Example:
      >>> accumulator = AucImportanceAccumulator(1, n_bins=4, n_clusters=2, group_starts=np.arange(4))
      >>> accumulator.add([[[3], [1]], [[0], [1]]], np.array([1, 0]), np.array([0, 1]))
      >>> accumulator.result().value
      array([0.5])
    """

    def __init__(self, n_players: int, n_bins: int, n_clusters: int, group_starts: ScoreBins) -> None:
        self.n_players = n_players
        self.n_bins = n_bins
        self.n_clusters = n_clusters
        self.group_starts = group_starts
        self._rows = RowCount()
        self._added: list[_Added] = []
        # By the number of a bin of `BinnedSums`, since whole units of weight add up without rounding.
        self._sums: dict[int, tuple[IntArray, IntArray]] = {}

    def add(
        self,
        bins: npt.ArrayLike,
        labels: npt.NDArray[np.int64],
        clusters: npt.NDArray[np.int64],
        weights: npt.ArrayLike | None = None,
    ) -> None:
        """Adds n examples; those of weight 0 add nothing.

        Args:
          bins: (n, 1 + d, K) bins of the model's own score, repeated, and of those with each player's features from K
            donors.
          labels: (n,) 0 or 1.
          clusters: (n,) each example's cluster.
          weights: (n,) example weights >= 0; None = all 1.

        Raises:
          InputError: a shape or a label does not fit.
        """
        found = np.asarray(bins, dtype=np.uint16)
        w = np.ones(len(found)) if weights is None else np.asarray(weights, dtype=np.float64)
        if found.ndim != 3 or found.shape[1] != 1 + self.n_players or w.shape != (len(found),):
            raise InputError(
                f"the examples need {1 + self.n_players} times as many bins as donors, and a weight each, got shapes "
                f"{found.shape} and {w.shape}."
            )
        if not np.isin(labels, (0, 1)).all():
            raise InputError("a label is neither 0 nor 1; leave out examples of no class.")
        kept = w > 0
        self._rows.add(w)
        self._added.append((found[kept], labels[kept].astype(np.int64), clusters[kept], w[kept]))
        self._settle()

    def merge(self, other: AucImportanceAccumulator) -> None:
        """Adds everything that another accumulator of the same players, bins, clusters and groups has seen."""
        self._rows.merge(other._rows)
        self._added = self._added + other._added
        self._sums = dict(self._sums)
        _gather(self._sums, other._sums)
        self._settle()

    def _settle(self) -> None:
        """Turns examples into sums once they are the larger of the two."""
        n_cells = 2 * (1 + self.n_players) * (self.n_bins + self.n_clusters * len(self.group_starts))
        if sum(bins.size for bins, *_ in self._added) > n_cells:
            self._sums, self._added = self._counted(), []

    def _counted(self) -> dict[int, tuple[IntArray, IntArray]]:
        """Whole units of weight of all examples, as `_summed`."""
        n_scores, n_groups = 1 + self.n_players, len(self.group_starts)
        by_bin, by_group = (2, n_scores, self.n_bins), (self.n_clusters, 2, n_scores, n_groups)
        counted = dict(self._sums)
        if not self._added:
            return counted
        bins, labels, clusters, weights = (np.concatenate(parts) for parts in zip(*self._added, strict=True))
        score, row = np.arange(n_scores)[:, None], labels[:, None, None] * n_scores
        fine = (row + score) * self.n_bins + bins
        groups = np.searchsorted(self.group_starts, bins, side="right") - 1
        coarse = (clusters[:, None, None] * 2 * n_scores + row + score) * n_groups + groups
        for number, units in whole_units(weights):
            each = np.repeat(units, bins[0].size)
            sums = [
                np.bincount(cells.ravel(), weights=each, minlength=math.prod(shape)).reshape(shape).astype(np.int64)
                for cells, shape in ((fine, by_bin), (coarse, by_group))
            ]
            _gather(counted, {number: (sums[0], sums[1])})
        return counted

    def _summed(self) -> tuple[Array, Array]:
        """Weights of all examples: (2, 1 + d, B) by class, scores and bin; (C, 2, 1 + d, G) by cluster and group."""
        n_scores = 1 + self.n_players
        by_bin = np.zeros((2, n_scores, self.n_bins))
        by_group = np.zeros((self.n_clusters, 2, n_scores, len(self.group_starts)))
        for number, (of_bins, of_groups) in sorted(self._counted().items()):
            by_bin += of_bins * unit(number)
            by_group += of_groups * unit(number)
        return by_bin, by_group

    def estimates(self) -> ClusteredEstimates:
        """(d,) AUC of the model less that with donors; NaN where a class has no examples."""
        return self._estimates(*self._summed())

    def _estimates(self, by_bin: Array, by_group: Array) -> ClusteredEstimates:
        of_clusters = by_group[:, :, 0].sum(axis=2)
        totals = of_clusters.sum(axis=0)
        if not totals.all():
            nothing = np.full(self.n_players, np.nan)
            return ClusteredEstimates(nothing, np.full((self.n_clusters, self.n_players), np.nan), 0.0)
        # The fewest clusters of either class: the other is known better.
        n_clusters = float((totals**2 / (of_clusters**2).sum(axis=0)).min())
        areas, residuals = _areas(by_bin), _residuals(by_group)
        return ClusteredEstimates(areas[0] - areas[1:], residuals[:, :1] - residuals[:, 1:], n_clusters)

    def result(self, confidence: float = 0.95) -> LossImportanceSummary:
        """The summary of all examples so far; NaN where a class has none.

        Its `losses` are `auc`, the model's own, and `max_binning_error`: no value is off by more, since only the order
        within bins is unknown. It is half of the pairs that share a bin, ties included, although those count right.
        """
        by_bin, by_group = self._summed()
        estimates = self._estimates(by_bin, by_group)
        known = bool(np.isfinite(estimates.value).all())
        in_one_bin = (_fractions(by_bin).prod(axis=0).sum(axis=1) / 2) if known else np.full(1, np.nan)
        losses = {
            "auc": float(_areas(by_bin[:, :1])[0]) if known else np.nan,
            "max_binning_error": float(in_one_bin[0] + in_one_bin[1:].max(initial=0.0)),
        }
        rows = self._rows
        return LossImportanceSummary.of(estimates, rows.n_examples, rows.n_effective, losses, confidence)


def _gather(counted: dict[int, tuple[IntArray, IntArray]], more: dict[int, tuple[IntArray, IntArray]]) -> None:
    """Adds counts of units by bin; the arrays that there are stay as they are."""
    for number, (of_bins, of_groups) in more.items():
        if number in counted:
            ours = counted[number]
            of_bins, of_groups = ours[0] + of_bins, ours[1] + of_groups
        counted[number] = of_bins, of_groups


def _fractions(weights: Array) -> Array:
    """The weights of (..., n_bins) as parts of each histogram's sum."""
    return np.asarray(weights / weights.sum(axis=-1, keepdims=True))


def _areas(weights: Array) -> Array:
    """(n_scores,) AUCs from (2, n_scores, n_bins) weights of class 0 and class 1."""
    negative, positive = weights
    right = (positive * (np.cumsum(negative, axis=1) - negative / 2)).sum(axis=1)
    return np.asarray(right / (positive.sum(axis=1) * negative.sum(axis=1)))


def _residuals(weights: Array) -> Array:
    """(C, n_scores) what each cluster moves the AUCs by, from (C, 2, n_scores, n_groups) weights."""
    negative, positive = _fractions(weights.sum(axis=0))
    # How often an example of each group is ranked right, if it is of class 1, and if it is of class 0.
    as_positive = np.cumsum(negative, axis=1) - negative / 2
    as_negative = 1 - (np.cumsum(positive, axis=1) - positive / 2)
    area = (positive * as_positive).sum(axis=1, keepdims=True)
    right = np.stack([as_negative - area, as_positive - area])
    return np.einsum("cksg,ksg->cs", weights / weights.sum(axis=(0, 3), keepdims=True), right)
