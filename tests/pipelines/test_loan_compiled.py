"""The compiled loan approval pipeline, executed as a backend would: two runs, and a step that fails half way.

Steps run in this process; with `TFX_EXPLAIN_STEPS=processes`, as `make kubeflow-test` sets it, each in one of its own.
"""

import json
import os
import signal
import warnings
from pathlib import Path

import pytest

from launcher import OPEN_SOURCE, VERTEX, Launcher, in_process, in_processes
from launcher.local import Judged, differences, judged_locally
from loan_approval import data, kubeflow_runner
from pipeline_settings import changed_settings
from tfx_explain import load
from tfx_explain.explainer import executor

pytestmark = pytest.mark.e2e

SOURCES = [Path(kubeflow_runner.__file__).parents[1], Path(executor.__file__).parents[2]]
STEPS = os.environ.get("TFX_EXPLAIN_STEPS", "here")
BACKENDS = {
    VERTEX: (
        "vertex",
        "latest_blessed_model_resolver-model-resolver",
        {"CsvExampleGen", "StatisticsGen", "SchemaGen", "Transform", "Trainer"},
    ),
    OPEN_SOURCE: ("open_source", "BlessedModelFinder", set()),
}
"""Backend -> the flag it is compiled for, the task that finds the baseline, and the tasks that a second run reuses."""


def steps(root, patch):
    """How steps run. The first try of Explainer fails after its records are written: where it can be, it is killed."""
    if STEPS == "processes":
        strike = {
            "place": "summary",
            "signal": signal.SIGKILL,
            "delay": 0,
            "driver": False,
            "mark": str(root / "struck"),
        }
        striking = Path(__file__).parents[1] / "support" / "striking"
        return in_processes([striking, *SOURCES], {"STRIKE": json.dumps(strike), "WORKER_ID": "step"})
    describe, calls = executor.describe_explanation, []

    def fails_once(manifest):
        calls.append(manifest)
        if len(calls) == 1:
            raise RuntimeError("killed")
        return describe(manifest)

    patch.setattr(executor, "describe_explanation", fails_once)
    return in_process


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    """Where the settings of the compiled pipeline are."""
    fewer = {"num_rows: 128": "num_rows: 16", "num_references: 8": "num_references: 2"}
    return changed_settings(kubeflow_runner.HERE, tmp_path_factory.mktemp("settings"), {"explain.yaml": fewer})


# Without its cache a run of the open-source backend takes as long as the first: only where steps are processes.
@pytest.fixture(scope="module", params=[VERTEX, OPEN_SOURCE] if STEPS == "processes" else [VERTEX])
def world(request, settings, tmp_path_factory):
    """Backend, the first run, in which one try of Explainer fails, and the second; their background is smaller."""
    root = tmp_path_factory.mktemp("kubeflow")
    data.write_csv(root / "data")
    flag, *_ = BACKENDS[request.param]
    job = root / "job.yaml"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kubeflow_runner, "HERE", settings)
        kubeflow_runner.main(["--image", "i", "--pipeline_root", str(root), "--output", str(job), "--backend", flag])
    # The libraries' own warnings are none of ours: no code of the package runs here that other tests do not run too.
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        launcher = Launcher(root / "artifacts", steps(root, patch), request.param, tries=2)
        return request.param, launcher.run(job), launcher.run(job)


@pytest.fixture
def runs(world):
    return world[1:]


def test_the_first_run_comes_to_its_end_without_a_baseline(runs):
    first, _ = runs
    assert set(first.states.values()) == {"succeeded"}
    assert first.outputs["Pusher"]["pushed_model"][0]["metadata"]["pushed"] == 1
    assert load(first.uri("Explainer", "explanation")).manifest["baseline_model"] is None


def test_the_second_run_reuses_what_is_cached_and_compares_with_what_was_blessed(world):
    backend, first, second = world
    _, finder, reused = BACKENDS[backend]
    assert second.in_state("cached") == reused
    assert second.in_state("succeeded") == set(second.states) - reused
    blessed = first.uri("Trainer", "model")
    assert second.uri(finder, "model") == blessed
    assert load(second.uri("Explainer", "explanation")).manifest["baseline_model"]["uri"].startswith(f"{blessed}/")


def test_a_try_that_failed_leaves_no_rows(runs):
    first, _ = runs
    assert len(first.errors["Explainer"]) == 1
    counts = load(first.uri("Explainer", "explanation")).manifest["counts"]["eval"]
    rows = Judged.of(first.outputs).attributions()
    assert len(rows) == counts["explained"] == counts["read"]
    assert not rows["application_id"].duplicated().any()


def test_attributions_and_every_finding_of_both_runs_are_those_of_local_dag_runner(runs, settings, tmp_path):
    first, second = (Judged.of(run.outputs) for run in runs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        local = judged_locally(runs[1].outputs, settings, tmp_path)
    assert [*differences(first, local), *differences(second, local)] == []
    assert local.verdict()["blessed"] is True
