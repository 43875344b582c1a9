"""The test behind the rule about the most important players."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from tfx_explain.summary.evidence import Evidence
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
    the covariance (the examples are the same), at (1 - confidence) / number of comparisons (Bonferroni). Players that
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
    variance = covariance[player, player] + np.diag(covariance) - 2 * covariance[player]
    margin = quantile * np.sqrt(np.maximum(variance, 0.0))
    difference = np.delete(mean_abs - mean_abs[player], player)
    margin = np.delete(margin, player)
    return RankInterval(
        evidence.players[player],
        1 + int((difference > 0).sum()),
        1 + int((difference - margin > 0).sum()),
        len(mean_abs) - int((difference + margin < 0).sum()),
    )
