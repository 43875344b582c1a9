"""Files that a manifest lists with their SHA-256, against those that are there."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Literal, NamedTuple

from tfx_explain import storage, tables

_NOT_LISTED = frozenset({tables.MANIFEST, tables.REPORT, tables.RUN, tables.CLAIM})


class Difference(NamedTuple):
    """A file that is not as it was listed.

    Attributes:
      uri: of the file.
      what: whether it is `gone`, was `added` since, or was `changed`.
    """

    uri: str
    what: Literal["gone", "added", "changed"]


def explanation_files(explanation_dir: str) -> list[str]:
    """The names of the files of an explanation that its manifest must list; what others put beside them is theirs."""
    return [
        name
        for name in storage.names_beneath(explanation_dir)
        if name.split("/")[0] in tables.WRITTEN and name not in _NOT_LISTED
    ]


def differences(directory: str, expected: Mapping[str, str], there: Collection[str]) -> Iterator[Difference]:
    """What is not as it was listed; files are read as they are asked for.

    Args:
      directory: path or URI.
      expected: name -> SHA-256.
      there: the names of the files that it holds.
    """
    for name in sorted(set(expected) - set(there)):
        yield Difference(storage.join(directory, name), "gone")
    for name in sorted(set(there) - set(expected)):
        yield Difference(storage.join(directory, name), "added")
    for name in sorted(set(expected) & set(there)):
        uri = storage.join(directory, name)
        if storage.sha256(uri) != expected[name]:
            yield Difference(uri, "changed")
