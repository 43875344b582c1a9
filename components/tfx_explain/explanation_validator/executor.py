"""What ExplanationValidator runs: judge, write, bless."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import tfx
from absl import logging  # as TFX's own components: others' logs are below the level of its runners
from tensorflow_metadata.proto.v0 import anomalies_pb2
from tfx import types
from tfx.components.evaluator import constants
from tfx.components.evaluator import executor as evaluator_executor
from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils

from tfx_explain import storage, tables
from tfx_explain.artifacts import found
from tfx_explain.compiled import check_compiled
from tfx_explain.config import ValidationConfig
from tfx_explain.errors import InputError
from tfx_explain.explanation_validator.baseline import NO_BASELINE
from tfx_explain.explanation_validator.description import decision, describe_verdict
from tfx_explain.explanation_validator.history import History
from tfx_explain.explanation_validator.judge import (
    BLESSED,
    FILE_NAMES,
    NOT_BLESSED,
    Verdict,
    judge,
    write_blessing,
)
from tfx_explain.explanation_validator.recorded import check_same_model, load_recorded, log_verdict
from tfx_explain.judgement import ATTRIBUTION_DRIFT, Finding, describe
from tfx_explain.reader import ExplanationReader
from tfx_explain.report.header import span_of

_ANOMALIES_FILE = "SchemaDiff.pb"
_BLESSED_PROPERTY = "blessed"
EXPLANATION_PROPERTY = "explanation_uri"
DIGEST_PROPERTY = "manifest_digest"
DIGEST_OF_EXPLANATION_PROPERTY = "explanation_manifest_digest"
REASON_PROPERTY = "why_not_blessed"


class Executor(base_executor.BaseExecutor):
    """Executor of the ExplanationValidator component."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Judges the explanation.

        Raises:
          TfxExplainError: explanation or policy cannot be used; no blessing is left behind.
        """
        check_compiled(exec_properties, tfx.__version__)
        config = ValidationConfig.from_json(exec_properties["validation_config"])
        # A try of this step that was killed may have left another verdict.
        _clear(output_dict)
        explanation = artifact_utils.get_single_instance(input_dict["explanation"])
        model = artifact_utils.get_single_instance(input_dict["model"])
        reader = load_recorded(explanation.uri, explanation.get_string_custom_property(DIGEST_PROPERTY))
        check_same_model(reader.manifest["model"]["uri"], model.uri)
        baseline_uri, no_baseline = find_baseline(input_dict)
        baseline = load_recorded(baseline_uri, _baseline_digest(input_dict)) if baseline_uri else None
        verdict = with_surroundings(judge(reader, config, baseline, no_baseline), reader, input_dict)
        validation = artifact_utils.get_single_instance(output_dict["validation"])
        verdict = verdict.write(validation.uri)
        explained = reader.manifest["model"]
        validation.describe(
            describe_verdict(verdict, exec_properties["validation_config"], explained["uri"], explained["digest"])
        )
        anomalies = artifact_utils.get_single_instance(output_dict["anomalies"])
        _write_anomalies(verdict, anomalies, reader.manifest["examples"]["splits"])
        reason = why_not_blessed(verdict, input_dict.get("model_blessing") or [], exec_properties)
        blessed = not reason
        blessing = artifact_utils.get_single_instance(output_dict["blessing"])
        write_blessing(blessing.uri, blessed)
        blessing.set_int_custom_property(constants.ARTIFACT_PROPERTY_BLESSED_KEY, int(blessed))
        blessing.set_string_custom_property(constants.ARTIFACT_PROPERTY_CURRENT_MODEL_URI_KEY, model.uri)
        blessing.set_int_custom_property(constants.ARTIFACT_PROPERTY_CURRENT_MODEL_ID_KEY, model.id)
        blessing.set_string_custom_property(EXPLANATION_PROPERTY, explanation.uri)
        blessing.set_string_custom_property(DIGEST_OF_EXPLANATION_PROPERTY, reader.manifest_digest)
        if reason:
            blessing.set_string_custom_property(REASON_PROPERTY, reason)
        log_verdict(verdict, validation.uri, blessed=blessed, span=span_of(reader.manifest))


def with_surroundings(
    verdict: Verdict, explanation: ExplanationReader, input_dict: dict[str, list[types.Artifact]]
) -> Verdict:
    """The verdict with the runs before it, and with where an Evaluator's metrics are.

    Raises:
      InputError: the verdict before this one is not what was written.
    """
    previous = _at_most_one(input_dict, "previous_validation")
    earlier = None if previous is None else History.read(previous.uri)
    if previous is not None and earlier is None:
        logging.info("The verdict before this one, %s, is gone or has no history; it begins anew.", previous.uri)
    evaluation = _at_most_one(input_dict, "evaluation")
    uri = None if evaluation is None else str(evaluation.uri)
    return dataclasses.replace(verdict.with_history(explanation, earlier), evaluation_uri=uri)


def _clear(output_dict: dict[str, list[types.Artifact]]) -> None:
    """Removes what an earlier try left, and tries whether this one can write.

    Raises:
      InputError: it cannot.
    """
    validation, blessing, anomalies = (
        artifact_utils.get_single_instance(output_dict[key]).uri for key in ("validation", "blessing", "anomalies")
    )
    left = [storage.join(validation, name) for name in FILE_NAMES]
    left += [storage.join(blessing, name) for name in (BLESSED, NOT_BLESSED)]
    left += [storage.join(anomalies, name) for name in storage.names(anomalies) if name.startswith("Split-")]
    for uri in left:
        storage.remove(uri)
    for directory in (validation, blessing, anomalies):
        storage.check_writable(directory, tables.CLAIM)


# Kubeflow v2 turns the model id of a blessing into a resource name only for subclasses of Evaluator's executor; without
# it LatestBlessedModelStrategy would never find what we bless there.
evaluator_executor.Executor.register(Executor)


def _baseline_digest(input_dict: dict[str, list[types.Artifact]]) -> str:
    """What ML Metadata knows of the explanation that `find_baseline` finds; empty where it knows nothing."""
    explanation = _at_most_one(input_dict, "baseline_explanation")
    if explanation is not None:
        return str(explanation.get_string_custom_property(DIGEST_PROPERTY))
    blessing = _at_most_one(input_dict, "baseline_blessing")
    return "" if blessing is None else str(blessing.get_string_custom_property(DIGEST_OF_EXPLANATION_PROPERTY))


def find_baseline(input_dict: dict[str, list[types.Artifact]]) -> tuple[str | None, str]:
    """The explanation to compare with: `baseline_explanation`, else the one that `baseline_blessing` leads to.

    A resolver that finds nothing, as on the first run, hands on an empty list.

    Returns:
      Its URI, and why there is none where there is none.

    Raises:
      InputError: there are several.
    """
    explanation = _at_most_one(input_dict, "baseline_explanation")
    if explanation is not None:
        return str(explanation.uri), ""
    blessing = _at_most_one(input_dict, "baseline_blessing")
    if blessing is None:
        return None, NO_BASELINE
    if blessing.get_int_custom_property(_BLESSED_PROPERTY) != 1:
        return None, f"the baseline blessing {blessing.uri} is of a model that was refused"
    uri = blessing.get_string_custom_property(EXPLANATION_PROPERTY)
    if not uri:
        return None, (
            f"the baseline blessing {blessing.uri} leads to no explanation, because another component made it; let an "
            "ExplanationValidator bless the model, after the Evaluator and with its blessing as `model_blessing`"
        )
    return str(uri), ""


def _at_most_one(input_dict: dict[str, list[types.Artifact]], key: str) -> types.Artifact | None:
    artifacts = found(input_dict.get(key) or [])
    if len(artifacts) > 1:
        raise InputError(f"`{key}` is {len(artifacts)} artifacts, but only one can be compared with; wire the one.")
    return artifacts[0] if artifacts else None


def why_not_blessed(verdict: Verdict, earlier: list[types.Artifact], exec_properties: dict[str, Any]) -> str:
    """Why the model is not blessed, in a sentence; empty where it is.

    Args:
      verdict: of the policy.
      earlier: the earlier verdict; none where it was not wired, or is absent at run time.
      exec_properties: of the step.
    """
    if not verdict.blessed:
        return decision(verdict)
    if exec_properties["bless_model"] != 1:
        return "`bless_model` is off; the explanation meets the policy"
    if not earlier and exec_properties["needs_model_blessing"] == 1:
        return "`model_blessing` is wired but absent; the explanation meets the policy"
    refused = [str(one.uri) for one in earlier if one.get_int_custom_property(_BLESSED_PROPERTY) != 1]
    if refused:
        return f"the earlier verdict {refused[0]} refused the model; the explanation meets the policy"
    return ""


def _write_anomalies(verdict: Verdict, artifact: types.Artifact, splits: list[str]) -> None:
    """The findings as TFDV's anomalies, the same ones for each explained split: rules judge all splits together."""
    artifact.split_names = artifact_utils.encode_split_names(splits)
    content = findings_to_anomalies(verdict.findings).SerializeToString()
    for split in splits:
        storage.write_bytes(storage.join(artifact_utils.get_split_uri([artifact], split), _ANOMALIES_FILE), content)


