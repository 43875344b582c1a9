"""Types of a JSON schema in plain words."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from markdown_parts import code

_NOUNS = {
    "string": ("text", "texts"),
    "integer": ("a whole number", "whole numbers"),
    "number": ("a number", "numbers"),
    "null": ("`null`", "`null`"),
    "boolean": ("`true` or `false`", "`true` or `false`"),
}

_ENDS = {"minimum": "of at least", "exclusiveMinimum": "above", "maximum": "at most", "exclusiveMaximum": "below"}


def in_words(schema: Mapping[str, Any], named: Callable[[str], str], *, many: bool = False) -> str:
    """What a value of this schema may be.

    Args:
      schema: a part of a JSON schema.
      named: what a definition is called that the schema refers to.
      many: whether several such values are meant.
    """
    if "$ref" in schema:
        return named(schema["$ref"].rsplit("/", 1)[1])
    if not {"anyOf", "oneOf", "const", "enum"}.isdisjoint(schema):
        found = list(dict.fromkeys(_alternatives(schema, named, many=many)))
        # What ends in alternatives of its own comes last.
        *first, last = sorted(found, key=lambda words: words.startswith("lists"))
        return f"{', '.join(first)} or {last}" if first else last
    if schema["type"] == "array":
        return _list(schema, named, many=many)
    if schema["type"] == "object":
        return _mapping(schema, named, many=many)
    return f"{_NOUNS[schema['type']][many]}{_range(schema)}"


def _alternatives(schema: Mapping[str, Any], named: Callable[[str], str], *, many: bool) -> Iterator[str]:
    kinds = [*schema.get("anyOf", ()), *schema.get("oneOf", ())]
    for one in kinds:
        if not (one == {"type": "integer"} and {"type": "number"} in kinds):
            yield from _alternatives(one, named, many=many)
    values = [schema["const"]] if "const" in schema else schema.get("enum", [])
    yield from (code(json.dumps(value).strip('"')) for value in values)
    if {"anyOf", "oneOf", "const", "enum"}.isdisjoint(schema):
        yield in_words(schema, named, many=many)


def _list(schema: Mapping[str, Any], named: Callable[[str], str], *, many: bool) -> str:
    if "prefixItems" in schema:
        items = schema["prefixItems"]
        of = f"{len(items)} {in_words(items[0], named, many=True)}"
    else:
        least = f"{schema['minItems']} or more " if "minItems" in schema else ""
        of = f"{least}{in_words(schema['items'], named, many=True)}"
    return f"{'lists' if many else 'a list'} of {of}"


def _mapping(schema: Mapping[str, Any], named: Callable[[str], str], *, many: bool) -> str:
    if "properties" in schema:
        (name, settings), *_ = schema["properties"].items()
        return code(f"{name}: {settings['const']}")
    values = in_words(schema["additionalProperties"], named, many=True)
    return f"{'mappings' if many else 'a mapping'} of names to {values}"


def _range(schema: Mapping[str, Any]) -> str:
    """The ends of a number, and what it is a multiple of."""
    ends = {key: f"{schema[key]:,}" for key in _ENDS if key in schema}
    if set(ends) == {"minimum", "maximum"}:
        between = f" from {ends['minimum']} to {ends['maximum']}"
    elif set(ends) == {"minimum"}:
        between = f" from {ends['minimum']} on"
    else:
        between = " and".join(f" {_ENDS[key]} {end}" for key, end in ends.items())
    return between + (f", a multiple of {schema['multipleOf']}" if "multipleOf" in schema else "")
