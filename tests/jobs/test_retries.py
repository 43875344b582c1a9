"""A try of a step that was killed, and the next one, which TFX gives the same directories."""

from __future__ import annotations

from pathlib import Path

import pytest
from tfx.types import standard_artifacts

import worlds
from tfx_explain import ExplainConfig, load
from tfx_explain.artifacts import Explanation
from tfx_explain.config import ModelConfig
from tfx_explain.explainer import executor
from tfx_explain.job.model_handle import ModelHandle
from tfx_explain.job.request import ExplainRequest


def test_what_a_killed_try_left_is_not_read_with_what_the_next_one_writes(
    linear_model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = tmp_path / "examples"
    worlds.write_records(rows, [worlds.to_example(row) for row in worlds.make_rows(30, 1)])
    config = ExplainConfig.from_dict(
        {"splits": ["eval"], "background": {"split": "eval", "num_rows": 5}, "id_key": "application_id"}
    )
    explanation, attributions = Explanation(), standard_artifacts.Examples()
    explanation.uri, attributions.uri = str(tmp_path / "explanation"), str(tmp_path / "attributions")
    stale = [
        Path(attributions.uri, "Split-eval", "data_tfrecord-00002-of-00007.gz"),
        Path(explanation.uri, "dead_letters", "data_tfrecord-00000-of-00001.gz"),
    ]
    for path in stale:
        path.parent.mkdir(parents=True)
        path.write_bytes(next(rows.iterdir()).read_bytes())
    Path(explanation.uri, "notes.txt").write_text("of somebody else")
    request = ExplainRequest.build(
        config=config,
        models=[ModelHandle(linear_model, ModelConfig())],
        example_patterns={"eval": str(rows / "*")},
        background_pattern=str(rows / "*"),
        explanation_dir=explanation.uri,
        attributions_dir=attributions.uri,
    )
    monkeypatch.setattr(executor, "explain_request", lambda *arguments: request)
    outputs = {"explanation": [explanation], "attributions": [attributions]}
    executor.Executor().Do({}, outputs, {"explain_config": config.to_json()})
    assert not any(path.exists() for path in stale)
    assert len(load(explanation.uri).attributions()) == 30
    assert Path(explanation.uri, "notes.txt").read_text() == "of somebody else"
