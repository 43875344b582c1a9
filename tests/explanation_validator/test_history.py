"""Each verdict copies what those before it found, in a table of bounded size whose digest it knows."""

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import tfx_explain
from tfx_explain import InputError, ValidationConfig, tables
from tfx_explain.cli import main
from tfx_explain.explanation_validator.history import MAX_RUNS, History, extended
from tfx_explain.explanation_validator.judge import judge
from tfx_explain.explanation_validator.recorded import ALERT, alert
from tfx_explain.reader import ExplanationReader
from tfx_explain.records import table_bytes

OLD = Path(__file__).parents[1] / "fixtures/explanation_format_2/explanation"
POLICY: dict[str, Any] = {
    "rules": [
        {"max_share": {"players": ["race"], "value": 0.9}},
        {"drift": {"measure": "total_variation", "max": 0.001, "against": "model"}},
        {"drift": {"measure": "ndcg", "max": 0.9, "against": "model"}},
    ],
    "min_slice_examples": 10,
}


@pytest.fixture(scope="module")
def explanation() -> ExplanationReader:
    """It has a baseline model, which drift is judged against."""
    return tfx_explain.load(str(OLD))


@pytest.fixture(scope="module")
def verdict(explanation: ExplanationReader) -> Any:
    return judge(explanation, ValidationConfig.from_dict(POLICY)).with_history(explanation, None)


def runs_before(n: int, history: History) -> History:
    """As many other runs."""
    rows = [history.table.assign(run=run, manifest_digest=f"{run:064d}", created=f"{run}") for run in range(n)]
    return History(table_bytes(pd.concat(rows)))


def test_it_is_as_described(verdict: Any, explanation: ExplanationReader) -> None:
    table = verdict.history.table
    assert list(table) == [column.name for column in tables.HISTORY.columns]
    for column in tables.HISTORY.columns:
        assert column.kind.is_read_as(table[column.name]), column.name
        if not column.empty and column.of is None:
            assert table[column.name].notna().all(), column.name
        if column.of is not None:
            assert table[column.name][~table[column.of[0]].isin(column.of[1])].isna().all(), column.name
    assert not table.duplicated(list(tables.HISTORY.key)).any()
    importance = explanation.importance_for(output="score")
    assert {one.outcome for one in verdict.findings} >= {"pass", "fail"}
    shares = table[table["kind"] == "share"].set_index("player")
    assert list(shares.index) == list(importance["player"])
    assert list(shares["value"]) == list(tables.shares_of_total(importance))
    assert list(shares["ci_low"]) == list(importance["share_ci_low"])
    drift = table[table["kind"] == "drift"].set_index("rule")
    drifts = [one for one in verdict.findings if one.rule == "drift"]
    found = {f"drift {one.settings['measure']}, against model": one for one in drifts}
    assert set(drift.index) == set(found)
    for rule, finding in found.items():
        told = drift.loc[rule, ["value", "ci_low", "ci_high", "threshold", "outcome"]]
        assert list(told) == [getattr(finding, name) for name in told.index]


def test_a_rule_keeps_its_name_from_run_to_run(explanation: ExplanationReader) -> None:
    """Also where another of its measure is skipped in one of them, as before there is a baseline explanation."""
    measure = {"measure": "total_variation", "max": 0.5}
    rules: list[Any] = [
        {"drift": {**measure, "against": "explanation"}},
        {"drift": {**measure, "against": "model"}},
        {"drift": {**measure, "against": "model", "players": ["age", "income"]}},
        {"drift": {"measure": "top_k_overlap", "max": 0.5, "against": "model", "k": 2}},
    ]
    config = ValidationConfig.from_dict({"rules": rules, "min_slice_examples": 10})
    first, second = (judge(explanation, config, baseline) for baseline in (None, explanation))
    named: list[dict[str, float]] = []
    for verdict in (first, second):
        table = extended(None, explanation, verdict.findings, blessed=True).table
        named.append(table[table["kind"] == "drift"].set_index("rule")["value"].to_dict())
    assert list(named[0]) == [
        "drift total_variation, against model",
        "drift total_variation, against model, of age and income",
        "drift top_k_overlap, k 2, against model",
    ]
    assert named[1] == {"drift total_variation, against explanation": 0.0, **named[0]}
    assert len({(one.rule, repr(one.settings)) for one in second.findings}) == len(rules)


def test_runs_are_added_and_the_oldest_go(verdict: Any, explanation: ExplanationReader) -> None:
    before = runs_before(MAX_RUNS, verdict.history)
    after = extended(before, explanation, verdict.findings, blessed=True).table
    newest, oldest = after[after["run"] == after["run"].max()], after[after["run"] == 0]
    assert sorted(set(after["run"])) == list(range(MAX_RUNS))
    assert set(newest["manifest_digest"]) == {explanation.manifest_digest}
    assert newest["blessed"].all()
    assert set(oldest["created"]) == {"1"}, "that of run 0 is gone"


