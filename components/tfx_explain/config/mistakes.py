"""What is wrong with a configuration: the first mistake that pydantic finds, as one sentence."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from tfx_explain.printable import printable, shortened, shown

_LIST, _MAPPING = "a list", "a mapping of keys to values"
_NEEDED = {
    "tuple_type": _LIST,
    "list_type": _LIST,
    "dict_type": _MAPPING,
    "model_type": _MAPPING,
    "string_type": "text",
}
"""Pydantic's kinds of mistakes about what only Python has a name for -> what whoever writes YAML has to write."""

_MAX_SHOWN = 80
_MAX_TOLD = 600


def sentence_of(model: type[BaseModel], error: ValidationError) -> str:
    """The first mistake of a pydantic error as one sentence: where, what, what to do."""
    # A misspelt key also makes its section lack the right one; only the first of the two helps.
    first = min(error.errors(include_url=False), key=lambda mistake: mistake["type"] != "extra_forbidden")
    loc = _without_tags(model, first["loc"])
    path = [shortened(str(part), _MAX_SHOWN) for part in loc]
    more = f" ({error.error_count() - 1} more after this one.)" if error.error_count() > 1 else ""
    if first["type"] == "extra_forbidden":
        known, others = _known_keys(model, first["loc"][:-1]), _known_keys(model, loc[:-1])
        near = [
            *difflib.get_close_matches(path[-1], known, n=1),
            *difflib.get_close_matches(path[-1], [name for name in others if name != path[-1]], n=1),
        ]
        hint = f"did you mean `{near[0]}`?" if near else f"known keys: {', '.join(known)}."
        where = f" under `{'.'.join(path[:-1])}`" if path[:-1] else ""
        return f"unknown key `{path[-1]}`{where} in {model.__name__}; {hint}{more}"
    where = f"`{'.'.join(path)}` in {model.__name__}" if path else model.__name__
    return f"{where}: {shortened(_what_is_wrong(first), _MAX_TOLD)}{_got(first)}.{more}"


def _what_is_wrong(mistake: ErrorDetails) -> str:
    if mistake["type"] in _NEEDED:
        return f"{_NEEDED[mistake['type']]} is needed here"
    text = str(mistake["msg"]).removeprefix("Value error, ").rstrip(".")
    return f"{text[:1].lower()}{text[1:]}"


def _got(mistake: ErrorDetails) -> str:
    value = mistake["input"]
    if _NEEDED.get(mistake["type"]) == _LIST and isinstance(value, str):
        return f", such as [{shortened(printable(value), _MAX_SHOWN)}]"
    return "" if isinstance(value, Mapping | BaseModel) else f", got {shown(value, _MAX_SHOWN)}"


def _known_keys(model: type[BaseModel], loc: Sequence[str | int]) -> list[str]:
    """The keys that a section of a configuration accepts, or those of all kinds that may stand there."""
    return list(dict.fromkeys(name for found in _models_at(model, loc) for name in found.model_fields))


def _models_at(model: type[BaseModel], loc: Sequence[str | int]) -> list[type[BaseModel]]:
    """The sections that may stand at a place of a configuration; one where its tag is part of the place."""
    found = [model]
    for part in loc:
        tagged = [one for one in found if one.__name__ == part]
        of_field = [one.model_fields[part] for one in found if isinstance(part, str) and part in one.model_fields]
        # What is neither is a place in a list, or a key of a mapping.
        found = tagged or [inner for field in of_field for inner in models_in(field.annotation)] or found
    return found


def _without_tags(model: type[BaseModel], loc: Sequence[str | int]) -> list[str | int]:
    """A place without what only says which of several kinds of sections stands there."""
    places = range(len(loc))
    return [loc[i] for i in places if loc[i] not in [one.__name__ for one in _models_at(model, loc[:i])]]


def models_in(annotation: object) -> list[type[BaseModel]]:
    """The sections that a field of this type may hold."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in get_args(annotation) for model in models_in(argument)]
