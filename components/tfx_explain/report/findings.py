"""Findings as pages show them: a sentence, figures, and a gauge."""

from __future__ import annotations

import dataclasses
import math

from tfx_explain.judgement import RULES, Finding, describe
from tfx_explain.judgement.wording import confidence_percent, percent, percents
from tfx_explain.report import text

_OUTCOMES = {
    "pass": ("✓", "Pass"),
    "fail": ("✕", "Fail"),
    "insufficient_evidence": ("?", "Not enough evidence"),
    "skipped": ("–", "Skipped: no baseline"),
}


@dataclasses.dataclass(frozen=True)
class Judged:
    """One finding as the template draws it; positions are percent of the width of its gauge."""

    finding: Finding
    mark: str
    outcome: str
    rule: str
    figures: tuple[str, str, str, str]
    confidence: str
    gauge: tuple[float, ...] | None


def judged(finding: Finding) -> Judged:
    """What a page shows of a finding."""
    mark, outcome = _OUTCOMES[finding.outcome]
    numbers = (finding.value, finding.ci_low, finding.ci_high, finding.threshold)
    value, low, high, limit = (_figure(figure) for figure in numbers)
    figures, gauge, rule = (value, low, high, limit), None, RULES.get(finding.rule)
    is_fraction = rule is not None and rule.unit == "fraction"
    if is_fraction:
        value, low, high = percents(*numbers[:3], threshold=finding.threshold)
        figures = (value, low, high, percent(finding.threshold))
    if rule is not None and (is_fraction or rule.needs_baseline) and all(map(math.isfinite, numbers)):
        gauge = _gauge(*numbers, is_fraction=is_fraction)
    sure_of = "" if finding.confidence is None else confidence_percent(finding.confidence)
    return Judged(finding, mark, outcome, describe(finding.rule), figures, sure_of, gauge)


def _figure(value: float) -> str:
    """A figure without a unit: counts in full."""
    return text.count(int(value)) if value >= 1_000 and float(value).is_integer() else text.number(value)


def _gauge(*numbers: float, is_fraction: bool) -> tuple[float, ...]:
    """Where numbers stand on a gauge from 0, or the least of them, to a little more than the largest, in percent."""
    start, largest = min(0.0, *numbers), max(numbers)
    end = max(1.25 * largest, 0.0)
    end = min(end, max(1.0, largest)) if is_fraction else end
    width = end - start or 1.0
    return tuple(100 * (number - start) / width for number in numbers)
