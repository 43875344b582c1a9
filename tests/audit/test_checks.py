"""One changed number, wherever it is, is found and named; what was cleaned away is gone, which is no fault."""

import contextlib
import dataclasses
import hashlib
import json
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import audited
from tfx_explain.audit.checks import check_cases
from tfx_explain.audit.joining import cases_of
from tfx_explain.audit.lineage import read_lineage
from tfx_explain.audit.stores import opened

VERIFY = ("--verify", "--format", "json")


def checked(text: str, *, state: str = "changed") -> list[tuple[str, str]]:
    """(what, why) of all that is in a state."""
    return [(one["what"], one["why"]) for one in json.loads(text)["checks"] if one["state"] == state]


def test_what_nobody_touched_is_unchanged(ask: Any) -> None:
    code, text = ask(*VERIFY)
    # Nothing was ever served here, and `bare` has no files.
    checks = [one for one in json.loads(text)["checks"] if not one["uri"].startswith("/serving/")]
    states = {one["state"] for one in checks if "/good/" in one["uri"] or "/bad/" in one["uri"]}
    assert (code, states) == (0, {"unchanged"})
    others = [one for one in checks if one["state"] != "unchanged"]
    assert all("/old/" in one["uri"] or "/bare/" in one["uri"] for one in others)
    assert "pushed model" in {one["what"] for one in checks if "/good/" in one["uri"]}


def one_digit(content: bytes) -> bytes:
    """One bit of one byte in the middle."""
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


def resealed(content: bytes) -> bytes:
    """The manifest with a number changed, and its own digest computed anew."""
    from tfx_explain import integrity

    manifest = json.loads(content)
    manifest["seed"] += 1
    return json.dumps({**manifest, "self_digest": integrity.self_digest(manifest)}).encode()


FILES = {
    "a table": ("explanation/importance.parquet", one_digit, "explanation", "importance.parquet was changed"),
    "the manifest": ("explanation/manifest.json", resealed, "explanation", "manifest.json is not the one"),
    "a model": ("model/saved_model.pb", one_digit, "model", "its digest is"),
    "a pushed model": ("pushed_model/saved_model.pb", one_digit, "pushed model", "its digest is"),
    "findings": (
        "validation/findings.json",
        lambda content: content.replace(b"1", b"2", 1),
        "findings",
        "is not the one",
    ),
    "a report": ("explanation/report.html", one_digit, "report", "report.html was changed; `tfx-explain report`"),
    "the page of a verdict": ("validation/verdict.html", one_digit, "pages", "verdict.html was changed"),
    "the report with a verdict": ("validation/report.html", one_digit, "pages", "report.html was changed"),
}


@pytest.mark.parametrize("case", FILES)
def test_one_changed_number_on_disk_is_found(case: str, ask: Any, history: Any) -> None:
    name, change, what, why = FILES[case]
    with history.changed(history.place("good", name), change):
        code, text = ask(*VERIFY)
        lines = ask("--verify")[1].splitlines()
    found = checked(text)
    assert (code, [one for one, _ in found]) == (1, [what])
    assert why in found[0][1]
    assert sum(line.startswith("changed ") for line in lines) == 1


def test_attributions_are_looked_at_too(ask: Any, history: Any) -> None:
    shard = next(history.place("good", "explanation/attributions").rglob("*.gz"))
    with history.changed(shard, one_digit):
        assert [what for what, _ in checked(ask(*VERIFY)[1])] == ["attributions"]
    added = shard.with_name("another.gz")
    shutil.copy(shard, added)
    code, text = ask(*VERIFY)
    added.unlink()
    assert (code, checked(text)[0][1].endswith("another.gz was added")) == (1, True)


@contextlib.contextmanager
def moved(history: Any, *places: str) -> Iterator[None]:
    """What retention removes; it comes back afterwards."""
    away = history.root.parent / "away"
    for place in places:
        (away / place).parent.mkdir(parents=True, exist_ok=True)
        (history.root / place).rename(away / place)
    try:
        yield
    finally:
        for place in places:
            (away / place).rename(history.root / place)


