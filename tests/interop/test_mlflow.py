"""An explanation in a store of MLflow's on this machine: `make interop-test`."""

from pathlib import Path

import pytest

import interop
import tfx_explain
from tfx_explain.reader import ExplanationReader

mlflow = pytest.importorskip("mlflow", reason="MLflow has an environment of its own: make interop-test")


def test_what_is_logged_is_the_explanation(explanation: ExplanationReader, monkeypatch: pytest.MonkeyPatch) -> None:
    root = Path(explanation.uri).parent
    monkeypatch.chdir(root)
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    mlflow.set_tracking_uri((root / "mlruns").as_uri())
    exec(interop.program("log_explanation.py"), {})
    (run,) = mlflow.search_runs(experiment_names=["loans"], output_format="list")
    assert run.data.tags["tfx_explain.manifest"] == explanation.manifest_digest
    directory = mlflow.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path="explanation")
    brought = tfx_explain.load(directory)
    brought.verify()
    assert brought.importance.equals(explanation.importance)
    assert (Path(directory) / "report.html").exists()
