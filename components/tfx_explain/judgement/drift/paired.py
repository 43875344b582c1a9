"""How differently two models explain the same rows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tfx_explain.judgement.bounds import Bounds
from tfx_explain.judgement.skewness import of_share, widened
from tfx_explain.summary.moments import WeightedMoments
from tfx_explain.summary.ratio import Array, share_interval, t_quantile


def disagreement_bounds(
    ours: Array, theirs: Array, weights: Array, players: Sequence[str], confidence: float
) -> Bounds:
    """The part of the attributions on which both models differ, row by row.

    Sum over rows and players of |a - b| over that of |a| + |b|: 0 where every row is explained alike, 1 where no
    attribution agrees in sign with its counterpart. Means and distributions of both may be the same all the while, as
    when an effect is reversed for every row.

    Args:
      ours: (n, d) attributions of the candidate.
      theirs: (n, d) of the baseline model, of the same rows.
      weights: (n,) > 0.
      players: (d,) names.
      confidence: of each bound.

    Source: J. R. Bray, J. T. Curtis, "An ordination of the upland forest communities of southern Wisconsin", Ecological
    Monographs 27 (1957) 325-349, for attributions of either sign; bounds by E. C. Fieller, JRSS B 16 (1954) 175-185,
    widened for skewness.
    """
    apart = np.abs(ours - theirs)
    size = np.abs(ours) + np.abs(theirs)
    moments = WeightedMoments.empty(2, full=True)
    moments.add(np.stack([apart.sum(axis=1), size.sum(axis=1)], axis=1), weights)
    part, total = moments.mean
    if not total > 0:
        return Bounds.exact(0.0)
    covariance = moments.covariance_of_mean()
    figures = (part, float(total), covariance[0, 0], covariance[0, 1], float(covariance[1, 1]))
    quantile = t_quantile(confidence, moments.n_effective - 1)
    left, right = of_share(*figures, moments.n_effective)
    low, _ = share_interval(*figures, widened(quantile, left))
    _, high = share_interval(*figures, widened(quantile, right))
    most = players[int(np.argmax(weights @ apart))]
    return Bounds(float(part / total), float(low[0]), float(high[0]), (most,) if part > 0 else ())
