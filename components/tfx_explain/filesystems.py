"""Which file system a URI is on, and what is said, in one sentence, where that fails.

Local disk as it is, everything else through fsspec: `memory://` of this process, `gs://` and `s3://` with the extras of
those names, and whatever else fsspec knows.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import fsspec
from fsspec.core import url_to_fs

from tfx_explain.errors import InputError

MEMORY = "memory"
"""The protocol of files that are in this process alone."""

_ALIASES = {"local": "file", "s3a": "s3", "gcs": "gs"}
_EXTRAS = {"s3": "s3", "gs": "gcs"}
# Here a path is only the name of an object, and making a directory would make a bucket.
_BUCKETS = {"s3", "gs", "abfs", "abfss", "az", "oss"}
_WITHOUT_DIRECTORIES = _BUCKETS | {"http", "https", MEMORY}
_SECONDS_TO_ANSWER = 30.0
# A library that tried for so long to connect would do so for each file that is still to be removed.
_SECONDS_TO_CONNECT = 5.0
_SECONDS_OF_SILENCE = 60.0

# It logs, with a traceback, whatever it raises too.
logging.getLogger("gcsfs").setLevel(logging.CRITICAL)

T = TypeVar("T")


def place(uri: str) -> tuple[str, str]:
    """Protocol and host or bucket of a URI, without asking any: all local paths are on one place, and all memory."""
    protocol, separator, path = str(uri).partition("://")
    protocol = _ALIASES.get(protocol, protocol)
    if not separator or protocol == "file":
        return "file", ""
    return protocol, "" if protocol == MEMORY else path.partition("/")[0]


def is_local(uri: str) -> bool:
    """Whether the URI is on this machine's disk."""
    return place(uri)[0] == "file"


def is_known(uri: str) -> bool:
    """Whether the URI is of a kind that can be read here, whether or not its library is installed."""
    return "::" in uri or place(uri)[0] in fsspec.available_protocols()


def has_directories(uri: str) -> bool:
    """Whether a directory must be made before a file is written into it."""
    return place(uri)[0] not in _WITHOUT_DIRECTORIES


def filesystem_of(uri: str) -> tuple[fsspec.AbstractFileSystem, str]:
    """The file system of a URI, and the path that it knows it by.

    Raises:
      InputError: there is no such storage, its library is not installed, or it does not answer.
    """
    _check_characters(uri)
    if is_local(uri):
        # Not taken apart: in the name of a local file `::` is no chain of protocols, as it is to fsspec.
        local = fsspec.filesystem("file")
        return local, local._strip_protocol(str(uri))
    if time.monotonic() < _SILENT_UNTIL.get(place(uri), 0.0):
        raise InputError(f"{uri} cannot be reached: its storage no longer answers; check the network.")
    if place(uri) in _ANSWERED:
        return _opened(uri)
    found = _within(_SECONDS_TO_ANSWER, lambda: _asked(uri), uri)
    if isinstance(found, InputError):
        raise found
    _ANSWERED.add(place(uri))
    return found


_ANSWERED: set[tuple[str, str]] = set()
"""The places that have answered this process."""

_SILENT_UNTIL: dict[tuple[str, str], float] = {}
"""Until when places are not asked again that did not answer any more."""


def _asked(uri: str) -> tuple[fsspec.AbstractFileSystem, str] | InputError:
    """The file system, once it has said whether there is something at the path; its library may try for minutes."""
    try:
        filesystem, path = _opened(uri)
        # Whatever is known or not, and may or may not be read: it is an answer.
        with contextlib.suppress(FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError):
            filesystem.info(path)
    except InputError as error:
        return error
    except Exception as error:  # noqa: BLE001 - of any library, and said by the caller
        return InputError(f"{uri} cannot be reached ({_said(error)}); check the name, the network and the credentials.")
    return filesystem, path


def _opened(uri: str) -> tuple[fsspec.AbstractFileSystem, str]:
    # What others write meanwhile must be seen: lists of files are never kept.
    options = {"use_listings_cache": False} if place(uri)[0] in _BUCKETS else {}
    try:
        found: tuple[fsspec.AbstractFileSystem, str] = url_to_fs(str(uri), **options)
    except ImportError as error:
        raise InputError(f"{uri} needs a package that is not installed ({error}); {_cure(uri)}.") from None
    except ValueError as error:
        raise InputError(f"{uri} is on no storage known here ({_said(error)}); check what is before `://`.") from None
    return found


