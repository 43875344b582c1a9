"""Files by path or URI, through fsspec: local disk as it is, `gs://` and `s3://` with the extras of those names."""

from __future__ import annotations

import contextlib
import glob as python_glob
import hashlib
import os
import posixpath
from typing import Any

import fsspec
from fsspec.core import url_to_fs

from tfx_explain.errors import InputError

# As much as a block of a disk: where there is no room for it there is none for an explanation.
_CLAIM = b"An explanation is being written here.\n".ljust(4_096, b" ")


def join(uri: str, *parts: str) -> str:
    """The URI of something beneath `uri`."""
    return posixpath.join(str(uri), *parts)


def absolute(uri: str) -> str:
    """The URI, a local path made absolute, so that what is written down stays true elsewhere."""
    return os.path.abspath(uri) if is_local(uri) and "://" not in str(uri) else str(uri)


def place(uri: str) -> tuple[str, str]:
    """Protocol and host or bucket of a URI, without asking any: all local paths are on one place."""
    protocol, separator, path = str(uri).partition("://")
    if not separator or protocol in ("file", "local"):
        return "file", ""
    return protocol, path.partition("/")[0]


def _filesystem(uri: str) -> tuple[fsspec.AbstractFileSystem, str]:
    if "\0" in str(uri):
        raise InputError(f"{uri} holds a NUL character, which no path can have; check how the path was made.")
    if str(uri).startswith(("/", "file://")):
        # Not taken apart: in the name of a local file `::` is no chain of protocols, as it is to fsspec.
        local = fsspec.filesystem("file")
        return local, local._strip_protocol(str(uri))
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
    except OSError as error:
        raise InputError(f"{uri} cannot be read ({error.strerror or error}); check the path.") from None


def write_bytes(uri: str, content: bytes) -> None:
    """Writes a file and the directories above it.

    Raises:
      InputError: it cannot be written there.
    """
    filesystem, path = _filesystem(uri)
    try:
        filesystem.makedirs(posixpath.dirname(path), exist_ok=True)
        with filesystem.open(path, "wb") as stream:
            stream.write(content)
    except OSError as error:
        raise cannot_write(uri, error) from error


def replace(uri: str, content: bytes) -> None:
    """Writes a file in one step, and never through a link: that could lead to a file of somebody else.

    Raises:
      InputError: there is a link or a directory in its place, or it cannot be written.
    """
    if not is_local(uri):
        write_bytes(uri, content)
        return
    path = _filesystem(uri)[1]
    if os.path.islink(path):
        raise InputError(f"{uri} is a symbolic link, which is not followed; remove it, or name another file.")
    if os.path.lexists(path) and not os.path.isfile(path):
        raise InputError(f"{uri} is no file that could be written anew; name another one.")
    new = f"{path}.{os.getpid()}.new"
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(new, "xb") as file:
            file.write(content)
        os.replace(new, path)
    except OSError as error:
        if not isinstance(error, FileExistsError):
            with contextlib.suppress(OSError):
                os.unlink(new)
        raise cannot_write(uri, error) from error


def read_start(uri: str, n_bytes: int = 2_000) -> bytes:
    """The first bytes of a file; none where it cannot be read."""
    with contextlib.suppress(OSError), open_binary(uri) as stream:
        return bytes(stream.read(n_bytes))
    return b""


def cannot_write(uri: str, error: OSError) -> InputError:
    """What is said of a file that cannot be written: full disk, no permission, a file where a directory must be."""
    return InputError(f"{uri} cannot be written ({error.strerror or error}); make room or name another place.")


def claim(directory: str, name: str) -> list[str]:
    """Makes a file in a directory that must be new or empty, so that nobody else can claim the same directory.

    The claim is atomic on local disks; other storage is only looked at first.

    Args:
      directory: made if it is not there.
      name: of the file.

    Returns:
      The directories that had to be made, the deepest first: what `release` takes.

    Raises:
      InputError: there is something in it, it is no directory, or it cannot be written.
    """
    taken = InputError(f"the output directory {directory} is not empty; name a new one or remove it.")
    filesystem, path = _filesystem(directory)
    if not is_local(directory):
        if filesystem.exists(path) and not filesystem.isdir(path):
            raise InputError(f"the output directory {directory} is a file; name another one.")
        if names(directory):
            raise taken
        write_bytes(join(directory, name), _CLAIM)
        return []
    if any(mark in path for mark in "*?["):
        raise InputError(f"the output directory {directory} holds one of * ? [, which stand for patterns; rename it.")
    made = _missing_directories(path)
    try:
        os.makedirs(path, exist_ok=True)
        if os.listdir(path):
            raise taken
        with open(join(path, name), "xb") as file:
            file.write(_CLAIM)
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
            os.unlink(join(path, name))
        release(made)
        raise cannot_write(directory, error) from error
    if os.listdir(path) != [name]:
        os.unlink(join(path, name))
        raise taken
    return made


