"""Bins of a model's scores, fixed before any row is scored, so that the order of scores can be counted mergeably."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tfx_explain.errors import InputError
from tfx_explain.summary.ratio import Array

ScoreBins = npt.NDArray[np.uint16]
"""Which bin each score is in; 0 = below every edge."""

N_SCORE_BINS = 1_024
"""Aimed at within the sample's range; scores that many rows share, and what is outside the range, add a few."""

N_GROUPS = 128
"""Groups of bins, at most."""

# Multiples of the sample's range, on either side of it.
_TAILS = 2.0 ** np.arange(-8, 8)


def choose_score_edges(sample: npt.ArrayLike) -> Array:
    """Edges between scores of a sample: each lies between two different ones, so scores that are equal stay together.

    A sample of few different scores is told apart everywhere; of many, at quantiles that are close together at both
    ends, where a rare class has its scores. A score that many rows share has a bin of its own. Outside the sample's
    range bins double in width.

    Args:
      sample: (n,) finite scores, at least one.

    Returns:
      (n_edges,) ascending and different, fewer than 2^12.

    Raises:
      InputError: there are no scores.
    """
    if not np.size(sample):
        raise InputError("there are no scores to choose bins from; give at least one row with a finite score.")
    scores, counts = np.unique(np.asarray(sample, dtype=np.float64), return_counts=True)
    n_gaps, pieces = len(scores) - 1, 1
    if n_gaps <= N_SCORE_BINS:
        gaps, pieces = np.arange(n_gaps), N_SCORE_BINS // max(n_gaps, 1)
    else:
        targets = _targets(N_SCORE_BINS)
        at_or_below = np.cumsum(counts[:-1]) / counts.sum()
        shared = np.flatnonzero(counts > counts.sum() / N_SCORE_BINS)
        gaps = np.unique(np.concatenate([np.searchsorted(at_or_below, targets), shared - 1, shared]))
        gaps = gaps[(gaps >= 0) & (gaps < n_gaps)]
    inside = scores[gaps, None] + np.diff(scores)[gaps, None] * (np.arange(pieces) + 0.5) / pieces
    reach = _TAILS * (np.ptp(scores) or np.abs(scores[0]) or 1.0)
    return np.unique(np.concatenate([scores[0] - reach, inside.ravel(), scores[-1] + reach]))


def choose_group_starts(edges: Array, sample: npt.ArrayLike) -> ScoreBins:
    """Groups of neighbouring bins that hold about equal parts of a sample, smaller ones at both ends.

    A bin with more than two groups' part of the sample, a score that many rows share, is a group of its own.

    Args:
      edges: of the bins.
      sample: finite scores of any shape, at least one: those that the edges were chosen from.

    Returns:
      (n_groups,) the first bin of each group, ascending from 0; at most `N_GROUPS`.
    """
    counts = np.bincount(bin_scores(edges, sample).ravel(), minlength=len(edges) + 1)
    shared = np.flatnonzero(counts > counts.sum() * 2 / N_GROUPS)
    # As if every bin held one row more, so that other rows are told apart where the sample has none.
    others = counts + 1
    others[shared] = 0
    middles = np.cumsum(others) - others / 2
    between = np.searchsorted(middles, _targets(N_GROUPS - 2 * len(shared)) * others.sum())
    starts = np.unique(np.concatenate([[0], between, shared, shared + 1]))
    return starts[starts < len(counts)].astype(np.uint16)


def _targets(n_parts: int) -> Array:
    """(n_parts - 1,) fractions that cut a sample into parts that are smaller at both ends."""
    return np.asarray(np.sin(np.linspace(0, np.pi / 2, n_parts + 1)[1:-1]) ** 2)


def bin_scores(edges: Array, scores: npt.ArrayLike) -> ScoreBins:
    """The bin of each score, any shape; of len(edges) + 1 bins."""
    return np.searchsorted(edges, np.asarray(scores, dtype=np.float64), side="right").astype(np.uint16)
