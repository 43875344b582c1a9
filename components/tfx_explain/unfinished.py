"""What a process that is ended in the middle of its work still has to undo."""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Callable, Iterator

_UNDONE: list[Callable[[], object]] = []


@contextlib.contextmanager
def unfinished(undo: Callable[[], object]) -> Iterator[None]:
    """Lets `undo_all` call this while what is inside is not finished, from any thread and perhaps half done already."""
    _UNDONE.append(undo)
    try:
        yield
    finally:
        _UNDONE.remove(undo)


def undo_all() -> None:
    """Undoes what is not finished, what began last first; the process is about to end."""
    for undo in reversed(list(_UNDONE)):
        with contextlib.suppress(Exception):
            undo()


def remove_temporary_files() -> None:
    """Does what Python does where a process ends by itself: those of `tempfile` and of fetched models go.

    Nothing is removed at the end of its use any more, so the process has to end now.
    """
    with contextlib.suppress(Exception):
        weakref.finalize._exitfunc()  # type: ignore[attr-defined]
