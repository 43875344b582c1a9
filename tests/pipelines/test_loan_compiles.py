"""The loan approval pipeline compiles for Kubeflow Pipelines v2, and the job says what the wiring promised."""

import json
import warnings
from pathlib import Path

import pytest
import yaml
from google.auth.credentials import AnonymousCredentials
from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2

from loan_approval import kubeflow_runner
from tfx_explain import ExplainConfig, ValidationConfig

HERE = Path(kubeflow_runner.__file__).parent


def compiled(directory, *flags, output="job.json"):
    """The job that the command writes."""
    path = directory / output
    kubeflow_runner.main(
        ["--image", "registry/image:1", "--pipeline_root", "gs://bucket/runs/", "--output", str(path), *flags]
    )
    return json.loads(path.read_text("utf-8")) if path.suffix == ".json" else yaml.safe_load(path.read_text("utf-8"))


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    return compiled(tmp_path_factory.mktemp("job"))


@pytest.fixture(scope="module")
def tasks(job):
    return job["pipelineSpec"]["root"]["dag"]["tasks"]


def constants(task):
    """The constant parameters of a task by name."""
    return {name: value["runtimeValue"]["constant"] for name, value in task["inputs"]["parameters"].items()}


def producers(task):
    """Which task's output feeds each input of a task."""
    given = task["inputs"]["artifacts"]
    return {
        key: (value["taskOutputArtifact"]["producerTask"], value["taskOutputArtifact"]["outputArtifactKey"])
        for key, value in given.items()
    }


def test_the_job_is_a_pipeline_job(job):
    parsed = json_format.ParseDict(job, pipeline_spec_pb2.PipelineJob())
    assert parsed.runtime_config.gcs_output_directory == "gs://bucket/runs"
    spec = json_format.ParseDict(job["pipelineSpec"], pipeline_spec_pb2.PipelineSpec())
    assert spec.schema_version == "2.1.0"


def test_every_step_runs_in_the_image(job):
    executors = job["pipelineSpec"]["deploymentSpec"]["executors"]
    images = {executor["container"]["image"] for executor in executors.values() if "container" in executor}
    assert images == {"registry/image:1"}


def test_our_artifacts_have_importable_types_without_properties(job):
    components = job["pipelineSpec"]["components"]
    outputs = {
        name: components[name]["outputDefinitions"]["artifacts"] for name in ("Explainer", "ExplanationValidator")
    }
    schemas = {
        key: yaml.safe_load(value["artifactType"]["instanceSchema"])
        for artifacts in outputs.values()
        for key, value in artifacts.items()
    }
    assert set(outputs["Explainer"]) == {"explanation", "attributions"}
    assert set(outputs["ExplanationValidator"]) == {"validation", "blessing", "anomalies"}
    assert schemas["explanation"] == {"title": "tfx_explain.Explanation", "type": "object"}
    assert schemas["validation"] == {"title": "tfx_explain.ExplanationValidation", "type": "object"}
    assert schemas["attributions"]["title"] == "tfx.Examples"
    assert schemas["blessing"]["title"] == "tfx.ModelBlessing"
    assert schemas["anomalies"]["title"] == "tfx.ExampleAnomalies"


def test_optional_inputs_are_wired_when_given_and_absent_when_not(tasks):
    assert producers(tasks["Explainer"]) == {
        "examples": ("CsvExampleGen", "examples"),
        "model": ("Trainer", "model"),
        "baseline_model": ("latest_blessed_model_resolver-model-resolver", "model"),
        "schema": ("SchemaGen", "schema"),
    }
    assert producers(tasks["ExplanationValidator"]) == {
        "explanation": ("Explainer", "explanation"),
        "model": ("Trainer", "model"),
    }
    assert producers(tasks["Evaluator"])["baseline_model"] == ("latest_blessed_model_resolver-model-resolver", "model")


def test_evaluator_and_pusher_wait_for_the_verdict(tasks):
    gated = {name: task["triggerPolicy"]["condition"] for name, task in tasks.items() if "triggerPolicy" in task}
    key = "_ExplanationValidator.validation"
    condition = f"(inputs.artifacts['{key}'].artifacts[0].metadata['blessed'] == 1.0)"
    assert gated == {"Evaluator": condition, "Pusher": condition}
    assert {producers(tasks[name])[key] for name in gated} == {("ExplanationValidator", "validation")}
    assert producers(tasks["Pusher"])["model_blessing"] == ("Evaluator", "blessing")


def test_configurations_pass_through_unchanged(tasks):
    explain = constants(tasks["Explainer"])["explain_config"]
    validation = constants(tasks["ExplanationValidator"])["validation_config"]
    assert ExplainConfig.from_json(explain) == ExplainConfig.from_file(HERE / "explain.yaml")
    assert ValidationConfig.from_json(validation) == ValidationConfig.from_file(HERE / "policy.yaml")


def test_the_switches_reach_user_code(job, tasks, tmp_path):
    other = compiled(tmp_path, "--sees_race", "--data_root", "gs://d", "--serving_dir", "gs://s")
    seeing = other["pipelineSpec"]["root"]["dag"]["tasks"]
    for name in ("Transform", "Trainer"):
        assert json.loads(constants(tasks[name])["custom_config"])["sees_race"] is False
        assert json.loads(constants(seeing[name])["custom_config"])["sees_race"] is True
    assert constants(tasks["CsvExampleGen"])["input_base"] == "gs://bucket/runs/data"
    assert constants(seeing["CsvExampleGen"])["input_base"] == "gs://d"
    assert json.loads(constants(seeing["Pusher"])["push_destination"])["filesystem"]["base_directory"] == "gs://s"


