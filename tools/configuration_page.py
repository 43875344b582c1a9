"""Writes `docs/configuration.md` from the descriptions and examples of the keys in `tfx_explain.config`.

make configuration-page
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from configuration_sections import ALTERNATIVES, EXPLAIN, METHODS, RULES, SECTIONS, VALIDATE, Section
from json_types import in_words
from markdown_parts import as_table, code, link
from tfx_explain.config.rules import AttributionRule

PAGE = Path(__file__).parents[1] / "docs/configuration.md"
INTRODUCTION = """# Configuration

Made by `make configuration-page` from `components/tfx_explain/config/`; a test runs every example.

An ExplainConfig says what Explainer computes, a ValidationConfig what ExplanationValidator demands of it. Both are
built in Python, as `ExplainConfig(max_examples=2_000)`, or read from YAML or JSON, by `ExplainConfig.from_file(path)`
and `--config` of the command line.

- A key that is left out has its default; keys that are "needed" have none. Keys that are not known are refused, and so
  are values of another type than is said here: a number is neither a text nor `true`.
- Every mistake that a configuration shows by itself is one sentence when it is built; names that data and model do not
  have are found before the run, by the first rows.
- `ExplainConfig.json_schema()` and `ValidationConfig.json_schema()` give editors and other programs the same types,
  sentences and examples.

A player is a feature, or a group of features that is explained as one. Its importance is the mean size of its
attributions, and the total importance is the sum over all players.
"""
METHODS_TEXT = """## Methods

`methods` of an ExplainConfig lists these, each at most once: a mapping with the method's name as its only key, or the
bare name where none of its settings is needed. What they answer, and how: [attributions.md](attributions.md).
"""
RULES_TEXT = """## Rules

`rules` of a ValidationConfig lists these, as often as there are different demands: a mapping with the rule's name as
its only key. Rules about attributions have this key, too:
"""
_METHOD = "method"
_HEADING = ("key", "type", "default", "says", "example")


def page() -> str:
    """The whole page."""
    parts = [INTRODUCTION, _contents()]
    parts += [_described(section, 2 if section is EXPLAIN[0] else 3) for section in EXPLAIN]
    parts += [METHODS_TEXT, *(_described(section, 3) for section in METHODS)]
    parts += [_described(section, 2) for section in VALIDATE]
    of_all = _row(_METHOD, AttributionRule.model_fields[_METHOD], _keys(RULES[0])[_METHOD])
    parts.append(f"{RULES_TEXT}\n{as_table(_HEADING, [of_all])}")
    parts += [_described(section, 3) for section in RULES]
    return "\n".join(parts)


def _contents() -> str:
    """Links to all sections."""
    lines = [
        f"- {link('ExplainConfig', 'ExplainConfig')}: {_links(EXPLAIN[1:])}",
        f"- {link('Methods', 'Methods')}: {_links(METHODS)}",
        f"- {link('ValidationConfig', 'ValidationConfig')}: {link('`slicing_specs`', '`slicing_specs`')}",
        f"- {link('Rules', 'Rules')}: {_links(RULES)}",
    ]
    return "\n".join(lines) + "\n"


def _links(sections: Sequence[Section]) -> str:
    return ", ".join(link(section.heading, section.heading) for section in sections)


def _described(section: Section, depth: int) -> str:
    """One section: what it is for, its keys, examples."""
    parts = [f"{'#' * depth} {section.heading}", inspect.getdoc(section.settings).split("\n\n")[0].replace("\n", " ")]
    before = SECTIONS[: SECTIONS.index(section)]
    same = next((other for other in before if issubclass(other.settings, section.settings)), None)
    if same is None:
        parts.append(as_table(_HEADING, _rows(section)).rstrip())
    else:
        left_out = [code(name) for name in same.settings.model_fields if name not in section.settings.model_fields]
        parts.append(f"Keys are those of {link(same.heading, same.heading)}, but for {', '.join(left_out)}.")
    parts += [f"```yaml\n{_block(section.whole(settings))}```" for settings in section.examples]
    return "\n\n".join(parts) + "\n"


def _rows(section: Section) -> Iterator[tuple[str, ...]]:
    """A row for each key, those of the class itself before those that others have, too."""
    is_rule = issubclass(section.settings, AttributionRule)
    names = [name for kind in section.settings.__mro__ for name in getattr(kind, "__annotations__", {})]
    for name in dict.fromkeys(names):
        if name in section.settings.model_fields and not (is_rule and name == _METHOD):
            yield _row(name, section.settings.model_fields[name], _keys(section)[name])


def _keys(section: Section) -> dict[str, dict[str, Any]]:
    """The JSON schemas of its keys."""
    schema = section.config.json_schema()
    of_section = schema if section.settings is section.config else schema["$defs"][section.settings.__name__]
    return dict(of_section["properties"])


def _row(name: str, field: FieldInfo, schema: dict[str, Any]) -> tuple[str, ...]:
    examples = "<br>".join(code(_entry(name, example)) for example in field.examples or ())
    return code(name), in_words(schema, _linked), _default(field), _sentence(field.description or ""), examples


def _linked(name: str) -> str:
    """The settings that a schema refers to, in words."""
    for heading, kind in ALTERNATIVES.items():
        if name == kind.__name__:
            return link(heading, heading.lower())
    section = next(section for section in SECTIONS if section.settings.__name__ == name)
    what, _, place = section.heading.partition(" inside ")
    return f"settings of {link(section.heading, what.lower())}" if place else link(section.heading, "settings")


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "needed"
    value = field.get_default(call_default_factory=True)
    if isinstance(value, BaseModel):
        return "those there"
    if isinstance(value, tuple):
        value = [one.model_dump(exclude_defaults=True) if isinstance(one, BaseModel) else one for one in value]
    return code(_flow(value))


def _sentence(description: str) -> str:
    return f"{description[:1].upper()}{description[1:]}."


def _flow(value: object) -> str:
    """A value as YAML in one line."""
    return yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=10_000).removesuffix("...\n").strip()


def _entry(name: str, value: object) -> str:
    """A key and its value as YAML in one line."""
    return _flow({name: value})[1:-1]


def _block(config: dict[str, Any]) -> str:
    """A configuration as YAML, lists of sections with one in each line."""
    lines = []
    for name, value in config.items():
        if not (isinstance(value, list) and any(isinstance(one, dict) for one in value)):
            lines.append(_entry(name, value))
            continue
        lines.append(f"{name}:")
        lines += [
            f"  - {_entry(*next(iter(one.items()))) if len(one) == 1 else _flow(one)}"
            if isinstance(one, dict)
            else f"  - {one}"
            for one in value
        ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
