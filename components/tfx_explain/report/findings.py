"""Findings as pages show them: a sentence, figures, and a gauge."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Sequence

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
    """One finding as the template draws it.

    Attributes:
      finding: what was found.
      mark, outcome: its outcome as a sign and in words.
      rule: what the rule wants.
      figures: value, lower and upper bound, threshold.
      confidence: of the outcome; empty where the figure is exact.
      gauge: places of the same four, percent of its width; None where there is nothing to draw.
      scale: what the two ends of the gauge are.
    """

    finding: Finding
    mark: str
    outcome: str
    rule: str
    figures: tuple[str, ...]
    confidence: str
    gauge: tuple[float, ...] | None = None
    scale: tuple[str, ...] = ()


def judged(finding: Finding) -> Judged:
    """What a page shows of a finding."""
    mark, outcome = _OUTCOMES[finding.outcome]
    numbers = (finding.value, finding.ci_low, finding.ci_high, finding.threshold)
    figures = tuple(_figure(figure) for figure in numbers)
    rule = RULES.get(finding.rule)
    is_fraction = rule is not None and rule.unit == "fraction"
    if is_fraction:
        figures = (*percents(*numbers[:3], threshold=finding.threshold), percent(finding.threshold))
    sure_of = "" if finding.confidence is None else confidence_percent(finding.confidence)
    shown = Judged(finding, mark, outcome, describe(finding.rule), figures, sure_of)
    if rule is None or not (is_fraction or rule.needs_baseline) or not all(map(math.isfinite, numbers)):
        return shown
    start, end = _ends(*numbers, is_fraction=is_fraction)
    gauge = tuple(100 * (number - start) / (end - start) for number in numbers)
    scale = tuple(percent(at) if is_fraction else text.number(at, 3) for at in (start, end))
    return dataclasses.replace(shown, gauge=gauge, scale=scale)


def summed_up(findings: Sequence[Finding]) -> str:
    """How the findings came out, as the end of a sentence: each counts once, whatever rule it is of."""
    counted = Counter(finding.outcome for finding in findings)
    failed, unsure, skipped = (counted[outcome] for outcome in ("fail", "insufficient_evidence", "skipped"))
    n, rules = len(findings), len({(finding.rule, repr(finding.settings)) for finding in findings})
    if not n:
        return "nothing was checked."
    of = f"{'finding' if n == 1 else 'findings'} on {rules} {'rule' if rules == 1 else 'rules'}"
    if skipped == n:
        return f"nothing was compared: {n} {of} skipped for want of a baseline."
    told = [(failed, "failed"), (unsure, "could not be decided"), (counted["pass"], "passed")]
    parts = [f"{count} {what}" for count, what in told if count]
    parts += [f"{skipped} skipped for want of a baseline"] if skipped else []
    return f"{n} {of}: {', '.join(parts)}."


def _figure(value: float) -> str:
    """A figure without a unit: counts in full."""
    return text.count(int(value)) if value >= 1_000 and float(value).is_integer() else text.number(value)


def _ends(*numbers: float, is_fraction: bool) -> tuple[float, float]:
    """The ends of a gauge: from 0, or the least of them, to a round number a little above the largest."""
    start, largest = min(0.0, *numbers), max(numbers)
    end = _rounded_up(1.25 * largest) if largest > 0 else 0.0
    end = min(end, max(1.0, largest)) if is_fraction else end
    return start, end if end > start else start + 1.0


def _rounded_up(value: float) -> float:
    """To 1, 2 or 5 times a power of ten."""
    size = 10.0 ** math.floor(math.log10(value))
    return next(step * size for step in (1, 2, 5, 10) if step * size >= value * (1 - 1e-9))
