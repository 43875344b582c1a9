"""What finding, recording and evaluating hand on, and what they refuse."""

from pathlib import Path

import pytest
from tfx.components.evaluator import executor as evaluator_executor
from tfx.types import standard_artifacts

from tfx_explain.artifacts import Explanation, found
from tfx_explain.blessed_model import executor
from tfx_explain.errors import InputError
from tfx_explain.explanation_validator.baseline import NO_BASELINE
from tfx_explain.explanation_validator.executor import find_baseline


def artifact(kind, directory, **properties):
    one = kind()
    one.uri = str(directory)
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "file").touch()
    for name, value in properties.items():
        if isinstance(value, int):
            one.set_int_custom_property(name, value)
        else:
            one.set_string_custom_property(name, value)
    return one


@pytest.fixture
def record(tmp_path):
    return str(tmp_path / "record.json")


@pytest.fixture
def record_model(tmp_path, record):
    """Records the model in a directory, and says which explanation it was blessed for."""

    def run(name, blessed=1, model_uri=None):
        model = artifact(standard_artifacts.Model, tmp_path / name)
        explanation = artifact(
            Explanation, tmp_path / f"{name}-why", model_uri=model_uri or f"{model.uri}/Format-Serving",
            manifest_digest="d",
        )  # fmt: skip
        blessing = artifact(standard_artifacts.ModelBlessing, tmp_path / f"{name}-verdict", blessed=blessed)
        inputs = {"model": [model], "model_blessing": [blessing], "explanation": [explanation]}
        executor.RecorderExecutor().Do(inputs, {}, {"record": record})
        return model, explanation

    return run


def find(directory, record, run_id="1"):
    model = artifact(standard_artifacts.Model, directory / "found-model")
    blessing = artifact(standard_artifacts.ModelBlessing, directory / "found-blessing")
    outputs = {"model": [model], "model_blessing": [blessing]}
    executor.FinderExecutor().Do({}, outputs, {"record": record, "run_id": run_id})
    return model, blessing


def test_the_model_that_was_recorded_last_is_found_with_its_explanation(tmp_path, record, record_model):
    record_model("one")
    last, explanation = record_model("other")
    record_model("refused", blessed=0)
    model, blessing = find(tmp_path, record)
    assert (model.uri, found([model])) == (last.uri, [model])
    assert find_baseline({"baseline_blessing": [blessing]}) == (explanation.uri, "")
    assert blessing.get_string_custom_property("explanation_manifest_digest") == "d"
    assert Path(blessing.uri, "BLESSED").exists()


def test_what_was_not_found_is_as_if_it_was_not_wired(tmp_path, record, monkeypatch):
    model, blessing = find(tmp_path, record)
    assert found([model]) == []
    assert find_baseline({"baseline_blessing": [blessing]}) == (None, NO_BASELINE)
    given = {}
    monkeypatch.setattr(evaluator_executor.Executor, "Do", lambda self, inputs, *rest: given.update(inputs))
    executor.EvaluatorExecutor().Do({"model": ["m"], "baseline_model": [model]}, {}, {})
    assert given == {"model": ["m"], "baseline_model": []}


def test_what_was_found_is_evaluated(tmp_path, record, record_model, monkeypatch):
    record_model("one")
    model, _ = find(tmp_path, record)
    given = {}
    monkeypatch.setattr(evaluator_executor.Executor, "Do", lambda self, inputs, *rest: given.update(inputs))
    executor.EvaluatorExecutor().Do({"baseline_model": [model]}, {}, {})
    assert given == {"baseline_model": [model]}


def test_an_explanation_of_another_model_is_refused_and_nothing_recorded(record, record_model):
    with pytest.raises(InputError, match="the explanation is of the model in elsewhere"):
        record_model("one", model_uri="elsewhere")
    assert not Path(record).exists()


def test_where_nothing_tells_runs_apart_finding_is_refused(tmp_path, record):
    with pytest.raises(InputError, match=r"not told which run this is.*tfx\.dsl\.Resolver"):
        find(tmp_path, record, executor.PIPELINE_JOB_ID)
