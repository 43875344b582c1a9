"""Kubeflow's own local runner runs the components where TFX is not installed: `make kfp-test`."""

import importlib.util
import json
import re
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

local = pytest.importorskip("kfp.local", reason="Kubeflow's SDK has an environment of its own: make kfp-test")

from kfp import compiler, dsl  # noqa: E402

import tfx_explain  # noqa: E402
import worlds  # noqa: E402
from tfx_explain import kfp_component  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
EXPLAIN = "background: {num_rows: 8}\nfeatures: {include: [age, income]}\n"
POLICY = "min_slice_examples: 10\nrules: [max_share: {players: [income], value: %s}]\n"
HERE = kfp_component.components(packages=(), install_kfp=False)


class Outputs(NamedTuple):
    explanation: dsl.Artifact
    attributions: dsl.Dataset
    report: dsl.HTML
    figures: dsl.Metrics
    verdict: dsl.HTML
    counts: dsl.Metrics
    blessed: bool


def imported(uri: Any, kind: Any) -> Any:
    return dsl.importer(artifact_uri=uri, artifact_class=kind).output


@dsl.pipeline(name="explained")
def explained(model_uri: str, examples_uri: str, explain_config: str, policy: str) -> Outputs:
    model = imported(model_uri, dsl.Model)
    examples = imported(examples_uri, dsl.Dataset)
    first = HERE.explain_model(model=model, examples=examples, explain_config=explain_config)
    second = HERE.validate_explanation(explanation=first.outputs["explanation"], model=model, validation_config=policy)
    return Outputs(
        explanation=first.outputs["explanation"],
        attributions=first.outputs["attributions"],
        report=first.outputs["report"],
        figures=first.outputs["metrics"],
        verdict=second.outputs["verdict"],
        counts=second.outputs["metrics"],
        blessed=second.outputs["blessed"],
    )


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    root = tmp_path_factory.mktemp("given")
    model = worlds.save_serving_model(root / "model", lambda row: row["age"] - 2.0 * row["income"], worlds.FEATURES)
    return {"model_uri": model, "examples_uri": worlds.write_splits(root / "examples", worlds.make_rows, 40, 30)}


