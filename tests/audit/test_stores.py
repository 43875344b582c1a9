"""Stores that cannot be read are one sentence each, and are left as they are."""

import hashlib
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tfx_explain.audit import mysql_store
from tfx_explain.audit.stores import opened
from tfx_explain.errors import ConfigError, TfxExplainError


def sql(file: Path, *statements: str) -> None:
    connection = sqlite3.connect(file)
    with connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()


def damage(file: Path) -> None:
    """Every page behind the first, as a disk that loses them."""
    content = file.read_bytes()
    file.write_bytes(content[:4096] + b"\xff" * (len(content) - 4096))


SPOILED: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (Path.unlink, "there is no store of ML Metadata at"),
    "empty": (lambda file: file.write_bytes(b""), "is no file of SQLite, or a damaged one"),
    "text": (lambda file: file.write_text("{}"), "is no file of SQLite"),
    "directory": (lambda file: (file.unlink(), file.mkdir()), "cannot be read (Is a directory)"),
    "damaged": (damage, "is damaged ("),
    "cut": (lambda file: file.write_bytes(file.read_bytes()[:20_000]), "is damaged ("),
    "older": (lambda file: sql(file, "UPDATE MLMDEnv SET schema_version = 9"), "has version 9 of ML Metadata's schema"),
    "newer": (lambda file: sql(file, "UPDATE MLMDEnv SET schema_version = 11"), "has version 11"),
    "no version": (lambda file: sql(file, "DELETE FROM MLMDEnv"), "has version none"),
    "incomplete": (lambda file: sql(file, "DROP TABLE EventPath"), "no complete store of ML Metadata (no such table"),
    "other": (
        lambda file: sql(file, *(f"DROP TABLE {table}" for table in ("MLMDEnv", "Artifact"))),
        "is a file of SQLite but no store of ML Metadata",
    ),
}


@pytest.mark.parametrize("case", SPOILED)
def test_what_is_no_store_is_one_sentence_and_stays_as_it_is(case: str, ask: Any, history: Any, tmp_path: Path) -> None:
    spoil, said = SPOILED[case]
    file = tmp_path / "metadata.db"
    shutil.copy(history.file, file)
    spoil(file)
    before = file.read_bytes() if file.is_file() else b""
    code, text = ask(metadata=f"sqlite:{file}")
    assert (code, said in text) == (2, True), text
    assert (file.read_bytes() if file.is_file() else b"") == before
    assert list(tmp_path.iterdir()) == ([] if case == "missing" else [file])


def test_a_locked_store_is_one_sentence(
    ask: Any, history: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tfx_explain.audit import sqlite_store

    monkeypatch.setattr(sqlite_store, "_PATIENCE_SECONDS", 0.05)
    shutil.copy(history.file, tmp_path / "metadata.db")
    writer = sqlite3.connect(tmp_path / "metadata.db", isolation_level=None)
    writer.execute("BEGIN EXCLUSIVE")
    try:
        code, text = ask(metadata=f"sqlite:{tmp_path / 'metadata.db'}")
    finally:
        writer.close()
    assert (code, "is locked by another program; try again" in text) == (2, True)


def test_what_a_killed_writer_left_half_done_is_one_sentence_and_is_not_mended(
    ask: Any, history: Any, tmp_path: Path
) -> None:
    file = tmp_path / "metadata.db"
    shutil.copy(history.file, file)
    program = (
        "import os, sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None); "
        "c.execute('PRAGMA cache_size=1'); c.execute('BEGIN IMMEDIATE'); "
        "c.execute('UPDATE ArtifactProperty SET string_value = zeroblob(9000)'); os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", program, str(file)], check=False)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    assert len(before) == 2  # with what would undo the half
    code, text = ask(metadata=f"sqlite:{file}")
    assert (code, "a program that wrote to it was stopped half way" in text) == (2, True)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_store_with_a_write_ahead_log_is_read_and_nothing_is_put_beside_it(history: Any, tmp_path: Path) -> None:
    file = tmp_path / "metadata.db"
    shutil.copy(history.file, file)
    sql(file, "PRAGMA journal_mode = WAL")
    before = hashlib.sha256(file.read_bytes()).hexdigest()
    with opened(f"sqlite:{file}") as store:
        assert store.rows("SELECT COUNT(*) FROM Execution") == [(17,)]
    assert (hashlib.sha256(file.read_bytes()).hexdigest(), list(tmp_path.iterdir())) == (before, [file])


def test_a_store_cannot_be_written_through_what_reads_it(history: Any) -> None:
    with opened(history.store) as store, pytest.raises(TfxExplainError, match="cannot be read as it is"):
        store.rows("DELETE FROM Artifact")


@pytest.mark.parametrize("address", ["", "sqlite:", "metadata.db", "postgres://u@h/d", "sqlite"])
def test_an_address_of_another_kind_says_which_there_are(address: str) -> None:
    with pytest.raises(ConfigError, match=r"sqlite:FILE` or `mysql://USER@HOST:PORT/DATABASE"), opened(address):
        pass


@pytest.mark.parametrize(
    "address",
    [
        "mysql://",
        "mysql://host/db",
        "mysql://user@host",
        "mysql://user@host:no/db",
        "mysql://u@h/d?ssl=1",
        "mysql:u@h/d",
    ],
)
def test_an_address_of_mysql_that_lacks_something_says_what_it_has(address: str) -> None:
    with pytest.raises(ConfigError, match=r"a store in MySQL is `mysql://USER@HOST:PORT/DATABASE`"), opened(address):
        pass


def test_a_password_in_an_address_is_refused_and_not_repeated(ask: Any) -> None:
    code, text = ask(metadata="mysql://auditor:hush-hush@localhost/metadata")
    assert (code, "hush-hush" in text, mysql_store.PASSWORD in text) == (2, False, True)


def test_a_server_that_does_not_answer_is_one_sentence(ask: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(mysql_store.PASSWORD, "hush-hush")
    code, text = ask(metadata="mysql://auditor@127.0.0.1:1/metadata")
    assert (code, "hush-hush" in text) == (2, False)
    assert "mysql://auditor@127.0.0.1:1/metadata does not answer" in text
