"""From a written explanation and a policy to findings and a verdict; knows nothing of TFX."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from tfx_explain import records, storage
from tfx_explain.config import Rule, SlicingSpec, ValidationConfig
from tfx_explain.errors import ConfigError
from tfx_explain.explanation_validator.baseline import NO_BASELINE
from tfx_explain.explanation_validator.details import Details, skewness_of
from tfx_explain.explanation_validator.drift import drift_judgements
from tfx_explain.judgement.drift import DRIFT_RULES
from tfx_explain.judgement.evidence import Evidence, Finding
from tfx_explain.judgement.rules import BETWEEN_SLICES, apply_rule, findings_of, is_blessed, promise
from tfx_explain.reader import ExplanationReader
from tfx_explain.report import render_verdict
from tfx_explain.slicing import OVERALL, in_spec, spec_name, value_text
from tfx_explain.summary.ratio import Array

BLESSED = "BLESSED"
NOT_BLESSED = "NOT_BLESSED"
VERDICT_REPORT = "verdict.html"


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
    """

    blessed: bool
    findings: tuple[Finding, ...]
    explanation_uri: str
    promise: str = ""
    baseline_uri: str | None = None
    manifest_digest: str = ""
    baseline_manifest_digest: str | None = None

    @property
    def is_all_skipped(self) -> bool:
        """Whether no rule was judged at all, each for want of a baseline."""
        return bool(self.findings) and all(finding.outcome == "skipped" for finding in self.findings)

    @property
    def file_names(self) -> tuple[str, ...]:
        """What `write` writes."""
        return records.FINDINGS, VERDICT_REPORT, BLESSED if self.blessed else NOT_BLESSED

    def to_dict(self) -> dict[str, Any]:
        """The content of `findings.json`."""
        return {
            "blessed": self.blessed,
            "explanation_uri": self.explanation_uri,
            "manifest_digest": self.manifest_digest,
            "promise": self.promise,
            "baseline_uri": self.baseline_uri,
            "baseline_manifest_digest": self.baseline_manifest_digest,
            "findings": [finding.to_dict() for finding in self.findings],
        }

    def write(self, directory: str) -> None:
        """Writes findings, the page for people, and last the file that names the verdict."""
        records.write_json(storage.join(directory, records.FINDINGS), self.to_dict())
        page = render_verdict(self.findings, blessed=self.blessed, about=self.explanation_uri, note=self.promise)
        storage.write_bytes(storage.join(directory, VERDICT_REPORT), page.encode())
        write_blessing(directory, self.blessed)


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
    """
    explanation.verify()
    judgements = [
        partial(_judgement, rule, evidence, config.min_slice_examples)
        for evidence in evidence_in(explanation, config.slicing_specs, [rule.name for rule in config.rules])
        for rule in config.rules
        if rule.name not in DRIFT_RULES and (rule.name not in BETWEEN_SLICES or evidence.slice_key != OVERALL)
    ]
    slices = list(_wanted_slices(explanation, config.slicing_specs))
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
    )


def _judgement(rule: Rule, evidence: Evidence, min_examples: int, confidence: float) -> Finding:
    return apply_rule(rule.name, rule.settings.model_dump(), evidence, confidence=confidence, min_examples=min_examples)


def evidence_in(
    explanation: ExplanationReader, specs: Sequence[SlicingSpec], rules: Sequence[str] = ()
) -> Iterator[Evidence]:
    """The evidence of each slice that is asked for, and output.

    Features that the examples have but the model does not read are part of it, with an importance of exactly 0: a
    policy can forbid a feature whether or not the model at hand reads it. Slices too small for tables of their own, or
    without any rows, are evidence of that many rows and unknown importance, so that no rule holds for them unseen.

    Args:
      explanation: what is judged.
      specs: the slices.
      rules: names of the rules that will judge the evidence; what none of them needs is left out.

    Raises:
      ConfigError: the slices were not explained.
    """
    details = Details(explanation, rules)
    overall: dict[str, Evidence] = {}
    unused = tuple(name for name in explanation.manifest["unused_features"] if name not in explanation.players)
    players = explanation.players + unused
    covariances = dict(list(explanation.importance_covariance.groupby(["slice", "output"])))
    importance = explanation.importance
    tables = dict(list(importance[importance["method"] == records.SHAPLEY].groupby(["slice", "output"])))
    wanted = _wanted_slices(explanation, specs)
    for name, n_examples in {OVERALL: 0, **wanted}.items():
        for output in explanation.outputs:
            rows, n_effective = tables.get((name, output)), None
            mean_abs, covariance = np.full(len(players), np.nan), np.full((len(players), len(players)), np.nan)
            skewness = None if rows is None else skewness_of(players, rows, "skewness")
            if rows is not None:
                mean_abs, covariance = _moments(players, rows, covariances[name, output])
                n_examples, n_effective = (
                    int(rows["num_examples"].iloc[0]),
                    float(rows["num_effective_examples"].iloc[0]),
                )
            evidence = Evidence(
                players=players,
                n_examples=n_examples,
                mean_abs=mean_abs,
                mean_abs_covariance=covariance,
                max_relative_completeness_gap=explanation.manifest["completeness_gap"]["max_relative"],
                slice_key=name,
                output=output,
                n_effective=n_effective,
                unused=unused,
                skewness=skewness,
            )
            overall.setdefault(output, evidence)
            if name in wanted:
                yield details.added_to(evidence, rows, overall[output])


def _moments(players: Sequence[str], rows: pd.DataFrame, pairs: pd.DataFrame) -> tuple[Array, Array]:
    """Means (d,) and their covariance (d, d); 0 for players that are not in the tables."""
    position = {name: index for index, name in enumerate(players)}
    mean_abs, covariance = np.zeros(len(players)), np.zeros((len(players), len(players)))
    mean_abs[[position[name] for name in rows["player"]]] = rows["value"]
    first = [position[name] for name in pairs["player_a"]]
    second = [position[name] for name in pairs["player_b"]]
    covariance[first, second] = covariance[second, first] = pairs["covariance"]
    return mean_abs, covariance


def _wanted_slices(explanation: ExplanationReader, specs: Sequence[SlicingSpec]) -> dict[str, int]:
    """Name -> number of rows of the slices that are asked for; a specification that no row meets is one of 0 rows."""
    slices = explanation.manifest["slices"]
    explained = [SlicingSpec(), *(SlicingSpec(**spec) for spec in explanation.manifest["config"]["slicing_specs"])]
    wanted: dict[str, int] = {}
    for spec in specs:
        if not any(_covers(each, spec) for each in explained):
            raise ConfigError(
                f"`slicing_specs` asks for the slices `{spec_name(spec)}`, which {explanation.uri} does not have; "
                "add them to `slicing_specs` of the ExplainConfig and explain the model again."
            )
        found = {
            entry["slice"]: int(entry["num_examples"])
            for entry in [*slices["included"], *slices["too_small"]]
            if in_spec(tuple(entry["features"].items()), spec)
        }
        wanted |= found or {spec_name(spec): 0}
    return wanted


def _covers(explained: SlicingSpec, wanted: SlicingSpec) -> bool:
    """Whether every slice that is wanted is among those that were explained."""
    fixed = {name: value_text(value) for name, value in wanted.feature_values.items()}
    return explained.features == wanted.features and all(
        fixed.get(name) == value_text(value) for name, value in explained.feature_values.items()
    )
