"""Rules that compare players with each other."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tfx_explain.judgement.evidence import Evidence, Finding, Outcome
from tfx_explain.judgement.ranks import RankInterval, rank_intervals
from tfx_explain.judgement.rules.bounds import Bounds, Decision, at_least, t_bounds
from tfx_explain.judgement.rules.sentences import decided, has_no_effect, make_finding, nothing_to_judge, undecided
from tfx_explain.judgement.skewness import of_difference
from tfx_explain.judgement.wording import count, percents, sure
from tfx_explain.summary.ratio import Array


def top_k_includes(
    evidence: Evidence, *, players: Sequence[str], k: int, confidence: float = 0.95, min_examples: int = 2
) -> Finding:
    """Each of these players must be among the k most important.

    Passes when every named player's rank is shown to be at most k, fails when one's is shown to be greater; the bounds
    of `rank_intervals` hold together, whatever the number of players (Bonferroni). The finding's figures are those of
    the named player that decides.

    Args:
      evidence: of one (slice, output).
      players: names.
      k: size of the top.
      confidence: of all comparisons together.
      min_examples: fewer examples than this are `insufficient_evidence`.

    Raises:
      ConfigError: a player is unknown.
    """
    ranks = rank_intervals(evidence, players, confidence)
    lowest = max(ranks, key=lambda rank: (rank.low, rank.rank))
    highest = max(ranks, key=lambda rank: (rank.high, rank.rank))
    settings = {"players": list(players), "k": k}
    reason = nothing_to_judge(evidence, min_examples)
    if reason:
        return undecided("top_k_includes", settings, evidence, float(k), reason, players)
    outcome: Outcome = "pass" if highest.high <= k else "fail" if lowest.low > k else "insufficient_evidence"
    decisive = lowest if outcome == "fail" else highest
    message = _rank_sentence(outcome, decisive, evidence, k, sure(confidence))
    figures = (float(decisive.rank), float(decisive.low), float(decisive.high), float(k))
    about = [decisive.player]
    return make_finding(
        "top_k_includes", settings, evidence, outcome, figures, message, about=about, confidence=confidence
    )


def _rank_sentence(outcome: Outcome, rank: RankInterval, evidence: Evidence, k: int, with_confidence: str) -> str:
    """What the rule about the top k found, in words."""
    player = evidence.players.index(rank.player)
    if outcome == "insufficient_evidence" and has_no_effect(evidence)[player]:
        return (
            f"{rank.player} has no effect at all, like {count(rank.high - rank.low)} other players, and shares ranks "
            f"{rank.low} to {rank.high} with them: find out why the model does not use it."
        )
    start = f"{rank.player} ranks {rank.rank} of {len(evidence.players)}"
    if outcome == "pass":
        return f"{start} ({rank.high} or better {with_confidence}), within the top {k}."
    if outcome == "fail":
        return (
            f"{start} ({rank.low} or worse {with_confidence}), outside the top {k}: find out why the model uses it so "
            "little, or allow a larger `k`."
        )
    return (
        f"{start} (between {rank.low} and {rank.high}), too close to the edge of the top {k} to tell {with_confidence} "
        f"from {count(evidence.n_examples)} examples: explain more."
    )


def canary(
    evidence: Evidence,
    *,
    feature: str,
    players: Sequence[str] | None = None,
    confidence: float = 0.95,
    min_examples: int = 2,
) -> Finding:
    """No player may matter less than the canary, a random feature that the model was given to read.

    Whatever matters no more than noise was not learned. The test is on the mean over examples of |phi_player| -
    |phi_canary|, with Student's t widened for its skewness: the examples are the same, so what they have in common
    cancels. A model that does not read the canary ends in `insufficient_evidence`: there is nothing to compare with. So
    does a player that has no effect at all, where the canary has none either.

    Args:
      evidence: of one (slice, output).
      feature: the canary; a player.
      players: those that must matter more; None = all others that the model reads.
      confidence: of a pass, and of a fail over all players together (Bonferroni).
      min_examples: fewer examples than this are `insufficient_evidence`.

    Raises:
      ConfigError: a player is unknown.
    """
    (bird,) = evidence.index([feature])
    others = [name for name in evidence.players if name != feature and name not in evidence.unused]
    chosen = evidence.index(others if players is None else players)
    settings = {"feature": feature, "players": None if players is None else list(players)}
    reason = nothing_to_judge(evidence, min_examples)
    if not reason and (feature in evidence.unused or not chosen):
        reason = (
            f"The model does not read the canary {feature}, so there is no noise to compare with: train it with that."
            if chosen
            else f"The model reads nothing but the canary {feature}: train it with features that matter."
        )
    if reason:
        return undecided("canary", settings, evidence, 0.0, reason, [feature])
    difference, bounds = _less_than_others(evidence, bird, chosen)
    found = at_least(difference, bounds, 0.0, confidence)
    player = evidence.players[chosen[found.index]]
    message = _canary_sentence(evidence, found, player, feature, sure(confidence))
    return decided("canary", settings, evidence, found, 0.0, message, [player], confidence)


def _less_than_others(evidence: Evidence, bird: int, chosen: Sequence[int]) -> tuple[Array, Bounds]:
    """By how much the chosen players matter more than the canary, and the bounds of that, paired over examples."""
    covariance = np.asarray(evidence.mean_abs_covariance, dtype=np.float64)
    variances = np.diag(covariance)
    variance = variances[chosen] + variances[bird] - 2 * covariance[bird, chosen]
    mean_abs = np.asarray(evidence.mean_abs, dtype=np.float64)
    difference, n = mean_abs[chosen] - mean_abs[bird], evidence.weighed_examples
    birds = np.full(len(chosen), mean_abs[bird]), np.full(len(chosen), variances[bird]), n
    skewness = of_difference((mean_abs[chosen], variances[chosen], n), birds, variance)
    nothing = has_no_effect(evidence)
    std_error = np.where(nothing[chosen] & nothing[bird], np.nan, np.sqrt(np.maximum(variance, 0.0)))
    return difference, t_bounds(difference, std_error, evidence.degrees_of_freedom, skewness)


def _canary_sentence(evidence: Evidence, found: Decision, player: str, feature: str, with_confidence: str) -> str:
    if math.isnan(found.low):
        return (
            f"Neither {player} nor the random {feature} has any effect, so they cannot be told apart: leave {player} "
            "out or see why nothing was learned."
        )
    total = float(np.sum(evidence.mean_abs))
    ours, noise = (float(evidence.mean_abs[evidence.players.index(name)]) / total for name in (player, feature))
    share, of_noise = percents(ours, noise, threshold=noise)
    start = f"{player} carries {share} of the importance and the random {feature} {of_noise}"
    if found.outcome == "pass":
        return f"{start}: no other player is nearer to noise, and it matters more {with_confidence}."
    if found.outcome == "fail":
        return f"{start}: it matters less than noise {with_confidence}; leave it out or see why nothing was learned."
    return (
        f"{start}, too close to tell {with_confidence} from {count(evidence.n_examples)} examples that it matters more "
        "than noise: explain more, or find out what the model has learned at all."
    )
