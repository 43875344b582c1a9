"""Explains and judges the models of a run once more, with LocalDagRunner, and compares attributions and findings.

python -m launcher.local artifacts/runs.json loan_approval --root local
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from tfx import v1 as tfx
from tfx.types import standard_artifacts

from launcher import verdicts
from launcher.store import Artifact, Outputs
from tfx_explain import ExplainConfig, Explainer, ExplanationValidator, ValidationConfig, load

_INPUTS: dict[str, tuple[str, str, Any]] = {
    "examples": ("CsvExampleGen", "examples", standard_artifacts.Examples),
    "model": ("Trainer", "model", standard_artifacts.Model),
    "schema": ("SchemaGen", "schema", standard_artifacts.Schema),
}
"""Input of Explainer -> the task that makes it, its key there, and its type."""

_FINDERS = "latest_blessed_model_resolver-model-resolver", "BlessedModelFinder"
"""Tasks that find the baseline model, one for each backend."""


@dataclasses.dataclass(frozen=True)
class Judged:
    """An explanation of the loan pipeline and what the policy says of it.

    Attributes:
      explanation: its URI.
      validation: URI of the verdict.
    """

    explanation: str
    validation: str

    @classmethod
    def of(cls, outputs: Mapping[str, Outputs]) -> Judged:
        """What a run made, or found in the cache."""
        made = ("Explainer", "explanation"), ("ExplanationValidator", "validation")
        return cls(**{key: outputs[task][key][0]["uri"] for task, key in made})

    def attributions(self) -> pd.DataFrame:
        """The records in the order of their ids."""
        return load(self.explanation).attributions().sort_values("application_id", ignore_index=True)

    def verdict(self) -> dict[str, Any]:
        """What `verdicts.read` gives of it."""
        return verdicts.read(self.validation)


def judged_locally(outputs: Mapping[str, Outputs], settings: Path, root: Path) -> Judged:
    """Explains the model of a run of the loan pipeline, with its baseline model if it has one, and judges it.

    Args:
      outputs: of the tasks of the run.
      settings: directory with `explain.yaml` and `policy.yaml`.
      root: an empty directory for artifacts and metadata.
    """
    importers = {name: _importer(name, outputs[task][key], kind) for name, (task, key, kind) in _INPUTS.items()}
    for finder in _FINDERS:
        if outputs.get(finder, {}).get("model"):
            importers["baseline_model"] = _importer(
                "baseline_model", outputs[finder]["model"], standard_artifacts.Model
            )
    explainer = Explainer(
        **{name: importer.outputs["result"] for name, importer in importers.items()},
        explain_config=ExplainConfig.from_file(settings / "explain.yaml"),
    )
    validator = ExplanationValidator(
        explanation=explainer.outputs["explanation"],
        model=importers["model"].outputs["result"],
        validation_config=ValidationConfig.from_file(settings / "policy.yaml"),
        bless_model=False,
    )
    database = tfx.orchestration.metadata.sqlite_metadata_connection_config(str(root / "metadata.sqlite"))
    tfx.orchestration.LocalDagRunner().run(
        tfx.dsl.Pipeline(
            pipeline_name="local",
            pipeline_root=str(root),
            components=[*importers.values(), explainer, validator],
            metadata_connection_config=database,
        )
    )
    (explanation,) = (root / "Explainer" / "explanation").iterdir()
    (validation,) = (root / "ExplanationValidator" / "validation").iterdir()
    return Judged(str(explanation), str(validation))


def _importer(name: str, artifacts: Sequence[Artifact], kind: Any) -> tfx.dsl.Importer:
    (artifact,) = artifacts
    said = artifact["metadata"]
    is_examples = name == "examples"
    return tfx.dsl.Importer(
        source_uri=artifact["uri"],
        artifact_type=kind,
        properties={"split_names": said["split_names"]} if is_examples else None,
        custom_properties={key: said[key] for key in ("payload_format", "file_format")} if is_examples else None,
    ).with_id(name)


def differences(found: Judged, expected: Judged) -> Iterator[str]:
    """Sentences of what is not the same to the bit.

    Args:
      found: of a run.
      expected: of the same model; may have the columns of a baseline model that the run had none of.
    """
    ours, theirs = found.attributions(), expected.attributions()
    if load(found.explanation).manifest["baseline_model"] is None:
        theirs = theirs[[column for column in theirs if column in ours]]
    for column in {**theirs, **ours}:
        if column not in ours or column not in theirs or not ours[column].equals(theirs[column]):
            yield f"column {column} of the attributions differs."
    if said := verdicts.difference(found.verdict(), expected.verdict()):
        yield said


def main() -> None:
    """Explains and judges the models of the last run, and compares with what each run found; exits where it differs."""
    parser = argparse.ArgumentParser(description="Compare attributions and findings of runs with LocalDagRunner's.")
    parser.add_argument("runs", type=Path, help="what `python -m launcher` wrote")
    parser.add_argument("settings", type=Path, help="directory with `explain.yaml` and `policy.yaml`")
    parser.add_argument("--root", type=Path, required=True, help="an empty directory")
    flags = parser.parse_args()
    runs = [run["outputs"] for run in json.loads(flags.runs.read_text())]
    flags.root.mkdir()
    local = judged_locally(runs[-1], flags.settings, flags.root)
    for n, outputs in enumerate(runs, 1):
        for different in differences(Judged.of(outputs), local):
            sys.exit(f"run {n} is not what LocalDagRunner makes of its model: {different}")
    table, verdict = local.attributions(), local.verdict()
    of_runs = f"of {len(runs)} runs are LocalDagRunner's"
    print(f"{len(table):,} rows and {table.shape[1]} columns {of_runs} to the bit")
    print(f"verdict ({verdicts.name(verdict)}) and {verdicts.n_findings(verdict)} findings {of_runs}")


if __name__ == "__main__":
    main()
