"""Rules about the explanation itself: is it complete, precise and large enough. Their figures are known exactly."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tfx_explain.judgement.bounds import Bounds, decide
from tfx_explain.judgement.evidence import Evidence
from tfx_explain.judgement.rule import Decision, Need, RuleDescription
from tfx_explain.judgement.rules.sentences import ends
from tfx_explain.judgement.wording import count, percent, percents


def _max_completeness_gap(evidence: Evidence, _: float, *, value: float) -> Decision:
    """No example's attributions may miss prediction - base value by more than this times 1 + |prediction|.

    The largest gap of the explained examples is known exactly, so both bounds equal it.

    Args:
      evidence: of one (slice, output).
      value: largest allowed relative gap.
    """
    gap = float(evidence.max_relative_completeness_gap)
    if not evidence.n_examples:
        return Decision.undecided("No example was explained, so no gap is known.")
    if math.isnan(gap):
        return Decision.undecided(
            f"What {evidence.method} says are no shares of the output, so there is nothing that they could add up to: "
            "name another method, or leave the rule out."
        )
    bounds = Bounds.exact(gap)
    outcome = decide(bounds, value)
    advice = "look for randomness or low precision in the model, whose outputs do not add up"
    end = ends(f"{value:.3g} allowed", advice, "at most")[outcome]
    return Decision(outcome, bounds, f"The largest completeness gap is {gap:.3g}, {end}", is_estimated=False)


def _max_relative_std_error(
    evidence: Evidence, _: float, *, value: float, players: Sequence[str] | None = None
) -> Decision:
    """No feature's importance may have a standard error above this part of the largest importance.

    The error is that over examples and, beside it, the mean error from sampled coalitions, which examples share and
    which may thus not average out; their squares are added. That of the background is not part of it. The error of this
    explanation is a known figure, so both bounds equal it. An error estimated from a few examples is none.

    Args:
      evidence: of one (slice, output).
      value: largest allowed ratio.
      players: names; None = all.
    """
    if evidence.signed is None:
        return Decision.undecided(_COALITIONS.otherwise, players or ())
    chosen = evidence.index(players)
    over_examples = np.sqrt(np.diag(evidence.mean_abs_covariance))
    ratios = np.hypot(over_examples, evidence.signed.design_std_error)[chosen] / float(np.max(evidence.mean_abs))
    # An unknown error is the worst there can be.
    worst = int(np.argmax(np.where(np.isnan(ratios), np.inf, ratios)))
    bounds = Bounds.exact(float(ratios[worst]), (evidence.players[chosen[worst]],))
    (player,), outcome = bounds.about, decide(bounds, value)
    (shown,) = percents(bounds.value, threshold=value)
    message = f"The error that sampled coalitions leave in {player} is not known: raise the budget."
    if outcome != "insufficient_evidence":
        end = ends(f"{percent(value)} allowed", "explain more examples or raise the budget", "at most")[outcome]
        message = f"The importance of {player} has a standard error of {shown} of the largest importance, {end}"
    return Decision(outcome, bounds, message, is_estimated=False)


def _min_examples(evidence: Evidence, _: float, *, value: int) -> Decision:
    """At least this many examples must have been explained.

    Weighted examples count as their effective number, (sum w)^2 / sum w^2, on which all errors depend. The number is
    known exactly, so both bounds equal it.

    Args:
      evidence: of one (slice, output).
      value: smallest allowed number.
    """
    bounds = Bounds.exact(float(evidence.weighed_examples))
    outcome = decide(bounds, value, "at least")
    were = "1 example was" if evidence.n_examples == 1 else f"{count(evidence.n_examples)} examples were"
    by_weight = f" (by their weights as good as {bounds.value:.1f})"
    weights = "" if bounds.value == evidence.n_examples else by_weight
    least = f"the {count(value)} required"
    end = f"at least {least}." if outcome == "pass" else f"fewer than {least}: explain more."
    message = f"{were} explained{weights}, {end}"
    return Decision(outcome, bounds, message, is_estimated=False)


_COALITIONS = Need("signed", "The errors from sampled coalitions are not known: explain the model again.")

MAX_COMPLETENESS_GAP = RuleDescription(
    "max_completeness_gap", _max_completeness_gap, Evidence, "ratio", needs_importance=False
)
MAX_RELATIVE_STD_ERROR = RuleDescription(
    "max_relative_std_error", _max_relative_std_error, Evidence, "fraction", needs=(_COALITIONS,)
)
MIN_EXAMPLES = RuleDescription("min_examples", _min_examples, Evidence, "count", needs_importance=False)
