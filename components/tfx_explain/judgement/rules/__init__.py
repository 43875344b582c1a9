"""Rules: each is a pure function from evidence to one finding.

A rule about the data compares a confidence bound, not a point value, so it ends in one of three ways: the bound shows
that the rule holds, the opposite bound shows that it is broken, or the examples cannot tell. The first line of a rule's
docstring is its text in reports (`describe`).

Bounds are one-sided: each is right with the configured confidence. So a model that sits exactly on a threshold is
refused as a `fail` with a probability of at most 1 - confidence, and passed with at most the same. `policy` says what
becomes of that where there are several rules.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tfx_explain.errors import ConfigError
from tfx_explain.judgement.drift import DRIFT_RULES
from tfx_explain.judgement.evidence import Evidence, Finding
from tfx_explain.judgement.rules.contrasts import max_interaction, max_slice_difference
from tfx_explain.judgement.rules.effects import monotonic, sign
from tfx_explain.judgement.rules.policy import findings_of, is_blessed, promise
from tfx_explain.judgement.rules.quality import max_completeness_gap, max_relative_std_error, min_examples
from tfx_explain.judgement.rules.ranking import canary, top_k_includes
from tfx_explain.judgement.rules.shares import max_share, max_top_share, min_importance, min_share

RULES: Mapping[str, Callable[..., Finding]] = {
    "max_share": max_share,
    "min_share": min_share,
    "max_top_share": max_top_share,
    "min_importance": min_importance,
    "top_k_includes": top_k_includes,
    "canary": canary,
    "sign": sign,
    "monotonic": monotonic,
    "max_interaction": max_interaction,
    "max_slice_difference": max_slice_difference,
    "max_completeness_gap": max_completeness_gap,
    "max_relative_std_error": max_relative_std_error,
    "min_examples": min_examples,
}

EXACT: Mapping[str, tuple[str, ...]] = {
    "max_completeness_gap": (),
    "max_relative_std_error": ("min_examples",),
    "min_examples": (),
}
"""Rules about figures that are known exactly: which of `confidence` and `min_examples` they take."""

BETWEEN_SLICES = frozenset({"max_slice_difference"})
"""Rules that compare a slice with the rest, so that they say nothing about the whole data."""

FRACTIONS = frozenset(
    {"max_share", "min_share", "max_top_share", "max_interaction", "max_slice_difference", "max_relative_std_error"}
)
"""Rules whose figures are parts of something; reports show them in percent."""


def describe(rule: str) -> str:
    """The first line of a rule's docstring: its text in reports; the name itself for a rule that is not known here."""
    known = {**RULES, **DRIFT_RULES}
    doc = known[rule].__doc__ if rule in known else None
    return (doc or rule).strip().splitlines()[0]


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
    common = {"confidence": confidence, "min_examples": min_examples}
    return RULES[rule](evidence, **settings, **{key: common[key] for key in EXACT.get(rule, tuple(common))})


__all__ = [
    "BETWEEN_SLICES",
    "EXACT",
    "FRACTIONS",
    "RULES",
    "apply_rule",
    "canary",
    "describe",
    "findings_of",
    "is_blessed",
    "max_completeness_gap",
    "max_interaction",
    "max_relative_std_error",
    "max_share",
    "max_slice_difference",
    "max_top_share",
    "min_examples",
    "min_importance",
    "min_share",
    "monotonic",
    "promise",
    "sign",
    "top_k_includes",
]
