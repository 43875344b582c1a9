"""Rules that compare players with each other."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tfx_explain.judgement.bounds import Bounds, Intervals, decide, decide_all
from tfx_explain.judgement.evidence import Evidence
from tfx_explain.judgement.finding import Outcome
from tfx_explain.judgement.intervals import t_intervals
from tfx_explain.judgement.ranks import rank_bounds
from tfx_explain.judgement.rule import TOTAL, Decision, Demand, RuleDescription
from tfx_explain.judgement.skewness import of_difference
from tfx_explain.judgement.wording import count, percents, sure
from tfx_explain.summary.ratio import Array, parts_of


def _top_k_includes(evidence: Evidence, confidence: float, *, players: Sequence[str], k: int) -> Decision:
    """Each of these features must be among the k most important.

    Passes when every named player's rank is shown to be at most k, fails when one's is shown to be greater; the bounds
    of `rank_bounds` hold together, whatever the number of players (Bonferroni). The finding's figures are those of the
    named player that decides.

    Args:
      evidence: of one (slice, output).
      confidence: of all comparisons together.
      players: names.
      k: size of the top.
    """
    ranks = rank_bounds(evidence, players, confidence)
    lowest = max(ranks, key=lambda rank: (rank.low, rank.value))
    highest = max(ranks, key=lambda rank: (rank.high, rank.value))
    decisive = lowest if lowest.low > k else highest
    outcome = decide(decisive, k)
    return Decision(outcome, decisive, _rank_sentence(outcome, decisive, evidence, k, confidence))


def _rank_sentence(outcome: Outcome, bounds: Bounds, evidence: Evidence, k: int, confidence: float) -> str:
    """What the rule about the top k found, in words."""
    (player,), with_confidence = bounds.about, sure(confidence)
    rank, low, high = (f"{number:.0f}" for number in (bounds.value, bounds.low, bounds.high))
    if outcome == "insufficient_evidence" and evidence.has_no_effect[evidence.players.index(player)]:
        return (
            f"{player} has no effect at all, like {count(bounds.high - bounds.low)} other players, and shares ranks "
            f"{low} to {high} with them: find out why the model does not use it."
        )
    start = f"{player} ranks {rank} of {len(evidence.players)}"
    if outcome == "pass":
        return f"{start} ({high} or better {with_confidence}), within the top {k}."
    if outcome == "fail":
        return (
            f"{start} ({low} or worse {with_confidence}), outside the top {k}: find out why the model uses it so "
            "little, or allow a larger `k`."
        )
    return (
        f"{start} (between {low} and {high}), too close to the edge of the top {k} to tell {with_confidence} "
        f"from {count(evidence.n_examples)} examples: explain more."
    )


def _canary(evidence: Evidence, confidence: float, *, feature: str, players: Sequence[str] | None = None) -> Decision:
    """No feature may matter less than the canary, a random feature that the model was given to read.

    Whatever matters no more than noise was not learned. The test is on the mean over examples of |phi_player| -
    |phi_canary|, with Student's t widened for its skewness: the examples are the same, so what they have in common
    cancels. A model that does not read the canary ends in `insufficient_evidence`: there is nothing to compare with. So
    does a player that has no effect at all, where the canary has none either.

    Args:
      evidence: of one (slice, output).
      confidence: of a pass, and of a fail over all players together (Bonferroni).
      feature: the canary; a player.
      players: those that must matter more; None = all others that the model reads.
    """
    (bird,) = evidence.index([feature])
    others = [name for name in evidence.players if name != feature and name not in evidence.unused]
    chosen = evidence.index(others if players is None else players)
    if not chosen:
        reason = f"The model reads nothing but the canary {feature}: train it with features that matter."
        return Decision.undecided(reason, [feature])
    if feature in evidence.unused:
        reason = (
            f"The model does not read the canary {feature}, so there is no noise to compare with: train it with that."
        )
        return Decision.undecided(reason, [feature])
    difference, intervals = _less_than_others(evidence, bird, chosen)
    outcome, bounds, index = decide_all(difference, intervals, 0.0, confidence, "at least")
    bounds = bounds.named(evidence.players[chosen[index]])
    return Decision(outcome, bounds, _canary_sentence(outcome, bounds, evidence, feature, confidence))


def _less_than_others(evidence: Evidence, bird: int, chosen: Sequence[int]) -> tuple[Array, Intervals]:
    """By how much the chosen players matter more than the canary, and its intervals, paired over examples."""
    covariance = np.asarray(evidence.mean_abs_covariance, dtype=np.float64)
    variances = np.diag(covariance)
    variance = variances[chosen] + variances[bird] - 2 * covariance[bird, chosen]
    mean_abs = np.asarray(evidence.mean_abs, dtype=np.float64)
    difference, n = mean_abs[chosen] - mean_abs[bird], evidence.weighed_examples
    birds = np.full(len(chosen), mean_abs[bird]), np.full(len(chosen), variances[bird]), n
    skewness = of_difference((mean_abs[chosen], variances[chosen], n), birds, variance)
    nothing = evidence.has_no_effect
    std_error = np.where(nothing[chosen] & nothing[bird], np.nan, np.sqrt(np.maximum(variance, 0.0)))
    return difference, t_intervals(difference, std_error, evidence.degrees_of_freedom, skewness)


def _canary_sentence(outcome: Outcome, bounds: Bounds, evidence: Evidence, feature: str, confidence: float) -> str:
    (player,), with_confidence = bounds.about, sure(confidence)
    if math.isnan(bounds.low):
        return (
            f"Neither {player} nor the random {feature} has any effect, so they cannot be told apart: leave {player} "
            "out or see why nothing was learned."
        )
    of_player, of_canary = (
        float(parts_of(evidence.mean_abs[evidence.players.index(name)], evidence.total)) for name in (player, feature)
    )
    share, of_noise = percents(of_player, of_canary, threshold=of_canary)
    start = f"{player} carries {share} of the importance and the random {feature} {of_noise}"
    if outcome == "pass":
        return f"{start}: no other player is nearer to noise, and it matters more {with_confidence}."
    if outcome == "fail":
        return f"{start}: it matters less than noise {with_confidence}; leave it out or see why nothing was learned."
    return (
        f"{start}, too close to tell {with_confidence} from {count(evidence.n_examples)} examples that it matters more "
        "than noise: explain more, or find out what the model has learned at all."
    )


TOP_K_INCLUDES = RuleDescription(
    "top_k_includes", _top_k_includes, Evidence, "rank", limits=("k",), demand=Demand.AMONG_TOP_K
)
CANARY = RuleDescription(
    "canary",
    _canary,
    Evidence,
    "output",
    limits=(),
    demand=Demand.MORE_THAN_NOISE,
    needs=(TOTAL,),
    naming=("feature", "players"),
    about="feature",
)
