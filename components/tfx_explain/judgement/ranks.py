"""The test behind the rule about the most important players."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from tfx_explain.judgement.evidence import Evidence
from tfx_explain.judgement.skewness import of_difference, widened
from tfx_explain.summary.ratio import t_quantile


@dataclasses.dataclass(frozen=True)
class RankInterval:
    """Where a player may rank; 1 = most important.

    Attributes:
      player: its name.
      rank: by the estimated importance; equal importances share the best rank.
      low: 1 + the number of players shown to be above it.
      high: d - the number of players shown to be below it.
    """

    player: str
    rank: int
    low: int
    high: int


def rank_intervals(evidence: Evidence, players: Sequence[str], confidence: float) -> list[RankInterval]:
    """The ranks of the named players, all right together with `confidence`.

    Each is compared with every other player: one-sided t test on the difference of the means, whose variance comes from
    the covariance (the examples are the same), at (1 - confidence) / number of comparisons (Bonferroni), widened for
    the skewness of the difference. Players that
    tie exactly are not shown to be above or below each other.

    Raises:
      ConfigError: a player is unknown.
    """
    named = evidence.index(players)
    n_comparisons = max(len(named) * (len(evidence.players) - 1), 1)
    quantile = t_quantile(1 - (1 - confidence) / n_comparisons, evidence.degrees_of_freedom)
    return [_rank_interval(evidence, player, quantile) for player in named]


def _rank_interval(evidence: Evidence, player: int, quantile: float) -> RankInterval:
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
    return RankInterval(
        evidence.players[player],
        1 + int((difference > 0).sum()),
        1 + int((difference - widened(quantile, left) * std_error > 0).sum()),
        len(mean_abs) - int((difference + widened(quantile, right) * std_error < 0).sum()),
    )
