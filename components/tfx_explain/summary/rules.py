"""Rules: each turns evidence into one finding.

A rule about the data compares a confidence bound, not a point value, so it ends in one of three ways: the bound shows
that the rule holds, the opposite bound shows that it is broken, or the examples cannot tell. The first line of a rule's
docstring is its text in reports (`describe`).

Bounds are one-sided: each is right with the configured confidence. So a model that sits exactly on a threshold is
refused as a `fail` with a probability of at most 1 - confidence, and passed with at most the same. Several rules of one
policy are not corrected for their number.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from tfx_explain.errors import ConfigError
from tfx_explain.summary.drift import DRIFT_RULES
from tfx_explain.summary.evidence import Evidence, Finding, Outcome
from tfx_explain.summary.ranks import RankInterval, rank_intervals
from tfx_explain.summary.shares import ShareTest
from tfx_explain.summary.wording import count, joined, percent


def max_share(
    evidence: Evidence, *, players: Sequence[str], value: float, confidence: float = 0.95, min_examples: int = 2
) -> Finding:
    """Together, these players may carry at most this share of the importance.

    Importance is mean |attribution|; the share of a set S is sum_S / sum_all. The test is on the mean over examples of
    u = sum_S |phi| - value * sum_all |phi|, with Student's t on n - 1 degrees of freedom; the bounds are Fieller's and
    agree with it. Where all importance is 0 the share is reported as 0, but as 0 / 0 it is no evidence: a model whose
    output never changes ends in `insufficient_evidence`.

    Args:
      evidence: of one (slice, output).
      players: names; the set S.
      value: largest allowed share, 0..1.
      confidence: of each bound.
      min_examples: fewer examples than this are `insufficient_evidence`.

    Raises:
      ConfigError: a player is unknown.

    Source: E. C. Fieller, JRSS B 16 (1954) 175-185.
    """
    test = ShareTest.of(evidence, players, value, confidence)
    reason = _nothing_to_judge(evidence, min_examples)
    outcome: Outcome = "insufficient_evidence" if reason else test.at_most()
    start = test.sentence(players, value, confidence, "allowed")
    ends = {
        "pass": f", within the {percent(value)} allowed.",
        "fail": f", more than the {percent(value)} allowed: remove or constrain {_them(players)}.",
        "insufficient_evidence": f" {test.forecast(evidence.n_examples)}.",
    }
    settings = {"players": list(players), "value": value}
    figures = (test.share, test.low, test.high, value)
    return _finding("max_share", settings, evidence, outcome, figures, reason or start + ends[outcome])


def min_share(
    evidence: Evidence, *, players: Sequence[str], value: float, confidence: float = 0.95, min_examples: int = 2
) -> Finding:
    """Together, these players must carry at least this share of the importance.

    The test is that of `max_share`, with the bounds exchanged.

    Args:
      evidence: of one (slice, output).
      players: names; the set S.
      value: smallest allowed share, 0..1.
      confidence: of each bound.
      min_examples: fewer examples than this are `insufficient_evidence`.

    Raises:
      ConfigError: a player is unknown.
    """
    test = ShareTest.of(evidence, players, value, confidence)
    reason = _nothing_to_judge(evidence, min_examples)
    outcome: Outcome = "insufficient_evidence" if reason else test.at_least()
    start = test.sentence(players, value, confidence, "required")
    ends = {
        "pass": f", no less than the {percent(value)} required.",
        "fail": f", less than the {percent(value)} required: find out why the model uses {_them(players)} so little.",
        "insufficient_evidence": f" {test.forecast(evidence.n_examples)}.",
    }
    settings = {"players": list(players), "value": value}
    figures = (test.share, test.low, test.high, value)
    return _finding("min_share", settings, evidence, outcome, figures, reason or start + ends[outcome])


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
    reason = _nothing_to_judge(evidence, min_examples)
    outcome: Outcome = "insufficient_evidence"
    if not reason:
        outcome = "pass" if highest.high <= k else "fail" if lowest.low > k else "insufficient_evidence"
    decisive = lowest if outcome == "fail" else highest
    message = reason or _rank_sentence(outcome, decisive, evidence, k, f"with {percent(confidence)} confidence")
    figures = (math.nan,) * 3 if reason else (float(decisive.rank), float(decisive.low), float(decisive.high))
    settings = {"players": list(players), "k": k}
    return _finding("top_k_includes", settings, evidence, outcome, (*figures, float(k)), message)


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
    return _finding("max_completeness_gap", {"value": value}, evidence, outcome, (gap, gap, gap, value), message)


RULES: Mapping[str, Callable[..., Finding]] = {
    "max_share": max_share,
    "min_share": min_share,
    "top_k_includes": top_k_includes,
    "max_completeness_gap": max_completeness_gap,
}


def describe(rule: str) -> str:
    """The rule in one line, for reports; the name itself for a rule that is not known."""
    known = {**RULES, **DRIFT_RULES}
    text = (known[rule].__doc__ or "") if rule in known else ""
    return text.strip().split("\n")[0] or rule


def apply_rule(
    rule: str, settings: Mapping[str, Any], evidence: Evidence, *, confidence: float = 0.95, min_examples: int = 2
) -> Finding:
    """Applies a rule by its name in the configuration.

    Args:
      rule: a key of `RULES`.
      settings: the rule's own settings, as in the configuration.
      evidence: of one (slice, output).
      confidence: of each bound.
      min_examples: fewer examples than this are `insufficient_evidence`, for the rules that estimate something.

    Raises:
      ConfigError: the rule or a player is unknown.
    """
    if rule not in RULES:
        raise ConfigError(f"there is no rule `{rule}`; rules: {', '.join(RULES)}.")
    if rule == "max_completeness_gap":
        return max_completeness_gap(evidence, **settings)
    return RULES[rule](evidence, **settings, confidence=confidence, min_examples=min_examples)


def is_blessed(findings: Iterable[Finding], *, on_insufficient_evidence: str = "refuse") -> bool:
    """Whether findings bless a model: there is one, none is a `fail`, and doubts are blessed only on request.

    Rules that were skipped for want of a baseline do not count against it, as Evaluator's change thresholds do not.

    Args:
      findings: of all rules, slices and outputs.
      on_insufficient_evidence: `refuse` or `bless`.
    """
    outcomes = [finding.outcome for finding in findings]
    allowed = {"pass", "skipped"} | ({"insufficient_evidence"} if on_insufficient_evidence == "bless" else set())
    return bool(outcomes) and all(outcome in allowed for outcome in outcomes)


def _them(players: Sequence[str]) -> str:
    return "it" if len(players) == 1 else "them"


def _rank_sentence(outcome: Outcome, rank: RankInterval, evidence: Evidence, k: int, sure: str) -> str:
    """What the rule about the top k found, in words."""
    start = f"{rank.player} ranks {rank.rank} of {len(evidence.players)}"
    if outcome == "pass":
        return f"{start} ({rank.high} or better {sure}), within the top {k}."
    if outcome == "fail":
        return (
            f"{start} ({rank.low} or worse {sure}), outside the top {k}: find out why the model uses it so little, or "
            "allow a larger `k`."
        )
    return (
        f"{start} (between {rank.low} and {rank.high}), too close to the edge of the top {k} to tell {sure} from "
        f"{count(evidence.n_examples)} examples: explain more."
    )


def _nothing_to_judge(evidence: Evidence, min_examples: int) -> str:
    """Why nothing can be said about importance at all, as a sentence; empty where something can."""
    least = max(min_examples, 2)
    if evidence.n_examples < least:
        were = "1 example was" if evidence.n_examples == 1 else f"{count(evidence.n_examples)} examples were"
        return f"Only {were} explained and this rule needs {count(least)}: explain more or lower `min_slice_examples`."
    unknown = ~np.isfinite(evidence.mean_abs) | ~np.isfinite(evidence.mean_abs_covariance).all(axis=1)
    if unknown.any():
        names = joined([name for name, bad in zip(evidence.players, unknown, strict=True) if bad])
        return f"The importance of {names} or its error is not a number: explain the model again."
    if not np.sum(evidence.mean_abs) > 0:
        return (
            "No player has any importance, since the output is the same for every example and background row: check "
            "that the right model and output were explained."
        )
    return ""


def _finding(
    rule: str,
    settings: Mapping[str, Any],
    evidence: Evidence,
    outcome: Outcome,
    figures: tuple[float, float, float, float],
    message: str,
) -> Finding:
    """A finding; figures = value, lower bound, upper bound, threshold."""
    return Finding(rule, settings, evidence.slice_key, evidence.output, outcome, *figures, message)
