"""What was changed after it was written is refused in one sentence, never judged: digests first, then arithmetic."""

import functools
import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

import sealing
import tfx_explain
import worlds
from tfx_explain import InputError, ValidationConfig, integrity, records
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


Damage = Callable[[Path, Path], object]


def table(file: str, change: Callable[[pd.DataFrame], pd.DataFrame]) -> Damage:
    return lambda here, _: records.write_table(str(here / file), change(records.read_table(str(here / file))))


def numbers(file: str, column: str, change: Callable[[Any], Any], rows: str = "index == index") -> Damage:
    def changed(frame: pd.DataFrame) -> pd.DataFrame:
        chosen = frame.eval(rows)
        return frame.assign(**{column: frame[column].where(~chosen, change(frame[column]))})

    return table(file, changed)


def scaled(here: Path, _: Path) -> None:
    """Importance and its errors, not the covariances."""
    columns = ["value", "std_error", "rms", "ci_low", "ci_high", "mean_signed", "mean_signed_std_error"]
    table("importance.parquet", lambda frame: frame.assign(**{name: 2 * frame[name] for name in columns}))(here, here)


def swapped(first: str, second: str) -> Damage:
    def swap(here: Path, _: Path) -> None:
        a, b = (here / first).read_bytes(), (here / second).read_bytes()
        (here / first).write_bytes(b)
        (here / second).write_bytes(a)

    return swap


def from_other(file: str) -> Damage:
    return lambda here, other: shutil.copy(other / file, here / file)


def only_players(frame: pd.DataFrame) -> pd.DataFrame:
    """Without a player, whose share goes to the others."""
    kept = frame[frame["player"] != "race"]
    share = kept["value"] / kept.groupby(["slice", "output"])["value"].transform("sum")
    return kept.assign(share=share, rank=kept.groupby(["slice", "output"])["value"].rank(ascending=False).astype(int))


def one_attribution_file(here: Path) -> Path:
    return next(path for path in sorted((here / "attributions").rglob("*")) if path.is_file())


