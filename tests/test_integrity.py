"""What was changed after it was written is refused in one sentence, never judged: digests first, then arithmetic."""

import functools
import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf

import sealing
import tfx_explain
import worlds
from damages import BY_DIGEST, BY_SELF_DIGEST_ALONE, MANIFEST, STRUCTURAL, one_attribution_file
from tfx_explain import InputError, ValidationConfig, integrity
from tfx_explain.attribution_records import RecordLayout
from tfx_explain.cli import main
from tfx_explain.consistency import required_tables
from tfx_explain.explainer.description import describe_explanation
from tfx_explain.explanation_validator.judge import judge
from tfx_explain.explanation_validator.recorded import load_recorded

CONFIG: dict[str, Any] = {
    "background": {"num_rows": 12},
    "label_key": "approve",
    "id_key": "application_id",
    "slicing_specs": [{"feature_keys": ["race"]}],
    "min_slice_examples": 10,
    "methods": [{"shapley": {"interactions": 2}}, {"partial_dependence": {"grid_size": 4, "num_ice": 2}}],
}
POLICY = {
    "rules": [
        {"max_share": {"players": ["race"], "value": 1.0}},
        {"max_interaction": {"value": 1e9}},
        {"monotonic": {"feature": "age", "direction": "increasing", "tolerance": 1e9}},
        {"max_slice_difference": {"value": 1e9}},
        {"drift": {"measure": "total_variation", "max": 0.99}},
        {"attribution_drift": {"measure": "jensen_shannon", "max": 0.99}},
    ],
    "slicing_specs": [{}, {"feature_keys": ["race"]}],
    "min_slice_examples": 10,
}


@pytest.fixture(scope="module")
def other_model(tmp_path_factory: pytest.TempPathFactory) -> str:
    def score(features: dict[str, Any]) -> Any:
        age, income, debt = (tf.cast(features[name], tf.float64) for name in ("age", "income", "debt"))
        return tf.tanh(age / 40 - income) * (1 + tf.cast(features["race"] == b"b", tf.float64)) + 0.1 * debt

    return worlds.save_serving_model(tmp_path_factory.mktemp("other") / "model", score, worlds.FEATURES)


@pytest.fixture(scope="module")
def explained(
    linear_model: str, other_model: str, linear_examples: str, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    """Two explanations that differ in their model, of the same rows, each with the other model as its baseline."""
    root = tmp_path_factory.mktemp("sealed")
    models = {"one": (other_model, linear_model), "two": (linear_model, other_model)}
    return {
        name: tfx_explain.explain(
            model=model, baseline_model=baseline, examples=linear_examples, output_dir=str(root / name), config=CONFIG
        ).uri
        for name, (model, baseline) in models.items()
    }


def refused(uri: Path, baseline: str | None = None) -> str:
    """The sentence in which the explanation is refused."""
    with pytest.raises(InputError) as caught:
        judge(
            tfx_explain.load(str(uri)),
            ValidationConfig.from_dict(POLICY),
            tfx_explain.load(baseline) if baseline else None,
        )
    message = str(caught.value)
    assert "\n" not in message
    assert str(uri) in message
    return message


@pytest.fixture
def copy(explained: dict[str, str], tmp_path: Path) -> Path:
    shutil.copytree(explained["one"], tmp_path / "copy")
    return tmp_path / "copy"


def test_what_was_not_changed_is_judged_wherever_it_is(explained: dict[str, str], copy: Path, tmp_path: Path) -> None:
    for uri in (*explained.values(), str(copy)):
        reader = tfx_explain.load(uri)
        verdict = judge(reader, ValidationConfig.from_dict(POLICY))
        assert {finding.outcome for finding in verdict.findings} <= {"pass", "insufficient_evidence"}
        verdict.write(str(tmp_path / "verdict"))
        found = json.loads((tmp_path / "verdict" / "findings.json").read_text())
        assert found["manifest_digest"] == reader.manifest_digest
    sealing.reseal(copy)
    assert judge(tfx_explain.load(str(copy)), ValidationConfig.from_dict(POLICY)).findings == verdict.findings
    (copy / "notes.txt").write_text("mine")
    assert main(["report", str(copy)]) == 0
    assert judge(tfx_explain.load(str(copy)), ValidationConfig.from_dict(POLICY)).findings == verdict.findings


def test_every_file_is_in_the_manifest_but_the_report_and_itself(explained: dict[str, str]) -> None:
    root = Path(explained["one"])
    there = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}
    manifest = json.loads((root / "manifest.json").read_text())
    listed = {*manifest["files"], *(f"attributions/{name}" for name in manifest["attribution_files"])}
    assert there - listed == {"manifest.json", "report.html"}
    assert listed <= there


@pytest.mark.parametrize("name", [*STRUCTURAL, *BY_DIGEST])
def test_a_changed_file_is_refused(name: str, copy: Path, explained: dict[str, str]) -> None:
    {**STRUCTURAL, **BY_DIGEST}[name](copy, Path(explained["two"]))
    refused(copy)


