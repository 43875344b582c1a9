"""What the executor of Explainer makes of the places that TFX gives it."""

from pathlib import Path
from typing import Any

import pytest
from tfx.types import standard_artifacts

from tfx_explain import ConfigError, ExplainConfig, InputError
from tfx_explain.artifacts import Explanation
from tfx_explain.explainer import executor
from tfx_explain.transforms.process_runner import ProcessRunner


def test_places_are_written_down_so_that_they_hold_from_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # TFX's templates have a relative pipeline root.
    monkeypatch.chdir(tmp_path)
    explanation, attributions = Explanation(), standard_artifacts.Examples()
    explanation.uri, attributions.uri = "root/explanation/1", "root/attributions/1"
    asked: list[Any] = []
    monkeypatch.setattr(executor, "explain_request", lambda config, inputs, *places: asked.append(places))
    monkeypatch.setattr(executor, "run_explanation", lambda request, make_pipeline: {})
    monkeypatch.setattr(executor, "describe_explanation", lambda manifest: {})
    monkeypatch.setattr(executor, "log_explanation", lambda *what: asked.append(what))
    properties = {"explain_config": ExplainConfig().to_json()}
    executor.Executor().Do({}, {"explanation": [explanation], "attributions": [attributions]}, properties)
    place = str(tmp_path / "root/explanation/1")
    assert asked == [(place, str(tmp_path / "root/attributions/1")), ({}, place)]
    assert attributions.get_string_custom_property("explanation_uri") == str(tmp_path / "root/explanation/1")


def test_a_step_that_other_versions_compiled_says_so() -> None:
    properties = {"explain_config": ExplainConfig().to_json(), "component_version": "0.0.9", "tfx_version": "1.2.3"}
    with pytest.raises(ConfigError, match=r"compiled with tfx-explain 0\.0\.9 and TFX 1\.2, but is run by tfx-explain"):
        executor.Executor().Do({}, {}, properties)


def test_worker_processes_of_a_step_are_watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    explanation, attributions = Explanation(), standard_artifacts.Examples()
    explanation.uri, attributions.uri = str(tmp_path / "explanation"), str(tmp_path / "attributions")
    runners: list[Any] = []
    monkeypatch.setattr(executor, "explain_request", lambda *_: None)
    monkeypatch.setattr(executor, "run_explanation", lambda _, make: runners.append(make().runner))
    monkeypatch.setattr(executor, "describe_explanation", lambda manifest: {})
    monkeypatch.setattr(executor, "log_explanation", lambda *_: None)
    context = executor.Executor.Context(beam_pipeline_args=["--direct_num_workers=2"])
    properties = {"explain_config": ExplainConfig().to_json()}
    executor.Executor(context).Do({}, {"explanation": [explanation], "attributions": [attributions]}, properties)
    assert isinstance(runners[0], ProcessRunner)


def test_a_place_that_takes_nothing_is_named_before_anything_is_explained() -> None:
    explanation, attributions = Explanation(), standard_artifacts.Examples()
    explanation.uri, attributions.uri = "/proc/nowhere/explanation", "/proc/nowhere/attributions"
    outputs = {"explanation": [explanation], "attributions": [attributions]}
    with pytest.raises(InputError, match=r"/proc/nowhere/explanation/\S+ cannot be written"):
        executor.Executor().Do({}, outputs, {"explain_config": ExplainConfig().to_json()})
