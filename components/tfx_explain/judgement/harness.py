"""From a rule and its evidence to a finding: the one way for all rules."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

from tfx_explain.errors import ConfigError
from tfx_explain.judgement.finding import Finding
from tfx_explain.judgement.policy import Judgement
from tfx_explain.judgement.rule import Decision, Grounds, RuleDescription, Settings
from tfx_explain.judgement.rules import RULES
from tfx_explain.judgement.wording import joined


def judge_rule(
    rule: RuleDescription, settings: Settings, evidence: Grounds, *, confidence: float, min_examples: int
) -> Finding:
    """What a rule finds.

    Args:
      rule: the rule.
      settings: its own; those that are not given are as their defaults.
      evidence: of one (slice, output), of the rule's class.
      confidence: of each bound.
      min_examples: fewer examples than this are `insufficient_evidence`, for the rules that estimate something.

    Raises:
      ConfigError: a setting or a player is unknown, or the explanation lacks what the rule needs.
    """
    given = rule.complete(settings)
    decision = _decision(rule, given, evidence, confidence, min_examples)
    bounds = decision.bounds
    return Finding(
        rule.name,
        _plain(rule.shown(given)),
        evidence.slice_key,
        evidence.output,
        decision.outcome,
        bounds.value,
        bounds.low,
        bounds.high,
        rule.limit(given),
        decision.message,
        bounds.about,
        confidence if decision.is_estimated else None,
    )


def apply_rule(
    name: str, settings: Settings, evidence: Grounds, *, confidence: float = 0.95, min_examples: int = 2
) -> Finding:
    """`judge_rule` by the rule's name in the configuration.

    Raises:
      ConfigError: the rule or a player is unknown, or the explanation lacks what the rule needs.
    """
    if name not in RULES:
        raise ConfigError(f"there is no rule `{name}`; rules: {', '.join(RULES)}.")
    return judge_rule(RULES[name], settings, evidence, confidence=confidence, min_examples=min_examples)


def judgement_of(
    rule: RuleDescription,
    settings: Settings,
    evidence: Grounds,
    min_examples: int,
    *,
    chosen_by: Settings | None = None,
) -> Judgement:
    """The finding of a rule for any confidence.

    Args:
      rule: the rule.
      settings: its own.
      evidence: of one (slice, output), of the rule's class.
      min_examples: as of `judge_rule`.
      chosen_by: the settings by which the policy chose this evidence, which the finding repeats; None = none.
    """

    def judge(confidence: float) -> Finding:
        finding = judge_rule(rule, settings, evidence, confidence=confidence, min_examples=min_examples)
        return dataclasses.replace(finding, settings={**finding.settings, **(chosen_by or {})})

    return judge


def skip_rule(rule: RuleDescription, settings: Settings, slice_key: str, reason: str) -> Finding:
    """The finding of a rule that compares with a baseline where there is none.

    Args:
      rule: the rule.
      settings: its own.
      slice_key: of the whole data.
      reason: why there is no baseline.
    """
    figures = (math.nan, math.nan, math.nan, rule.limit(settings))
    return Finding(rule.name, _plain(settings), slice_key, "", "skipped", *figures, f"Nothing was compared: {reason}.")


def _decision(
    rule: RuleDescription, settings: Settings, evidence: Grounds, confidence: float, min_examples: int
) -> Decision:
    decided = rule.beforehand and rule.beforehand(evidence, **settings)
    if decided:
        return decided
    for name in rule.naming:
        if settings.get(name) is not None:
            evidence.index(_names(settings[name]))
    absent = [need for need in rule.needs if getattr(evidence, need.detail) is None]
    for need in absent:
        if need.is_mistake:
            raise ConfigError(f"rule `{rule.name}` {need.otherwise}")
    reason = evidence.lacks(min_examples) if rule.needs_importance else ""
    reason = reason or next((need.otherwise for need in absent), "")
    if not reason:
        return _told_of_unread(rule, settings, evidence, rule.judge(evidence, confidence, **settings))
    undecided = Decision.undecided(reason, _about(rule, settings))
    if not rule.shows_figures:
        return undecided
    return dataclasses.replace(undecided, bounds=rule.judge(evidence, confidence, **settings).bounds)


def _told_of_unread(rule: RuleDescription, settings: Settings, evidence: Grounds, decision: Decision) -> Decision:
    """The decision, with what explains a figure of exactly 0 where the rule itself does not say it."""
    named = [name for setting in rule.naming for name in _names(settings.get(setting))]
    unread = [name for name in dict.fromkeys(named) if name in getattr(evidence, "unused", ())]
    if not unread or "does not read" in decision.message:
        return decision
    return dataclasses.replace(decision, message=f"{decision.message} The model does not read {joined(unread)}.")


def _names(value: str | Sequence[str] | None) -> Sequence[str]:
    return [value] if isinstance(value, str) else value or ()


def _about(rule: RuleDescription, settings: Settings) -> tuple[str, ...]:
    named = settings.get(rule.about) if rule.about else None
    return tuple(_names(named))


def _plain(settings: Settings) -> Mapping[str, Any]:
    """As JSON has them."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in settings.items()}
