"""YAML and JSON that anybody may have written, as plain data or as one sentence that says what is wrong with it.

YAML is read as JSON reads the same text: a second key of the same name is refused at every level, since one of the two
would be lost unseen, and so are aliases that multiply, values that contain themselves, and tags. `no` is the word, as
YAML 1.2 has it, dates and times are text, and a whole number that begins with 0 (octal to some, a postal code to
others) is refused.
"""

from __future__ import annotations

import contextlib
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Literal, NoReturn

import yaml

from tfx_explain.printable import shown

MAX_CHARACTERS = 2_000_000
MAX_VALUES = 100_000
MAX_DEPTH = 50

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_MERGE = "<<"
_MAX_DIRECTIVES = 10
_PLAIN: tuple[tuple[re.Pattern[str], Callable[[str], object]], ...] = (
    (re.compile(r"~|null|Null|NULL|"), lambda text: None),
    (re.compile(r"true|True|TRUE|false|False|FALSE"), lambda text: text[0] in "tT"),
    (re.compile(r"[-+]?0[_0-9]+"), lambda text: _ambiguous(text)),
    (re.compile(r"[-+]?[0-9][_0-9]*"), lambda text: _whole(text.replace("_", ""))),
    (re.compile(r"0x[0-9a-fA-F]+"), lambda text: int(text, 16)),
    (
        re.compile(r"[-+]?(\.[0-9]+|[0-9][_0-9]*(\.[0-9]*)?)([eE][-+]?[0-9]+)?"),
        lambda text: float(text.replace("_", "")),
    ),
    (re.compile(r"[-+]?\.(inf|Inf|INF)"), lambda text: -math.inf if text[0] == "-" else math.inf),
    (re.compile(r"\.(nan|NaN|NAN)"), lambda text: math.nan),
)
"""What is no text among scalars without quotes, by YAML's core schema; underscores as in YAML 1.1."""
_TAGS = {f"tag:yaml.org,2002:{name}" for name in ("null", "bool", "int", "float")}


class DocumentError(ValueError):
    """Text that is no document, or one that cannot be used; the message is the end of a sentence, without its stop."""


class _NotJsonError(DocumentError):
    """Text that may still be YAML."""


def decode(content: bytes) -> str:
    """UTF-8 with or without a byte order mark.

    Raises:
      DocumentError: it is in another encoding, or no text.
    """
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise DocumentError("is not text in UTF-8; save it in that encoding") from None


def parse_json(text: str | bytes, *, max_values: int | None = MAX_VALUES) -> object:
    """One JSON value.

    Raises:
      DocumentError: it is not JSON, names a key twice, holds NaN or an infinite number, or is too large or too deep.
    """
    text = decode(text) if isinstance(text, bytes) else text
    if max_values is not None:
        _check_size(text)
    try:
        data = json.loads(
            text, object_pairs_hook=_unique, parse_constant=_refuse_constant, parse_float=_finite, parse_int=_whole
        )
    except json.JSONDecodeError as error:
        raise _NotJsonError(f"is not valid JSON ({error})") from None
    except RecursionError:
        raise DocumentError(_TOO_DEEP) from None
    _check_shape(data, max_values)
    return data


def parse_yaml(text: str) -> object:
    """One YAML document, or JSON; None where it is empty.

    Raises:
      DocumentError: it is neither, or names a key twice, or is too large, too deep or more than plain data.
    """
    if text.lstrip().startswith("{"):
        with contextlib.suppress(_NotJsonError):
            return parse_json(text)
    _check_size(text)
    if len(re.findall(r"^%", text, re.MULTILINE)) > _MAX_DIRECTIVES:
        raise DocumentError("begins with more directives than a configuration needs; remove them")
    try:
        return _Builder().build(yaml.parse(text, Loader=_Loader))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        if isinstance(error, DocumentError):
            raise
        raise DocumentError(f"is neither YAML nor JSON: {_problem(error)}") from None


def _problem(error: Exception) -> str:
    """What a parser found, without the name that it gives to a text that came from no file."""
    return " ".join(str(error).replace('in "<unicode string>", ', "at ").split())


_TOO_DEEP = f"is nested more than {MAX_DEPTH} levels deep; no configuration needs that"
_TOO_MANY = f"holds more than {MAX_VALUES:,} values; list fewer features, or put them into groups"


def _check_size(text: str) -> None:
    if len(text) > MAX_CHARACTERS:
        raise DocumentError(
            f"is {len(text):,} characters long, at most {MAX_CHARACTERS:,} are read; check which file it is"
        )


def _check_shape(data: object, max_values: int | None) -> None:
    """Refuses what is too large or too deep, without recursion."""
    level, n_values = [data], 0
    for _ in range(MAX_DEPTH + 1):
        n_values += len(level)
        if max_values is not None and n_values > max_values:
            raise DocumentError(_TOO_MANY)
        level = list(_children(level))
        if not level:
            return
    raise DocumentError(_TOO_DEEP)


def _children(values: Iterable[object]) -> Iterator[object]:
    for value in values:
        if isinstance(value, dict):
            yield from value.values()
        elif isinstance(value, list):
            yield from value


def _unique(pairs: Iterable[tuple[str, object]]) -> dict[str, object]:
    made: dict[str, object] = {}
    for key, value in pairs:
        if key in made:
            raise DocumentError(f"has the key {shown(key)} twice in one mapping; keep one of them")
        made[key] = value
    return made


