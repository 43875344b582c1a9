"""The launcher that the tests of compiled pipelines run them with keeps the contract of Kubeflow's own."""

import json
from pathlib import Path

import pytest
import yaml

from launcher import OPEN_SOURCE, ContainerError, Launcher, conditions, verdicts
from launcher.job import Job

MODEL = {"instanceSchema": "title: tfx.Model\ntype: object\n"}
BLESSING = {"instanceSchema": "title: tfx.ModelBlessing\ntype: object\n"}
BLESSED = "(inputs.artifacts['_judge.blessing'].artifacts[0].metadata['blessed'] == 1.0)"


def taken(task, key):
    return {"taskOutputArtifact": {"producerTask": task, "outputArtifactKey": key}}


def container(name, check=None):
    lifecycle = {"lifecycle": {"preCacheCheck": {"command": ["check", name, "{{$}}"]}}} if check else {}
    return {"container": {"image": "i", "command": ["run", name], "args": ["{{$}}"], **lifecycle}}


def resolver(key, query):
    return {"resolver": {"outputArtifactQueries": {key: {"filter": query}}}}


PARTS = {
    # task: executor, inputs that come from tasks, outputs, more of its specification
    "train": (container("train", check=True), {}, {"model": MODEL}, {"cachingOptions": {"enableCache": True}}),
    "judge": (container("judge"), {"model": taken("train", "model")}, {"blessing": BLESSING}, {}),
    "find-blessing": (
        resolver("blessing", 'schema_title="tfx.ModelBlessing" AND state=LIVE AND metadata.blessed.number_value=1'),
        {},
        {"blessing": BLESSING},
        {},
    ),
    "find": (
        resolver(
            "model",
            "schema_title=\"tfx.Model\" AND state=LIVE AND name=\"{{$.inputs.artifacts['input'].metadata['id']}}\"",
        ),
        {"input": taken("find-blessing", "blessing")},
        {"model": MODEL},
        {"dependentTasks": ["find-blessing"]},
    ),
    "compare": (container("compare"), {"old": taken("find", "model"), "new": taken("train", "model")}, {}, {}),
    "push": (
        container("push"),
        {"_judge.blessing": taken("judge", "blessing"), "model": taken("train", "model")},
        {},
        {"triggerPolicy": {"condition": BLESSED}},
    ),
    "tell": (container("tell"), {}, {}, {"dependentTasks": ["push"]}),
}


def write_job(path, names=tuple(PARTS)):
    """A job of some of the tasks, in YAML."""
    tasks, components, executors = {}, {}, {}
    for name in names:
        executor, inputs, outputs, more = PARTS[name]
        parameters = {"rate": {"runtimeValue": {"constant": 3.0}}, "word": {"componentInputParameter": "word"}}
        tasks[name] = {
            "componentRef": {"name": name},
            "inputs": {"artifacts": inputs, "parameters": parameters},
            **more,
        }
        artifacts = {key: {"artifactType": kind} for key, kind in outputs.items()}
        components[name] = {"executorLabel": name, "outputDefinitions": {"artifacts": artifacts}}
        executors[name] = executor
    spec = {
        "schemaVersion": "2.1.0",
        "pipelineInfo": {"name": "p"},
        "root": {
            "dag": {"tasks": tasks},
            "inputDefinitions": {"parameters": {"word": {"defaultValue": "a"}}},
        },
        "components": components,
        "deploymentSpec": {"executors": executors},
    }
    path.write_text(yaml.safe_dump(spec))
    return path


