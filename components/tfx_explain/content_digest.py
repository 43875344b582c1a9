"""What makes files, or a JSON object, these and no others: digests of content."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence

from tfx_explain import storage

_CHUNK = 2**20
LENGTH = 32
"""Hexadecimal digits of a digest."""


def directory_digest(directory: str, ignored: Sequence[str] = ()) -> str:
    """SHA-256 over the names and contents of all files beneath a directory, in the order of their names.

    Args:
      directory: a path or URI; a file is read as a directory with this one file.
      ignored: directories that do not count; neither do Python's caches.
    """
    digest = hashlib.sha256()
    for name, content in sorted(_digests(directory, ignored)):
        if content is not None:
            digest.update(name.encode("utf-8", "surrogateescape") + b"\0" + content)
    return digest.hexdigest()[:LENGTH]


EMPTY = hashlib.sha256().hexdigest()[:LENGTH]
"""The digest of a directory without files, and of one that is not there."""


def object_digest(content: Mapping[str, object]) -> str:
    """SHA-256 of a JSON object, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def file_digest(path: str) -> bytes | None:
    """SHA-256 of the content of a file on this machine; None where there is no such file."""
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as stream:
            while chunk := stream.read(_CHUNK):
                digest.update(chunk)
    except (FileNotFoundError, IsADirectoryError):
        return None
    return digest.digest()


def _digests(directory: str, ignored: Sequence[str]) -> Iterator[tuple[str, bytes | None]]:
    """(name within the directory, digest) of each file, links followed."""
    if storage.is_local(directory):
        directory = storage.absolute(directory) if "://" in directory else directory
        files: Iterable[tuple[str, str]] = ()
        if os.path.isdir(directory):
            files = _local_files(directory.rstrip("/") or "/", {os.path.realpath(path) for path in ignored})
        elif os.path.isfile(directory):
            files = [("", directory)]
        yield from ((name, file_digest(path)) for name, path in files)
    elif storage.is_known(directory):
        # What is read through a library of its own, as a registry of models, is no file here.
        left_out = tuple(path.rstrip("/") + "/" for path in ignored)
        names = storage.names_beneath(directory)
        if not names and storage.is_file(directory):
            yield "", bytes.fromhex(storage.sha256(directory))
        for name in names:
            uri = storage.join(directory, name)
            if not uri.startswith(left_out) and "__pycache__" not in name.split("/"):
                yield f"/{name}", bytes.fromhex(storage.sha256(uri))


def _local_files(directory: str, left_out: set[str]) -> Iterator[tuple[str, str]]:
    entered = set(left_out)
    for parent, inner, names in os.walk(directory, followlinks=True):
        real = os.path.realpath(parent)
        if real in entered or os.path.basename(parent) == "__pycache__":
            inner.clear()
            continue
        entered.add(real)
        for name in names:
            path = os.path.join(parent, name)
            if os.path.isfile(path):
                yield path.removeprefix(directory), path