def test_a_run_that_is_judged_again_is_there_once(verdict: Any, explanation: ExplanationReader) -> None:
    before = extended(runs_before(2, verdict.history), explanation, verdict.findings, blessed=False)
    again = extended(before, explanation, verdict.findings, blessed=True).table
    assert sorted(set(again["run"])) == [0, 1, 2]
    of_run = again[again["manifest_digest"] == explanation.manifest_digest]
    assert set(of_run["run"]) == {2}
    assert of_run["blessed"].all()


def test_it_is_read_again_and_what_was_changed_is_refused(verdict: Any, tmp_path: Path) -> None:
    verdict.write(str(tmp_path))
    assert json.loads((tmp_path / "findings.json").read_text())["history_digest"] == verdict.history.digest
    again = History.read(str(tmp_path))
    assert again is not None
    assert again.content == verdict.history.content
    table = pd.read_parquet(tmp_path / "history.parquet")
    table.assign(value=0.5).to_parquet(tmp_path / "history.parquet")
    with pytest.raises(InputError, match=r"history\.parquet is not the file that was written"):
        History.read(str(tmp_path))
    (tmp_path / "history.parquet").unlink()
    with pytest.raises(InputError, match="is not the file that was written"):
        History.read(str(tmp_path))


def test_a_verdict_that_is_gone_or_of_an_earlier_version_has_none(verdict: Any, tmp_path: Path) -> None:
    assert History.read(str(tmp_path / "gone")) is None
    dataclasses.replace(verdict, history=None).write(str(tmp_path))
    assert History.read(str(tmp_path)) is None
    told = json.loads((tmp_path / "findings.json").read_text())
    del told["history_digest"]
    (tmp_path / "findings.json").write_text(json.dumps(told))
    assert History.read(str(tmp_path)) is None


def test_the_alert_is_one_line_with_rule_and_figure(verdict: Any) -> None:
    line = alert(verdict, "/validation/7", span="6")
    assert line.startswith(f"{ALERT} in span 6: drift total_variation, against model, slice overall: ")
    assert "0.1 %" in line
    assert line.endswith("See /validation/7/verdict.html")
    assert "\n" not in line
    doubts = [dataclasses.replace(one, outcome="insufficient_evidence") for one in verdict.findings]
    assert alert(dataclasses.replace(verdict, findings=tuple(doubts)), "/validation/7") == ""
    others = [one for one in verdict.findings if one.rule != "drift"]
    failed = [dataclasses.replace(one, outcome="fail") for one in others]
    assert alert(dataclasses.replace(verdict, findings=tuple(failed)), "/validation/7") == "", "no rule about drift"


@pytest.mark.parametrize(
    ("uri", "href"),
    [
        ("{root}/Evaluator/evaluation/a b", "../Evaluator/evaluation/a%20b"),
        ("https://metrics.example/9", "https://metrics.example/9"),
        ("gs://bucket/evaluation/9", ""),
        ("javascript:alert(1)", "../javascript%3Aalert%281%29"),
    ],
)
def test_pages_lead_to_the_metrics_of_an_evaluator(
    verdict: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uri: str, href: str
) -> None:
    monkeypatch.chdir(tmp_path)
    uri = uri.format(root=tmp_path)
    dataclasses.replace(verdict, evaluation_uri=uri).write(str(tmp_path / "validation"))
    for page in ("verdict.html", "report.html"):
        text = (tmp_path / "validation" / page).read_text()
        assert "Evaluator" in text
        assert uri in text
        assert (f'<a href="{href}">' in text) == bool(href)
    assert json.loads((tmp_path / "validation/findings.json").read_text())["evaluation_uri"] == uri


def test_the_command_goes_on_from_verdict_to_verdict(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "policy.yaml").write_text(json.dumps(POLICY))
    shutil.copytree(OLD, tmp_path / "explanation")
    judged = ["validate", "--explanation", str(tmp_path / "explanation"), "--config", str(tmp_path / "policy.yaml")]
    for name, more in (("1", []), ("2", ["--previous", str(tmp_path / "1")])):
        assert main([*judged, "--output", str(tmp_path / name), *more]) == 1
    table = pd.read_parquet(tmp_path / "2/history.parquet")
    assert set(table["run"]) == {0}, "it is the same explanation"
    assert not table["blessed"].any()
    capsys.readouterr()
    assert main([*judged, "--previous", str(tmp_path / "1")]) == 2
    assert "--previous goes on in what --output writes; give both" in capsys.readouterr().err
    assert main([*judged, "--output", str(tmp_path / "3"), "--previous", str(tmp_path / "gone")]) == 2
    assert "holds no verdict" in capsys.readouterr().err
    assert not (tmp_path / "3/findings.json").exists()
