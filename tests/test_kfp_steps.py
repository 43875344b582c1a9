"""What steps of Kubeflow Pipelines do with its artifacts; `make kfp-test` has Kubeflow run them."""

import dataclasses
import hashlib
import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import sealing
import tfx_explain
import worlds
from tfx_explain import kfp_steps
from tfx_explain.kfp_steps import explain_step, validate_step

BUCKET = "gs://bucket/"
DATAFLOW = (
    "--runner=DataflowRunner",
    "--project=our-project",
    "--region=europe-west1",
    "--temp_location=gs://bucket/tmp",
)
EXPLAIN = "background: {num_rows: 8}\nfeatures: {include: [age, income]}\n"
RULES = "rules: [max_share: {players: [income], value: %s}, min_share: {players: [age], value: 0.9}]\n"
POLICY = "min_slice_examples: 10\n" + RULES


@dataclasses.dataclass
class Artifact:
    """As Kubeflow hands it to a step: kept in a bucket, which is mounted."""

    mount: Path
    uri: str
    metadata: dict[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def path(self) -> str:
        return str(self.mount / self.uri.removeprefix(BUCKET))


class Bucket:
    """Where artifacts are."""

    def __init__(self, mount: Path) -> None:
        self.mount = mount

    def artifacts(self, task: str, *names: str) -> dict[str, Artifact]:
        (self.mount / task).mkdir(exist_ok=True)
        return {name: Artifact(self.mount, f"{BUCKET}{task}/{name}") for name in names}

    def files(self, task: str) -> list[Path]:
        return [path for path in (self.mount / task).rglob("*") if path.is_file()]

    def explain(self, task: str, inputs: Mapping[str, Artifact | None], config: str = EXPLAIN) -> dict[str, Artifact]:
        outputs = self.artifacts(task, "explanation", "attributions", "report", "metrics")
        explain_step(inputs, outputs, config)
        return outputs

    def validate(self, task: str, inputs: Mapping[str, Artifact | None], policy: str) -> tuple[bool, dict[str, Any]]:
        outputs = self.artifacts(task, "validation", "verdict", "metrics")
        return validate_step(inputs, outputs, policy), outputs


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Bucket:
    return Bucket(tmp_path_factory.mktemp("bucket"))


@pytest.fixture(scope="module")
def given(bucket: Bucket) -> dict[str, Artifact | None]:
    inputs = bucket.artifacts("given", "model", "examples", "schema")
    model = inputs["model"]
    worlds.save_serving_model(Path(model.path), lambda row: row["age"] - 2.0 * row["income"], worlds.FEATURES)
    worlds.write_splits(Path(inputs["examples"].path), worlds.make_rows, 40, 30)
    Path(inputs["schema"].path).mkdir()
    (Path(inputs["schema"].path) / "schema.pbtxt").write_text('feature { name: "never_seen" type: FLOAT }')
    return {**inputs, "baseline_model": None}


@pytest.fixture(scope="module")
def explained(bucket: Bucket, given: dict[str, Artifact | None]) -> dict[str, Artifact]:
    # What a try of the step that was killed has left.
    (bucket.mount / "explain/explanation").mkdir(parents=True)
    (bucket.mount / "explain/explanation/importance.parquet").write_bytes(b"half")
    return bucket.explain("explain", given)


def test_the_explanation_is_whole_and_the_html_is_its_report(explained: dict[str, Artifact]) -> None:
    explanation = tfx_explain.load(explained["explanation"].path)
    explanation.verify()
    assert len(explanation.attributions()) == 30
    assert Path(explained["report"].path).read_text() == explanation.report()
    assert "never_seen" in explanation.manifest["unused_features"]


def test_attributions_are_an_artifact_within_the_explanation(explained: dict[str, Artifact]) -> None:
    attributions = explained["attributions"]
    assert attributions.uri == explained["explanation"].uri + "/attributions"
    assert list(Path(attributions.path).glob("Split-eval/*"))
    assert attributions.metadata == {"explanation_uri": explained["explanation"].uri}


def test_metadata_and_figures_say_what_was_found(explained: dict[str, Artifact], given: dict[str, Any]) -> None:
    explanation = tfx_explain.load(explained["explanation"].path)
    metadata = explained["explanation"].metadata
    assert metadata["model_uri"] == given["model"].uri
    assert metadata["attributions_uri"] == explained["attributions"].uri
    assert metadata["manifest_digest"] == explanation.manifest_digest
    figures = explained["metrics"].metadata
    importance = explanation.importance_for().set_index("player")["value"]
    for player in ("age", "income"):
        assert figures[f"share of {player}"] == pytest.approx(importance[player] / importance.sum(), rel=1e-12)
    assert {name: figures[name] for name in ("read", "explained")} == {"read": 30, "explained": 30}
    assert json.loads(json.dumps(figures)) == figures


@pytest.mark.parametrize(("most", "outcomes"), [(0.01, {"fail": 2}), (0.99, {"fail": 1, "pass": 1})])
def test_the_verdict_is_a_page_and_a_parameter(
    most: float,
    outcomes: dict[str, int],
    bucket: Bucket,
    explained: dict[str, Artifact],
    given: dict[str, Any],
) -> None:
    inputs = {"explanation": explained["explanation"], "model": given["model"], "baseline_explanation": None}
    blessed, outputs = bucket.validate(f"validate {most}", inputs, POLICY % most)
    assert blessed is False
    validation = Path(outputs["validation"].path)
    assert json.loads((validation / "findings.json").read_text())["blessed"] is False
    page = Path(outputs["verdict"].path).read_text()
    assert "href=" not in page  # its user interface shows it alone
    beside = (validation / "verdict.html").read_text()
    assert re.sub(r'<p class="note"><a href="report.html">.*</p>\n', "", beside) == page
    counts = {f"rules: {outcome}": count for outcome, count in outcomes.items()}
    assert outputs["metrics"].metadata == {"blessed": 0, **counts}
    digest = hashlib.sha256((Path(explained["explanation"].path) / "manifest.json").read_bytes()).hexdigest()
    said = outputs["validation"].metadata
    assert (said["manifest_digest"], said["model_uri"], said["num_fail"]) == (
        digest,
        given["model"].uri,
        outcomes["fail"],
    )
    assert said["decided_by"].startswith("max_share: income" if most == 0.01 else "min_share: age")
    assert said["findings_digest"] == hashlib.sha256((validation / "findings.json").read_bytes()).hexdigest()


def test_a_model_that_meets_the_policy_is_blessed_against_a_baseline(
    bucket: Bucket, explained: dict[str, Artifact]
) -> None:
    inputs = {"explanation": explained["explanation"], "baseline_explanation": explained["explanation"]}
    blessed, outputs = bucket.validate(
        "against itself", inputs, "min_slice_examples: 10\nrules: [drift: {measure: total_variation, max: 0.5}]"
    )
    assert blessed is True
    assert outputs["metrics"].metadata["blessed"] == 1


def test_a_history_goes_on_from_the_run_before(bucket: Bucket, explained: dict[str, Artifact]) -> None:
    """Of an explanation made a day later by its manifest, as judging the same one again is no new run."""
    _, first = bucket.validate("first", {"explanation": explained["explanation"]}, POLICY % 0.99)
    (later,) = bucket.artifacts("later", "explanation").values()
    shutil.copytree(explained["explanation"].path, later.path)
    sealing.reseal(Path(later.path), lambda manifest: manifest.update(created="2026-12-01T00:00:00+00:00"))
    inputs = {"explanation": later, "previous_validation": first["validation"]}
    _, second = bucket.validate("second", inputs, POLICY % 0.99)
    runs = [
        pd.read_parquet(Path(one["validation"].path) / "history.parquet")["run"].nunique() for one in (first, second)
    ]
    assert runs == [1, 2]
    assert "From run to run" in Path(second["verdict"].path).read_text()
    assert "From run to run" not in Path(first["verdict"].path).read_text()
    (Path(first["validation"].path) / "history.parquet").write_bytes(b"another")
    with pytest.raises(SystemExit, match=r"history\.parquet is not the file that was written"):
        bucket.validate("of another", inputs, POLICY % 0.99)
    assert bucket.files("of another") == []


EXPLAIN_REFUSALS = {
    "no model": ("{}", {"model": None}, "input `model` is absent"),
    "no configuration": ("methods: [shapely]", {}, "shapely"),
    "no YAML": ("methods: [", {}, "neither YAML nor JSON"),
    "no such split": ("splits: [test]", {}, "split `test`"),
}


@pytest.mark.parametrize("case", EXPLAIN_REFUSALS)
def test_what_cannot_be_explained_is_one_sentence_and_leaves_nothing(
    case: str, bucket: Bucket, given: dict[str, Artifact | None]
) -> None:
    config, changes, said = EXPLAIN_REFUSALS[case]
    with pytest.raises(SystemExit) as refused:
        bucket.explain(case, {**given, **changes}, config)
    sentence = str(refused.value.code)
    assert sentence.startswith("tfx-explain: ")
    assert said in sentence
    assert "\n" not in sentence
    assert bucket.files(case) == []


def test_an_explanation_of_another_model_is_refused(
    bucket: Bucket, explained: dict[str, Artifact], given: dict[str, Any]
) -> None:
    other = dataclasses.replace(given["model"], uri=f"{BUCKET}given/other")
    with pytest.raises(SystemExit, match=r"not of the one in gs://bucket/given/other"):
        bucket.validate("other", {"explanation": explained["explanation"], "model": other}, POLICY % 0.5)
    assert bucket.files("other") == []


def test_an_imported_explanation_is_of_the_model_at_its_path(
    bucket: Bucket, explained: dict[str, Artifact], given: dict[str, Any]
) -> None:
    imported = dataclasses.replace(explained["explanation"], metadata={})
    inputs = {"explanation": imported, "model": given["model"]}
    assert bucket.validate("imported", inputs, POLICY % 0.5)[0] is False
    inputs["model"] = dataclasses.replace(given["model"], uri=f"{BUCKET}given/other")
    with pytest.raises(SystemExit, match="not of the one in"):
        bucket.validate("imported other", inputs, POLICY % 0.5)


def test_an_explanation_that_is_not_the_recorded_one_is_refused(bucket: Bucket, explained: dict[str, Artifact]) -> None:
    replaced = dataclasses.replace(explained["explanation"], metadata={"manifest_digest": "0" * 64})
    with pytest.raises(SystemExit, match="not the one that ML Metadata recorded"):
        bucket.validate("replaced", {"explanation": replaced}, POLICY % 0.5)
    assert bucket.files("replaced") == []


def test_a_damaged_explanation_is_refused(bucket: Bucket, explained: dict[str, Artifact]) -> None:
    shutil.copytree(explained["explanation"].path, bucket.mount / "damaged/explanation")
    (damaged,) = bucket.artifacts("damaged", "explanation").values()
    (Path(damaged.path) / "importance.parquet").write_bytes(b"")
    with pytest.raises(SystemExit, match=r"importance\.parquet"):
        bucket.validate("of damaged", {"explanation": damaged}, POLICY % 0.5)
    assert bucket.files("of damaged") == []


def test_arguments_that_beam_cannot_read_are_one_sentence(bucket: Bucket, given: dict[str, Artifact | None]) -> None:
    outputs = bucket.artifacts("arguments", "explanation", "attributions", "report", "metrics")
    with pytest.raises(SystemExit, match="tfx-explain: Apache Beam cannot read its arguments"):
        explain_step(given, outputs, "", ["--direct_num_workers=many"])
    assert bucket.files("arguments") == []


def test_workers_elsewhere_are_told_uris(
    bucket: Bucket, given: dict[str, Artifact | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, Any] = {}

    def ask(**arguments: Any) -> None:
        asked.update(arguments)
        raise tfx_explain.InputError("enough.")

    monkeypatch.setattr(kfp_steps, "explain", ask)
    monkeypatch.setattr(kfp_steps.storage, "remove", lambda uri: asked.update(removed=uri))
    monkeypatch.setattr(kfp_steps.storage, "exists", lambda uri: True)
    outputs = bucket.artifacts("remote", "explanation", "attributions", "report", "metrics")
    with pytest.raises(SystemExit):
        explain_step(given, outputs, "", [*DATAFLOW])
    assert asked["model"] == f"{BUCKET}given/model"
    assert asked["schema"] == f"{BUCKET}given/schema/schema.pbtxt"
    assert asked["output_dir"] == asked["removed"] == f"{BUCKET}remote/explanation"
    assert asked["baseline_model"] is None
