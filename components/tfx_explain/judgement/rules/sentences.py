"""What all rules say alike: findings, why nothing can be judged, and the names of what was compared."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tfx_explain.judgement.evidence import Evidence, Finding, Outcome
from tfx_explain.judgement.rules.bounds import Decision
from tfx_explain.judgement.wording import count, joined


def make_finding(
    rule: str,
    settings: Mapping[str, Any],
    evidence: Evidence,
    outcome: Outcome,
    figures: tuple[float, float, float, float],
    message: str,
    *,
    about: Sequence[str] = (),
    confidence: float | None = None,
) -> Finding:
    """A finding; figures = value, lower bound, upper bound, threshold."""
    key = (evidence.slice_key, evidence.output)
    return Finding(rule, settings, *key, outcome, *figures, message, tuple(about), confidence)


def undecided(
    rule: str,
    settings: Mapping[str, Any],
    evidence: Evidence,
    threshold: float,
    reason: str,
    about: Sequence[str] | None,
) -> Finding:
    """A finding where nothing can be judged, and why."""
    figures = (math.nan, math.nan, math.nan, threshold)
    return make_finding(rule, settings, evidence, "insufficient_evidence", figures, reason, about=about or ())


def decided(
    rule: str,
    settings: Mapping[str, Any],
    evidence: Evidence,
    found: Decision,
    threshold: float,
    message: str,
    about: Sequence[str],
    confidence: float,
) -> Finding:
    """A finding from what figures say of a demand on all of them."""
    figures = (found.value, found.low, found.high, threshold)
    return make_finding(rule, settings, evidence, found.outcome, figures, message, about=about, confidence=confidence)


def nothing_to_judge(evidence: Evidence, min_examples: int) -> str:
    """Why nothing can be said about importance at all, as a sentence; empty where something can."""
    least = max(min_examples, 2)
    if evidence.n_examples < least:
        were = "1 example was" if evidence.n_examples == 1 else f"{count(evidence.n_examples)} examples were"
        return f"Only {were} explained and this rule needs {count(least)}: explain more or lower `min_slice_examples`."
    if np.isnan(evidence.mean_abs).all():
        return (
            f"The {count(evidence.n_examples)} examples of this slice have no tables of their own: lower "
            "`min_slice_examples` of the ExplainConfig and explain the model again."
        )
    unknown = ~np.isfinite(evidence.mean_abs) | ~np.isfinite(evidence.mean_abs_covariance).all(axis=1)
    if unknown.any():
        names = joined([name for name, bad in zip(evidence.players, unknown, strict=True) if bad])
        return (
            f"The importance of {names} or its error is not known: explain the model again with a larger budget or "
            "background."
        )
    if not np.sum(evidence.mean_abs) > 0:
        return (
            "No player has any importance, since the output is the same for every example and background row: check "
            "that the right model and output were explained."
        )
    return ""


def has_no_effect(evidence: Evidence) -> npt.NDArray[np.bool_]:
    """(d,) whether a player's attributions are 0 in every example."""
    variances = np.diag(np.asarray(evidence.mean_abs_covariance, np.float64))
    return np.asarray((np.asarray(evidence.mean_abs) == 0) & (variances == 0))


def them(players: Sequence[str]) -> str:
    """`it` or `them`."""
    return "it" if len(players) == 1 else "them"


def too_close(evidence: Evidence, low: str, high: str, limit: str, sure: str) -> str:
    """The end of a sentence about a figure whose bounds lie on both sides of its limit."""
    examples = count(evidence.n_examples)
    return f" (between {low} and {high}), too close to {limit} to tell {sure} from {examples} examples: explain more."
