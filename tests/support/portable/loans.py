"""The loan approval pipeline with a portable runner's arguments in every component, and the same model in process."""

from __future__ import annotations

import contextlib
import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path

from tfx import v1 as tfx

import demonstration
from launcher.local import Judged, judged_locally
from launcher.store import Outputs
from loan_approval import kubeflow_runner
from loan_approval.pipeline import create_pipeline
from portable import Engine
from tfx_explain import ExplainConfig, ValidationConfig

KEY = "application_id"
"""What tells rows apart."""
EXAMPLES = {
    "split_names": json.dumps(["train", "eval"]),
    "payload_format": "FORMAT_TF_EXAMPLE",
    "file_format": "tfrecords_gzip",
}
"""What ExampleGen says of its examples."""
_MADE = (
    ("CsvExampleGen", "examples"),
    ("Trainer", "model"),
    ("SchemaGen", "schema"),
    ("Explainer", "explanation"),
    ("ExplanationValidator", "validation"),
)
"""Tasks, and the keys of what is read of them."""


def written(directory: Path) -> Path:
    """The applications as CSV, by a package that images do without."""
    from loan_approval import data

    data.write_csv(directory)
    return directory


def judged(root: Path, engine: Engine, applications: Path) -> tuple[Judged, Judged]:
    """What is found in process of the model that the pipeline makes, and what the pipeline finds by a portable runner.

    Args:
      root: directory that is not there yet.
      engine: the runner.
      applications: directory with the CSV.
    """
    artifacts = root / "artifacts"
    with _quiet():
        _run(root, artifacts, engine, applications)
    made: dict[str, Outputs] = {}
    for task, key in _MADE:
        made.setdefault(task, {})[key] = [{"uri": _output(artifacts, task, key), "metadata": EXAMPLES}]
    with _quiet():
        ours = judged_locally(made, kubeflow_runner.HERE, root / "in_process")
    return ours, Judged.of(made)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """While this lasts, nothing but errors is said: of TFX's warnings and Keras's lists there are pages."""
    logging.disable(logging.WARNING)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.disable(logging.NOTSET)


def _run(root: Path, artifacts: Path, engine: Engine, applications: Path) -> None:
    tfx.orchestration.LocalDagRunner().run(
        create_pipeline(
            pipeline_name="loans",
            pipeline_root=str(artifacts),
            data_root=str(applications),
            serving_dir=str(root / "serving"),
            explain_config=ExplainConfig.from_file(kubeflow_runner.HERE / "explain.yaml"),
            validation_config=ValidationConfig.from_file(kubeflow_runner.HERE / "policy.yaml"),
            sees_race=False,
            metadata_connection_config=demonstration.metadata(root),
            beam_pipeline_args=engine.beam_args,
            enable_cache=False,
        )
    )


def _output(artifacts: Path, task: str, key: str) -> str:
    (found,) = (artifacts / task / key).iterdir()
    return str(found)
