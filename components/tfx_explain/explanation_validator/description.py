"""What a verdict says of itself to whoever keeps metadata of artifacts: which rule decided, and what it rests on."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from typing import get_args

from tfx_explain import records
from tfx_explain.explanation_validator.judge import Verdict
from tfx_explain.judgement import Finding, Outcome
from tfx_explain.printable import shortened

MAX_REFUSALS = 10
"""Findings that refuse, as metadata name them one by one; `findings.json` has all."""

_MAX_NAME = 100
_MAX_DECISION = 500
_FIGURES = ("value", "ci_low", "ci_high", "threshold", "confidence")


def describe_verdict(verdict: Verdict, policy: str, model_uri: str, model_digest: str) -> dict[str, str | int]:
    """What metadata say of a verdict: the custom properties that `artifacts.ExplanationValidation` reads.

    Args:
      verdict: of the policy, as it was written.
      policy: its text, as the step was given it.
      model_uri: the model that was explained.
      model_digest: of its content, as its explanation has it.
    """
    refusals = verdict.refusals
    counts = Counter(finding.outcome for finding in verdict.findings)
    return {
        "blessed": int(verdict.blessed),
        "explanation_uri": verdict.explanation_uri,
        "manifest_digest": verdict.manifest_digest,
        "baseline_uri": verdict.baseline_uri or "",
        "baseline_manifest_digest": verdict.baseline_manifest_digest or "",
        "model_uri": model_uri,
        "model_digest": model_digest,
        **{f"num_{outcome}": counts[outcome] for outcome in get_args(Outcome)},
        "decided_by": decision(verdict),
        "refusals": json.dumps([refusal_of(finding) for finding in refusals[:MAX_REFUSALS]], allow_nan=False),
        "num_refusals": len(refusals),
        "findings_digest": hashlib.sha256(records.json_bytes(verdict.to_dict())).hexdigest(),
        "policy_digest": hashlib.sha256(policy.encode()).hexdigest(),
    }


def decision(verdict: Verdict) -> str:
    """Which rule decided, in a sentence."""
    if verdict.refusals:
        first, *others = verdict.refusals
        more = f" (and {len(others)} more)" if others else ""
        return f"{said_by(first)}{more}"
    return f"{'no rule refused' if verdict.blessed else 'no rule was judged'}: {verdict.counts}"


def said_by(finding: Finding) -> str:
    """A rule and what it found, as metadata can bear it."""
    return f"{finding.rule}: {shortened(finding.message, _MAX_DECISION)}"


def refusal_of(finding: Finding) -> dict[str, object]:
    """One finding with its figures, names cut to what metadata can bear."""
    whole = finding.to_dict()
    names = {name: shortened(str(whole[name]), _MAX_NAME) for name in ("rule", "slice", "output", "outcome")}
    about = shortened(", ".join(finding.about), _MAX_NAME)
    return {**names, "about": about, **{name: whole[name] for name in _FIGURES}}
