"""A converted configuration as YAML that says where each key comes from, and what was not carried over."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import yaml

from tfx_explain.conversion.keys import Fate, Note
from tfx_explain.printable import printable

MADE_BY = "# Made by tfx-explain convert"
"""What a file begins with that may be written again."""
TOLD = (Fate.UNKNOWN, Fate.LOST, Fate.CHANGED, Fate.ELSEWHERE, Fate.NEEDLESS)
"""What is told, what matters most first; what is carried over as it is needs no word."""
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z_-]*")


class _Dumper(yaml.SafeDumper):
    """Quotes every text that some reader might take for something else."""

    def ignore_aliases(self, data: Any) -> bool:
        """Writes what is there twice out twice."""
        return True


def _quoted(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    style = None if _PLAIN.fullmatch(text) else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _quoted)


def as_yaml(config: Mapping[str, Any], notes: Sequence[Note], reasons: Mapping[str, str], source: str) -> str:
    """The configuration with comments.

    Args:
      config: keys of ExplainConfig.
      notes: what became of each key of the file.
      reasons: key -> why it is there, beside the keys of the file that it is made of.
      source: what it was made of.
    """
    lines = [f"{MADE_BY} of {printable(source)}."]
    for line in told(notes):
        lines.append(f"# {printable(line)}".rstrip())
    for key, value in config.items():
        lines.append("")
        because = [*_sources(key, notes), *([reasons[key]] if key in reasons else [])]
        if because:
            lines.append(f"# {printable('; '.join(because))}")
        lines.append(
            yaml.dump({key: value}, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=10_000).rstrip()
        )
    return "\n".join(lines) + "\n"


def told(notes: Iterable[Note]) -> list[str]:
    """What was not carried over as it is: a heading for each fate, then a line for each key."""
    notes = list(notes)
    lines = []
    for fate in TOLD:
        of_fate = [f"- {note}" for note in notes if note.fate is fate]
        lines += [f"{fate.value[0].upper()}{fate.value[1:]}:", *of_fate] if of_fate else []
    return lines


def _sources(key: str, notes: Iterable[Note]) -> list[str]:
    """The keys of the file that a key is made of."""
    made_of = (note.key for note in notes if any(_first(to) == key for to in note.to.split(", ")))
    listed = ", ".join(dict.fromkeys(made_of))
    return [f"from {listed}"] if listed else []


def _first(path: str) -> str:
    return path.partition(".")[0]
