"""The log: a line per verdict, each bound to the one before; whatever is done to a line is found."""

import dataclasses
import errno
import hashlib
import json
import os
import shutil
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import audited
from tfx_explain.audit import log as log_module
from tfx_explain.audit.joining import cases_of
from tfx_explain.audit.lineage import read_lineage
from tfx_explain.audit.log import START, append, read_log
from tfx_explain.audit.stores import opened
from tfx_explain.errors import InputError


@pytest.fixture
def cases(history: Any) -> Any:
    with opened(history.store) as store:
        return cases_of(read_lineage(store))


@pytest.fixture
def log(cases: Any, history: Any, tmp_path: Path) -> Path:
    path = tmp_path / "verdicts.jsonl"
    append(str(path), cases, history.store)
    return path


def test_each_verdict_has_a_line_that_says_what_decided_and_what_was_pushed(log: Path) -> None:
    old, bad, good, bare = map(json.loads, log.read_text().splitlines())
    assert [one["kind"] for one in (old, bad, good, bare)] == ["verdict", "verdict", "verdict", "push"]
    assert old["previous"] == START
    assert (bad["blessed"], bad["refusals"][0]["rule"], bad["pushes"][0]["pushed"]) == (False, "max_share", False)
    assert (good["blessed"], good["pushes"][0]["destination"]) == (True, "/serving/good")
    assert bare["pushes"][0]["by"].startswith("no blessing was given to Pusher")
    assert [one["number"] for one in (old, bad, good, bare)] == [1, 2, 3, 4]


def test_asking_again_adds_what_is_new_alone(ask: Any, cases: Any, history: Any, tmp_path: Path) -> None:
    path = tmp_path / "verdicts.jsonl"
    assert append(str(path), cases[:1], history.store)[1] == 1
    first = path.read_bytes()
    code, text = ask("--log", str(path))
    assert (code, f"{path} has 4 lines, 3 of them new" in text) == (0, True)
    assert path.read_bytes().startswith(first)
    whole = path.read_bytes()
    code, text = ask("--log", str(path), "--verify", "--format", "json")
    shown = json.loads(text)["log"]
    assert (code, shown["added"], shown["problems"], shown["contradictions"]) == (0, 0, [], [])
    assert path.read_bytes() == whole


def test_a_push_that_came_after_its_verdict_was_logged_has_a_line(cases: Any, history: Any, tmp_path: Path) -> None:
    path = str(tmp_path / "verdicts.jsonl")
    good = cases[2]
    append(path, [dataclasses.replace(good, pushes=())], history.store)
    state, added = append(path, [good], history.store)
    assert (added, state.entries[1]["kind"], state.entries[1]["validation_uri"]) == (1, "push", good.verdict.uri)
    assert append(path, [good], history.store)[1] == 0


def lines(change: Callable[[list[bytes]], list[bytes]]) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(b"".join(change(path.read_bytes().splitlines(keepends=True))))


def head(path: Path) -> Path:
    return path.with_name(path.name + ".head")


TAMPERED: dict[str, tuple[Callable[[Path], object], str]] = {
    "first changed": (lines(lambda every: [every[0].replace(b"true", b"null", 1), *every[1:]]), "line 2 of"),
    "middle changed": (
        lines(lambda every: [every[0], every[1].replace(b"false", b"true", 1), *every[2:]]),
        "line 3 of",
    ),
    "last changed": (lines(lambda every: [*every[:3], every[3].replace(b"push", b"Push", 1)]), "line 4 of"),
    "first removed": (lines(lambda every: every[1:]), "does not follow from the beginning"),
    "middle removed": (lines(lambda every: [every[0], *every[2:]]), "line 2 of"),
    "last removed": (lines(lambda every: every[:3]), "has 3 lines, 4 were written: 1 at its end were removed"),
    "all removed": (lambda path: path.write_bytes(b""), "has 0 lines, 4 were written"),
    "file removed": (lambda path: path.unlink(), "has 0 lines, 4 were written"),
    "moved": (lines(lambda every: [every[0], every[2], every[1], every[3]]), "does not follow from line 1"),
    "doubled": (lines(lambda every: [every[0], *every]), "does not follow from line 1"),
    "added": (lines(lambda every: [*every, b'{"format": 1, "number": 5, "previous": "x"}\n']), "line 5 of"),
    "cut": (lambda path: path.write_bytes(path.read_bytes()[:-9]), "has 3 lines, 4 were written"),
    "no JSON": (lines(lambda every: [every[0], b"{\n", *every[2:]]), "line 2 of"),
    "two keys": (lines(lambda every: [*every[:3], every[3][:-2] + b', "number": 4}\n']), "is no line of a log"),
    "head removed": (lambda path: head(path).unlink(), "nobody can say whether lines were cut off"),
    "head damaged": (lambda path: head(path).write_bytes(b"{}"), "is damaged"),
    "head set back": (
        lambda path: (lines(lambda every: every[:3])(path), head(path).write_text('{"lines": 3, "digest": "0"}')),
        "is not the one that was written",
    ),
}


@pytest.mark.parametrize("case", TAMPERED)
def test_whatever_is_done_to_a_log_is_found_and_nothing_is_added_to_it(case: str, ask: Any, log: Path) -> None:
    tamper, said = TAMPERED[case]
    tamper(log)
    before = log.read_bytes() if log.exists() else b""
    code, text = ask("--log", str(log))
    assert code == 1
    problems = [line for line in text.splitlines() if line.startswith("changed")]
    assert said in problems[0], problems
    assert log.read_bytes() == before
    assert ask("--log", str(log), "--verify", metadata=None)[0] == 1