def test_yaml_says_the_same(job, tmp_path):
    assert compiled(tmp_path, output="job.yaml")["root"] == job["pipelineSpec"]["root"]


def test_without_resolvers_a_step_finds_the_baseline_and_another_records_what_was_accepted(tmp_path):
    spec = compiled(tmp_path, "--backend", "open_source", output="job.yaml")
    tasks = spec["root"]["dag"]["tasks"]
    assert all("container" in executor for executor in spec["deploymentSpec"]["executors"].values())
    assert not any("cachingOptions" in task for task in tasks.values())
    for name in ("Explainer", "Evaluator"):
        assert producers(tasks[name])["baseline_model"] == ("BlessedModelFinder", "model")
    assert constants(tasks["BlessedModelFinder"])["run_id"] == "{{$.pipeline_job_uuid}}"
    recorder = tasks["BlessedModelRecorder"]
    assert recorder["triggerPolicy"] == tasks["Pusher"]["triggerPolicy"]
    assert producers(recorder)["model_blessing"] == ("Evaluator", "blessing")
    records = {constants(tasks[name])["record"] for name in ("BlessedModelFinder", "BlessedModelRecorder")}
    assert records == {"gs://bucket/runs/accepted_model.json"}


def test_arguments_of_beam_reach_every_step_that_runs_it(tmp_path):
    beam_args = ["--runner=DataflowRunner", "--project=p", "--experiments=a", "--experiments=b"]
    spec = compiled(tmp_path, "--", *beam_args, output="job.yaml")
    executors = spec["deploymentSpec"]["executors"].values()
    given = {
        one["container"]["args"][1].split(".")[-3]: one["container"]["args"][-len(beam_args) :] == beam_args
        for one in executors
        if "container" in one
    }
    beam = {"csv_example_gen", "statistics_gen", "transform", "explainer", "evaluator"}
    assert {name for name, has in given.items() if has} >= beam


@pytest.mark.parametrize("backend", kubeflow_runner.BACKENDS)
def test_steps_have_the_cpu_and_memory_that_flags_give_them(backend, tmp_path):
    flags = ["--cpu", "2", "--cpu", "Explainer=500m", "--memory=CsvExampleGen=1Gi", "--memory", "Explainer=32G"]
    spec = compiled(tmp_path, "--backend", backend, *flags, output="job.yaml")
    json_format.ParseDict(spec, pipeline_spec_pb2.PipelineSpec())
    found = {}
    for name, task in spec["root"]["dag"]["tasks"].items():
        label = spec["components"][task["componentRef"]["name"]].get("executorLabel")
        container = spec["deploymentSpec"]["executors"].get(label, {}).get("container")
        if container is not None:
            found[name] = container["resources"]
    assert found.pop("Explainer") == {"cpuLimit": 0.5, "memoryLimit": 32.0}
    assert found.pop("CsvExampleGen") == {"cpuLimit": 2.0, "memoryLimit": 2**30 / 1e9}
    assert set(found) >= {"StatisticsGen", "Trainer", "ExplanationValidator", "Evaluator", "Pusher"}
    assert all(resources == {"cpuLimit": 2.0} for resources in found.values())


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--cpu", "Explained=4"], "--cpu names `Explained`, which is no step with a container; choose CsvExampleGen,"),
        (["--memory", "latest_blessed_model_resolver=4G"], "which is no step with a container"),
        (["--cpu", "4", "--cpu", "8"], "--cpu is given twice for every step"),
        (["--memory", "Trainer=4G", "--memory", "Trainer=4G"], "--memory is given twice for step `Trainer`"),
        (["--memory", "Trainer=16"], "memory `16` is no amount with its unit"),
        (["--cpu", "-1"], "--cpu"),
    ],
)
def test_cpu_and_memory_that_no_step_can_have_are_refused_in_a_sentence(flags, said, tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        compiled(tmp_path, *flags)
    assert ended.value.code == 2
    assert said in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_record_is_refused_where_resolvers_run(tmp_path, capsys):
    with pytest.raises(SystemExit):
        compiled(tmp_path, "--baseline_record", "gs://bucket/record.json")
    assert "--baseline_record is for --backend open_source" in capsys.readouterr().err


@pytest.mark.parametrize("backend", kubeflow_runner.BACKENDS)
def test_vertex_takes_the_job(backend, tmp_path):
    compiled(tmp_path, "--backend", backend, output="job.yaml")
    arguments = {
        "display_name": "loans",
        "template_path": str(tmp_path / "job.yaml"),
        "pipeline_root": "gs://bucket/runs",
        "project": "project",
        "location": "us-central1",
        "credentials": AnonymousCredentials(),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from google.cloud import aiplatform

        job = aiplatform.PipelineJob(**arguments)
        assert job.pipeline_spec["pipelineInfo"]["name"] == "loan-approval"
        with pytest.raises(ValueError, match="unknown"):
            aiplatform.PipelineJob(**arguments, parameter_values={"unknown": 1})