def _cure(uri: str) -> str:
    extra = _EXTRAS.get(place(uri)[0])
    return f"pip install 'tfx-explain[{extra}]'" if extra else "install it"


def _within(seconds: float, act: Callable[[], T], uri: str) -> T:
    """What a call gives that may wait for a network.

    Args:
      seconds: how long it is waited for; the call itself cannot be stopped, and is left alone.
      act: raises nothing.
      uri: what it is about.

    Raises:
      InputError: it takes longer.
    """
    given: list[T] = []
    thread = threading.Thread(target=lambda: given.append(act()), daemon=True)
    thread.start()
    thread.join(seconds)
    if not given:
        raise InputError(f"{uri} does not answer within {seconds:.0f} s; check the name and the network.")
    return given[0]


def _said(error: BaseException) -> str:
    """What an error of any library says, on one line."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


@contextlib.contextmanager
def _heeding_silence(uri: str) -> Iterator[None]:
    """Takes note where a library has tried for long to connect, in vain."""
    started = time.monotonic()
    try:
        yield
    except Exception as error:
        now = time.monotonic()
        # Each library has errors of its own for that.
        named = f"{type(error).__name__} {error}".lower()
        if now - started > _SECONDS_TO_CONNECT and ("connect" in named or "timeout" in named):
            _SILENT_UNTIL[place(uri)] = now + _SECONDS_OF_SILENCE
        raise


@contextlib.contextmanager
def reading(uri: str) -> Iterator[None]:
    """While this lasts, whatever keeps a file from being read is an InputError."""
    try:
        with _heeding_silence(uri):
            yield
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"there is no file {uri}; check the path.") from None
    except Exception as error:
        raise InputError(f"{uri} cannot be read ({_said(error)}); check the path.") from error


@contextlib.contextmanager
def writing(uri: str) -> Iterator[None]:
    """While this lasts, whatever keeps a file from being written, or removed, is an InputError."""
    try:
        with _heeding_silence(uri):
            yield
    except InputError:
        raise
    except FileNotFoundError as error:
        if has_directories(uri):
            raise cannot_write(uri, error) from error
        raise InputError(f"{uri} cannot be written: there is no such bucket; make it, or name another one.") from None
    except Exception as error:
        raise cannot_write(uri, error) from error


@contextlib.contextmanager
def os_errors(uri: str) -> Iterator[None]:
    """While this lasts, errors of a storage's library are OSErrors, as those of local disks are."""
    try:
        yield
    except (OSError, ValueError):
        raise
    except Exception as error:
        raise OSError(f"{uri}: {_said(error)}") from error


class RemoteFile(io.RawIOBase):
    """A file on other storage than disks, whose failures are OSErrors, whatever its library raises."""

    def __init__(self, uri: str, stream: Any) -> None:
        self._uri = uri
        self._stream = stream

    def readable(self) -> bool:
        """True."""
        return True

    def seekable(self) -> bool:
        """True."""
        return True

    def readinto(self, target: Any) -> int:
        """Fills a buffer; 0 at the end."""
        with os_errors(self._uri):
            return int(self._stream.readinto(target) or 0)

    def seek(self, offset: int, whence: int = 0) -> int:
        """Goes to a place."""
        with os_errors(self._uri):
            return int(self._stream.seek(offset, whence))

    def close(self) -> None:
        """Nothing is read any more."""
        if not self.closed:
            self._stream.close()
        super().close()


def cannot_write(uri: str, error: Exception) -> InputError:
    """What is said of a file that cannot be written: full disk, no permission, a file where a directory must be."""
    return InputError(f"{uri} cannot be written ({_said(error)}); make room or name another place.")


def local_path(uri: str) -> str:
    """The absolute path of a local URI."""
    _check_characters(uri)
    return os.path.abspath(filesystem_of(uri)[1] if "://" in uri else uri)


def _check_characters(uri: str) -> None:
    if "\0" in str(uri):
        raise InputError(f"{uri} holds a NUL character, which no path can have; check how the path was made.")
