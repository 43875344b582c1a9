"""Explanations against baselines, from real jobs: another span, another model, and what cannot be compared."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tfx.types.standard_artifacts import ModelBlessing

import sealing
import tfx_explain
import worlds
from tfx_explain import ExplainConfig, ValidationConfig, records, tables
from tfx_explain.cli import main
from tfx_explain.explanation_validator.executor import find_baseline, findings_to_anomalies
from tfx_explain.explanation_validator.judge import judge
from tfx_explain.report import render_verdict

CONFIG = ExplainConfig(background={"num_rows": 10}, slicing_specs=[{"feature_keys": ["race"]}], id_key="application_id")
DEFAULT = ValidationConfig(rules=[{"drift": "default"}])


def _span(directory: Path, seed: int, change: Callable[[dict[str, Any]], Any] = lambda row: None) -> str:
    rows = worlds.make_rows(1_500, seed)
    for row in rows:
        change(row)
    worlds.write_records(directory / "Split-eval", [worlds.to_example(row) for row in rows])
    return str(directory)


@pytest.fixture(scope="module")
def explained(linear_model: str, linear_examples: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Explanations of two spans without and one with drift, all with the background of the training span."""
    root = tmp_path_factory.mktemp("spans")

    def poorer(row: dict[str, Any]) -> None:
        row["income"] *= 0.2

    spans = {"before": _span(root / "1", 1), "after": _span(root / "2", 2), "drifted": _span(root / "3", 3, poorer)}
    return {
        name: tfx_explain.explain(
            model=linear_model,
            examples=examples,
            background=linear_examples,
            output_dir=str(root / f"explanation-{name}"),
            config=CONFIG,
        )
        for name, examples in spans.items()
    }


def _outcomes(verdict: Any) -> dict[str, str]:
    return {finding.settings["measure"]: finding.outcome for finding in verdict.findings}


def test_another_span_of_the_same_kind_passes_and_one_that_drifted_does_not(explained: dict[str, Any]) -> None:
    same = judge(explained["after"], DEFAULT, explained["before"])
    assert same.blessed, [finding.message for finding in same.findings]
    assert set(_outcomes(same).values()) == {"pass"}
    assert same.to_dict()["baseline_uri"] == explained["before"].uri
    drifted = judge(explained["drifted"], DEFAULT, explained["before"])
    assert not drifted.blessed
    assert {_outcomes(drifted)[name] for name in ("total_variation", "jensen_shannon")} == {"fail"}
    (finding,) = (one for one in drifted.findings if one.settings["measure"] == "jensen_shannon")
    assert "(income)" in finding.message


def test_figures_are_those_of_the_records(explained: dict[str, Any]) -> None:
    ours, theirs = (explained[name].attributions() for name in ("drifted", "before"))
    columns = [f"attribution_{player}" for player in explained["before"].players]
    shares = [frame[columns].abs().mean() / frame[columns].abs().mean().sum() for frame in (ours, theirs)]
    policy = ValidationConfig(rules=[{"drift": {"measure": "total_variation", "max": 0.1}}])
    (finding,) = judge(explained["drifted"], policy, explained["before"]).findings
    assert finding.value == pytest.approx(np.abs(shares[0] - shares[1]).sum() / 2, rel=1e-5)
    policy = ValidationConfig(
        rules=[{"attribution_drift": {"measure": "classifier", "max": 0.6}}], slicing_specs=[{"feature_keys": ["race"]}]
    )
    findings = judge(explained["drifted"], policy, explained["before"]).findings
    assert [finding.slice_key for finding in findings] == ["race=a", "race=b"]
    assert {finding.outcome for finding in findings} == {"fail"}


def test_without_a_baseline_drift_is_skipped_and_the_rest_decides(explained: dict[str, Any]) -> None:
    alone = judge(explained["before"], DEFAULT)
    assert alone.blessed
    assert set(_outcomes(alone).values()) == {"skipped"}
    assert alone.findings[0].message == "Nothing was compared: there is no baseline yet, as on the first run."
    share = {"max_share": {"players": ["race"], "value": 0.001}}
    refused = judge(explained["before"], ValidationConfig(rules=[{"drift": "default"}, share]))
    assert not refused.blessed
    page = render_verdict(alone.findings, blessed=True)
    assert "nothing was compared: 5 findings on 5 rules skipped for want of a baseline." in page
    model = {"drift": {"measure": "ndcg", "max": 0.1, "against": "model"}}
    (finding,) = judge(explained["after"], ValidationConfig(rules=[model]), explained["before"]).findings
    assert finding.outcome == "skipped"
    assert "no baseline model was explained" in finding.message


