"""Output directories that one run at a time writes into."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

from tfx_explain import storage, tables
from tfx_explain.unfinished import unfinished


@contextlib.contextmanager
def claimed(directory: str, within: Sequence[str] = ()) -> Iterator[None]:
    """Keeps a new or empty directory for what is inside.

    Args:
      directory: made where it is not there, and removed again where it stays empty.
      within: directories in it that are removed where they stay empty.

    Raises:
      InputError: there is something in it, somebody else has claimed it, or it cannot be written.
    """
    made = storage.claim(directory, tables.CLAIM)

    def release() -> None:
        storage.remove(storage.join(directory, tables.CLAIM))
        storage.release([*(storage.join(directory, name) for name in within), *made])

    try:
        with unfinished(release):
            yield
    finally:
        release()
