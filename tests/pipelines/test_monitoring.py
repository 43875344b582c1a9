"""The monitoring pipeline: finds what is served, passes a span like the one before, refuses one that drifted."""

import csv
import json
import shutil
import types

import pandas as pd
import pytest
from tfx import v1 as tfx
from tfx.types.standard_artifacts import Examples, Model

import pages
import worlds
from demonstration import DemoError
from monitoring import local_runner, pipeline
from snippets import texts
from tfx_explain import ExplainConfig, Explainer, Explanation, ExplanationValidator, ValidationConfig

pytestmark = pytest.mark.e2e

POLICY = ValidationConfig.from_file(local_runner.HERE / "policy.yaml")
EXPLAIN = ExplainConfig(splits=["eval"], background={"num_rows": 64}, id_key="application_id")


def write_span(directory, number, income=1.0):
    span = directory / f"span-{number}"
    span.mkdir(parents=True)
    rows = [
        {**row, "race": row["race"].decode(), "income": row["income"] * income}
        for row in worlds.make_rows(800, 4 + number)
    ]
    with (span / "rows.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture(scope="module")
def metadata(tmp_path_factory):
    return tfx.orchestration.metadata.sqlite_metadata_connection_config(
        str(tmp_path_factory.mktemp("metadata") / "metadata.sqlite")
    )


@pytest.fixture(scope="module")
def served(tmp_path_factory, metadata, linear_model):
    """A model that was explained, accepted and pushed."""
    root = tmp_path_factory.mktemp("training")
    shutil.copytree(linear_model, root / "model" / "Format-Serving")
    for split, seed, n in (("train", 1, 300), ("eval", 2, 800)):
        records = [worlds.to_example(row) for row in worlds.make_rows(n, seed)]
        worlds.write_records(root / "examples" / f"Split-{split}", records)
    examples = tfx.dsl.Importer(
        source_uri=str(root / "examples"),
        artifact_type=Examples,
        properties={"split_names": json.dumps(["train", "eval"])},
        custom_properties={"payload_format": "FORMAT_TF_EXAMPLE", "file_format": "tfrecords_gzip"},
    ).with_id("examples")
    model = tfx.dsl.Importer(source_uri=str(root / "model"), artifact_type=Model).with_id("model")
    explainer = Explainer(examples=examples.outputs["result"], model=model.outputs["result"], explain_config=EXPLAIN)
    validator = ExplanationValidator(
        explanation=explainer.outputs["explanation"],
        model=model.outputs["result"],
        validation_config=ValidationConfig(rules=[{"drift": "default"}]),
    )
    pusher = tfx.components.Pusher(
        model=model.outputs["result"],
        model_blessing=validator.outputs["blessing"],
        push_destination=tfx.proto.PushDestination(
            filesystem=tfx.proto.PushDestination.Filesystem(base_directory=str(root / "serving"))
        ),
    )
    with pytest.raises(DemoError, match="no model was pushed"):
        local_runner.find_served(metadata)
    tfx.orchestration.LocalDagRunner().run(
        tfx.dsl.Pipeline(
            pipeline_name="training",
            pipeline_root=str(root / "artifacts"),
            components=[examples, model, explainer, validator, pusher],
            metadata_connection_config=metadata,
        )
    )
    return local_runner.find_served(metadata)


def test_only_the_span_that_drifted_is_refused(served, metadata, tmp_path):
    """Incomes four times as large carry six sevenths of the importance, up from three fifths.

    Attributions of `income` are -2 (x - m), where m is the mean income of the background: about 1.65, but between 0.5
    and 4 where that has eight rows only. How far shares move depends on it, by 30 % to 3 %, so there are 64.
    """
    assert served.splits == ("train", "eval")
    assert served.model_uri.endswith("/model")
    root, spans = tmp_path / "monitoring", tmp_path / "spans"
    verdicts, alerts = [], []
    for number, income in ((1, 1.0), (2, 4.0)):
        write_span(spans, number, income)
        place, lines = local_runner.run_newest_span(spans, served, POLICY, root, metadata)
        verdicts.append(json.loads((place / "findings.json").read_text()))
        alerts.append(lines)
    same, drifted = verdicts
    assert same["blessed"], same["findings"]
    assert same["baseline_uri"] == served.explanation_uri
    assert not drifted["blessed"]
    failed = {finding["settings"]["measure"] for finding in drifted["findings"] if finding["outcome"] == "fail"}
    assert {"total_variation", "importance_ratio", "jensen_shannon"} <= failed
    assert not list(root.rglob("blessing/*/BLESSED")), "monitoring blesses nothing"
    assert not alerts[0]
    (alert,) = alerts[1]
    assert alert.startswith("DRIFT ALERT in span 2: drift total_variation, slice overall: ")
    history = pd.read_parquet(place / "history.parquet")
    runs = history[history["kind"] == "verdict"]
    assert list(zip(runs["span"], runs["blessed"], strict=True)) == [("1", True), ("2", False)]
    assert "2 runs, the newest on the right; 1 was refused" in pages.Page((place / "verdict.html").read_text()).text
    assert local_runner.find_served(metadata) == served, "explanations of later spans are of the same model"


def test_the_wiring_of_the_page_builds():
    (wiring,) = texts("docs/howto/monitoring.md", "python")
    kinds = {"explanation": Explanation, "accepted": Explanation, "served_model": Model}
    channels = {name: tfx.dsl.Channel(type=kind) for name, kind in kinds.items()}
    explainer = types.SimpleNamespace(outputs={"explanation": channels["explanation"]})
    names = {**channels, "explainer": explainer, "policy": POLICY}
    exec(wiring, names)
    assert set(names["validator"].inputs) >= {"previous_validation", "baseline_explanation"}


def test_it_compiles_for_kubeflow(tmp_path):
    """With the baseline, and the background from the examples of the training."""
    runner = tfx.orchestration.experimental.KubeflowV2DagRunner(
        config=tfx.orchestration.experimental.KubeflowV2DagRunnerConfig(
            default_image="registry/image:1", use_pipeline_spec_2_1=True
        ),
        output_dir=str(tmp_path),
        output_filename="job.json",
    )
    runner.run(
        pipeline.create_pipeline(
            pipeline_name="loan-monitoring",
            pipeline_root="gs://bucket/monitoring",
            data_root="gs://bucket/span",
            served=pipeline.Served("gs://bucket/m", "gs://bucket/e", "gs://bucket/x", ("train", "eval")),
            explain_config=EXPLAIN,
            validation_config=POLICY,
        )
    )
    job = json.loads((tmp_path / "job.json").read_text())
    tasks = job["pipelineSpec"]["root"]["dag"]["tasks"]
    inputs = {
        name: {
            key: value["taskOutputArtifact"]["producerTask"]
            for key, value in tasks[name]["inputs"]["artifacts"].items()
        }
        for name in ("Explainer", "ExplanationValidator")
    }
    assert inputs["Explainer"] == {
        "examples": "CsvExampleGen",
        "model": "served_model",
        "background_examples": "background_examples",
    }
    assert inputs["ExplanationValidator"] == {
        "explanation": "Explainer",
        "model": "served_model",
        "baseline_explanation": "baseline",
        "previous_validation": "previous_validation",
    }
    importer = job["pipelineSpec"]["deploymentSpec"]["executors"]["baseline_executor"]["importer"]
    assert importer["artifactUri"]["constant"] == "gs://bucket/e"


def test_the_wiring_with_baseline_blessing_compiles_for_kubeflow(tmp_path):
    model = tfx.dsl.Importer(source_uri="gs://bucket/m", artifact_type=Model).with_id("model")
    examples = tfx.dsl.Importer(source_uri="gs://bucket/x", artifact_type=Examples).with_id("examples")
    resolver = tfx.dsl.Resolver(
        strategy_class=tfx.dsl.experimental.LatestBlessedModelStrategy,
        model=tfx.dsl.Channel(type=Model),
        model_blessing=tfx.dsl.Channel(type=tfx.types.standard_artifacts.ModelBlessing),
    ).with_id("last_blessed")
    explainer = Explainer(
        examples=examples.outputs["result"],
        model=model.outputs["result"],
        baseline_model=resolver.outputs["model"],
        explain_config=EXPLAIN,
    )
    judged = {"explanation": explainer.outputs["explanation"], "model": model.outputs["result"]}
    judged |= {"validation_config": POLICY, "baseline_blessing": resolver.outputs["model_blessing"]}
    validator = ExplanationValidator(**judged, bless_model=False)
    with tfx.dsl.Cond(validator.outputs["validation"].future()[0].custom_property("blessed") == 1):
        blesser = ExplanationValidator(**judged, model_blessing=validator.outputs["blessing"]).with_id("Blesser")
    tfx.orchestration.experimental.KubeflowV2DagRunner(
        config=tfx.orchestration.experimental.KubeflowV2DagRunnerConfig(
            default_image="registry/image:1", use_pipeline_spec_2_1=True
        ),
        output_dir=str(tmp_path),
        output_filename="job.json",
    ).run(
        tfx.dsl.Pipeline(
            pipeline_name="gated",
            pipeline_root="gs://bucket/gated",
            components=[model, examples, resolver, explainer, validator, blesser],
        )
    )
    tasks = json.loads((tmp_path / "job.json").read_text())["pipelineSpec"]["root"]["dag"]["tasks"]
    for name in ("ExplanationValidator", "Blesser"):
        wired = tasks[name]["inputs"]["artifacts"]["baseline_blessing"]["taskOutputArtifact"]
        assert wired == {"producerTask": "last_blessed-model-blessing-resolver", "outputArtifactKey": "model_blessing"}
    assert "metadata['blessed'] == 1.0" in tasks["Blesser"]["triggerPolicy"]["condition"]
