"""A pipeline without resolvers, compiled and executed as the open-source backend of Kubeflow does."""

import json
import shutil
import warnings

import pytest
from tfx import v1 as tfx
from tfx.types.standard_artifacts import Examples, Model

from launcher import OPEN_SOURCE, Launcher, in_process
from tfx_explain import (
    BlessedModelFinder,
    BlessedModelRecorder,
    ExplainConfig,
    Explainer,
    ExplanationValidator,
    ValidationConfig,
    load,
)

EXPLAIN = ExplainConfig(background={"num_rows": 10}, id_key="application_id")
POLICY = ValidationConfig(
    rules=[{"max_completeness_gap": {"value": 1e-6}}, {"attribution_drift": {"measure": "jensen_shannon", "max": 0.9}}]
)


def components(root, examples, model):
    """Importers, finder, Explainer and validator, and a recorder inside the condition."""
    rows = tfx.dsl.Importer(
        source_uri=examples,
        artifact_type=Examples,
        properties={"split_names": json.dumps(["train", "eval"])},
        custom_properties={"payload_format": "FORMAT_TF_EXAMPLE", "file_format": "tfrecords_gzip"},
    ).with_id("rows")
    candidate = tfx.dsl.Importer(source_uri=model, artifact_type=Model).with_id("candidate")
    finder = BlessedModelFinder(str(root / "record.json"))
    explainer = Explainer(
        examples=rows.outputs["result"],
        model=candidate.outputs["result"],
        baseline_model=finder.outputs["model"],
        explain_config=EXPLAIN,
    )
    validator = ExplanationValidator(
        explanation=explainer.outputs["explanation"],
        model=candidate.outputs["result"],
        baseline_blessing=finder.outputs["model_blessing"],
        validation_config=POLICY,
    )
    with tfx.dsl.Cond(validator.outputs["validation"].future()[0].custom_property("blessed") == 1):
        recorder = BlessedModelRecorder(
            str(root / "record.json"),
            candidate.outputs["result"],
            validator.outputs["blessing"],
            explainer.outputs["explanation"],
        )
    return [rows, candidate, finder, explainer, validator, recorder]


@pytest.fixture(scope="module")
def runs(tmp_path_factory, linear_examples, linear_model):
    """Two runs of the job, cached as far as they can be, and the model."""
    root = tmp_path_factory.mktemp("open_source")
    model = root / "model"
    shutil.copytree(linear_model, model / "Format-Serving")
    config = tfx.orchestration.experimental.KubeflowV2DagRunnerConfig(default_image="i", use_pipeline_spec_2_1=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tfx.orchestration.experimental.KubeflowV2DagRunner(config, str(root), "job.yaml").run(
            tfx.dsl.Pipeline(
                "small", str(root), components=components(root, linear_examples, str(model)), enable_cache=True
            )
        )
        launcher = Launcher(root / "artifacts", in_process, OPEN_SOURCE)
        return *(launcher.run(root / "job.yaml") for _ in range(2)), str(model)


def outcomes(run):
    with open(f"{run.uri('ExplanationValidator', 'validation')}/findings.json") as stream:
        return [(finding["rule"], finding["outcome"]) for finding in json.load(stream)["findings"]]


def test_the_first_run_has_no_baseline_and_the_second_that_of_the_first(runs):
    first, second, model = runs
    assert first.in_state("succeeded") == set(first.states)
    manifests = [load(run.uri("Explainer", "explanation")).manifest for run in (first, second)]
    assert manifests[0]["baseline_model"] is None
    assert manifests[1]["baseline_model"]["uri"] == f"{model}/Format-Serving"
    assert second.uri("BlessedModelFinder", "model") == model


def test_drift_is_skipped_without_a_baseline_and_judged_with_one(runs):
    first, second, _ = runs
    assert ("attribution_drift", "skipped") in outcomes(first)
    assert ("attribution_drift", "pass") in outcomes(second)


def test_what_one_run_found_is_not_reused_by_the_next(runs):
    first, second, _ = runs
    assert second.states["BlessedModelFinder"] == "succeeded"
    assert first.outputs["BlessedModelFinder"]["model"][0]["metadata"]["found"] == 0
