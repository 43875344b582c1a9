"""Writes `docs/conversion.md` from the tables of keys in `tfx_explain.conversion`.

make conversion-page
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from markdown_parts import as_table, code
from tfx_explain.conversion import KEYS, NAMES, Key, System

PAGE = Path(__file__).parents[1] / "docs/conversion.md"
INTRODUCTION = """# Keys of other systems

Made by `make conversion-page` from `components/tfx_explain/conversion/`; tests hold it to the systems' own schemas.

`tfx-explain convert` turns a configuration of SageMaker Clarify or Vertex AI into an ExplainConfig, as
[Coming from Clarify or Vertex AI](howto/migrate.md) shows. These are all keys of both, and what becomes of each:

- carried over: what it says is said by the keys named;
- carried over with a difference: the same, but for what stands there;
- given elsewhere: it is no part of a configuration here, but an argument of Explainer and of the command;
- not needed: nothing depends on it here;
- not carried over: it cannot be said here, for the reason that stands there.

A file may say more than a table: an index without the names of columns, or a number out of range, is not carried over
either. What became of each key of a file is told when it is converted. `[]` stands for each entry of a list, `*` for
any name, `<...>` for the feature that is meant.
"""
_SOURCES = {
    "clarify": "Keys are those of `analysis_config.json`, schema version 1.0.",
    "vertex": "Keys are those of an ExplanationSpec (`parameters` and `metadata`, together or each by itself, or in "
    "the description of a model that `gcloud ai models describe` prints), in snake case or camel case, and of the "
    "older `explanation_metadata.json` and `explanationConfig` of AI Platform. JSON and YAML are read.",
}


def page() -> str:
    """The whole page."""
    parts = [INTRODUCTION]
    for system, name in NAMES.items():
        rows = as_table(("key", "is", "becomes", "says"), _rows(system))
        parts.append(f"## {name}\n\n{_SOURCES[system]}\n\n{rows}")
    return "\n".join(parts)


def _rows(system: System) -> Iterator[tuple[str, str, str, str]]:
    """A row for each key that does not only hold others."""
    for key in KEYS[system].values():
        if not key.is_section:
            yield code(key.path), key.kind.words, _becomes(key), _sentence(key.says)


def _becomes(key: Key) -> str:
    places = [place if place.startswith("`") else code(place) for place in re.split(r", ", key.to) if place]
    return f"{key.fate.value}: {', '.join(places)}" if places else key.fate.value


def _sentence(says: str) -> str:
    return f"{says[:1].upper()}{says[1:]}." if says else ""


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
