"""The section of the card on the tests: rules of the policy, figures, outcomes, verdict."""

from __future__ import annotations

import json
from collections import Counter

from tfx_explain import storage, tables
from tfx_explain.card.blocks import Block, Cell, Column, Fact, Facts, Name, Points, Section, Table, pointer
from tfx_explain.card.validation import Validation
from tfx_explain.judgement import Finding
from tfx_explain.report.findings import judged, summed_up
from tfx_explain.report.text import count

MAX_FINDINGS = 100
_ORDER = ("fail", "insufficient_evidence", "skipped", "pass")
_COLUMNS = (
    Column("No.", "findings"),
    Column("Outcome", "outcome"),
    Column("Rule", "rule"),
    Column("Settings", "settings"),
    *(Column("Slice", "slice"), Column("Output", "output"), Column("Figure", "value")),
    *(Column("from", "ci_low"), Column("to", "ci_high"), Column("Limit", "threshold")),
)
_SERVES = ("2(g)",)


def verdict_section(validation: Validation | None) -> Section:
    """What was tested, and how it came out."""
    if validation is None:
        return Section(
            "Tests and verdict",
            _SERVES,
            ["No verdict was given to this card, so no rule of a policy was tested; name one by --validation."],
        )
    order = sorted(enumerate(validation.findings), key=lambda numbered: _ORDER.index(numbered[1].outcome))
    shown = order[:MAX_FINDINGS]
    rows = [_row(number, finding) for number, finding in shown]
    left_out = f" {count(len(order) - len(shown))} more findings are in the file." if len(order) > len(shown) else ""
    note = f"A row is the entry of findings of its number, counted from 0.{left_out}"
    blocks: list[Block] = [
        f"Verdict: {'blessed' if validation.blessed else 'refused'}; {summed_up(validation.findings)}",
        Facts(tables.FINDINGS, _facts(validation)),
        *([validation.promise] if validation.promise else []),
        Table(tables.FINDINGS, {}, _COLUMNS, rows, note),
    ]
    wants = {finding.rule: judged(finding).rule for _, finding in shown}
    blocks += ["What the rules want:", Points([f"{rule}: {want}" for rule, want in wants.items()])]
    told = [f"No. {number}: {finding.message}" for number, finding in shown if finding.outcome != "pass"]
    blocks += ["What did not pass, in words:", Points(told)] if told else []
    return Section("Tests and verdict", _SERVES, blocks)


def _facts(validation: Validation) -> list[Fact]:
    found = [Fact("Blessed", "yes" if validation.blessed else "no", pointer("blessed"))]
    if validation.baseline_uri:
        found.append(Fact("Compared with", Name(validation.baseline_uri), pointer("baseline_uri")))
    if validation.evaluation_uri:
        found.append(Fact("Evaluator's metrics", Name(validation.evaluation_uri), pointer("evaluation_uri")))
    return found


def _row(number: int, finding: Finding) -> tuple[Cell, ...]:
    settings = json.dumps(finding.settings, ensure_ascii=False, default=str)
    names = Name(finding.outcome), Name(finding.rule), Name(settings), Name(finding.slice_key), Name(finding.output)
    return (number, *names, finding.value, finding.ci_low, finding.ci_high, finding.threshold)


def untested(validation: Validation | None) -> list[str]:
    """Rules without an outcome, in sentences."""
    if validation is None:
        return ["No rule of a policy was tested."]
    counted = Counter((finding.outcome, finding.rule) for finding in validation.findings)
    why = {"insufficient_evidence": "could not be decided for want of evidence", "skipped": "was skipped"}
    return [
        f"The rule {rule} {why[outcome]} in {count(n)} {'place' if n == 1 else 'places'}."
        for (outcome, rule), n in counted.items()
        if outcome in why
    ]


def findings_file(validation: Validation) -> str:
    """Where the findings are."""
    return storage.join(validation.uri, tables.FINDINGS)