def release(made: list[str]) -> None:
    """Removes directories that `claim` made, as far as they are empty."""
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


def open_binary(uri: str) -> Any:
    """A readable binary stream.

    Raises:
      OSError: there is no such file, or it may not be read.
    """
    filesystem, path = _filesystem(uri)
    return filesystem.open(path, "rb")


def size(uri: str) -> int:
    """How many bytes a file has; 0 where the storage does not say."""
    filesystem, path = _filesystem(uri)
    return int(filesystem.size(path) or 0)


def exists(uri: str) -> bool:
    """Whether a file or directory is there."""
    filesystem, path = _filesystem(uri)
    return bool(filesystem.exists(path))


def find(uri: str) -> list[str]:
    """All files beneath a directory, sorted, as paths that the other functions take."""
    filesystem, path = _filesystem(uri)
    return sorted(filesystem.unstrip_protocol(name) for name in filesystem.find(path))


def names_beneath(uri: str, part: str = "") -> list[str]:
    """The names of all files beneath a directory, or beneath a part of it, relative to the directory, sorted."""
    filesystem, root = _filesystem(uri)
    start = posixpath.join(root, part) if part else root
    if not filesystem.isdir(start):
        return []
    return sorted(posixpath.relpath(name, root) for name in filesystem.find(start))


def sha256(uri: str) -> str:
    """The SHA-256 of a file, in hexadecimal.

    Raises:
      InputError: there is no such file.
    """
    digest = hashlib.sha256()
    try:
        with open_binary(uri) as stream:
            while chunk := stream.read(1 << 20):
                digest.update(chunk)
    except OSError as error:
        raise InputError(f"{uri} cannot be read ({error.strerror or error}); check the path.") from None
    return digest.hexdigest()


def data_files(pattern: str) -> list[str]:
    """The files of data that match a pattern, sorted; see `data_file_sizes`."""
    return list(data_file_sizes(pattern))


def data_file_sizes(pattern: str) -> dict[str, int | None]:
    """The files of data that match a pattern, sorted, and their bytes; None where the storage does not say.

    A path that is a file stands for itself, whatever is in its name, and a directory for the files in it.

    Marker files of other tools (`_SUCCESS`, `.part-0.crc`) are no data, unless the pattern names them so.

    Raises:
      InputError: a directory is among them, a link to nothing, or a pipe or device, which may have no end.
    """
    filesystem, path = _filesystem(pattern)
    if filesystem.isfile(path):
        return {filesystem.unstrip_protocol(path): filesystem.size(path)}
    if filesystem.isdir(path):
        path = posixpath.join(python_glob.escape(path), "*")
    found = filesystem.glob(path, detail=True)
    directory, name = posixpath.split(path)
    if not found and filesystem.isdir(directory):
        found = filesystem.glob(posixpath.join(python_glob.escape(directory), name), detail=True)
    files: dict[str, int | None] = {}
    for one, details in sorted(found.items()):
        uri = filesystem.unstrip_protocol(one.rstrip("/"))
        if posixpath.basename(uri).startswith(("_", ".")) and not name.startswith(("_", ".")):
            continue
        if details["type"] == "directory" or (is_local(pattern) and os.path.isdir(one)):
            raise InputError(
                f"{uri} is a directory among the files of {pattern}; name the files in it, or move it away."
            )
        if is_local(pattern) and not os.path.exists(one):
            raise InputError(f"{uri} is a link to nothing among the files of {pattern}; mend it, or remove it.")
        if is_local(pattern) and not os.path.isfile(one):
            raise InputError(f"{uri} is a pipe or a device among the files of {pattern}; name files, or move it away.")
        files[uri] = details.get("size")
    return files


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


def is_local(uri: str) -> bool:
    """Whether the URI is on this machine's disk."""
    return "file" in _filesystem(uri)[0].protocol