def test_a_log_is_verified_without_a_store(ask: Any, log: Path) -> None:
    code, text = ask("--log", str(log), "--verify", metadata=None)
    assert (code, "has 4 lines, 0 of them new" in text) == (0, True)
    assert ask("--log", str(log), metadata=None)[0] == 2


def test_half_a_line_of_a_writer_that_was_killed_is_said_and_goes(ask: Any, log: Path) -> None:
    whole = log.read_bytes()
    log.write_bytes(whole + b'{"format": 1, "num')
    code, text = ask("--log", str(log), "--verify", metadata=None)
    assert (code, "ends in half a line, which a writer that was stopped left" in text) == (0, True)
    assert ask("--log", str(log))[0] == 0
    assert log.read_bytes() == whole
    assert read_log(str(log)).notes == []


def test_a_writer_that_was_killed_before_the_head_is_no_tampering(log: Path, cases: Any, history: Any) -> None:
    first, *_ = log.read_bytes().splitlines()
    head(log).write_text(json.dumps({"lines": 1, "digest": hashlib.sha256(first).hexdigest()}))
    state, added = append(str(log), cases, history.store)
    assert (state.problems, added) == ([], 0)
    assert json.loads(head(log).read_text())["lines"] == 4


def test_a_full_disk_leaves_no_half_line(log: Path, cases: Any, history: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    head(log).unlink()
    log.unlink()
    append(str(log), cases[:1], history.store)
    before, write = log.read_bytes(), os.pwrite

    def full(descriptor: int, content: bytes, at: int) -> int:
        if at > len(before):
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(descriptor, content[:100], at)

    monkeypatch.setattr(log_module.os, "pwrite", full)
    with pytest.raises(InputError, match=r"cannot be written \(No space left on device\); nothing was added"):
        append(str(log), cases, history.store)
    assert log.read_bytes() == before
    monkeypatch.undo()
    assert append(str(log), cases, history.store)[1] == 3


def test_two_writers_at_once_do_no_harm(cases: Any, history: Any, tmp_path: Path) -> None:
    path = str(tmp_path / "verdicts.jsonl")
    barrier, added = threading.Barrier(4), []

    def write(mine: Any) -> None:
        barrier.wait()
        added.append(append(path, mine, history.store)[1])

    writers = [threading.Thread(target=write, args=(mine,)) for mine in (cases, cases[::-1], cases[:2], cases)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    state = read_log(path)
    assert (state.problems, len(state.entries), sum(added)) == ([], 4, 4)


def test_a_store_that_says_something_else_than_was_logged_is_found(
    ask: Any, history: Any, tmp_path: Path, cases: Any
) -> None:
    file, path = tmp_path / "metadata.db", tmp_path / "verdicts.jsonl"
    shutil.copy(history.file, file)
    assert ask("--log", str(path), metadata=f"sqlite:{file}")[0] == 0
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE ArtifactProperty SET string_value = 'nobody' WHERE name = 'decided_by'")
        connection.execute("UPDATE Artifact SET state = 5 WHERE uri = ?", (str(history.place("old", "validation")),))
    connection.close()
    code, text = ask("--log", str(path), metadata=f"sqlite:{file}")
    assert code == 1
    assert "line 1: the store no longer has the verdict in" in text
    assert "line 2: the store now has another decided_by of" in text
    assert ask("--log", str(path))[0] == 0  # another store, which it agrees with


def test_a_push_that_the_store_tells_otherwise_than_was_logged_is_found(ask: Any, history: Any, tmp_path: Path) -> None:
    file, path = tmp_path / "metadata.db", tmp_path / "verdicts.jsonl"
    shutil.copy(history.file, file)
    assert ask("--log", str(path), metadata=f"sqlite:{file}")[0] == 0
    with sqlite3.connect(file) as connection:
        of = "(SELECT id FROM Artifact WHERE uri = ?)"
        bad, good, bare = (str(history.place(run, "pushed_model")) for run in ("bad", "good", "bare"))
        connection.execute(f"UPDATE ArtifactProperty SET int_value = 1 WHERE artifact_id IN {of}", (bad,))
        elsewhere = "UPDATE ArtifactProperty SET string_value = '/other' WHERE name = 'pushed_destination'"
        connection.execute(f"{elsewhere} AND artifact_id IN {of}", (good,))
        connection.execute("UPDATE Artifact SET state = 5 WHERE uri = ?", (bare,))
    connection.close()
    code, text = ask("--log", str(path), metadata=f"sqlite:{file}")
    assert code == 1
    assert f"line 2: the store now has another pushed of the push {bad}" in text
    assert f"line 3: the store now has another destination of the push {good}" in text
    assert f"line 4: the store no longer has the push {bare}" in text


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("gs://bucket/log", "is a file on this machine"),
        ("/nowhere/at/all", "cannot be opened (No such file"),
        ("/tmp", "(Is a"),
    ],
)
def test_a_place_that_takes_no_log_is_one_sentence(ask: Any, path: str, said: str) -> None:
    code, text = ask("--log", path)
    assert (code, said in text) == (2, True)


def test_links_are_not_followed(ask: Any, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "other")
    assert ask("--log", str(tmp_path / "link"))[0] == 2
    assert not (tmp_path / "other").exists()


def test_csv_has_no_place_for_findings_of_a_check(ask: Any, log: Path) -> None:
    assert ask("--format", "csv", "--verify")[0] == ask("--format", "csv", "--log", str(log))[0] == 2
    assert audited.PIPELINE in ask("--format", "json")[1]
