"""What Kubeflow's components record is found too: artifacts of its own types, whole numbers as doubles."""

import json
from pathlib import Path
from typing import Any

import audited
from tfx_explain.audit.joining import cases_of
from tfx_explain.audit.lineage import read_lineage
from tfx_explain.audit.stores import opened
from tfx_explain.explainer.description import describe_explanation
from tfx_explain.explanation_validator.description import describe_verdict


def doubles(properties: dict[str, Any]) -> dict[str, Any]:
    return {name: float(value) if isinstance(value, int) else value for name, value in properties.items()}


def test_explanations_and_verdicts_of_kubeflow_are_cases(history: Any, tmp_path: Path) -> None:
    recorder = audited.Recorder(audited.sqlite_config(tmp_path / "metadata.db"))
    manifest = json.loads(history.place("bad", "explanation/manifest.json").read_text())
    verdict = history.verdicts["bad"]
    said = doubles(describe_verdict(verdict, "rules: []", "gs://bucket/model", "d"))
    model = recorder.artifact("system.Model", "gs://bucket/model")
    explanation = recorder.artifact("system.Artifact", "gs://bucket/e", **doubles(describe_explanation(manifest)))
    validation = recorder.artifact("system.Artifact", "gs://bucket/v", **said)
    other = recorder.artifact("system.Artifact", "gs://bucket/o", blessed=1.0)
    component = "system.ContainerExecution"
    recorder.execution(component, {"model": model}, {"explanation": explanation, "other": other})
    recorder.execution(component, {"explanation": explanation, "model": model}, {"validation": validation})
    with opened(f"sqlite:{tmp_path / 'metadata.db'}") as store:
        (case,) = cases_of(read_lineage(store))
    assert (case.model, case.explanation.uri, case.verdict.uri) == (
        "gs://bucket/model",
        "gs://bucket/e",
        "gs://bucket/v",
    )
    assert (case.verdict.blessed, case.verdict.outcomes["fail"], case.explanation.num_examples) == (False, 1, 24)
    assert case.verdict.model_blessed is case.verdict.policy is None