def _refuse_constant(name: str) -> NoReturn:
    raise DocumentError(f"holds {name}, which is no number in JSON; write a finite number")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise DocumentError(f"holds {shown(digits)}, which is too large for a number")
    return number


def _whole(digits: str) -> int:
    try:
        return int(digits)
    except ValueError:
        raise DocumentError(f"holds a whole number of {len(digits):,} digits; write a smaller one") from None


def _ambiguous(digits: str) -> NoReturn:
    raise DocumentError(
        f"holds {shown(digits)} without quotes, octal to some programs; quote it if it is text, or omit the 0"
    )


class _Builder:
    """Plain data from the events of a YAML parser; keeps its own stack, so that no depth can exhaust Python's."""

    def __init__(self) -> None:
        self._anchors: dict[str, tuple[object, int]] = {}  # complete values, and how many values are in each
        self._open_anchors: set[str] = set()
        self._stack: list[_Open] = []
        self._result: object = None

    def build(self, events: Iterable[yaml.Event]) -> object:
        n_documents = 0
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                n_documents += 1
                if n_documents > 1:
                    raise DocumentError("holds several documents (`---`); keep one")
            elif isinstance(event, yaml.ScalarEvent):
                self._add(_scalar(event), event.anchor, 1, event)
            elif isinstance(event, yaml.AliasEvent):
                self._alias(event)
            elif isinstance(event, yaml.CollectionStartEvent):
                self._open(event)
            elif isinstance(event, yaml.CollectionEndEvent):
                done = self._stack.pop()
                self._open_anchors.discard(done.anchor or "")
                self._add(done.finished(), done.anchor, done.n_values, event)
        return self._result

    def _open(self, event: yaml.CollectionStartEvent) -> None:
        if event.tag not in (None, "!", "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"):
            raise DocumentError(f"has the tag {shown(event.tag)}{_where(event)}; write plain mappings and lists")
        if len(self._stack) >= MAX_DEPTH:
            raise DocumentError(_TOO_DEEP)
        if event.anchor:
            self._open_anchors.add(event.anchor)
        kind: Literal["mapping", "list"] = "mapping" if isinstance(event, yaml.MappingStartEvent) else "list"
        self._stack.append(_Open(kind, event.anchor))

    def _alias(self, event: yaml.AliasEvent) -> None:
        if event.anchor in self._open_anchors:
            raise DocumentError(f"contains itself: `*{event.anchor}`{_where(event)} is inside of `&{event.anchor}`")
        if event.anchor not in self._anchors:
            raise DocumentError(f"names `*{event.anchor}`{_where(event)}, but there is no `&{event.anchor}` before it")
        value, n_values = self._anchors[event.anchor]
        self._add(value, None, n_values, event)

    def _add(self, value: object, anchor: str | None, n_values: int, event: yaml.Event) -> None:
        """A complete value, into what is open."""
        if anchor:
            self._anchors[anchor] = value, n_values
        # Values count as often as aliases repeat them, which is how often whoever walks through the data meets them.
        if self._stack:
            self._stack[-1].add(value, n_values, event)
        else:
            self._result = value


class _Open:
    """A mapping or a list that the parser is inside of."""

    def __init__(self, kind: Literal["mapping", "list"], anchor: str | None) -> None:
        self.kind = kind
        self.anchor = anchor
        self.n_values = 1
        self._items: list[object] = []
        self._mapping: dict[object, object] = {}
        self._merged: dict[object, object] = {}
        self._merges = False
        self._key: object = _NO_KEY

    def add(self, value: object, n_values: int, event: yaml.Event) -> None:
        self.n_values += n_values
        if self.n_values > MAX_VALUES:
            raise DocumentError(_TOO_MANY)
        if self.kind == "list":
            self._items.append(value)
        elif self._key is _NO_KEY:
            if isinstance(value, dict | list):
                raise DocumentError(f"has a mapping or a list as a key{_where(event)}; write text")
            if value in self._mapping or (value == _MERGE and self._merges):
                raise DocumentError(f"has the key {shown(value)} twice in one mapping{_where(event)}; keep one of them")
            self._key = value
        else:
            key, self._key = self._key, _NO_KEY
            if key == _MERGE:
                self._merge(value, event)
            else:
                self._mapping[key] = value

    def _merge(self, value: object, event: yaml.Event) -> None:
        """`<<: *other` or a list of those: their keys, where the mapping has none of its own; the first one wins."""
        self._merges = True
        for other in value if isinstance(value, list) else [value]:
            if not isinstance(other, dict):
                raise DocumentError(f"merges something that is no mapping{_where(event)}; `<<` takes mappings")
            for key, merged in other.items():
                self._merged.setdefault(key, merged)

    def finished(self) -> object:
        return self._items if self.kind == "list" else {**self._merged, **self._mapping}


_NO_KEY = object()


def _scalar(event: yaml.ScalarEvent) -> object:
    if (event.tag is None and not event.implicit[0]) or event.tag in ("!", "tag:yaml.org,2002:str"):
        return event.value
    if event.tag is not None and event.tag not in _TAGS:
        raise DocumentError(f"has the tag {shown(event.tag)}{_where(event)}; write plain values")
    for pattern, convert in _PLAIN:
        if pattern.fullmatch(event.value):
            return convert(event.value)
    return event.value


def _where(event: yaml.Event) -> str:
    return f" (line {event.start_mark.line + 1})" if event.start_mark else ""
