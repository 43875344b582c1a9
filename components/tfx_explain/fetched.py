"""Files of any storage as files of this machine, for those who can read no others: TensorFlow, and Python's imports."""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import tempfile
import weakref
from collections.abc import Collection, Iterable

from tfx_explain import storage
from tfx_explain.errors import InputError
from tfx_explain.filesystems import filesystem_of, local_path, reading
from tfx_explain.unfinished import unfinished


class Fetched:
    """A file or directory as a path of this machine.

    Attributes:
      uri: what it is.
      path: where it is: itself where it is local, else a copy that is removed with this object, or with the process.
        There is nothing at this path where there is nothing at the URI.
    """

    def __init__(self, uri: str, path: str) -> None:
        self.uri = uri
        self.path = path


def fetch(uri: str, ignored: Iterable[str] = ()) -> Fetched:
    """A file, or a directory with all beneath it.

    Args:
      uri: where it is.
      ignored: directories beneath it that are left out, as Python's caches are.

    Raises:
      InputError: it cannot be read, or copied to this machine.
    """
    if storage.is_local(uri):
        return Fetched(uri, local_path(uri) if "://" in uri else uri)
    left_out = tuple(path.rstrip("/") + "/" for path in ignored)
    there = [name for name in storage.names_beneath(uri) if "__pycache__" not in name.split("/")]
    if not there and storage.is_file(uri):
        directory = directory_of(uri)
        return fetch_files(directory, [uri.removeprefix(directory)], uri)
    return fetch_files(uri, [name for name in there if not storage.join(uri, name).startswith(left_out)], uri)


def directory_of(uri: str) -> str:
    """The directory that a file is in, with a slash at its end, as `memory://` needs it."""
    return uri[: uri.rindex("/") + 1]


def fetch_files(directory: str, names: Collection[str], uri: str) -> Fetched:
    """Some files of a directory on other storage.

    Args:
      directory: their directory.
      names: of the files, within it.
      uri: what of it is meant: the directory itself, or one of the files.

    Raises:
      InputError: one cannot be read, or copied to this machine.
    """
    outside = [name for name in names if ".." in name.split("/") or name.startswith("/")]
    if outside:
        raise InputError(f"{directory} holds {outside[0]}, which is the name of no file beneath it; rename it.")
    filesystem, root = filesystem_of(directory)
    copy = tempfile.mkdtemp(prefix="tfx-explain-")
    inside = uri.removeprefix(directory).strip("/")
    # An empty directory is none: object stores have none.
    base = os.path.join(copy, "files")
    found = Fetched(uri, os.path.join(base, inside) if inside else base)
    removal = contextlib.ExitStack()
    removal.enter_context(unfinished(removed := functools.partial(shutil.rmtree, copy, ignore_errors=True)))
    removal.callback(removed)
    weakref.finalize(found, removal.close)
    targets = [os.path.join(base, name) for name in names]
    with reading(uri):
        for parent in {os.path.dirname(target) for target in targets}:
            os.makedirs(parent, exist_ok=True)
        if names:
            filesystem.get([f"{root.rstrip('/')}/{name}" for name in names], targets)
    return found
