"""Files by path or URI, local or on any other storage: read, written, listed, claimed, removed."""

from __future__ import annotations

import contextlib
import glob as python_glob
import hashlib
import io
import os
import posixpath
from typing import Any

from tfx_explain.errors import InputError
from tfx_explain.filesystems import (
    MEMORY,
    RemoteFile,
    cannot_write,
    filesystem_of,
    has_directories,
    is_known,
    is_local,
    local_path,
    os_errors,
    place,
    reading,
    writing,
)
from tfx_explain.local_claims import CLAIM, claim_local, is_taken, release

__all__ = ["cannot_write", "is_known", "is_local", "place", "release"]

_BUFFER_BYTES = 2**20


def join(uri: str, *parts: str) -> str:
    """The URI of something beneath `uri`."""
    return posixpath.join(str(uri), *parts)


def absolute(uri: str) -> str:
    """The URI, a local one as an absolute path, so that what is written down stays true elsewhere."""
    return local_path(str(uri)) if is_local(uri) else str(uri)


def read_bytes(uri: str) -> bytes:
    """The whole content of a file.

    Raises:
      InputError: there is no such file, or it cannot be read.
    """
    filesystem, path = filesystem_of(uri)
    with reading(uri):
        return bytes(filesystem.cat_file(path))


def write_bytes(uri: str, content: bytes) -> None:
    """Writes a file and the directories above it; on other storage than disks a file is there whole or not at all.

    Raises:
      InputError: it cannot be written there.
    """
    filesystem, path = filesystem_of(uri)
    with writing(uri):
        if has_directories(uri):
            filesystem.makedirs(posixpath.dirname(path), exist_ok=True)
        if not is_local(uri):
            filesystem.pipe_file(path, content)
            return
        with open(path, "wb") as stream:
            stream.write(content)


def move(uri: str, new: str) -> None:
    """Gives a file another name on the same storage.

    Raises:
      InputError: it is not there, or the new one cannot be written.
    """
    (filesystem, path), (_, new_path) = filesystem_of(uri), filesystem_of(new)
    with writing(new):
        if is_local(uri):
            os.replace(path, new_path)
        else:
            filesystem.copy(path, new_path)
            filesystem.rm_file(path)


def replace(uri: str, content: bytes) -> None:
    """Writes a file in one step, and never through a link: that could lead to a file of somebody else.

    Raises:
      InputError: there is a link or a directory in its place, or it cannot be written.
    """
    if not is_local(uri):
        write_bytes(uri, content)
        return
    path = local_path(uri)
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
    if is_local(directory):
        return claim_local(directory, filesystem_of(directory)[1], name)
    check_new(directory)
    write_bytes(join(directory, name), CLAIM)
    return []


def check_new(directory: str) -> None:
    """Looks whether there is nothing in a directory yet.

    Raises:
      InputError: there is something in it, or it is a file.
    """
    if names(directory):
        raise is_taken(directory)
    if is_file(directory):
        raise InputError(f"the output directory {directory} is a file; name another one.")


def check_writable(directory: str, name: str) -> None:
    """Makes a file in a directory and removes it again, before anything is computed that is to go there.

    Raises:
      InputError: it cannot be written.
    """
    write_bytes(join(directory, name), CLAIM)
    remove(join(directory, name))


def open_binary(uri: str) -> Any:
    """A readable binary stream.

    Raises:
      OSError: there is no such file, or it may not be read; so does the stream where reading fails.
      InputError: there is no such storage.
    """
    filesystem, path = filesystem_of(uri)
    if is_local(uri):
        return filesystem.open(path, "rb")
    with os_errors(uri):
        if place(uri)[0] == MEMORY:
            # All who open such a file share its position.
            return io.BytesIO(filesystem.cat_file(path))
        return io.BufferedReader(RemoteFile(uri, filesystem.open(path, "rb")), _BUFFER_BYTES)


def size(uri: str) -> int:
    """How many bytes a file has; 0 where the storage does not say."""
    filesystem, path = filesystem_of(uri)
    with reading(uri):
        return int(filesystem.size(path) or 0)


def exists(uri: str) -> bool:
    """Whether a file or directory is there."""
    filesystem, path = filesystem_of(uri)
    with reading(uri):
        return bool(filesystem.exists(path))


def is_file(uri: str) -> bool:
    """Whether there is a file, and no directory."""
    filesystem, path = filesystem_of(uri)
    with reading(uri):
        return bool(filesystem.isfile(path))


def find(uri: str) -> list[str]:
    """All files beneath a directory, sorted, as paths that the other functions take."""
    filesystem, path = filesystem_of(uri)
    with reading(uri):
        return sorted(filesystem.unstrip_protocol(name) for name in filesystem.find(path))


def names_beneath(uri: str, part: str = "") -> list[str]:
    """The names of all files beneath a directory, or beneath a part of it, relative to the directory, sorted."""
    filesystem, root = filesystem_of(uri)
    start = posixpath.join(root, part) if part else root
    with reading(uri):
        if not filesystem.isdir(start):
            return []
        return sorted(posixpath.relpath(name, root) for name in filesystem.find(start))


def sha256(uri: str) -> str:
    """The SHA-256 of a file, in hexadecimal.

    Raises:
      InputError: there is no such file.
    """
    digest = hashlib.sha256()
    with reading(uri), open_binary(uri) as stream:
        while chunk := stream.read(_BUFFER_BYTES):
            digest.update(chunk)
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
    filesystem, path = filesystem_of(pattern)
    with reading(pattern):
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
        if one.rstrip("/") == directory and not is_local(pattern):
            continue  # an empty object in the place of the directory
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
    filesystem, path = filesystem_of(uri)
    with reading(uri):
        if not filesystem.isdir(path):
            return []
        there = filesystem.ls(path, detail=False)
    # Object stores may hold an empty object in the place of a directory.
    return sorted(posixpath.basename(name.rstrip("/")) for name in there if name.rstrip("/") != path.rstrip("/"))


def remove(uri: str) -> None:
    """Removes a file or a directory with all beneath it, if it is there.

    Raises:
      InputError: it cannot be removed.
    """
    filesystem, path = filesystem_of(uri)
    with writing(uri):
        if filesystem.exists(path):
            filesystem.rm(path, recursive=True)
