"""Local directories that one run alone writes into."""

from __future__ import annotations

import contextlib
import os

from tfx_explain.errors import InputError
from tfx_explain.filesystems import cannot_write

# As much as a block of a disk: where there is no room for it there is none for an explanation.
CLAIM = b"An explanation is being written here.\n".ljust(4_096, b" ")


def claim_local(directory: str, path: str, name: str) -> list[str]:
    """As `storage.claim`, of a local directory: of two that claim it at once one alone can.

    Args:
      directory: as it is named.
      path: where it is.
      name: of the file.
    """
    taken = is_taken(directory)
    if any(mark in path for mark in "*?["):
        raise InputError(f"the output directory {directory} holds one of * ? [, which stand for patterns; rename it.")
    made = _missing_directories(path)
    try:
        os.makedirs(path, exist_ok=True)
        if os.listdir(path):
            raise taken
        with open(os.path.join(path, name), "xb") as file:
            file.write(CLAIM)
    except FileExistsError:
        for directory_made in made:
            _remove_if_empty(directory_made)
        if os.path.isdir(path):
            raise taken from None
        raise InputError(
            f"the output directory {directory} is a file or a link to nothing; name another one."
        ) from None
    except OSError as error:
        with contextlib.suppress(OSError):
            os.unlink(os.path.join(path, name))
        release(made)
        raise cannot_write(directory, error) from error
    if os.listdir(path) != [name]:
        os.unlink(os.path.join(path, name))
        raise taken
    return made


def is_taken(directory: str) -> InputError:
    """What is said of a directory that there is something in."""
    return InputError(f"the output directory {directory} is not empty; name a new one or remove it.")


def release(made: list[str]) -> None:
    """Removes directories that `claim_local` made, as far as they are empty."""
    for directory in made:
        _remove_if_empty(directory)


def _missing_directories(path: str) -> list[str]:
    missing = []
    while path and not os.path.lexists(path):
        missing.append(path)
        path = os.path.dirname(path)
    return missing


def _remove_if_empty(directory: str) -> None:
    with contextlib.suppress(OSError):
        os.rmdir(directory)
