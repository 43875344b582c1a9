"""The page says what works: its commands are run on a store."""

import shlex
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from snippets import commands
from tfx_explain.cli import main


def test_the_commands_of_the_page_run(
    history: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    shutil.copy(history.file, tmp_path / "metadata.db")
    with sqlite3.connect(tmp_path / "metadata.db") as connection:
        moved = (str(tmp_path / "models/7"), str(history.place("good", "model")))
        connection.execute("UPDATE Artifact SET uri = ? WHERE uri = ?", moved)
    connection.close()
    monkeypatch.chdir(tmp_path)
    said = {}
    for command in commands("docs/howto/audit.md"):
        name, *arguments = shlex.split(command)
        assert (name, main(arguments)) == ("tfx-explain", 0), command
        said[command] = capsys.readouterr().out
    assert len(said) == 7
    (full,) = (text for command, text in said.items() if "--model models/7" in command)
    assert "by the verdict in" in full
