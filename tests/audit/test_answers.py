"""What the store is asked, and what is answered: which rule refused, what was pushed and by which verdict."""

import csv
import io
import json
from collections.abc import Callable
from typing import Any

import pytest

Ask = Callable[..., tuple[int, str]]


def rows(text: str) -> dict[str, dict[str, str]]:
    found = {}
    for row in csv.DictReader(io.StringIO(text)):
        found[row["model"].rsplit("/", 2)[-2]] = row
    return found


def test_every_model_is_listed_with_its_verdict_the_rule_that_decided_and_what_became_of_it(
    ask: Ask, history: Any
) -> None:
    code, text = ask("--format", "csv")
    found = rows(text)
    assert (code, list(found)) == (0, ["old", "bad", "good", "bare"])
    assert [found[name]["verdict"] for name in found] == ["blessed", "refused", "blessed", "not explained"]
    assert found["bad"]["decided by"].startswith("max_share: age")
    assert found["good"]["decided by"] == "no rule refused: 1 pass"
    verdicts = {name: f", by the verdict in {history.place(name, 'validation')}" for name in ("bad", "good")}
    assert found["good"]["pushed"] == "2026-11-25T00:00:00+00:00 to /serving/good" + verdicts["good"]
    assert found["bad"]["pushed"] == "held back 2026-11-24T00:00:00+00:00" + verdicts["bad"]
    assert found["good"]["examples"].endswith("good/examples (span 3)")
    assert found["old"]["decided by"] == "not recorded"
    assert found["bare"]["decided by"] == "no verdict"


def test_the_table_has_the_same_texts(ask: Ask) -> None:
    _, text = ask()
    _, as_csv = ask("--format", "csv")
    for row in rows(as_csv).values():
        assert any(all(cell in line for cell in row.values()) for line in text.splitlines()), row


def test_a_model_is_answered_for_in_full(ask: Ask, history: Any) -> None:
    code, text = ask("--model", str(history.place("bad", "model")))
    assert code == 0
    assert "refused by     max_share of age in overall" in text
    assert "threshold 0.0001" in text
    assert "1 pass, 1 fail" in text
    assert f"digest {json.loads(ask('--format', 'json')[1])['cases'][1]['verdict']['policy_digest']}" in text
    assert "model blessed  no: max_share: age" in text


@pytest.mark.parametrize("where", ["good/model/", "good/pushed_model", "/serving/good"])
def test_a_model_is_found_by_where_it_was_trained_and_pushed_to(ask: Ask, history: Any, where: str) -> None:
    _, text = ask("--model", where if where.startswith("/") else str(history.root / where) + "/" * where.endswith("/"))
    assert text.startswith(f"{history.place('good', 'model')}: blessed\n")
    verdict = history.place("good", "validation")
    assert f"2026-11-25T00:00:00+00:00 to /serving/good, by the verdict in {verdict}" in text


def test_a_model_that_the_store_does_not_know_is_one_sentence(ask: Ask, history: Any) -> None:
    code, text = ask("--model", "/nowhere")
    assert code == 2
    assert "knows no model at '/nowhere': it has 4, the last one" in text


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["--pushed"], ["old", "good", "bare"]),
        (["--since", "2026-11-24"], ["bad", "good", "bare"]),
        (["--since", "2026-11-24T00:00:01"], ["good", "bare"]),
        (["--since", "2026-11-25T01:00:00+01:00", "--pushed"], ["good", "bare"]),
        (["--since", "2026-11-25T00:00:01Z", "--pushed"], ["bare"]),
    ],
)
def test_what_happened_since_and_what_was_pushed(ask: Ask, arguments: list[str], names: list[str]) -> None:
    assert list(rows(ask(*arguments, "--format", "csv")[1])) == names


def test_nothing_since_then_is_said(ask: Ask) -> None:
    assert ask("--since", "2027-01-01") == (
        0, "nothing in the store is about an explanation, a verdict or a push that was asked for\n",
    )  # fmt: skip


def test_programs_get_everything_and_what_was_not_recorded(ask: Ask, history: Any) -> None:
    old, bad, good, bare = json.loads(ask("--format", "json")[1])["cases"]
    manifest = json.loads(history.place("good", "explanation/manifest.json").read_text())
    assert good["explanation"]["config"] == manifest["config"]
    assert good["explanation"]["not_recorded"] == good["verdict"]["not_recorded"] == []
    assert bad["verdict"]["policy"]["rules"][0]["max_share"]["players"] == ["age"]
    assert bad["verdict"]["outcomes"] == {"pass": 1, "fail": 1, "insufficient_evidence": 0, "skipped": 0}
    assert {"decided_by", "findings_digest"} <= set(old["verdict"]["not_recorded"])
    assert old["explanation"]["config"] == {"seed": 4}  # as the pipeline gave it
    assert old["verdict"]["blessed"] is True
    assert bare["explanation"] is bare["verdict"] is None
    assert bare["pushes"][0]["by"] == ("no blessing was given to Pusher; no explanation of the model was judged before")
