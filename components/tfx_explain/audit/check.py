"""What one check says, and how files that others wrote are read for it."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from tfx_explain import documents
from tfx_explain.listed_files import Difference

State = Literal["unchanged", "changed", "gone", "not recorded", "not checked"]
_WORDS = {"gone": "is gone", "added": "was added", "changed": "was changed"}


class Check(NamedTuple):
    """What became of one thing.

    Attributes:
      what: the kind of thing.
      uri: where it is, or was.
      state: `gone` where it was cleaned away as a whole; `not recorded` where the store holds nothing to compare it
        with, as of earlier versions; `not checked` where its storage did not answer.
      why: what differs, in a sentence; empty where nothing does.
    """

    what: str
    uri: str
    state: State
    why: str = ""


def told(differing: Difference) -> str:
    """What became of a file, in a sentence."""
    return f"{differing.uri} {_WORDS[differing.what]}"


def json_object(content: bytes) -> dict[str, Any] | None:
    """The JSON object in a file; None where it holds something else."""
    try:
        found = documents.parse_json(content, max_values=None)
    except documents.DocumentError:
        return None
    return found if isinstance(found, dict) else None
