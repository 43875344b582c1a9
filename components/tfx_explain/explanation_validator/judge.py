"""From a written explanation and a policy to findings and a verdict; knows nothing of TFX."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import urllib.parse
from collections import Counter
from collections.abc import Mapping

from typing_extensions import Self

from tfx_explain import records, storage, tables
from tfx_explain.config import ValidationConfig
from tfx_explain.config.rules import AttributionRule
from tfx_explain.explanation_validator.baseline import NO_BASELINE
from tfx_explain.explanation_validator.drift import drift_judgements, method_of
from tfx_explain.explanation_validator.evidence import evidence_in, wanted_slices
from tfx_explain.explanation_validator.history import DIGEST as HISTORY_DIGEST
from tfx_explain.explanation_validator.history import History, extended
from tfx_explain.explanation_validator.parts import PartPlaces
from tfx_explain.judgement import (
    RULES,
    Finding,
    Judgement,
    RuleDescription,
    findings_of,
    is_blessed,
    judgement_of,
    promise,
)
from tfx_explain.judgement.details import PartPlace
from tfx_explain.judgement.rule import Settings
from tfx_explain.judgement.rules.parts import MAX_PART_SHARE, place_of
from tfx_explain.reader import ExplanationReader
from tfx_explain.report import Beside, Link, render_judged, render_verdict
from tfx_explain.report.render import NOTHING
from tfx_explain.slicing import OVERALL

BLESSED = "BLESSED"
NOT_BLESSED = "NOT_BLESSED"
VERDICT_REPORT = "verdict.html"
FILE_NAMES = (tables.FINDINGS, tables.HISTORY.file, VERDICT_REPORT, tables.REPORT, BLESSED, NOT_BLESSED)
"""Of all that any verdict writes."""

_MIN_WIDTH = len("insufficient evidence")


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What the policy says of an explanation.

    Attributes:
      blessed: whether the explanation meets the policy.
      findings: one for each rule, slice and output.
      explanation_uri: what was judged.
      promise: how sure the findings are, in a sentence.
      baseline_uri: the explanation it was compared with, if there was one.
      manifest_digest: SHA-256 of the manifest of what was judged, which holds those of all its files.
      baseline_manifest_digest: the same of the explanation it was compared with.
      on_insufficient_evidence: what the policy makes of doubts: `refuse` or `bless`.
      history: this run and those before it; None where nobody asked for it.
      evaluation_uri: an Evaluator's metrics of the same model, if there are any.
      page_digests: SHA-256 of each page for people, by name; empty before they are written.
    """

    blessed: bool
    findings: tuple[Finding, ...]
    explanation_uri: str
    promise: str = ""
    baseline_uri: str | None = None
    manifest_digest: str = ""
    baseline_manifest_digest: str | None = None
    on_insufficient_evidence: str = "refuse"
    history: History | None = None
    evaluation_uri: str | None = None
    page_digests: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def refusals(self) -> list[Finding]:
        """The findings that stand against a blessing, what failed before what was not shown; none of a blessing."""
        doubts = ("insufficient_evidence",) if self.on_insufficient_evidence == "refuse" else ()
        wanted = () if self.blessed else ("fail", *doubts)
        return [finding for outcome in wanted for finding in self.findings if finding.outcome == outcome]

    @property
    def is_all_skipped(self) -> bool:
        """Whether no rule was judged at all, each for want of a baseline."""
        return bool(self.findings) and all(finding.outcome == "skipped" for finding in self.findings)

    @property
    def file_names(self) -> tuple[str, ...]:
        """What `write` writes."""
        history = (tables.HISTORY.file,) if self.history else ()
        return tables.FINDINGS, *history, VERDICT_REPORT, tables.REPORT, BLESSED if self.blessed else NOT_BLESSED

    @property
    def counts(self) -> str:
        """How many findings have which outcome, for people."""
        counted = Counter(finding.outcome for finding in self.findings)
        return ", ".join(f"{n} {outcome.replace('_', ' ')}" for outcome, n in counted.items()) or "no rule"

    def lines(self, *, passed: bool = True) -> list[str]:
        """What each finding says, for people; without `passed`, of those alone that did not pass.

        A line names slice and output where there are several, and the measure of a rule that has one.
        """
        shown = [finding for finding in self.findings if passed or finding.outcome != "pass"]
        rules = [" ".join([finding.rule, str(finding.settings.get("measure", ""))]).strip() for finding in shown]
        width = max([_MIN_WIDTH, *map(len, rules)])
        return [
            f"{each.outcome.replace('_', ' '):<{_MIN_WIDTH}}  {rule:<{width}}  {self._place_of(each)}{each.message}"
            for each, rule in zip(shown, rules, strict=True)
        ]

    def _place_of(self, finding: Finding) -> str:
        """Slice and output of a finding, as far as others have other ones, before its message."""
        slices = {each.slice_key for each in self.findings}
        outputs = {each.output for each in self.findings if each.output}
        place = [finding.slice_key] if len(slices) > 1 else []
        place += [finding.output] if len(outputs) > 1 and finding.output else []
        return f"{', '.join(place)}: " if place else ""

    def to_dict(self) -> dict[str, object]:
        """The content of `findings.json`."""
        return {
            "blessed": self.blessed,
            "explanation_uri": self.explanation_uri,
            "manifest_digest": self.manifest_digest,
            "promise": self.promise,
            "baseline_uri": self.baseline_uri,
            "baseline_manifest_digest": self.baseline_manifest_digest,
            "evaluation_uri": self.evaluation_uri,
            tables.PAGE_DIGESTS: dict(self.page_digests),
            HISTORY_DIGEST: self.history.digest if self.history else None,
            "findings": [finding.to_dict() for finding in self.findings],
        }

    def with_history(self, explanation: ExplanationReader, earlier: History | None) -> Self:
        """The verdict with the runs before it.

        Args:
          explanation: what was judged.
          earlier: what the verdict before this one knew; None on the first run.
        """
        return dataclasses.replace(self, history=extended(earlier, explanation, self.findings, blessed=self.blessed))

    def page(self, beside: Beside = NOTHING) -> str:
        """The findings as a page for people, with what stands beside them."""
        return render_verdict(
            self.findings,
            blessed=self.blessed,
            about=self.explanation_uri,
            note=self.promise,
            beside=beside,
        )

    def write(self, directory: str) -> Self:
        """Writes the pages for people, findings, and last the file that names the verdict.

        Returns:
          The verdict as it was written, with the digests of its pages.
        """
        pages = self._pages(directory)
        written = dataclasses.replace(
            self, page_digests={name: hashlib.sha256(page).hexdigest() for name, page in pages.items()}
        )
        if self.history:
            storage.write_bytes(storage.join(directory, tables.HISTORY.file), self.history.content)
        records.write_json(storage.join(directory, tables.FINDINGS), written.to_dict())
        for name, page in pages.items():
            storage.write_bytes(storage.join(directory, name), page)
        write_blessing(directory, self.blessed)
        return written

    def _pages(self, directory: str) -> dict[str, bytes]:
        """The verdict alone, and the report of the explanation with it, as judging changes no explanation."""
        beside = self._beside(directory)
        alone = self.page(dataclasses.replace(beside, page=tables.REPORT))
        to_verdict = dataclasses.replace(beside, page=VERDICT_REPORT)
        report = render_judged(self.explanation_uri, self.findings, blessed=self.blessed, beside=to_verdict)
        return {VERDICT_REPORT: alone.encode(), tables.REPORT: report.encode()}

    def _beside(self, directory: str) -> Beside:
        """What both pages show, from where they will be."""
        uri = self.evaluation_uri
        evaluation = Link(uri, _link(uri, directory)) if uri else None
        return Beside(history=self.history.table if self.history else None, evaluation=evaluation)