@pytest.fixture(scope="module")
def outputs(given: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    root = tmp_path_factory.mktemp("root")
    local.init(runner=local.SubprocessRunner(use_venv=False), pipeline_root=str(root))
    return dict(explained(**given, explain_config=EXPLAIN, policy=POLICY % 0.01).outputs)


def test_tfx_is_not_installed() -> None:
    assert [
        name for name in ("tfx", "ml_metadata", "tensorflow_model_analysis") if importlib.util.find_spec(name)
    ] == []


def test_compiling_takes_the_sdk_alone() -> None:
    code = (
        "import sys, kfp.dsl; before = set(sys.modules); import tfx_explain.kfp_component; "
        "print(*sorted({name.partition('.')[0] for name in set(sys.modules) - before} - sys.stdlib_module_names))"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["tfx_explain"]


def test_the_html_artifact_is_the_report_of_a_whole_explanation(outputs: dict[str, Any]) -> None:
    explanation = tfx_explain.load(outputs["explanation"].path)
    explanation.verify()
    assert len(explanation.attributions()) == 30
    assert isinstance(outputs["report"], dsl.HTML)
    assert Path(outputs["report"].path).read_text() == explanation.report()
    assert isinstance(outputs["attributions"], dsl.Dataset)
    assert list(Path(outputs["attributions"].path).glob("Split-eval/*"))


def test_metrics_are_figures_that_the_user_interface_shows(outputs: dict[str, Any]) -> None:
    figures = outputs["figures"].metadata
    assert figures["explained"] == 30
    assert figures["share of income"] + figures["share of age"] == pytest.approx(1.0, rel=1e-12)
    assert outputs["counts"].metadata == {"blessed": 0, "rules: fail": 1}


def test_the_verdict_is_a_page_and_a_parameter(outputs: dict[str, Any]) -> None:
    assert outputs["blessed"] is False
    assert "max_share" in Path(outputs["verdict"].path).read_text()


def test_bad_input_is_one_sentence_in_the_log_and_nothing_is_published(
    given: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    local.init(runner=local.SubprocessRunner(use_venv=False), pipeline_root=str(tmp_path), raise_on_error=False)
    task = explained(**given, explain_config="splits: [test]", policy=POLICY % 0.01)
    assert dict(task.outputs) == {}
    log = [line.strip() for line in capsys.readouterr().out.splitlines()]
    said = [line for line in log if line.startswith("tfx-explain: ")]
    assert len(said) == 1
    assert "split `test`" in said[0]
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_the_pipeline_of_the_documentation_compiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (program,) = re.findall(r"```python\n(from pathlib.*?)```", (ROOT / "kubeflow/README.md").read_text(), re.DOTALL)
    (tmp_path / "program.py").write_text(program)
    monkeypatch.chdir(tmp_path)
    runpy.run_path("program.py")
    spec = yaml.safe_load(Path("explained.yaml").read_text())
    (gate,) = [task for task in spec["root"]["dag"]["tasks"].values() if "triggerPolicy" in task]
    assert "validate-explanation" in json.dumps(gate["inputs"])


def test_the_compiled_components_say_what_they_take_and_give(tmp_path: Path) -> None:
    @dsl.pipeline(name="default")
    def default(model_uri: str, examples_uri: str) -> None:
        model = imported(model_uri, dsl.Model)
        first = kfp_component.explain_model(model=model, examples=imported(examples_uri, dsl.Dataset))
        kfp_component.validate_explanation(explanation=first.outputs["explanation"], validation_config=POLICY % 0.5)

    compiler.Compiler().compile(default, str(tmp_path / "default.yaml"))
    spec = yaml.safe_load((tmp_path / "default.yaml").read_text())
    executors = spec["deploymentSpec"]["executors"]
    for name in ("exec-explain-model", "exec-validate-explanation"):
        container = executors[name]["container"]
        assert container["image"] == kfp_component.IMAGE
        assert kfp_component.PACKAGES[0] in json.dumps(container["command"])
    kinds = spec["components"]["comp-explain-model"]["outputDefinitions"]["artifacts"]
    assert {name: kind["artifactType"]["schemaTitle"] for name, kind in kinds.items()} == {
        "explanation": "system.Artifact",
        "attributions": "system.Dataset",
        "report": "system.HTML",
        "metrics": "system.Metrics",
    }
    optional = spec["components"]["comp-explain-model"]["inputDefinitions"]["artifacts"]
    assert {name for name, kind in optional.items() if not kind.get("isOptional")} == {"model", "examples"}


def test_images_and_packages_are_arguments() -> None:
    made = kfp_component.components("registry/tfx-explain:1", packages=("one.whl", "two"), install_kfp=False)
    for component in made:
        container = component.component_spec.implementation.container
        assert container.image == "registry/tfx-explain:1"
        assert "'one.whl' 'two'" in " ".join(container.command)
        assert "kfp==" not in " ".join(container.command)


def test_cpu_and_memory_are_in_the_compiled_pipeline(tmp_path: Path) -> None:
    made = kfp_component.components("registry/tfx-explain:1", packages=(), cpu="2", memory="16G")

    @dsl.pipeline(name="limited")
    def limited(model_uri: str, examples_uri: str) -> None:
        model, examples = imported(model_uri, dsl.Model), imported(examples_uri, dsl.Dataset)
        first = made.explain_model(model=model, examples=examples)
        first.set_memory_limit("64G")
        made.validate_explanation(explanation=first.outputs["explanation"], validation_config=POLICY % 0.5)

    compiler.Compiler().compile(limited, str(tmp_path / "limited.yaml"))
    executors = yaml.safe_load((tmp_path / "limited.yaml").read_text())["deploymentSpec"]["executors"]
    found = {
        name: executor["container"]["resources"] for name, executor in executors.items() if "container" in executor
    }
    for name, memory in (("exec-explain-model", "64G"), ("exec-validate-explanation", "16G")):
        assert found[name]["resourceCpuLimit"] == "2"
        assert found[name]["resourceMemoryLimit"] == memory


@pytest.mark.parametrize("amounts", [{"cpu": "0"}, {"cpu": "many"}, {"memory": "16"}, {"memory": "16GB"}])
def test_amounts_that_are_none_are_refused_before_anything_is_compiled(amounts: dict[str, str]) -> None:
    with pytest.raises(tfx_explain.ConfigError, match=r"is no (number of processors|amount with its unit); write one"):
        kfp_component.components(**amounts)
