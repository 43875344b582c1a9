"""An append-only file of verdicts: a JSON object per line, each with the SHA-256 of the line before.

A line that was changed, removed or moved breaks the chain at that place. Lines cut off at the end break none, so their
number and the digest of the last one are kept in a second file, `FILE.head`. Who rewrites both can hide what was done;
the digest that every run prints, kept by somebody else, shows it even then.

Writers take turns by a lock on the file. What cannot be written as a whole is taken back; what a killed writer left of
a line is no line, is said to be there, and goes when the next one writes.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tfx_explain import documents, storage
from tfx_explain.audit.cases import Case
from tfx_explain.audit.logged import new_entries
from tfx_explain.errors import InputError

FORMAT = 1
START = "0" * 64
"""What the first line carries in place of a digest."""

_HEAD = ".head"


@dataclasses.dataclass(frozen=True)
class LogState:
    """What a log was found to be.

    Attributes:
      entries: its lines, as far as they are whole.
      digest: SHA-256 of the last whole line; START where there is none.
      problems: what was changed, removed, moved or cut off, a sentence each.
      notes: what is no sign of tampering, but somebody should know.
      size: bytes of the whole lines.
    """

    entries: Sequence[Mapping[str, Any]]
    digest: str
    problems: Sequence[str]
    notes: Sequence[str]
    size: int


def read_log(path: str) -> LogState:
    """Verifies a log.

    Raises:
      InputError: there is none, or it cannot be read.
    """
    with _locked(path, os.O_RDONLY) as descriptor:
        return _state(path, _content(descriptor))


def append(path: str, cases: Sequence[Case], store: str) -> tuple[LogState, int]:
    """Adds what a log does not have yet: a line per verdict, and one per push that came after its verdict was logged.

    Args:
      path: of the log, made where it is not there.
      cases: all of a store, whatever of it is shown.
      store: its name.

    Returns:
      The log as it is now, and how many lines were added: none where it was tampered with.

    Raises:
      InputError: it cannot be written; then nothing was added.
    """
    with _locked(path, os.O_RDWR | os.O_CREAT) as descriptor:
        state = _state(path, _content(descriptor))
        if state.problems:
            return state, 0
        if not state.entries:
            _write_head(path, 0, START)  # first, so that no line is ever without one
        new = list(new_entries(cases, state.entries, store))
        lines, entries, digest = _chained(new, len(state.entries), state.digest)
        if lines or state.notes:
            _write(path, descriptor, state.size, b"".join(lines))
        size = state.size + sum(map(len, lines))
        _write_head(path, len(state.entries) + len(lines), digest)
        return dataclasses.replace(state, entries=[*state.entries, *entries], digest=digest, size=size), len(lines)


def _chained(
    new: Sequence[Mapping[str, Any]], number: int, digest: str
) -> tuple[list[bytes], list[dict[str, Any]], str]:
    """Lines that follow on a line, their content, and the digest of the last one."""
    recorded = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    lines, entries = [], []
    for at, entry in enumerate(new, number + 1):
        whole = {"format": FORMAT, "number": at, "previous": digest, "recorded": recorded, **entry}
        line = json.dumps(whole, allow_nan=False).encode()
        digest = hashlib.sha256(line).hexdigest()
        lines.append(line + b"\n")
        entries.append(whole)
    return lines, entries, digest


def _state(path: str, content: bytes) -> LogState:
    *lines, rest = content.split(b"\n")
    entries: list[Mapping[str, Any]] = []
    digests, problems = [START], []
    for number, line in enumerate(lines, 1):
        entry = _entry(line)
        if entry is None:
            problems.append(f"line {number} of {path} is no line of a log: it was changed")
        elif entry.get("number") != number or entry.get("previous") != digests[-1]:
            before = "the beginning" if number == 1 else f"line {number - 1}"
            problems.append(
                f"line {number} of {path} does not follow from {before}: a line there was changed, removed, added or "
                "moved"
            )
        entries.append(entry or {})
        digests.append(hashlib.sha256(line).hexdigest())
    notes = []
    if rest:
        notes.append(f"{path} ends in half a line, which a writer that was stopped left; the next one removes it")
    problems += _against_head(path, digests)
    size = len(content) - len(rest)
    return LogState(entries, digests[-1], problems, notes, size)


def _entry(line: bytes) -> dict[str, Any] | None:
    try:
        found = documents.parse_json(line)
    except documents.DocumentError:
        return None
    return found if isinstance(found, dict) and found.get("format") == FORMAT else None


def _against_head(path: str, digests: Sequence[str]) -> list[str]:
    """Whether the last line that was ever written is there; lines after it are those of a writer that was stopped."""
    where = path + _HEAD
    n_lines = len(digests) - 1
    try:
        with open(where, "rb") as stream:
            head = documents.parse_json(stream.read())
        if not isinstance(head, dict):
            raise TypeError
        known, digest = int(head["lines"]), str(head["digest"])
    except FileNotFoundError:
        return [f"{where} is gone, so that nobody can say whether lines were cut off {path}"] if n_lines else []
    except (OSError, ValueError, KeyError, TypeError, documents.DocumentError):
        return [f"{where} is damaged, so that nobody can say whether lines were cut off {path}"]
    if known > n_lines:
        return [f"{path} has {n_lines} lines, {known} were written: {known - n_lines} at its end were removed"]
    if known < 0 or digests[known] != digest:
        return [f"line {known} of {path} is not the one that was written: it, or {where}, was changed"]
    return []


@contextlib.contextmanager
def _locked(path: str, flags: int) -> Iterator[int]:
    """The file, held by a lock that other writers wait for.

    Raises:
      InputError: it cannot be opened.
    """
    if not storage.is_local(path):
        raise InputError(f"a log is a file on this machine, {path} is none; name one, and copy it elsewhere.")
    lock = fcntl.LOCK_EX if flags & os.O_CREAT else fcntl.LOCK_SH
    try:
        descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise InputError(f"the log {path} cannot be opened ({error.strerror}); name another file.") from error
    try:
        fcntl.flock(descriptor, lock)
        yield descriptor
    finally:
        os.close(descriptor)


def _content(descriptor: int) -> bytes:
    with open(descriptor, "rb", closefd=False) as stream:
        return stream.read()


def _write(path: str, descriptor: int, size: int, content: bytes) -> None:
    """Writes behind the whole lines, or takes back what was written.

    Raises:
      InputError: there is no room, or the disk fails.
    """
    try:
        os.ftruncate(descriptor, size)
        written = 0
        while written < len(content):
            written += os.pwrite(descriptor, content[written:], size + written)
        os.fsync(descriptor)
    except OSError as error:
        with contextlib.suppress(OSError):
            os.ftruncate(descriptor, size)
        raise InputError(f"the log {path} cannot be written ({error.strerror}); nothing was added.") from error


def _write_head(path: str, n_lines: int, digest: str) -> None:
    where, content = path + _HEAD, json.dumps({"lines": n_lines, "digest": digest}).encode() + b"\n"
    if storage.read_start(where) != content:
        storage.replace(where, content)