def findings_to_anomalies(findings: tuple[Finding, ...]) -> anomalies_pb2.Anomalies:
    """What did not pass: failures as errors, missing evidence as warnings, under the players that they are about."""
    anomalies = anomalies_pb2.Anomalies()
    for finding in findings:
        if finding.outcome in ("pass", "skipped"):
            continue
        about = ", ".join(finding.about) or "all features"
        rule = ": ".join(filter(None, [finding.rule, finding.settings.get("measure")]))
        place = f"{rule}, {finding.slice_key}, {finding.output}"
        # Rules may differ in their method alone, or in what they compare with.
        keys = (f"{about} ({place}{f', {n}' if n > 1 else ''})" for n in itertools.count(1))
        info = anomalies.anomaly_info[next(key for key in keys if key not in anomalies.anomaly_info)]
        if len(finding.about) == 1:
            info.path.step.extend(finding.about)
        failed = finding.outcome == "fail"
        info.severity = anomalies_pb2.AnomalyInfo.ERROR if failed else anomalies_pb2.AnomalyInfo.WARNING
        info.short_description = f"{describe(finding.rule)} {'Not met.' if failed else 'Not shown.'}"
        info.description = finding.message
        _add_measurement(anomalies, finding)
    return anomalies


_TFDV_MEASURES = {
    "jensen_shannon": anomalies_pb2.DriftSkewInfo.Measurement.JENSEN_SHANNON_DIVERGENCE,
    "l_infinity": anomalies_pb2.DriftSkewInfo.Measurement.L_INFTY,
}


def _add_measurement(anomalies: anomalies_pb2.Anomalies, finding: Finding) -> None:
    """The figure in TFDV's own terms, where it is one that TFDV's comparators know too."""
    measure = finding.settings.get("measure")
    if finding.rule == ATTRIBUTION_DRIFT.name and measure in _TFDV_MEASURES and finding.about:
        drift = anomalies.drift_skew_info.add()
        drift.path.step.append(finding.about[0])
        drift.drift_measurements.add(type=_TFDV_MEASURES[measure], value=finding.value, threshold=finding.threshold)
