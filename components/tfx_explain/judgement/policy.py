"""From the rules of a policy to its findings and the verdict: how many there are is accounted for here.

A policy is blessed when all its rules pass, in all slices and for all outputs. So a model that breaks one of them is
blessed with a probability of at most 1 - confidence, however many rules there are: the finding on the broken rule would
have to pass by mistake. The other mistake grows with the number of findings: of 100 rules that all hold, 5 would fail
at a confidence of 95 % each. Failures are therefore corrected by Holm's method, so that over the whole policy a `fail`
is false with a probability of at most 1 - confidence, whatever depends on what. What fails on its own but not so
corrected is `insufficient_evidence`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Literal

from tfx_explain.judgement.finding import Finding
from tfx_explain.judgement.wording import sure

Judgement = Callable[[float], Finding]
"""A rule on its evidence: from the confidence to the finding. More confidence never turns another outcome to `fail`."""

Multiplicity = Literal["holm", "none"]


def findings_of(
    judgements: Sequence[Judgement], confidence: float, multiplicity: Multiplicity = "holm"
) -> list[Finding]:
    """The findings of a policy.

    Args:
      judgements: all of them: every rule in every slice and for every output.
      confidence: of each pass; with `holm` of all failures together, else of each.
      multiplicity: `holm`, or `none` to judge each finding as if it were the only one.

    Returns:
      One finding for each, in order. Findings that nothing was estimated for (`confidence` None) are not corrected and
      do not count.

    Source: S. Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6
    (1979) 65-70.
    """
    findings = [judgement(confidence) for judgement in judgements]
    estimated = [i for i, finding in enumerate(findings) if finding.confidence is not None]
    suspects = [i for i in estimated if findings[i].outcome == "fail"]
    if multiplicity == "none":
        return findings
    left = len(estimated)
    while suspects:
        for i in suspects:
            findings[i] = judgements[i](1 - (1 - confidence) / left)
        still = [i for i in suspects if findings[i].outcome != "fail"]
        if len(still) == len(suspects):
            break
        left -= len(suspects) - len(still)
        suspects = still
    return findings


def promise(findings: Sequence[Finding], confidence: float, multiplicity: Multiplicity = "holm") -> str:
    """How sure the findings of a policy are, in a sentence."""
    if findings and all(finding.outcome == "skipped" for finding in findings):
        return "Nothing was checked: every rule was skipped for want of a baseline."
    n = sum(finding.confidence is not None for finding in findings)
    if n < 2:
        return f"The one estimated finding is right {sure(confidence)}." if n else "No finding rests on an estimate."
    failures = {
        "holm": f"all failures together are right {sure(confidence)}, corrected for the {n} estimated findings (Holm)",
        "none": f"so is each failure, not corrected for the {n} estimated findings",
    }[multiplicity]
    return f"Each pass is right {sure(confidence)}; {failures}."


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
