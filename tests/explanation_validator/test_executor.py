"""What the executor of ExplanationValidator does to the places that TFX gives it."""

from pathlib import Path

import pytest
from tfx.types import standard_artifacts

from tfx_explain import ConfigError, InputError, ValidationConfig, load, storage
from tfx_explain.artifacts import ExplanationValidation
from tfx_explain.explanation_validator import executor
from tfx_explain.explanation_validator.judge import Verdict

OLD = Path(__file__).parents[1] / "fixtures/explanation_format_2/explanation"
LEFT = ("validation/BLESSED", "validation/findings.json", "blessing/BLESSED", "anomalies/Split-eval/SchemaDiff.pb")


def outputs(root: str) -> dict[str, list[object]]:
    kinds = {
        "validation": ExplanationValidation,
        "blessing": standard_artifacts.ModelBlessing,
        "anomalies": standard_artifacts.ExampleAnomalies,
    }
    made = {key: kind() for key, kind in kinds.items()}
    for key, artifact in made.items():
        artifact.uri = f"{root}/{key}"
    return {key: [artifact] for key, artifact in made.items()}


def test_the_verdict_of_a_try_that_was_killed_is_gone_before_anything_is_judged() -> None:
    root = "memory://judged"
    for name in (*LEFT, "validation/notes.txt"):
        storage.write_bytes(f"{root}/{name}", b"")
    properties = {"validation_config": ValidationConfig(rules=[{"min_examples": {"value": 1}}]).to_json()}
    with pytest.raises(KeyError, match="explanation"):
        executor.Executor().Do({}, outputs(root), properties)
    assert storage.names_beneath(root) == ["validation/notes.txt"]
    storage.remove(root)


def test_a_place_that_takes_nothing_is_named_before_anything_is_judged() -> None:
    properties = {"validation_config": ValidationConfig(rules=[{"min_examples": {"value": 1}}]).to_json()}
    with pytest.raises(InputError, match=r"/proc/nowhere/validation/\S+ cannot be written"):
        executor.Executor().Do({}, outputs("/proc/nowhere"), properties)


def test_a_step_that_other_versions_compiled_says_so() -> None:
    with pytest.raises(ConfigError, match=r"compiled with tfx-explain 0\.0\.9, but is run by tfx-explain"):
        executor.Executor().Do({}, {}, {"component_version": "0.0.9"})


@pytest.mark.parametrize(
    ("earlier", "changes", "reason"),
    [
        ([1], {}, ""),
        ([], {"needs_model_blessing": 0}, ""),
        ([], {}, "wired but absent"),
        ([1, 0], {}, "the earlier verdict /evaluator/0 refused"),
        ([1], {"bless_model": 0}, "`bless_model` is off"),
    ],
)
def test_a_model_that_is_not_blessed_says_why(earlier: list[int], changes: dict[str, int], reason: str) -> None:
    blessings = []
    for blessed in earlier:
        blessings.append(standard_artifacts.ModelBlessing())
        blessings[-1].uri = f"/evaluator/{blessed}"
        blessings[-1].set_int_custom_property("blessed", blessed)
    verdict = Verdict(True, (), "/explanation/3")
    said = executor.why_not_blessed(verdict, blessings, {"bless_model": 1, "needs_model_blessing": 1, **changes})
    assert reason in said
    assert bool(said) == bool(reason)
    refused = executor.why_not_blessed(Verdict(False, (), "/explanation/3"), blessings, {})
    assert refused == "no rule was judged: no rule"


def test_a_verdict_goes_on_from_the_one_before_and_knows_the_metrics_of_an_evaluator(tmp_path: Path) -> None:
    evaluation, previous = standard_artifacts.ModelEvaluation(), ExplanationValidation()
    evaluation.uri, previous.uri = "/Evaluator/evaluation/9", str(tmp_path / "previous")
    explanation = load(str(OLD))
    verdict = Verdict(True, (), explanation.uri, manifest_digest=explanation.manifest_digest)
    inputs = {"previous_validation": [previous], "evaluation": [evaluation]}
    first = executor.with_surroundings(verdict, explanation, inputs)
    assert first.evaluation_uri == evaluation.uri
    assert first.history is not None
    assert set(first.history.table["run"]) == {0}, "the one before is gone"
    first.write(previous.uri)
    (tmp_path / "previous/history.parquet").write_bytes(b"changed")
    with pytest.raises(InputError, match="is not the file that was written"):
        executor.with_surroundings(verdict, explanation, inputs)
    nothing = executor.with_surroundings(verdict, explanation, {"previous_validation": [], "evaluation": []})
    assert nothing.evaluation_uri is None
    assert nothing.history is not None
