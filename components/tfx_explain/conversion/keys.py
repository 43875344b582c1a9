"""What a key of another system's configuration is, and what becomes of it."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Callable, Mapping


class Fate(enum.Enum):
    """What becomes of a key; the value is how it is told."""

    CARRIED = "carried over"
    CHANGED = "carried over with a difference"
    ELSEWHERE = "given elsewhere"
    NEEDLESS = "not needed"
    LOST = "not carried over"
    UNKNOWN = "not known"


_Test = Callable[[object], bool]


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_mapping(value: object) -> bool:
    return isinstance(value, dict)


def _is_list(value: object) -> bool:
    return isinstance(value, list)


def _one_of(*tests: _Test) -> _Test:
    return lambda value: any(test(value) for test in tests)


def _list_of(*tests: _Test) -> _Test:
    return lambda value: isinstance(value, list) and all(map(_one_of(*tests), value))


class Kind(enum.Enum):
    """The kinds of values, in words and as a test."""

    TEXT = "a text", _is_text
    WHOLE = "a whole number", _is_whole
    NUMBER = "a number", _is_number
    TRUTH = "true or false", lambda value: isinstance(value, bool)
    NAME = "a name or an index", _one_of(_is_text, _is_whole)
    CHOICE = "a name or its number", _one_of(_is_text, _is_whole)
    TEXTS = "a list of texts", _list_of(_is_text)
    WHOLES = "a list of whole numbers", _list_of(_is_whole)
    NAMES = "a list of names or indices", _list_of(_is_text, _is_whole)
    SINGLES = "a list of texts or numbers, or one number", _one_of(_is_number, _list_of(_is_text, _is_number))
    ONE_OR_MORE = "a text or a list of texts", _one_of(_is_text, _list_of(_is_text))
    LISTS = "a list of lists", _list_of(_is_list)
    LIST = "a list", _is_list
    ANY = "any value", lambda value: True
    SECTION = "a mapping", _is_mapping
    SECTIONS = "a list of mappings", _list_of(_is_mapping)

    def __init__(self, words: str, fits: _Test) -> None:
        self.words = words
        self.fits = fits


@dataclasses.dataclass(frozen=True)
class Key:
    """One key of a configuration.

    Attributes:
      path: names joined by dots; `*` stands for any name, `[]` for each entry of a list.
      kind: of its value.
      fate: what becomes of it, unless the file as a whole says otherwise.
      to: where it goes: keys of ExplainConfig where it is carried over, else what it is given to.
      says: what differs, or why it is not carried over; without a full stop.
    """

    path: str
    kind: Kind
    fate: Fate
    to: str = ""
    says: str = ""

    @property
    def is_section(self) -> bool:
        """Whether it only holds others."""
        return self.kind in (Kind.SECTION, Kind.SECTIONS)


@dataclasses.dataclass(frozen=True)
class Note:
    """What became of one key of a file.

    Attributes:
      key: its path in the file.
      fate: what became of it.
      to: as of `Key`.
      says: as of `Key`.
    """

    key: str
    fate: Fate
    to: str
    says: str

    def __str__(self) -> str:
        """One line."""
        where = f" -> {self.to}" if self.to else ""
        return f"{self.key}{where}: {self.says}" if self.says else f"{self.key}{where}"


def carried(path: str, kind: Kind, to: str, says: str = "") -> Key:
    """A key that is carried over as it is, or with a difference where `says` names one."""
    return Key(path, kind, Fate.CHANGED if says else Fate.CARRIED, to, says)


def elsewhere(path: str, kind: Kind, to: str, says: str = "") -> Key:
    """A key whose place is no configuration of an explanation: an argument, a policy, another tool."""
    return Key(path, kind, Fate.ELSEWHERE, to, says)


def needless(path: str, kind: Kind, says: str) -> Key:
    """A key that nothing here depends on."""
    return Key(path, kind, Fate.NEEDLESS, says=says)


def lost(path: str, kind: Kind, says: str) -> Key:
    """A key that cannot be carried over."""
    return Key(path, kind, Fate.LOST, says=says)


def section(path: str, kind: Kind = Kind.SECTION, to: str = "") -> Key:
    """A key that only holds others; `to` is what it becomes even where it holds none."""
    return Key(path, kind, Fate.CARRIED, to)


def by_path(*keys: Key) -> Mapping[str, Key]:
    """The table of a system."""
    return {key.path: key for key in keys}