class Steps:
    """Stands for all containers: keeps what each was given, and writes what an executor would.

    Args:
      blessed: the verdict.
      failures: how often `train` fails, after it wrote something.
    """

    def __init__(self, blessed=1, failures=0):
        self.blessed, self.failures, self.given = blessed, failures, []

    def __call__(self, command, log):
        what, name, told = command
        told = json.loads(told)
        self.given.append((name if what == "run" else f"check {name}", told))
        output = {"artifacts": {}}
        if what == "check":
            output["parameterValues"] = {"span": 7}
        for key, artifacts in told["outputs"]["artifacts"].items():
            Path(artifacts["artifacts"][0]["uri"]).mkdir(exist_ok=True)
            said = {"blessed": self.blessed, "id": self.name_of_model()} if key == "blessing" else {"by": name}
            output["artifacts"][key] = {"artifacts": [{"metadata": said}]}
        if (what, name) == ("run", "train") and self.failures:
            self.failures -= 1
            raise ContainerError("killed")
        Path(told["outputs"]["outputFile"]).write_text(json.dumps(output))

    def name_of_model(self):
        (told,) = [told for name, told in self.given[-1:] if name == "judge"]
        return told["inputs"]["artifacts"]["model"]["artifacts"][0]["name"]

    def names(self):
        return [name for name, _ in self.given]

    def last(self, name):
        return [told for its, told in self.given if its == name][-1]


def test_tasks_run_after_those_they_need_and_get_what_those_made(tmp_path):
    steps = Steps()
    run = Launcher(tmp_path, steps).run(write_job(tmp_path / "job.yaml"))
    assert run.in_state("succeeded") == set(PARTS)
    names = steps.names()
    assert names.index("check train") < names.index("train") < names.index("judge") < names.index("push")
    (model,) = steps.last("judge")["inputs"]["artifacts"]["model"]["artifacts"]
    assert model == run.outputs["train"]["model"][0]
    assert model["metadata"] == {"by": "train"}
    assert steps.last("judge")["inputs"]["parameterValues"] == {"rate": 3.0, "word": "a"}
    assert steps.last("compare")["inputs"]["artifacts"]["old"] == {"artifacts": []}


def test_parameters_are_of_the_run_or_of_a_driver(tmp_path):
    steps = Steps()
    Launcher(tmp_path, steps).run(write_job(tmp_path / "job.yaml"), {"word": "b"})
    assert steps.last("judge")["inputs"]["parameterValues"]["word"] == "b"
    assert steps.last("train")["inputs"]["parameterValues"]["span"] == 7


def test_a_task_whose_condition_does_not_hold_is_skipped_with_those_after_it(tmp_path):
    steps = Steps(blessed=0)
    run = Launcher(tmp_path, steps).run(write_job(tmp_path / "job.yaml"))
    assert run.in_state("skipped") == {"push", "tell"}
    assert not {"push", "tell"} & set(steps.names())


def test_the_next_run_finds_what_was_blessed_and_reuses_what_is_cached(tmp_path):
    steps, job = Steps(), write_job(tmp_path / "job.yaml")
    launcher = Launcher(tmp_path, steps)
    first, second = launcher.run(job), launcher.run(job)
    assert second.in_state("cached") == {"train"}
    assert second.outputs["train"] == first.outputs["train"]
    assert second.outputs["find"] == first.outputs["train"]
    assert steps.names().count("judge") == 2
    third = launcher.run(job, {"word": "b"})
    assert third.states["train"] == "succeeded"
    assert launcher.run(job).outputs["find"] == third.outputs["train"]


def test_what_was_refused_is_not_found(tmp_path):
    launcher, job = Launcher(tmp_path, Steps(blessed=0)), write_job(tmp_path / "job.yaml")
    launcher.run(job)
    assert launcher.run(job).outputs["find"] == {"model": []}


def test_a_step_is_tried_again_with_the_same_outputs_and_then_fails_the_job(tmp_path):
    job = write_job(tmp_path / "job.yaml")
    steps = Steps(failures=1)
    run = Launcher(tmp_path, steps, tries=2).run(job)
    assert (run.states["train"], run.errors) == ("succeeded", {"train": ["killed"]})
    one, other = [told for name, told in steps.given if name == "train"]
    assert one == other
    launcher = Launcher(tmp_path / "other", Steps(failures=2), tries=2)
    failed = launcher.run(job)
    assert (failed.states["train"], failed.errors["train"]) == ("failed", ["killed"] * 2)
    assert "judge" not in failed.states
    assert launcher.store.latest('schema_title="tfx.Model"', {}) == []