def test_what_was_cleaned_away_is_gone_and_no_fault(ask: Any, history: Any) -> None:
    cleaned = ("explanation", "validation", "model", "blessing", "pushed_model")
    with moved(history, *(f"good/{name}" for name in cleaned)):
        code, text = ask(*VERIFY)
        listed = ask("--model", str(history.place("good", "model")))[1]
    assert code == 0
    gone = {what for what, _ in checked(text, state="gone")}
    assert gone == {
        "explanation", "report", "attributions", "findings", "pages", "model", "blessing", "pushed model"
    }  # fmt: skip
    assert "no rule refused: 1 pass" in listed


def test_a_table_alone_is_not_cleaned_away(ask: Any, history: Any) -> None:
    with moved(history, "good/explanation/importance.parquet"):
        code, text = ask(*VERIFY)
    assert (code, checked(text)[0][1].endswith("importance.parquet is gone")) == (1, True)


def test_a_verdict_turned_round_on_disk_is_found(ask: Any, history: Any) -> None:
    marker = history.place("bad", "blessing/NOT_BLESSED")
    marker.rename(marker.with_name("BLESSED"))
    code, text = ask(*VERIFY)
    marker.with_name("BLESSED").rename(marker)
    assert (code, [what for what, _ in checked(text)]) == (1, ["blessing"])


IN_STORE = {
    "blessed": ("int_value = 1", "name = 'blessed'", {"findings", "blessing"}),
    "num_fail": ("int_value = 0", "name = 'num_fail'", {"findings"}),
    "refusals": ("string_value = replace(string_value, '0.0001', '0.9')", "name = 'refusals'", {"findings"}),
    "findings_digest": ("string_value = 'f'", "name = 'findings_digest'", {"findings"}),
    "manifest_digest": ("string_value = 'f'", "name = 'manifest_digest'", {"explanation", "verdict"}),
    "tables_digest": ("string_value = 'f'", "name = 'tables_digest'", {"explanation"}),
    "attributions_digest": ("string_value = 'f'", "name = 'attributions_digest'", {"attributions"}),
    "config": (
        """string_value = replace(string_value, '"seed": ', '"seed": 1')""",
        "name = 'config'",
        {"configuration"},
    ),
    "policy_digest": ("string_value = 'f'", "name = 'policy_digest'", {"policy"}),
    "model_digest": ("string_value = 'f'", "name = 'model_digest'", {"explanation", "model"}),
    "model_digest of what was pushed": (
        "string_value = 'f'",
        "name = 'model_digest'",
        {"explanation", "model", "pushed model"},
    ),
    "num_examples": ("int_value = 25", "name = 'num_examples'", {"explanation"}),
    "num_failed": ("int_value = 7", "name = 'num_failed'", {"explanation"}),
    "methods": ("string_value = 'sage'", "name = 'methods'", {"explanation"}),
    "examples_digest": ("string_value = 'f'", "name = 'examples_digest'", {"explanation"}),
    "config_digest": ("string_value = 'f'", "name = 'config_digest'", {"explanation", "configuration"}),
    "slice of a refusal": ("string_value = replace(string_value, 'overall', 'x')", "name = 'refusals'", {"findings"}),
    "a refusal taken out": ("string_value = '[]'", "name = 'refusals'", {"findings"}),
    "decided_by": ("string_value = replace(string_value, 'age', 'race')", "name = 'decided_by'", {"findings"}),
}


@pytest.mark.parametrize("case", IN_STORE)
def test_a_property_changed_in_the_store_is_found(case: str, ask: Any, history: Any, tmp_path: Path) -> None:
    change, where, found = IN_STORE[case]
    file = tmp_path / "metadata.db"
    shutil.copy(history.file, file)
    run = history.root / ("good" if "pushed" in case else "bad")
    of_run = f"SELECT id FROM Artifact WHERE uri LIKE '{run}/%'"
    if case == "manifest_digest":  # of the explanation alone
        of_run += " AND uri LIKE '%/explanation'"
    with sqlite3.connect(file) as connection:
        query = f"UPDATE ArtifactProperty SET {change} WHERE {where} AND artifact_id IN ({of_run})"
        assert connection.execute(query).rowcount >= 1
    connection.close()
    code, text = ask(*VERIFY, metadata=f"sqlite:{file}")
    assert (code, {what for what, _ in checked(text)}) == (1, found)


