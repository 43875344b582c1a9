"""Explains the model of a run once more, with LocalDagRunner.

python -m launcher.local artifacts/runs.json explain.yaml --root local
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from tfx import v1 as tfx
from tfx.types import standard_artifacts

from launcher.store import Outputs
from tfx_explain import ExplainConfig, Explainer, load

_INPUTS: dict[str, tuple[str, str, Any]] = {
    "examples": ("CsvExampleGen", "examples", standard_artifacts.Examples),
    "model": ("Trainer", "model", standard_artifacts.Model),
    "schema": ("SchemaGen", "schema", standard_artifacts.Schema),
}
"""Input of Explainer -> the task that makes it, its key there, and its type."""


def explained_locally(outputs: Mapping[str, Outputs], config: Path, root: Path) -> str:
    """Explains the model of the loan pipeline, without a baseline model.

    Args:
      outputs: of the tasks of a run.
      config: file with the ExplainConfig.
      root: an empty directory for artifacts and metadata.

    Returns:
      Where the explanation is.
    """
    importers = {}
    for name, (task, key, kind) in _INPUTS.items():
        (artifact,) = outputs[task][key]
        said = artifact["metadata"]
        is_examples = name == "examples"
        importers[name] = tfx.dsl.Importer(
            source_uri=artifact["uri"],
            artifact_type=kind,
            properties={"split_names": said["split_names"]} if is_examples else None,
            custom_properties={key: said[key] for key in ("payload_format", "file_format")} if is_examples else None,
        ).with_id(name)
    explainer = Explainer(
        **{name: importer.outputs["result"] for name, importer in importers.items()},
        explain_config=ExplainConfig.from_file(config),
    )
    database = tfx.orchestration.metadata.sqlite_metadata_connection_config(str(root / "metadata.sqlite"))
    tfx.orchestration.LocalDagRunner().run(
        tfx.dsl.Pipeline(
            pipeline_name="local",
            pipeline_root=str(root),
            components=[*importers.values(), explainer],
            metadata_connection_config=database,
        )
    )
    (explanation,) = (root / "Explainer" / "explanation").iterdir()
    return str(explanation)


def attributions(uri: str) -> pd.DataFrame:
    """The records of an explanation of the loan pipeline, in the order of their ids."""
    return load(uri).attributions().sort_values("application_id", ignore_index=True)


def main() -> None:
    """Explains the model of the first run, and compares with what each run found."""
    parser = argparse.ArgumentParser(description="Compare the attributions of runs with those of LocalDagRunner.")
    parser.add_argument("runs", type=Path, help="what `python -m launcher` wrote")
    parser.add_argument("config", type=Path, help="file with the ExplainConfig")
    parser.add_argument("--root", type=Path, required=True, help="an empty directory")
    flags = parser.parse_args()
    runs = [run["outputs"] for run in json.loads(flags.runs.read_text())]
    flags.root.mkdir()
    local = attributions(explained_locally(runs[0], flags.config, flags.root))
    for outputs in runs:
        (explanation,) = outputs["Explainer"]["explanation"]
        pd.testing.assert_frame_equal(attributions(explanation["uri"])[local.columns], local, check_exact=True)
    print(f"{len(local):,} rows and {local.shape[1]} columns of {len(runs)} runs are LocalDagRunner's to the bit")


if __name__ == "__main__":
    main()
