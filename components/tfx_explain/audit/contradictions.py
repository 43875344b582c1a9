"""What the store says of an explanation or a verdict, against what their own files say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tfx_explain import tables
from tfx_explain.audit.cases import OUTCOMES, Explained, Verdict
from tfx_explain.content_digest import object_digest
from tfx_explain.errors import InputError

_OF_MANIFEST: Mapping[str, Callable[[Mapping[str, Any]], object]] = {
    "num_examples": lambda manifest: sum(counts["explained"] for counts in manifest["counts"].values()),
    "num_failed": lambda manifest: sum(sum(reasons.values()) for reasons in manifest["failures"].values()),
    "methods": lambda manifest: ",".join(manifest["method"]),
    "model_digest": lambda manifest: manifest["model"]["digest"],
    "examples_digest": lambda manifest: object_digest(manifest["examples"]["digests"]),
    "config_digest": lambda manifest: object_digest(manifest["config"]),
    "version": lambda manifest: manifest["tfx_explain_version"],
}
"""Field of `Explained` -> the same by the manifest; places are not among them, as those in a step may be others."""


def against_manifest(one: Explained, manifest: Mapping[str, Any]) -> str:
    """What the store says otherwise than the manifest, in a sentence; empty where both agree or it says nothing."""
    for name, said in _OF_MANIFEST.items():
        known = getattr(one, name)
        try:
            differs = known is not None and known != said(manifest)
        except (AttributeError, KeyError, TypeError, ValueError):
            return f"{tables.MANIFEST} does not say what {name} is"
        if differs:
            return f"{tables.MANIFEST} and the store differ in {name}"
    return ""


def against_findings(one: Verdict, findings: Mapping[str, Any] | None) -> str:
    """What the store says otherwise than `findings.json`, likewise."""
    listed = None if findings is None else findings.get("findings")
    if findings is None or not isinstance(listed, list):
        return f"{tables.FINDINGS} holds no findings"
    if findings.get("blessed") is not one.blessed:
        return f"{tables.FINDINGS} and the store name different verdicts"
    found = [finding for finding in listed if isinstance(finding, dict)]
    counts = Counter(finding.get("outcome") for finding in found)
    if one.outcomes is not None and any(counts[outcome] != one.outcomes[outcome] for outcome in OUTCOMES):
        return f"{tables.FINDINGS} and the store count different outcomes"
    return "" if one.refusals is None else _against_refusals(one, one.refusals, found)


def _against_refusals(one: Verdict, told: Sequence[Mapping[str, Any]], found: Sequence[Mapping[str, Any]]) -> str:
    """The refusals that the store tells of, and the first of them, which decided."""
    # Here, as what describes findings also draws pages, and takes long to import.
    from tfx_explain.explanation_validator.description import MAX_REFUSALS, refusal_of, said_by  # noqa: PLC0415
    from tfx_explain.judgement import Finding  # noqa: PLC0415

    try:
        findings = [Finding.from_dict(finding) for finding in found]
    except InputError:
        return f"{tables.FINDINGS} holds no findings"
    written = list(map(refusal_of, findings))
    if not all(refusal in written for refusal in told):
        return f"the store tells of refusals that are not in {tables.FINDINGS}"
    if len(told) < min(sum(finding.outcome == "fail" for finding in findings), MAX_REFUSALS):
        return f"the store leaves out refusals that are in {tables.FINDINGS}"
    if told and one.decided_by is not None and not one.decided_by.startswith(tuple(map(said_by, findings))):
        return f"the store tells of a decision that is not in {tables.FINDINGS}"
    return ""
