"""What a verdict says wherever and whenever it was come to."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tfx_explain import tables

_OF_FILES = "_uri", "_digest", "_digests"
"""Ends of the keys about files: places differ from run to run, and so do digests of files that name places."""


def read(uri: str) -> dict[str, Any]:
    """Whether a verdict blesses, what it promises, and every entry of every finding, by a name for people."""
    verdict = json.loads(Path(uri, tables.FINDINGS).read_text("utf-8"))
    findings = verdict.pop("findings")
    said = {key: value for key, value in verdict.items() if not key.endswith(_OF_FILES)}
    said["the number of findings"] = len(findings)
    for n, finding in enumerate(findings, 1):
        said |= {f"`{key}` of finding {n} ({finding['rule']})": value for key, value in finding.items()}
    return said


def n_findings(said: Mapping[str, Any]) -> int:
    """How many findings there are in what `read` gives."""
    return int(said["the number of findings"])


def name(said: Mapping[str, Any]) -> str:
    """The word for what `read` gives."""
    return "blessed" if said["blessed"] else "refused"


def difference(found: Mapping[str, Any], expected: Mapping[str, Any]) -> str:
    """The first thing in which two verdicts differ, in a sentence; empty where they say the same.

    Args:
      found: what `read` gives of one.
      expected: the same of the other.
    """
    for entry in {**expected, **found}:
        one, other = (said.get(entry, "not there") for said in (found, expected))
        if one != other:
            return f"{entry} is {one!r}, not {other!r}."
    return ""
