"""Bins of a model's scores, fixed before any row is scored, so that the order of scores can be counted mergeably."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tfx_explain.summary.ratio import Array

ScoreBins = npt.NDArray[np.uint16]
"""Which bin each score is in; 0 = below every edge."""

N_SCORE_BINS = 1_024
"""Aimed at within the sample's range; scores that many rows share, and what is outside the range, add a few."""

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
    """
    scores, counts = np.unique(np.asarray(sample, dtype=np.float64), return_counts=True)
    n_gaps, pieces = len(scores) - 1, 1
    if n_gaps <= N_SCORE_BINS:
        gaps, pieces = np.arange(n_gaps), N_SCORE_BINS // max(n_gaps, 1)
    else:
        targets = np.sin(np.linspace(0, np.pi / 2, N_SCORE_BINS + 1)[1:-1]) ** 2
        at_or_below = np.cumsum(counts[:-1]) / counts.sum()
        shared = np.flatnonzero(counts > counts.sum() / N_SCORE_BINS)
        gaps = np.unique(np.concatenate([np.searchsorted(at_or_below, targets), shared - 1, shared]))
        gaps = gaps[(gaps >= 0) & (gaps < n_gaps)]
    inside = scores[gaps, None] + np.diff(scores)[gaps, None] * (np.arange(pieces) + 0.5) / pieces
    reach = _TAILS * (np.ptp(scores) or np.abs(scores[0]) or 1.0)
    return np.unique(np.concatenate([scores[0] - reach, inside.ravel(), scores[-1] + reach]))


def bin_scores(edges: Array, scores: npt.ArrayLike) -> ScoreBins:
    """The bin of each score, any shape; of len(edges) + 1 bins."""
    return np.searchsorted(edges, np.asarray(scores, dtype=np.float64), side="right").astype(np.uint16)
