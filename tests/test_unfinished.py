"""What is undone when a process ends in the middle."""

import subprocess
import sys
from pathlib import Path

from tfx_explain.unfinished import undo_all, unfinished


def test_what_is_unfinished_is_undone_the_last_first_and_whatever_fails() -> None:
    undone: list[str] = []

    def fail() -> None:
        undone.append("fails")
        raise OSError

    with unfinished(lambda: undone.append("first")), unfinished(fail):
        with unfinished(lambda: undone.append("finished")):
            pass
        undo_all()
    undo_all()
    assert undone == ["fails", "first"]


def test_temporary_files_go_where_the_process_ends_in_the_middle(tmp_path: Path) -> None:
    program = """
import os, sys, tempfile
from tfx_explain.unfinished import remove_temporary_files
kept = tempfile.TemporaryDirectory(dir=sys.argv[1])
remove_temporary_files()
os._exit(0)
"""
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True)
    assert not list(tmp_path.iterdir())
