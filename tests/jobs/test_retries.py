"""A try of a step that was killed, and the next one, which TFX gives the same directories."""

from __future__ import annotations

from pathlib import Path

import pytest
from tfx.types import standard_artifacts

import worlds
from tfx_explain import ExplainConfig, load, storage
from tfx_explain.artifacts import Explanation
from tfx_explain.config import ModelConfig
from tfx_explain.explainer import executor
from tfx_explain.job.model_handle import ModelHandle
from tfx_explain.job.request import ExplainRequest


@pytest.mark.parametrize("place", ["{tmp_path}", "memory://retries"])
def test_what_a_killed_try_left_is_not_read_with_what_the_next_one_writes(
    linear_model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    root = place.format(tmp_path=tmp_path)
    rows = tmp_path / "examples"
    worlds.write_records(rows, [worlds.to_example(row) for row in worlds.make_rows(30, 1)])
    config = ExplainConfig.from_dict(
        {"splits": ["eval"], "background": {"split": "eval", "num_rows": 5}, "id_key": "application_id"}
    )
    explanation, attributions = Explanation(), standard_artifacts.Examples()
    explanation.uri, attributions.uri = f"{root}/explanation", f"{root}/attributions"
    stale = [
        f"{attributions.uri}/Split-eval/data_tfrecord-00002-of-00007.gz",
        f"{attributions.uri}/Split-eval/.unnamed-1/2",
        f"{explanation.uri}/dead_letters/data_tfrecord-00000-of-00001.gz",
        f"{explanation.uri}/manifest.json",
    ]
    for uri in stale:
        storage.write_bytes(uri, next(rows.iterdir()).read_bytes())
    storage.write_bytes(f"{explanation.uri}/notes.txt", b"of somebody else")
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
    assert storage.names_beneath(attributions.uri) == ["Split-eval/data_tfrecord-00000-of-00001.gz"]
    assert not storage.exists(stale[2])
    reader = load(explanation.uri)
    reader.verify()
    assert len(reader.attributions()) == 30
    assert storage.read_bytes(f"{explanation.uri}/notes.txt") == b"of somebody else"