@pytest.mark.parametrize("name", STRUCTURAL)
def test_a_changed_file_with_a_new_digest_is_refused(name: str, copy: Path, explained: dict[str, str]) -> None:
    STRUCTURAL[name](copy, Path(explained["two"]))
    sealing.reseal(copy)
    refused(copy)


@pytest.mark.parametrize("name", MANIFEST)
def test_a_changed_manifest_is_refused(name: str, copy: Path) -> None:
    manifest = json.loads((copy / "manifest.json").read_text())
    MANIFEST[name](manifest)
    (copy / "manifest.json").write_text(json.dumps(manifest))
    refused(copy)


@pytest.mark.parametrize("name", [name for name in MANIFEST if name not in BY_SELF_DIGEST_ALONE])
def test_a_changed_manifest_with_a_new_digest_is_refused(name: str, copy: Path) -> None:
    sealing.reseal(copy, MANIFEST[name])
    refused(copy)


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"null", b"\xff\xfe", b"{}", b'{"format_version": 2}'])
def test_a_manifest_that_is_none_is_refused(content: bytes, copy: Path) -> None:
    (copy / "manifest.json").write_bytes(content)
    with pytest.raises(InputError) as caught:
        tfx_explain.load(str(copy))
    assert "\n" not in str(caught.value)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where something stands in nested lists and objects."""
    keys = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    return [path, *(place for key in keys for place in places(value[key], (*path, key)))]


def test_whatever_stands_in_a_manifest_is_readable_or_refused(explained: dict[str, str]) -> None:
    written = (Path(explained["one"]) / "manifest.json").read_text()
    manifest = json.loads(written)
    settled = {"files", "versions", "timings_seconds", "processes", "background", "model"}
    found = [place for place in places(manifest)[1:] if len(place) < 3 or place[0] not in settled]
    n_refused = 0
    for place in found:
        for value in (None, True, -1, 1.5, 10**400, "text", [], {}, [None], {"a": None}):
            changed = json.loads(written)
            holder = functools.reduce(lambda part, key: part[key], place[:-1], changed)
            holder[place[-1]] = value
            try:
                integrity.check_manifest("here", changed)
            except InputError:
                n_refused += 1
                continue
            RecordLayout.of(changed)
            required_tables(changed)
    assert n_refused > len(found)


def test_the_baseline_is_checked_likewise(copy: Path, explained: dict[str, str]) -> None:
    STRUCTURAL["covariances zero"](copy, copy)
    policy = ValidationConfig.from_dict({"rules": [{"drift": {"measure": "total_variation", "max": 0.99}}]})
    for rules in (policy, ValidationConfig.from_dict({"rules": [{"min_examples": {"value": 1}}]})):
        with pytest.raises(InputError, match="importance_covariance"):
            judge(tfx_explain.load(explained["one"]), rules, tfx_explain.load(str(copy)))


def test_load_and_report_refuse_too(copy: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    STRUCTURAL["importance scaled"](copy, copy)
    assert main(["report", str(copy)]) == 2
    (tmp_path / "policy.yaml").write_text("rules: [{min_examples: {value: 1}}]")
    assert main(["validate", "--explanation", str(copy), "--config", str(tmp_path / "policy.yaml")]) == 2
    said = capsys.readouterr().err
    assert said.count("importance.parquet is not the file that was written") == 2
    reader = tfx_explain.load(str(copy))
    assert len(reader.background) == 12
    with pytest.raises(InputError, match=r"importance\.parquet"):
        reader.importance_for()
    one_attribution_file(copy).write_bytes(b"x")
    with pytest.raises(InputError, match="SHA-256"):
        reader.attributions()


def test_explanations_of_an_earlier_version_can_be_read_but_not_judged(copy: Path) -> None:
    manifest = integrity.without_digests(json.loads((copy / "manifest.json").read_text()))
    (copy / "manifest.json").write_text(json.dumps({**manifest, "format_version": 1}))
    reader = tfx_explain.load(str(copy))
    assert len(reader.importance_for()) == 4
    assert len(reader.attributions()) == 120
    assert main(["report", str(copy)]) == 0
    assert "earlier version wrote without the digests" in refused(copy)


def test_an_explanation_that_was_replaced_as_a_whole_is_not_the_one_in_metadata(explained: dict[str, str]) -> None:
    digest = tfx_explain.load(explained["one"]).manifest_digest
    for known in (digest, ""):
        assert load_recorded(explained["one"], known).uri == explained["one"]
    with pytest.raises(InputError, match="not the one that ML Metadata recorded"):
        load_recorded(explained["two"], digest)


def test_metadata_knows_the_digest_of_the_manifest(explained: dict[str, str]) -> None:
    reader = tfx_explain.load(explained["one"])
    assert describe_explanation(reader.manifest)["manifest_digest"] == reader.manifest_digest


def test_the_manifest_knows_the_report_which_is_written_again_to_the_byte(copy: Path) -> None:
    known, report = json.loads((copy / "manifest.json").read_text())["report_digest"], copy / "report.html"
    assert hashlib.sha256(report.read_bytes()).hexdigest() == known
    report.write_text("another page")
    assert main(["report", str(copy)]) == 0  # a changed page is no reason to refuse
    assert hashlib.sha256(report.read_bytes()).hexdigest() == known