FIRST = "index == 0"
# Name -> what is done to the directory; all are refused, also where every digest is computed anew.
STRUCTURAL: dict[str, Damage] = {
    "a player's rows removed": table("importance.parquet", lambda f: f[f["player"] != "race"]),
    "a player's rows removed, shares to match": table("importance.parquet", only_players),
    "a player renamed": table("importance.parquet", lambda f: f.replace({"player": {"race": "unused"}})),
    "two players exchanged": table(
        "importance.parquet", lambda f: f.replace({"player": {"race": "age", "age": "race"}})
    ),
    "rows twice": table("importance.parquet", lambda f: pd.concat([f, f.head(2)])),
    "a slice removed": table("importance.parquet", lambda f: f[f["slice"] != "race=b"]),
    "a slice renamed": table("importance.parquet", lambda f: f.replace({"slice": {"race=b": "race=c"}})),
    "an output renamed": table("importance.parquet", lambda f: f.assign(output="other")),
    "no rows": table("importance.parquet", lambda f: f.head(0)),
    "importance scaled": scaled,
    "one importance scaled": numbers("importance.parquet", "value", lambda v: v * 0.1, FIRST),
    "importance below zero": numbers("importance.parquet", "value", lambda v: -v, FIRST),
    "importance unknown": numbers("importance.parquet", "value", lambda v: v * np.nan, FIRST),
    "importance infinite": numbers("importance.parquet", "value", lambda v: v * np.inf, FIRST),
    "an importance cut off that is above 0": numbers("importance.parquet", "cut_off", lambda v: v - 0.01, FIRST),
    "cut off above 0": numbers("importance.parquet", "cut_off", lambda v: v + 0.01),
    "errors unknown": numbers("importance.parquet", "std_error", lambda v: v * np.nan),
    "errors made small": numbers("importance.parquet", "std_error", lambda v: v * 0.01),
    "more examples": numbers("importance.parquet", "num_examples", lambda v: v * 100),
    "more effective examples": numbers("importance.parquet", "num_effective_examples", lambda v: v * 100),
    "text for numbers": table("importance.parquet", lambda f: f.assign(value=f["value"].astype(str))),
    "a column gone": table("importance.parquet", lambda f: f.drop(columns="value")),
    "covariances zero": numbers("importance_covariance.parquet", "covariance", lambda v: v * 0),
    "covariances of pairs zero": numbers(
        "importance_covariance.parquet", "covariance", lambda v: v * 0, "player_a != player_b"
    ),
    "covariances that cannot be": numbers(
        "importance_covariance.parquet", "covariance", lambda v: v + 1e6, "player_a != player_b"
    ),
    "a pair of players removed": table("importance_covariance.parquet", lambda f: f.drop(index=1)),
    "a pair of players twice": table("importance_covariance.parquet", lambda f: pd.concat([f, f.head(1)])),
    "the baseline's table for the model's": swapped("importance.parquet", "baseline_importance.parquet"),
    "the baseline's covariances for the model's": swapped(
        "importance_covariance.parquet", "baseline_importance_covariance.parquet"
    ),
    "importance of another explanation": from_other("importance.parquet"),
    "covariances of another explanation": from_other("importance_covariance.parquet"),
    "baseline of another explanation": from_other("baseline_importance.parquet"),
    "differences from the baseline zero": numbers("baseline_importance.parquet", "difference", lambda v: v * 0),
    "covariances of differences zero": numbers(
        "baseline_importance_covariance.parquet", "difference_covariance", lambda v: v * 0
    ),
    "an interaction removed": table("interactions.parquet", lambda f: f.drop(index=0)),
    "an interaction unknown": table("interactions.parquet", lambda f: f.assign(value=f["value"].where(f.index > 0))),
    "an interaction's player renamed": table("interactions.parquet", lambda f: f.assign(player_a="x")),
    "a point of a curve removed": table("profiles.parquet", lambda f: f[~((f["kind"] == "curve") & (f.position == 1))]),
    "a curve made flat": numbers("profiles.parquet", "step", lambda v: v * 0),
    "a point of a curve unknown": numbers("profiles.parquet", "centred_value", lambda v: v * np.nan, FIRST),
    "a slice's difference zero": numbers("slice_differences.parquet", "difference", lambda v: v * 0),
    "a slice's player removed": table("slice_differences.parquet", lambda f: f[f["player"] != "race"]),
    "slice differences of another explanation": from_other("slice_differences.parquet"),
    "a table cut off": lambda here, _: (here / "importance.parquet").write_bytes(
        (here / "importance.parquet").read_bytes()[:-100]
    ),
    "a table empty": lambda here, _: (here / "importance_covariance.parquet").write_bytes(b""),
    "a table gone": lambda here, _: (here / "importance_covariance.parquet").unlink(),
    "the baseline's table gone": lambda here, _: (here / "baseline_importance.parquet").unlink(),
    "records gone": lambda here, _: shutil.rmtree(here / "attributions"),
    "a file of records empty": lambda here, _: one_attribution_file(here).write_bytes(b""),
    "records twice": lambda here, _: shutil.copy(
        one_attribution_file(here), one_attribution_file(here).with_name("again.gz")
    ),
}
# Whoever computes the digests anew can do these: only the manifest's digest that others keep gives them away.
BY_DIGEST: dict[str, Damage] = {
    "the background of another explanation": lambda here, _: records.write_table(
        str(here / "background.parquet"), records.read_table(str(here / "background.parquet")).head(3)
    ),
    "statistics empty": lambda here, _: (here / "attribution_stats" / "FeatureStats.pb").write_bytes(b""),
    "rows of the report removed": table("report_examples.parquet", lambda f: f.head(1)),
}
# What is done to the manifest, found by its own digest.
MANIFEST: dict[str, Callable[[dict[str, Any]], object]] = {
    "a player removed": lambda m: m["players"].pop("race"),
    "a player moved to the unused": lambda m: m["unused_features"].append(m["players"].pop("race")[0]),
    "a player added": lambda m: m["players"].update(height=["height"]),
    "players renamed": lambda m: m.update(players={name + "_": features for name, features in m["players"].items()}),
    "an unused feature added": lambda m: m["unused_features"].append("height"),
    "an output added": lambda m: m["outputs"].append("other"),
    "an output renamed": lambda m: m.update(outputs=["other"]),
    "a slice removed": lambda m: m["slices"]["included"].pop(),
    "slices too small": lambda m: m["slices"].update(
        included=m["slices"]["included"][:1], too_small=m["slices"]["included"][1:]
    ),
    "rows of a slice": lambda m: m["slices"]["included"][1].update(num_examples=1000),
    "explained rows": lambda m: m["counts"]["eval"].update(explained=100_000),
    "base values": lambda m: m.update(base_values=dict.fromkeys(m["base_values"], 0.0)),
    "the gap": lambda m: m["completeness_gap"].update(max_relative=0.0),
    "the configuration": lambda m: m["config"].update(max_examples=7),
    "the model": lambda m: m["model"].update(uri="/elsewhere"),
    "no digests": lambda m: m.pop("files"),
    "no digest of its own": lambda m: m.pop("self_digest"),
    "no digest of a file": lambda m: m["files"].pop("importance.parquet"),
    "an earlier format": lambda m: [m.update(format_version=1), m.pop("files"), m.pop("self_digest")],
    "players as a list": lambda m: m.update(players=list(m["players"])),
    "no list of methods": lambda m: m.update(attribution_methods=None),
    "methods that are no objects": lambda m: m["method"].update(shapley=None),
    "settings that are none": lambda m: m["config"].update(methods=None),
    "a weight that is no name": lambda m: m["config"].update(example_weight_key=["weight"]),
    "no weight": lambda m: m["config"].pop("example_weight_key"),
    "parts that are none": lambda m: m.update(parts={"shapley": None}),
    "gaps that are none": lambda m: m.update(completeness_gaps={"shapley": {"max_abs": 0.0}}),
    "gaps that no float holds": lambda m: m["completeness_gap"].update(max_relative=10**400),
    "failures that are none": lambda m: m["failures"].update(eval=None),
    "settings that are true": lambda m: m["config"]["methods"][0].update(shapley=True),
    "a feature that is no name": lambda m: m["players"].update(age=[{"age": 1}]),
    "slices asked for by no names": lambda m: m["config"]["slicing_specs"].append({"feature_keys": "race"}),
    "counts that are true": lambda m: m["counts"]["eval"].update(model_rows=True),
}
BY_SELF_DIGEST_ALONE = {
    "an unused feature added",
    "base values",
    "the gap",
    "the configuration",
    "the model",
    "no digests",
    "no digest of its own",
    "no digest of a file",
    "an earlier format",
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
