"""What is shown of a job while it runs."""

import os
import pty
import time
from collections.abc import Callable

import pytest

from tfx_explain.commands import progress as commands
from tfx_explain.progress import PROGRESS


def _until(read: Callable[[], str], wanted: str) -> str:
    """What was read when it holds something; a test that waits in vain is ended."""
    said = ""
    while wanted not in said:
        said += read()
    return said


def test_a_terminal_has_one_line_that_changes_and_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "_SECONDS_ON_TERMINAL", 0.01)
    mine, theirs = pty.openpty()

    def read() -> str:
        return os.read(mine, 10_000).decode()

    with commands.shown_progress(theirs):
        _until(read, "preparing: 0 s")
        PROGRESS.choose(40)
        time.sleep(0.05)
        PROGRESS.explain(10, 100)
        said = _until(read, "explained 10 of 40 rows")
    assert "\n" not in said
    assert _until(read, "\r\x1b[K").endswith("\r\x1b[K")
    os.close(mine)
    os.close(theirs)


def test_elsewhere_there_are_lines_now_and_then_and_none_of_a_short_job(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    with commands.shown_progress(writer):
        PROGRESS.explain(10, 100)
    monkeypatch.setattr(commands, "SECONDS_BETWEEN_LINES", 0.01)
    with commands.shown_progress(writer):
        PROGRESS.choose(40)
        time.sleep(0.05)
        PROGRESS.explain(10, 100)
        said = _until(lambda: os.read(reader, 10_000).decode(), "explained 10 of 40 rows")
    assert said.startswith("preparing: 0 s\n")
    assert "\x1b" not in said
    os.close(reader)
    os.close(writer)


def test_who_reads_no_more_stops_nothing() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with commands.shown_progress(writer):
        pass
    with commands.shown_progress(None):
        pass
    os.close(writer)