def test_the_open_source_backend_has_neither_resolvers_nor_drivers(tmp_path):
    steps = Steps()
    launcher = Launcher(tmp_path, steps, OPEN_SOURCE)
    with pytest.raises(NotImplementedError, match="no executor for the resolver"):
        launcher.run(write_job(tmp_path / "job.yaml"))
    launcher = Launcher(tmp_path / "other", steps, OPEN_SOURCE)
    run = launcher.run(write_job(tmp_path / "job.yaml", ["train", "judge", "push"]))
    assert run.in_state("succeeded") == {"train", "judge", "push"}
    assert "check train" not in steps.names()
    with pytest.raises(NotImplementedError, match="takes YAML"):
        launcher.run(tmp_path / "job.json")


def test_other_schemas_are_not_read(tmp_path):
    path = tmp_path / "job.json"
    path.write_text(json.dumps({"pipelineSpec": {"schemaVersion": "2.0.0"}}))
    with pytest.raises(NotImplementedError, match=r"schema 2\.0\.0"):
        Job.read(path)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("(inputs.artifacts['a'].artifacts[0].metadata['x'] == 1.0)", True),
        ("(inputs.artifacts['a'].artifacts[0].metadata['x'] > 1.0)", False),
        ("!((inputs.artifacts['a'].artifacts[0].metadata['x'] < 1.0))", True),
        ("(inputs.artifacts['a'].artifacts[0].uri == ('/m' + '/1')) && (1.0 == 1.0)", True),
        ("((1.0 == 2.0) || (inputs.artifacts['a'].artifacts[0].metadata['x'] == 2.0))", False),
    ],
)
def test_conditions_are_those_that_tfx_compiles(condition, expected):
    inputs = {"artifacts": {"a": {"artifacts": [{"uri": "/m/1", "metadata": {"x": 1.0}}]}}}
    assert conditions.holds(condition, inputs) is expected


@pytest.mark.parametrize("condition", ["(inputs.artifacts['b'].artifacts[0].uri == 'x')", "1.0", "size(inputs) == 1"])
def test_conditions_about_what_is_not_there_are_errors(condition):
    with pytest.raises((KeyError, NotImplementedError)):
        conditions.holds(condition, {"artifacts": {}})


FINDING = {"rule": "max_share", "outcome": "pass", "value": 0.01, "ci_low": None, "message": "race carries 1 %."}


def said(directory, findings, **others):
    """What `verdicts.read` makes of a verdict with these findings."""
    directory.mkdir()
    verdict = {"blessed": True, "explanation_uri": str(directory), "manifest_digest": directory.name, **others}
    (directory / "findings.json").write_text(json.dumps({**verdict, "findings": findings}), encoding="utf-8")
    return verdicts.read(str(directory))


@pytest.mark.parametrize(
    ("findings", "others", "words"),
    [
        ([FINDING], {}, ""),
        ([FINDING], {"blessed": False}, "blessed is False, not True."),
        (
            [{**FINDING, "value": 0.010000000000000002}],
            {},
            "`value` of finding 1 (max_share) is 0.010000000000000002, not",
        ),
        (
            [{**FINDING, "message": "race carries 2 %."}],
            {},
            "`message` of finding 1 (max_share) is 'race carries 2 %.', n",
        ),
        ([{**FINDING, "ci_low": 0.0}], {}, "`ci_low` of finding 1 (max_share) is 0.0, not None."),
        ([], {}, "the number of findings is 0, not 1."),
        ([FINDING, FINDING], {}, "the number of findings is 2, not 1."),
    ],
)
def test_verdicts_differ_in_whatever_one_of_them_says_but_in_no_place(tmp_path, findings, others, words):
    found, expected = said(tmp_path / "run", findings, **others), said(tmp_path / "local", [FINDING])
    different = verdicts.difference(found, expected)
    assert different.startswith(words)
    assert bool(different) == bool(words)
