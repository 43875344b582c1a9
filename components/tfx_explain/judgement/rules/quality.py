"""Rules about the explanation itself: is it complete, precise and large enough."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tfx_explain.judgement.evidence import Evidence, Finding, Outcome
from tfx_explain.judgement.rules.sentences import make_finding, nothing_to_judge, undecided
from tfx_explain.judgement.wording import count, percent, percents


def max_completeness_gap(evidence: Evidence, *, value: float) -> Finding:
    """No example's attributions may miss prediction - base value by more than this times 1 + |prediction|.

    The largest gap of the explained examples is known exactly, so both bounds equal it.

    Args:
      evidence: of one (slice, output).
      value: largest allowed relative gap.
    """
    gap = float(evidence.max_relative_completeness_gap)
    outcome: Outcome
    if not evidence.n_examples or math.isnan(gap):
        outcome, gap, message = ("insufficient_evidence", math.nan, "No example was explained, so no gap is known.")
    elif gap <= value:
        outcome, message = ("pass", f"The largest completeness gap is {gap:.3g}, within the {value:.3g} allowed.")
    else:
        outcome = "fail"
        message = (
            f"The largest completeness gap is {gap:.3g}, more than the {value:.3g} allowed: look for randomness or low "
            "precision in the model, whose outputs do not add up."
        )
    return make_finding("max_completeness_gap", {"value": value}, evidence, outcome, (gap, gap, gap, value), message)


def max_relative_std_error(
    evidence: Evidence, *, value: float, players: Sequence[str] | None = None, min_examples: int = 2
) -> Finding:
    """No player's importance may have a standard error above this part of the largest importance.

    The error is that over examples and, beside it, the mean error from sampled coalitions, which examples share and
    which may thus not average out; their squares are added. That of the background is not part of it. The error of this
    explanation is a known figure, so both bounds equal it.

    Args:
      evidence: of one (slice, output).
      value: largest allowed ratio.
      players: names; None = all.
      min_examples: fewer examples than this are `insufficient_evidence`: an error estimated from a few is none.

    Raises:
      ConfigError: a player is unknown.
    """
    chosen = evidence.index(evidence.players if players is None else players)
    settings = {"value": value, "players": None if players is None else list(players)}
    reason = nothing_to_judge(evidence, min_examples)
    if not reason and evidence.signed is None:
        reason = "The errors from sampled coalitions are not known: explain the model again."
    if reason or evidence.signed is None:
        return undecided("max_relative_std_error", settings, evidence, value, reason, players)
    over_examples = np.sqrt(np.diag(evidence.mean_abs_covariance))
    ratios = np.hypot(over_examples, evidence.signed.design_std_error)[chosen] / float(np.max(evidence.mean_abs))
    # An unknown error is the worst there can be.
    worst = int(np.argmax(np.where(np.isnan(ratios), np.inf, ratios)))
    ratio, player = float(ratios[worst]), evidence.players[chosen[worst]]
    outcome: Outcome = "insufficient_evidence" if math.isnan(ratio) else "pass" if ratio <= value else "fail"
    (shown,) = percents(ratio, threshold=value)
    start = f"The importance of {player} has a standard error of {shown} of the largest importance"
    message = {
        "pass": f"{start}, within the {percent(value)} allowed.",
        "fail": f"{start}, more than the {percent(value)} allowed: explain more examples or raise the budget.",
        "insufficient_evidence": f"The error that sampled coalitions leave in {player} is not known: raise the budget.",
    }[outcome]
    figures = (ratio, ratio, ratio, value)
    return make_finding("max_relative_std_error", settings, evidence, outcome, figures, message, about=[player])


def min_examples(evidence: Evidence, *, value: int) -> Finding:
    """At least this many examples must have been explained.

    Weighted examples count as their effective number, (sum w)^2 / sum w^2, on which all errors depend. The number is
    known exactly, so both bounds equal it.

    Args:
      evidence: of one (slice, output).
      value: smallest allowed number.
    """
    n = float(evidence.weighed_examples)
    outcome: Outcome = "pass" if n >= value else "fail"
    were = "1 example was" if evidence.n_examples == 1 else f"{count(evidence.n_examples)} examples were"
    weights = "" if n == evidence.n_examples else f" (by their weights as good as {n:.1f})"
    ends = {
        "pass": f"at least the {count(value)} required.",
        "fail": f"fewer than the {count(value)} required: explain more.",
    }
    message = f"{were} explained{weights}, {ends[outcome]}"
    return make_finding("min_examples", {"value": value}, evidence, outcome, (n, n, n, float(value)), message)
