"""Files by path or URI, through fsspec: local disk as it is, `gs://` and `s3://` with the extras of those names."""

from __future__ import annotations

import os
import posixpath
from typing import Any

import fsspec
from fsspec.core import url_to_fs

from tfx_explain.errors import InputError


def join(uri: str, *parts: str) -> str:
    """The URI of something beneath `uri`."""
    return posixpath.join(str(uri), *parts)


def absolute(uri: str) -> str:
    """The URI, a local path made absolute, so that what is written down stays true elsewhere."""
    return os.path.abspath(uri) if is_local(uri) and "://" not in str(uri) else str(uri)


def _filesystem(uri: str) -> tuple[fsspec.AbstractFileSystem, str]:
    try:
        filesystem, path = url_to_fs(str(uri))
    except ImportError as error:
        raise InputError(f"{uri} needs a package that is not installed ({error}); install it.") from None
    except ValueError as error:
        raise InputError(f"{uri} is on no storage known here ({error}).") from None
    return filesystem, path


def read_bytes(uri: str) -> bytes:
    """The whole content of a file.

    Raises:
      InputError: there is no such file.
    """
    filesystem, path = _filesystem(uri)
    try:
        return bytes(filesystem.cat_file(path))
    except FileNotFoundError:
        raise InputError(f"there is no file {uri}; check the path.") from None


def write_bytes(uri: str, content: bytes) -> None:
    """Writes a file and the directories above it."""
    filesystem, path = _filesystem(uri)
    filesystem.makedirs(posixpath.dirname(path), exist_ok=True)
    with filesystem.open(path, "wb") as stream:
        stream.write(content)


def open_stream(uri: str, compression: str | None = None) -> Any:
    """A readable binary stream; `compression` as fsspec names it (`gzip`, `infer`)."""
    _filesystem(uri)
    return fsspec.open(str(uri), "rb", compression=compression).open()


def exists(uri: str) -> bool:
    """Whether a file or directory is there."""
    filesystem, path = _filesystem(uri)
    return bool(filesystem.exists(path))


def find(uri: str) -> list[str]:
    """All files beneath a directory, sorted, as paths that the other functions take."""
    filesystem, path = _filesystem(uri)
    return sorted(filesystem.unstrip_protocol(name) for name in filesystem.find(path))


def glob(pattern: str) -> list[str]:
    """The files that match a pattern, sorted."""
    filesystem, path = _filesystem(pattern)
    return sorted(filesystem.unstrip_protocol(name) for name in filesystem.glob(path))


def names(uri: str) -> list[str]:
    """The names directly in a directory, sorted; none where there is no directory."""
    filesystem, path = _filesystem(uri)
    if not filesystem.isdir(path):
        return []
    return sorted(posixpath.basename(name.rstrip("/")) for name in filesystem.ls(path, detail=False))


def remove(uri: str) -> None:
    """Removes a file or a directory with all beneath it, if it is there."""
    filesystem, path = _filesystem(uri)
    if filesystem.exists(path):
        filesystem.rm(path, recursive=True)


def clear(uri: str) -> None:
    """Removes everything in a directory, but not the directory."""
    for name in names(uri):
        remove(join(uri, name))


def is_local(uri: str) -> bool:
    """Whether the URI is on this machine's disk."""
    return "file" in _filesystem(uri)[0].protocol