EDITS: dict[str, Callable[[dict[str, Any]], Any]] = {
    r"model output \(score against approved\)": lambda m: m.update(outputs=["approved"]),
    r"output space \(raw against logit\)": lambda m: m["model"].update(output_space="logit"),
    r"players \(age, debt, income, race against age, wealth\)": lambda m: m.update(
        players={"age": ["age"], "wealth": ["debt", "income"]}
    ),
    r"background \(\w{8} against 01234567\)": lambda m: m["background"].update(digest="0123456789"),
    r"method \(shapley against no shapley\)": lambda m: m.update(method={"sage": {}}, attribution_methods=[]),
    r"example weights \(None against income\)": lambda m: m["config"].update(example_weight_key="income"),
}


@pytest.mark.parametrize("message", EDITS)
def test_what_cannot_be_compared_is_refused_in_one_sentence(
    message: str, explained: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other"
    shutil.copytree(explained["before"].uri, other)
    manifest = json.loads((other / "manifest.json").read_text())
    EDITS[message](manifest)
    (other / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(tfx_explain.InputError, match=f"since they differ in {message}; explain both") as caught:
        judge(explained["after"], DEFAULT, tfx_explain.load(str(other)))
    assert "\n" not in str(caught.value)
    (tmp_path / "policy.yaml").write_text("rules: [drift: default]")
    command = ["validate", "--explanation", explained["after"].uri, "--config", str(tmp_path / "policy.yaml")]
    assert main([*command, "--baseline", str(other)]) == 2
    assert "cannot be compared" in capsys.readouterr().err


def test_another_background_is_refused(
    linear_model: str, linear_examples: str, explained: dict[str, Any], tmp_path: Path
) -> None:
    """A new span brings another background, unless the background comes from where it came before."""
    config = CONFIG.model_copy(update={"background": CONFIG.background.model_copy(update={"split": "eval"})})
    other = tfx_explain.explain(
        model=linear_model, examples=linear_examples, output_dir=str(tmp_path / "e"), config=config
    )
    with pytest.raises(tfx_explain.InputError, match=r"differ in background .* the same `background_examples`\."):
        judge(other, DEFAULT, explained["before"])


def test_validate_with_a_baseline_answers_by_exit_code(
    explained: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "policy.yaml").write_text("rules: [drift: default]")
    for name, code in (("after", 0), ("drifted", 1)):
        command = ["validate", "--explanation", explained[name].uri, "--config", str(tmp_path / "policy.yaml")]
        assert main([*command, "--baseline", explained["before"].uri]) == code
        assert "drift" in capsys.readouterr().out.splitlines()[0]
    assert main([*command, "--baseline", str(tmp_path)]) == 2
    assert "holds no explanation" in capsys.readouterr().err


def _blessing(blessed: int, explanation_uri: str | None) -> ModelBlessing:
    blessing = ModelBlessing()
    blessing.uri = "blessings/1"
    blessing.set_int_custom_property("blessed", blessed)
    if explanation_uri is not None:
        blessing.set_string_custom_property("explanation_uri", explanation_uri)
    return blessing


def test_which_baseline_is_taken() -> None:
    given = tfx_explain.Explanation()
    given.uri = "given"
    blessed = _blessing(1, "blessed-for")
    assert find_baseline({"baseline_explanation": [given], "baseline_blessing": [blessed]}) == ("given", "")
    assert find_baseline({"baseline_explanation": [], "baseline_blessing": [blessed]}) == ("blessed-for", "")
    for nothing in ({}, {"baseline_explanation": [], "baseline_blessing": []}):
        assert find_baseline(nothing) == (None, "there is no baseline yet, as on the first run")
    uri, reason = find_baseline({"baseline_blessing": [_blessing(0, "refused-for")]})
    assert (uri, reason) == (None, "the baseline blessing blessings/1 is of a model that was refused")
    uri, reason = find_baseline({"baseline_blessing": [_blessing(1, None)]})
    assert uri is None
    assert "leads to no explanation, because another component made it" in reason
    with pytest.raises(tfx_explain.InputError, match="`baseline_blessing` is 2 artifacts, but only one can be"):
        find_baseline({"baseline_blessing": [blessed, blessed]})


def test_a_slice_that_the_baseline_lacks_is_no_evidence(explained: dict[str, Any], tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(explained["before"].uri, other)
    for name in (tables.IMPORTANCE.file, tables.IMPORTANCE_COVARIANCE.file, tables.SLICE_DIFFERENCES.file):
        table = records.read_table(str(other / name))
        records.write_table(str(other / name), table[table["slice"] != "race=b"])

    def too_small(manifest: dict[str, Any]) -> None:
        slices = manifest["slices"]
        slices["too_small"] = [one for one in slices["included"] if one["slice"] == "race=b"]
        slices["included"] = [one for one in slices["included"] if one["slice"] != "race=b"]

    sealing.reseal(other, too_small)
    policy = ValidationConfig(
        rules=[{"drift": {"measure": "ndcg", "max": 0.1}}], slicing_specs=[{"feature_keys": ["race"]}]
    )
    findings = judge(explained["after"], policy, tfx_explain.load(str(other))).findings
    assert [(one.slice_key, one.outcome) for one in findings] == [
        ("race=a", "pass"),
        ("race=b", "insufficient_evidence"),
    ]
    assert findings[1].message.startswith("Its baseline has only 0 examples here and this rule needs 50")


def test_records_that_are_gone_are_missed(explained: dict[str, Any], tmp_path: Path) -> None:
    moved = tmp_path / "moved"
    shutil.copytree(explained["before"].uri, moved)
    shutil.rmtree(moved / "attributions")
    with pytest.raises(tfx_explain.InputError, match=r"attribution records of .* are gone; explain again, or"):
        judge(explained["after"], DEFAULT, tfx_explain.load(str(moved)))


def test_findings_are_shown_by_tfdv_and_on_the_page(explained: dict[str, Any]) -> None:
    from tensorflow_data_validation.utils import display_util

    verdict = judge(explained["drifted"], DEFAULT, explained["before"])
    anomalies = findings_to_anomalies(verdict.findings)
    shown = display_util.get_anomalies_dataframe(anomalies)
    failed = [finding for finding in verdict.findings if finding.outcome != "pass"]
    assert len(shown) == len(failed) >= 2
    assert set(shown["Anomaly long description"]) == {finding.message for finding in failed}
    assert any("jensen_shannon" in str(name) for name in shown.index)
    measured = {info.path.step[0]: info.drift_measurements[0] for info in anomalies.drift_skew_info}
    assert measured["income"].value == pytest.approx(
        next(one.value for one in failed if one.settings["measure"] == "jensen_shannon")
    )
    assert measured["income"].threshold == pytest.approx(0.1)
    page = render_verdict(verdict.findings, blessed=verdict.blessed)
    for finding in failed:
        assert finding.settings["measure"] in page
        assert finding.message.split(",")[0] in page
    assert page.count('class="track gauge"') == len(verdict.findings)


@pytest.fixture(scope="module")
def beside(linear_model: str, linear_examples: str, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The linear model beside one that uses debt in income's stead, on the same rows."""
    root = tmp_path_factory.mktemp("beside")
    spec = {name: tf.io.FixedLenFeature([], tf.float32) for name in ("age", "income")}
    spec["debt"] = tf.io.FixedLenFeature([], tf.int64)
    changed = worlds.save_serving_model(
        root / "model", lambda f: 0.5 * f["age"] - 0.1 * f["income"] + tf.cast(f["debt"], tf.float32), spec
    )
    return tfx_explain.explain(
        model=changed,
        baseline_model=linear_model,
        examples=_span(root / "1", 1),
        background=linear_examples,
        output_dir=str(root / "explanation"),
        config=CONFIG,
    )


def test_a_candidate_is_compared_with_the_baseline_model_on_the_same_rows(beside: Any) -> None:
    verdict = judge(beside, DEFAULT)
    assert not verdict.blessed
    outcomes = _outcomes(verdict)
    assert (outcomes["total_variation"], outcomes["rank_reversal"]) == ("fail", "fail")
    overall = beside.baseline_importance[beside.baseline_importance["slice"] == "overall"].set_index("player")
    covariance = beside.baseline_importance_covariance
    diagonal = covariance[
        (covariance["slice"] == "overall") & (covariance["player_a"] == covariance["player_b"])
    ].set_index("player_a")
    np.testing.assert_allclose(
        diagonal["difference_covariance"] ** 0.5, overall["difference_std_error"][diagonal.index], rtol=1e-9
    )
    frame = beside.attributions()
    pairs = frame[["attribution_income", "baseline_attribution_income"]].abs()
    difference = pairs["attribution_income"] - pairs["baseline_attribution_income"]
    assert diagonal["difference_covariance"]["income"] == pytest.approx(difference.var() / len(frame), rel=1e-4)
    against_span = {"drift": {"measure": "ndcg", "max": 0.1, "against": "explanation"}}
    (finding,) = judge(beside, ValidationConfig(rules=[against_span])).findings
    assert finding.outcome == "skipped"
    rows = ValidationConfig(rules=[{"attribution_drift": {"measure": "disagreement", "max": 0.1, "against": "model"}}])
    (finding,) = judge(beside, rows).findings
    ours = frame[[f"attribution_{player}" for player in beside.players]].to_numpy()
    theirs = frame[[f"baseline_attribution_{player}" for player in beside.players]].to_numpy()
    apart = np.abs(ours - theirs).sum() / (np.abs(ours) + np.abs(theirs)).sum()
    assert (finding.outcome, finding.value) == ("fail", pytest.approx(apart, rel=1e-5))
