"""A file of another system, checked against the table of its keys."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator, Mapping

from tfx_explain.conversion.keys import Fate, Key, Kind, Note
from tfx_explain.errors import ConfigError
from tfx_explain.printable import shown

_EMPTY = "it holds nothing"


@dataclasses.dataclass(frozen=True)
class Found:
    """A key that a file has.

    Attributes:
      key: its row of the table; None where it has none.
      place: its path in the file, as written there.
      path: its path with the table's names, entries of lists by number.
      value: what stands there, the names in it as in the table.
    """

    key: Key | None
    place: str
    path: str
    value: object


class Document:
    """What a file says, by the paths of the table.

    Args:
      found: all its keys.
    """

    def __init__(self, found: list[Found]) -> None:
        self.found = found
        self._by_path = {one.path: one.value for one in found if one.key is not None}

    def get(self, path: str, default: object = None) -> object:
        """The value at a path, entries of lists by number; the default where there is none."""
        return self._by_path.get(path, default)

    def has(self, path: str) -> bool:
        """Whether there is such a key."""
        return path in self._by_path

    def check_one_of(self, *paths: str) -> None:
        """Refuses several keys that would become one.

        Raises:
          ConfigError: more than one of these paths is there.
        """
        there = [path for path in paths if self.has(path)]
        if len(there) > 1:
            raise ConfigError(f"{' and '.join(f'`{path}`' for path in there)} would be one setting; keep one of them.")

    def names(self, path: str) -> list[str]:
        """The names under a section, in their order; empty where there is none."""
        section = self.get(path)
        return list(section) if isinstance(section, dict) else []

    def count(self, path: str) -> int:
        """How many entries a list has; 0 where there is none."""
        entries = self.get(path)
        return len(entries) if isinstance(entries, list) else 0

    def beside(self, places: list[str], why: str) -> Document:
        """The same, with keys that stand beside what is read."""
        found = [Found(Key(place, Kind.ANY, Fate.NEEDLESS, says=why), place, f"../{place}", None) for place in places]
        return Document([*self.found, *found])

    def notes(self, told: Mapping[str, tuple[Fate, str, str]]) -> list[Note]:
        """What became of each key that does not merely hold others, in the order of the file.

        Args:
          told: path -> fate, where it goes and why, of keys that the whole file says something else of than the table.
        """
        return list(self._notes(told))

    def _notes(self, told: Mapping[str, tuple[Fate, str, str]]) -> Iterator[Note]:
        for one in self.found:
            if one.key is not None and not one.key.is_section and one.value in ("", []):
                yield Note(one.place, Fate.NEEDLESS, "", _EMPTY)
            elif one.path in told:
                yield Note(one.place, *told[one.path])
            elif one.key is None:
                yield Note(one.place, Fate.UNKNOWN, "", "no key of this system that is known; check its spelling")
            elif not one.key.is_section:
                yield Note(one.place, one.key.fate, one.key.to, one.key.says)
            elif not one.value:
                empty = (one.key.fate, one.key.to, "") if one.key.to else (Fate.NEEDLESS, "", _EMPTY)
                yield Note(one.place, *empty)


def read(
    data: Mapping[str, object],
    table: Mapping[str, Key],
    canonical: Callable[[str], str],
    *,
    root: str = "",
    place: str = "",
) -> Document:
    """Checks a file against a table.

    Args:
      data: a mapping, as JSON or YAML gives it; a value of null is a key that is not set.
      table: the keys that there are.
      canonical: a key of the file as the table writes it.
      root: path in the table where the mapping stands; "" at its top.
      place: path in the file where the mapping stands.

    Returns:
      All keys of the file that are set, unknown ones too.

    Raises:
      ConfigError: a value is of another kind than its key takes, or a key stands there in two spellings.
    """
    found: list[Found] = []
    _Reader(table, canonical, found).read_section(data, (root, root, place))
    return Document(found)


@dataclasses.dataclass(frozen=True)
class _Reader:
    table: Mapping[str, Key]
    canonical: Callable[[str], str]
    found: list[Found]

    def read_section(self, data: Mapping[str, object], at: tuple[str, str, str]) -> dict[str, object]:
        """The section with the table's names.

        Args:
          data: the section.
          at: its path in the table, the same with entries by number, and its path in the file.
        """
        pattern, path, place = at
        made: dict[str, object] = {}
        for written, value in data.items():
            if not isinstance(written, str):
                raise ConfigError(f"unknown key {shown(written)}{f' under `{place}`' if place else ''}; keys are text.")
            if value is None:
                continue
            any_name = _joined(pattern, "*")
            name = written if any_name in self.table else self.canonical(written)
            if name in made:
                raise ConfigError(f"`{_joined(place, written)}` is there in two spellings; keep one of them.")
            inner = any_name if any_name in self.table else _joined(pattern, name)
            made[name] = self._read(value, (inner, _joined(path, name), _joined(place, written)))
        return made

    def _read(self, value: object, at: tuple[str, str, str]) -> object:
        pattern, path, place = at
        key = self.table.get(pattern)
        if key is not None and not key.kind.fits(value):
            raise ConfigError(f"`{place}` is {key.kind.words}, got {shown(value)}; correct it.")
        index = len(self.found)
        if key is not None and key.kind is Kind.SECTION and isinstance(value, dict):
            value = self.read_section(value, at)
        elif key is not None and key.kind is Kind.SECTIONS and isinstance(value, list):
            value = [
                self.read_section(one, (f"{pattern}[]", f"{path}[{i}]", f"{place}[{i}]")) for i, one in enumerate(value)
            ]
        self.found.insert(index, Found(key, place, path, value))
        return value


def _joined(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def snake_case(name: str) -> str:
    """`pathCount` as `path_count`, as protocol buffers name their fields."""
    return re.sub(r"(?<=[a-z0-9])[A-Z]", lambda found: f"_{found.group().lower()}", name)