def test_the_history_of_a_verdict_is_looked_at_too(ask: Any, history: Any) -> None:
    validation = history.place("bad", "validation")
    (validation / "history.parquet").write_bytes(b"rows")
    findings = json.loads((validation / "findings.json").read_text())
    told = {**findings, "history_digest": hashlib.sha256(b"rows").hexdigest()}
    with opened(history.store) as store:
        cases = cases_of(read_lineage(store))
    case = next(one for one in cases if one.verdict and one.verdict.uri == str(validation))
    content = json.dumps(told).encode()
    case = dataclasses.replace(
        case, verdict=dataclasses.replace(case.verdict, findings_digest=hashlib.sha256(content).hexdigest())
    )

    def states() -> list[tuple[str, str]]:
        return [(one.state, one.why) for one in check_cases([case]) if one.what == "findings"]

    with history.changed(validation / "findings.json", lambda _: content):
        assert states() == [("unchanged", "")]
        (validation / "history.parquet").write_bytes(b"rowS")
        assert states() == [("changed", "history.parquet was changed")]
        (validation / "history.parquet").unlink()
        assert states() == [("changed", "history.parquet is gone")]


def test_the_policy_of_the_step_is_compared_with_its_digest(ask: Any, history: Any, tmp_path: Path) -> None:
    file = tmp_path / "metadata.db"
    shutil.copy(history.file, file)
    with sqlite3.connect(file) as connection:
        connection.execute(
            "UPDATE ExecutionProperty SET string_value = replace(string_value, '0.0001', '0.9') "
            "WHERE name = 'validation_config'"
        )
    connection.close()
    code, text = ask(*VERIFY, metadata=f"sqlite:{file}")
    assert (code, checked(text)) == (1, [("policy", "the store holds another text")])


def test_what_an_earlier_version_did_not_record_is_said_so(ask: Any, history: Any) -> None:
    _, text = ask(*VERIFY, "--model", str(history.place("old", "model")))
    checks = [one for one in json.loads(text)["checks"] if not one["uri"].startswith("/serving/")]
    states = {one["what"]: one["state"] for one in checks}
    assert set(states.values()) <= {"not recorded", "unchanged"}
    assert states["findings"] == states["explanation"] == states["policy"] == "not recorded"
    with history.changed(history.place("old", "explanation/importance.parquet"), one_digit):
        assert ask("--verify")[0] == 1  # the manifest beside it still knows


def test_a_model_that_a_service_holds_is_not_called_gone(history: Any) -> None:
    with opened(history.store) as store:
        cases = cases_of(read_lineage(store))
    case = next(one for one in cases if one.model and "/good/" in one.model)
    (push,) = case.pushes
    served = dataclasses.replace(case, pushes=(dataclasses.replace(push, destination="bq://project.loans.model"),))
    states = {one.uri: one.state for one in check_cases([served]) if one.what == "pushed model"}
    assert states == {push.uri: "unchanged", "bq://project.loans.model": "not recorded"}


def test_what_infra_validator_may_have_packed_is_not_compared(history: Any, tmp_path: Path) -> None:
    recorder = audited.Recorder(audited.sqlite_config(tmp_path / "metadata.db"))
    run = history.root / "good"
    manifest = json.loads((run / "explanation/manifest.json").read_text())
    audited.record_run(recorder, run, history.verdicts["good"], manifest, history.policies["good"])
    model = recorder.artifact("Model", str(run / "model"))
    (packed := tmp_path / "packed").mkdir()
    (packed / "warm_up").touch()
    for name, inputs in (("packed", {"infra_blessing": recorder.artifact("InfraBlessing", "/infra")}), ("plain", {})):
        pushed = recorder.artifact("PushedModel", str(packed), pushed=1)
        recorder.execution("Pusher", {"model": model, **inputs}, {"pushed_model": pushed}, name)
    with opened(f"sqlite:{tmp_path / 'metadata.db'}") as store:
        (case,) = cases_of(read_lineage(store))
    for push, state in zip(case.pushes, ("not recorded", "changed"), strict=True):
        checks = check_cases([dataclasses.replace(case, pushes=(push,))])
        assert [check.state for check in checks if check.what == "pushed model"] == [state]