def _link(uri: str, directory: str) -> str:
    """The URI for a browser, from a page in a directory; empty where browsers open no such place."""
    if uri.startswith(("https://", "http://")):
        return uri
    if not (storage.is_local(uri) and storage.is_local(directory)):
        return ""
    return urllib.parse.quote(os.path.relpath(storage.absolute(uri), storage.absolute(directory)))


def write_blessing(directory: str, blessed: bool) -> None:
    """The empty file that Evaluator writes too."""
    storage.write_bytes(storage.join(directory, BLESSED if blessed else NOT_BLESSED), b"")


def judge(
    explanation: ExplanationReader,
    config: ValidationConfig,
    baseline: ExplanationReader | None = None,
    no_baseline: str = NO_BASELINE,
) -> Verdict:
    """Applies every rule to every output of an explanation, in every slice that the policy asks for.

    Args:
      explanation: what is judged.
      config: the policy.
      baseline: what rules about drift compare with; None = the baseline model in the explanation, or nothing.
      no_baseline: why there is none, for people.

    Raises:
      InputError: explanation or baseline are not what was written, or cannot be compared.
      ConfigError: a rule names a player that neither the explanation nor the examples have, or needs tables that the
        explanation does not have, or the policy asks for slices that were not explained.

    Example:
      >>> policy = ValidationConfig(rules=[{"max_share": {"players": ["age"], "value": 0.9}}], min_slice_examples=20)
      >>> verdict = judge(ExplanationReader(explanation_dir), policy)
      >>> verdict.blessed
      True
      >>> [(finding.rule, finding.outcome) for finding in verdict.findings]
      [('max_share', 'pass')]
    """
    explanation.verify()
    judgements = _standing_judgements(explanation, config)
    slices = list(wanted_slices(explanation, config.slicing_specs))
    compared, skipped = drift_judgements(explanation, config, slices, baseline, no_baseline)
    findings = (*findings_of([*judgements, *compared], config.confidence, config.multiplicity), *skipped)
    return Verdict(
        blessed=is_blessed(findings, on_insufficient_evidence=config.on_insufficient_evidence),
        findings=findings,
        explanation_uri=explanation.uri,
        promise=promise(findings, config.confidence, config.multiplicity),
        baseline_uri=None if baseline is None else baseline.uri,
        manifest_digest=explanation.manifest_digest,
        baseline_manifest_digest=None if baseline is None else baseline.manifest_digest,
        on_insufficient_evidence=config.on_insufficient_evidence,
    )


def _standing_judgements(explanation: ExplanationReader, config: ValidationConfig) -> list[Judgement]:
    """Every rule that needs no baseline, for each method's evidence that rules are about."""
    by_method: dict[str, list[tuple[RuleDescription, Settings, Settings]]] = {}
    asked: list[tuple[str, PartPlace]] = []
    for rule in config.rules:
        described = RULES[rule.name]
        if described.needs_baseline:
            continue
        settings = rule.settings.model_dump()
        name = settings.pop("method") if isinstance(rule.settings, AttributionRule) else None
        named = {} if name is None else {"method": name}
        method = method_of(explanation, described, rule.settings)
        by_method.setdefault(method, []).append((described, settings, named))
        if described is MAX_PART_SHARE:
            asked.append((method, place_of(settings["feature"], settings["words"], settings["area"])))
    places = PartPlaces(explanation, config.slicing_specs, asked)
    return [
        judgement_of(rule, settings, evidence, config.min_slice_examples, chosen_by=named)
        for method, rules in by_method.items()
        for evidence in evidence_in(explanation, config.slicing_specs, [rule for rule, *_ in rules], method, places)
        for rule, settings, named in rules
        if not rule.is_between_slices or evidence.slice_key != OVERALL
    ]
