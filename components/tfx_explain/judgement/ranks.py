"""The test behind the rule about the most important players."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tfx_explain.judgement.bounds import Bounds
from tfx_explain.judgement.evidence import Evidence
from tfx_explain.judgement.skewness import of_difference, widened
from tfx_explain.summary.ratio import t_quantile


def rank_bounds(evidence: Evidence, players: Sequence[str], confidence: float) -> list[Bounds]:
    """The ranks of the named players, 1 = most important, all right together with `confidence`.

    The rank is that by the estimated importance, where equal ones share the best; at least it is 1 + the number of
    players shown to be above, at most d - the number of those shown to be below.

    Each is compared with every other player: one-sided t test on the difference of the means, whose variance comes from
    the covariance (the examples are the same), at (1 - confidence) / number of comparisons (Bonferroni), widened for
    the skewness of the difference. Players that tie exactly are not shown to be above or below each other.

    Raises:
      ConfigError: a player is unknown.
    """
    named = evidence.index(players)
    n_comparisons = max(len(named) * (len(evidence.players) - 1), 1)
    quantile = t_quantile(1 - (1 - confidence) / n_comparisons, evidence.degrees_of_freedom)
    return [_rank(evidence, player, quantile) for player in named]


def _rank(evidence: Evidence, player: int, quantile: float) -> Bounds:
    mean_abs = np.asarray(evidence.mean_abs, dtype=np.float64)
    covariance = np.asarray(evidence.mean_abs_covariance, dtype=np.float64)
    others = np.arange(len(mean_abs)) != player
    variances = np.diag(covariance)
    variance = (variances[player] + variances - 2 * covariance[player])[others]
    difference = mean_abs[others] - mean_abs[player]
    n = evidence.weighed_examples
    own = np.full(len(difference), mean_abs[player]), np.full(len(difference), variances[player]), n
    left, right = of_difference((mean_abs[others], variances[others], n), own, variance)
    std_error = np.sqrt(np.maximum(variance, 0.0))
    shown_above = int((difference - widened(quantile, left) * std_error > 0).sum())
    shown_below = int((difference + widened(quantile, right) * std_error < 0).sum())
    rank, name = 1 + int((difference > 0).sum()), evidence.players[player]
    return Bounds(float(rank), float(1 + shown_above), float(len(mean_abs) - shown_below), (name,))
