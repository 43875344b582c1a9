"""A store in a file of SQLite."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import urllib.parse
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tfx_explain.errors import InputError

_MAGIC = b"SQLite format 3\0"
_WAL, _WAL_AT = 2, 18
_PATIENCE_SECONDS = 3.0


def path_of(address: str) -> str:
    """The absolute path in `sqlite:FILE`."""
    return os.path.abspath(os.path.expanduser(address.partition(":")[2]))


@contextlib.contextmanager
def opened(address: str) -> Iterator[Callable[[str], Sequence[tuple[Any, ...]]]]:
    """What answers queries to the file, which is neither written nor migrated.

    Raises:
      InputError: there is no such file, it is none of ML Metadata, or locked or damaged.
    """
    path = path_of(address)
    _check_file(path)
    with _sentences(path):
        connection = sqlite3.connect(_read_only(path), uri=True, timeout=_PATIENCE_SECONDS, isolation_level=None)
    with contextlib.closing(connection):

        def rows(query: str) -> Sequence[tuple[Any, ...]]:
            with _sentences(path):
                return connection.execute(query).fetchall()

        rows("BEGIN")
        _check_whole(path, rows)
        yield rows


def _check_file(path: str) -> None:
    """Whether it is a file of SQLite: that of another program would be read as an empty store, or as noise."""
    try:
        with open(path, "rb") as stream:
            start = stream.read(len(_MAGIC))
    except FileNotFoundError:
        raise InputError(f"there is no store of ML Metadata at {path}; name the file that pipelines write.") from None
    except OSError as error:
        raise InputError(f"the store {path} cannot be read ({error.strerror}); name a file that can.") from error
    if start != _MAGIC:
        raise InputError(f"{path} is no file of SQLite, or a damaged one; name the file that pipelines write.")


def _read_only(path: str) -> str:
    """The file as a URI that SQLite cannot write through, not even files beside it where nobody writes to it."""
    with open(path, "rb") as stream:
        is_wal = stream.read(_WAL_AT + 1)[_WAL_AT:] == bytes([_WAL])
    mode = "immutable=1" if is_wal and not os.path.exists(f"{path}-wal") else "mode=ro"
    return f"file:{urllib.parse.quote(path)}?{mode}"


def _check_whole(path: str, rows: Callable[[str], Sequence[tuple[Any, ...]]]) -> None:
    if not rows("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'MLMDEnv'"):
        raise InputError(f"{path} is a file of SQLite but no store of ML Metadata; name the file that pipelines write.")
    problems = [str(problem) for (problem,) in rows("PRAGMA quick_check(1)")]
    if problems != ["ok"]:
        raise _damaged(path, problems[0])


def _damaged(path: str, why: str) -> InputError:
    return InputError(f"the store {path} is damaged ({why}); restore it from a copy.")


@contextlib.contextmanager
def _sentences(path: str) -> Iterator[None]:
    try:
        yield
    except sqlite3.DatabaseError as error:
        text = str(error)
        if "locked" in text or "busy" in text:
            raise InputError(f"the store {path} is locked by another program; try again when that is done.") from error
        if "readonly" in text or "unable to open" in text:
            raise InputError(
                f"the store {path} cannot be read as it is ({text}): a program that wrote to it was stopped half way, "
                "or this user may not read it; have a pipeline that uses it run, or name a copy."
            ) from error
        if "no such table" in text or "no such column" in text:
            raise InputError(
                f"the store {path} is no complete store of ML Metadata ({text}); restore it from a copy."
            ) from error
        raise _damaged(path, text) from error
