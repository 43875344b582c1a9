"""From a written explanation to findings: every rule finds its figures in the tables, or says what is not there."""

import dataclasses
import hashlib
import logging
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow_data_validation as tfdv

import sealing
import tfx_explain
import worlds
from tfx_explain import ConfigError, InputError, ValidationConfig, records, tables
from tfx_explain.explanation_validator.executor import findings_to_anomalies
from tfx_explain.explanation_validator.judge import FILE_NAMES, judge
from tfx_explain.explanation_validator.recorded import log_verdict

SLICES = [{}, {"feature_keys": ["race"]}]


@pytest.fixture(scope="module")
def explained(linear_model: str, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """An explanation with slices, interactions and profiles, whose curves have steps."""
    root = tmp_path_factory.mktemp("judged")
    for split, n in (("train", 60), ("eval", 200)):
        worlds.write_records(root / f"Split-{split}", [worlds.to_example(row) for row in worlds.make_rows(n, n)])
    config = {
        "background": {"num_rows": 20},
        "label_key": "approve",
        "id_key": "application_id",
        "slicing_specs": SLICES,
        "methods": [{"shapley": {"interactions": 2}}, {"partial_dependence": {"features": ["age", "race"]}}],
    }
    explanation = tfx_explain.explain(
        model=linear_model, examples=str(root), output_dir=str(root / "out"), config=config
    )
    return tfx_explain.load(explanation.uri)


def findings(explanation: Any, *rules: Any, **config: Any) -> dict[str, Any]:
    """Slice -> the finding of one rule."""
    found = judge(explanation, ValidationConfig.from_dict({"rules": list(rules), **config})).findings
    return {finding.slice_key: finding for finding in found}


def test_signs_are_those_of_the_mean_attributions(explained: Any) -> None:
    """The mean of race's attributions differs between the races by its effect, and points opposite ways."""
    found = findings(explained, {"sign": {"players": ["race"], "direction": "positive"}}, slicing_specs=SLICES)
    rows = explained.attributions()
    for name, outcome in (("race=a", "fail"), ("race=b", "pass")):
        attributions = rows.loc[rows["race"] == name[-1], "attribution_race"]
        assert found[name].value == pytest.approx(attributions.mean(), rel=1e-5)
        assert found[name].outcome == outcome


def test_profiles_are_judged_step_by_step(explained: Any) -> None:
    """The output rises with age by 0.5 each year, exactly."""
    rule = {"feature": "age", "direction": "increasing"}
    (rising,) = findings(explained, {"monotonic": rule}).values()
    assert (rising.outcome, rising.ci_low) == ("pass", pytest.approx(rising.value))
    ages = explained.profiles.query(
        "slice == 'overall' and method == 'partial_dependence' and feature == 'age' and kind == 'curve'"
    )["grid_value"]
    assert rising.value == pytest.approx(0.5 * ages.diff().min(), rel=1e-4)
    falling = findings(explained, {"monotonic": {**rule, "direction": "decreasing"}}, slicing_specs=SLICES)
    assert {finding.outcome for finding in falling.values()} == {"fail"}
    assert set(falling) == {"overall", "race=a", "race=b"}


def test_interactions_of_a_linear_model_are_none(explained: Any) -> None:
    (finding,) = findings(explained, {"max_interaction": {"value": 0.001}}).values()
    assert (finding.outcome, finding.value) == ("pass", pytest.approx(0.0, abs=1e-5))
    (unread,) = findings(explained, {"max_interaction": {"players": ["age", "unused"], "value": 0.0}}).values()
    assert unread.outcome == "pass"
    assert "does not read unused" in unread.message


def test_slice_differences_are_those_of_the_table(explained: Any) -> None:
    rule = {"max_slice_difference": {"players": ["race"], "value": 0.01}}
    found = findings(explained, rule, slicing_specs=SLICES)
    assert set(found) == {"race=a", "race=b"}
    table = explained.slice_differences.set_index(["slice", "player"])
    total = explained.importance_for()["value"].sum()
    for name, finding in found.items():
        assert finding.value == pytest.approx(abs(table.loc[(name, "race"), "difference"]) / total)


def test_precision_and_size_are_those_of_the_tables(explained: Any) -> None:
    (precise,) = findings(explained, {"max_relative_std_error": {"value": 0.5}}).values()
    importance = explained.importance_for()
    assert precise.value == pytest.approx(importance["std_error"].max() / importance["value"].max())
    (enough,) = findings(explained, {"min_examples": {"value": 200}}).values()
    assert (enough.outcome, enough.value) == ("pass", 200)


def test_features_that_the_model_does_not_read_beat_no_canary(explained: Any) -> None:
    (all_read,) = findings(explained, {"canary": {"feature": "debt"}}).values()
    assert all_read.about != ("unused",)
    (unread,) = findings(explained, {"canary": {"feature": "unused"}}).values()
    assert unread.outcome == "insufficient_evidence"


MISTAKES = {
    "a player that is nowhere": ({"sign": {"players": ["rase"], "direction": "positive"}}, "did you mean `race`"),
    "a canary that is nowhere": ({"canary": {"feature": "noise"}}, "names the player `noise`"),
    "a feature without a profile": (
        {"monotonic": {"feature": "income", "direction": "increasing"}},
        r"profile of `income` .* \(it has: age\)",
    ),
    "a feature without an order": ({"monotonic": {"feature": "race", "direction": "increasing"}}, "ordered values"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_mistakes_get_one_sentence(case: str, explained: Any) -> None:
    rule, message = MISTAKES[case]
    with pytest.raises(ConfigError, match=message) as caught:
        findings(explained, rule)
    assert "\n" not in str(caught.value)


MEASURED = {
    "sign": ({"players": ["age"], "direction": "positive"}, tables.IMPORTANCE.file, "signed_skewness"),
    "min_importance": ({"players": ["age"], "value": 1.0}, tables.IMPORTANCE.file, "skewness"),
    "monotonic": ({"feature": "age", "direction": "increasing"}, tables.PROFILES.file, "step_skewness"),
}


@pytest.mark.parametrize("rule", MEASURED)
def test_bounds_are_as_wide_as_the_tables_say_and_earlier_tables_are_judged_as_before(
    rule: str, explained: Any, tmp_path: Path
) -> None:
    """A tail to the right moves the upper bound alone; without the column both are wider than Student's."""
    settings, file, column = MEASURED[rule]
    shutil.copytree(explained.uri, tmp_path / "other")
    table = records.read_table(str(tmp_path / "other" / file))
    if rule == "monotonic":
        table["step_std_error"] = 0.01
    found = {}
    for name, changed in {
        "symmetric": table.assign(**{column: 0.0}),
        "skewed": table.assign(**{column: 2.0}),
        "unknown": table.assign(**{column: np.nan}),
        "earlier": table.drop(columns=column),
    }.items():
        records.write_table(str(tmp_path / "other" / file), changed)
        sealing.reseal(tmp_path / "other")
        (found[name],) = findings(tfx_explain.load(str(tmp_path / "other")), {rule: settings}).values()
    assert found["skewed"].ci_low == found["symmetric"].ci_low
    assert found["skewed"].ci_high > found["symmetric"].ci_high
    assert found["earlier"] == found["unknown"]
    assert found["earlier"].ci_low <= found["symmetric"].ci_low
    assert found["earlier"].ci_high > found["symmetric"].ci_high


def test_the_tables_tell_how_skewed_attributions_are(explained: Any) -> None:
    table = explained.importance_for().set_index("player")
    values = explained.attributions()["attribution_age"]
    assert table.loc["age", "signed_skewness"] == pytest.approx(values.skew(), rel=1e-4)
    assert table.loc["age", "skewness"] == pytest.approx(values.abs().skew(), rel=1e-4)


def test_tables_that_are_not_there_are_asked_for(explained: Any, tmp_path: Path) -> None:
    shutil.copytree(explained.uri, tmp_path / "bare")
    for name in (tables.PROFILES.file, tables.INTERACTIONS.file):
        (tmp_path / "bare" / name).unlink()
    sealing.reseal(tmp_path / "bare", lambda manifest: manifest["method"].pop("partial_dependence"))
    bare = tfx_explain.load(str(tmp_path / "bare"))
    with pytest.raises(ConfigError, match="list `partial_dependence` or"):
        findings(bare, {"monotonic": {"feature": "age", "direction": "increasing"}})
    with pytest.raises(ConfigError, match="set `interactions: 2`"):
        findings(bare, {"max_interaction": {"value": 0.1}})
    old = explained.profiles.drop(columns="step")
    records.write_table(str(tmp_path / "bare" / tables.PROFILES.file), old)
    method = explained.manifest["method"]
    sealing.reseal(tmp_path / "bare", lambda manifest: manifest.update(method=method))
    with pytest.raises(InputError, match="no column `step`, since an earlier version wrote it"):
        findings(tfx_explain.load(bare.uri), {"monotonic": {"feature": "age", "direction": "increasing"}})


def test_failures_are_corrected_for_their_number_unless_told_otherwise(explained: Any) -> None:
    share = explained.importance_for().set_index("player").loc["age"]
    # So near the share that it is shown to be more on its own, but not among ten rules.
    value = float(share["share"] - 2.0 * share["share_std_error"])
    others = [{"max_share": {"players": ["race", p], "value": 1.0}} for p in ("age", "income", "debt", "unused")]
    policy = {"rules": [{"max_share": {"players": ["age"], "value": value}}, *others], "slicing_specs": SLICES[:1]}
    alone = judge(explained, ValidationConfig.from_dict({**policy, "multiplicity": "none"})).findings
    together = judge(explained, ValidationConfig.from_dict(policy)).findings
    assert (alone[0].outcome, alone[0].confidence) == ("fail", 0.95)
    assert (together[0].outcome, together[0].confidence) == ("insufficient_evidence", pytest.approx(0.99))
    assert [f.outcome for f in together[1:]] == ["pass"] * 4


def test_anomalies_name_the_features(explained: Any) -> None:
    policy = ValidationConfig.from_dict(
        {
            "rules": [
                {"max_top_share": {"value": 0.2}},
                {"monotonic": {"feature": "age", "direction": "decreasing"}},
                {"min_examples": {"value": 1000}},
                {"max_share": {"players": ["age", "race"], "value": 0.0}},
                {"max_share": {"players": ["age", "race"], "value": 0.001, "method": "shapley"}},
            ]
        }
    )
    found = judge(explained, policy).findings
    assert {one.outcome for one in found} <= {"fail", "insufficient_evidence"}
    anomalies = findings_to_anomalies(found)
    top = explained.importance_for()["player"].iloc[0]
    assert len(anomalies.anomaly_info) == len(found), "also of rules that differ in their method alone"
    assert {tuple(info.path.step) for info in anomalies.anomaly_info.values()} == {(top,), ("age",), ()}
    table = tfdv.utils.display_util.get_anomalies_dataframe(anomalies)
    about = {str(name).strip("'").split(" (")[0] for name in table.index}
    assert about == {top, "age", "all features", "age, race"}
    assert not np.isin("", table["Anomaly long description"])


def test_verdict_and_report_lead_to_each_other_and_the_explanation_stays_as_it_was(
    explained: Any, tmp_path: Path
) -> None:
    policy = ValidationConfig.from_dict({"rules": [{"max_share": {"players": ["age"], "value": 0.01}}]})
    verdict, before = judge(explained, policy), explained.report()
    written = verdict.write(str(tmp_path))
    assert {path.name for path in tmp_path.iterdir()} == set(verdict.file_names) < set(FILE_NAMES)
    page, report = ((tmp_path / name).read_text() for name in ("verdict.html", "report.html"))
    assert '<a href="report.html">' in page
    assert '<a href="verdict.html">' in report
    assert "1 finding on 1 rule: 1 failed." in report
    assert verdict.findings[0].message in report
    assert explained.report() == before
    assert "none in this report" in before
    # Whoever records the findings records what a person read.
    digests = {
        name: hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() for name in ("verdict.html", "report.html")
    }
    assert records.read_json(str(tmp_path / "findings.json"))["page_digests"] == digests == written.page_digests


def test_the_log_says_the_verdict_and_what_decided_it(explained: Any, caplog: pytest.LogCaptureFixture) -> None:
    rules = [{"max_share": {"players": ["age"], "value": 0.01}}, {"max_share": {"players": ["unused"], "value": 0.9}}]
    with caplog.at_level(logging.INFO, "absl"):
        refused = judge(explained, ValidationConfig.from_dict({"rules": rules}))
        log_verdict(refused, "/validation/7", blessed=False)
        assert [caplog.messages[0].split()[:2], *caplog.messages[1:]] == [
            ["fail", "max_share"],
            f"The explanation in {explained.uri} does not meet the policy (1 fail, 1 pass).",
            "The model is not blessed. See /validation/7/verdict.html",
        ]
        caplog.clear()
        log_verdict(judge(explained, ValidationConfig.from_dict({"rules": rules[1:]})), "/validation/8", blessed=False)
    assert caplog.messages == [
        f"The explanation in {explained.uri} meets the policy (1 pass).",
        "The model is not blessed all the same: `model_blessing` is not, or `bless_model` is off.",
        "The model is not blessed. See /validation/8/verdict.html",
    ]


def test_a_verdict_as_text_names_slices_and_measures_where_there_are_several(explained: Any) -> None:
    share = {"max_share": {"players": ["unused"], "value": 0.1}}
    drift = [{"drift": {"measure": measure, "max": 0.5}} for measure in ("rank_reversal", "total_variation")]
    policy = {"rules": [share, *drift], "slicing_specs": SLICES}
    verdict = judge(explained, ValidationConfig.from_dict(policy), explained)
    lines = verdict.lines()
    assert len({line.partition(": ")[0] for line in lines}) == len(lines) == 9
    assert [line.split()[1:3] for line in lines if line.startswith("pass") and "race=a: " in line] == [
        ["max_share", "race=a:"],
        ["drift", "rank_reversal"],
        ["drift", "total_variation"],
    ]
    (alone,) = judge(explained, ValidationConfig.from_dict({"rules": [share]})).lines()
    assert alone.split(maxsplit=2)[2].startswith("unused carries")
    two = (
        dataclasses.replace(verdict.findings[0], output="approve"),
        dataclasses.replace(verdict.findings[0], output="b"),
    )
    assert [line.split()[2] for line in dataclasses.replace(verdict, findings=two).lines()] == ["approve:", "b:"]


def test_a_verdict_is_no_explanation_and_leads_to_it(explained: Any, tmp_path: Path) -> None:
    judge(explained, ValidationConfig(rules=[{"min_examples": {"value": 2}}])).write(str(tmp_path))
    with pytest.raises(InputError, match=f"holds a verdict, not an explanation; .*: {explained.uri}\\.$"):
        tfx_explain.load(str(tmp_path))
