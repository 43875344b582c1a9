"""The loan approval pipeline with a portable runner's arguments in every component, and the same model in process."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tfx import v1 as tfx

import demonstration
import tfx_explain
from launcher.local import explained_locally
from loan_approval import data, kubeflow_runner
from loan_approval.pipeline import create_pipeline
from portable import Engine
from tfx_explain import ExplainConfig, ValidationConfig, tables
from tfx_explain.reader import ExplanationReader

KEY = "application_id"
"""What tells rows apart."""
EXPLAIN, POLICY = (kubeflow_runner.HERE / name for name in ("explain.yaml", "policy.yaml"))
EXAMPLES = {
    "split_names": json.dumps(["train", "eval"]),
    "payload_format": "FORMAT_TF_EXAMPLE",
    "file_format": "tfrecords_gzip",
}
"""What ExampleGen says of its examples."""


@dataclasses.dataclass(frozen=True)
class Judged:
    """An explanation, and what the policy says of it.

    Attributes:
      explanation: of the candidate that does not see race.
      verdict: whether it is blessed, and every finding.
    """

    explanation: ExplanationReader
    verdict: tuple[bool, Any]


def judged(root: Path, engine: Engine) -> tuple[Judged, Judged]:
    """What the pipeline finds by a portable runner, and what Explainer and policy find in process of the same model.

    Args:
      root: directory that is not there yet.
      engine: the runner.
    """
    data.write_csv(root / "data")
    artifacts = root / "artifacts"
    with _quiet():
        _run(root, artifacts, engine)
    theirs = tfx_explain.load(_output(artifacts, "Explainer", "explanation"))
    found = json.loads(Path(_output(artifacts, "ExplanationValidator", "validation"), tables.FINDINGS).read_text())
    made = {
        task: {key: [{"uri": _output(artifacts, task, key), "metadata": EXAMPLES}]}
        for task, key in (("CsvExampleGen", "examples"), ("Trainer", "model"), ("SchemaGen", "schema"))
    }
    with _quiet():
        ours = tfx_explain.load(explained_locally(made, EXPLAIN, root / "in_process"))
    return Judged(ours, _verdict(_judge(ours))), Judged(theirs, _verdict(found))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """While this lasts, nothing but errors is said: of TFX's warnings and Keras's lists there are pages."""
    logging.disable(logging.WARNING)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.disable(logging.NOTSET)


def _run(root: Path, artifacts: Path, engine: Engine) -> None:
    tfx.orchestration.LocalDagRunner().run(
        create_pipeline(
            pipeline_name="loans",
            pipeline_root=str(artifacts),
            data_root=str(root / "data"),
            serving_dir=str(root / "serving"),
            explain_config=ExplainConfig.from_file(EXPLAIN),
            validation_config=ValidationConfig.from_file(POLICY),
            sees_race=False,
            metadata_connection_config=demonstration.metadata(root),
            beam_pipeline_args=engine.beam_args,
            enable_cache=False,
        )
    )


def _judge(explanation: ExplanationReader) -> dict[str, Any]:
    verdict = tfx_explain.judge(explanation, ValidationConfig.from_file(POLICY))
    # As it would be read from a file.
    return json.loads(json.dumps(verdict.to_dict()))


def _verdict(said: dict[str, Any]) -> tuple[bool, Any]:
    return said["blessed"], said["findings"]


def _output(artifacts: Path, task: str, key: str) -> str:
    (found,) = (artifacts / task / key).iterdir()
    return str(found)
