"""Configurations of other systems, turned into an ExplainConfig: SageMaker Clarify's and Vertex AI's.

One table for each system has all of its keys and what becomes of each (`clarify_keys.py`, `vertex_keys.py`); what is
said of a key in a converted file, and the page about them, are made from it. Nothing of a file is passed over in
silence: a key that is not known is told as such.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from types import ModuleType
from typing import Literal

from tfx_explain import documents
from tfx_explain.config import ExplainConfig
from tfx_explain.config.files import read_text
from tfx_explain.conversion import clarify, vertex
from tfx_explain.conversion.clarify_keys import CLARIFY
from tfx_explain.conversion.document import Document, read, snake_case
from tfx_explain.conversion.keys import Fate, Key, Note
from tfx_explain.conversion.vertex_keys import VERTEX
from tfx_explain.conversion.writing import MADE_BY, as_yaml, told
from tfx_explain.errors import ConfigError

System = Literal["clarify", "vertex"]
NAMES: Mapping[System, str] = {"clarify": "SageMaker Clarify", "vertex": "Vertex AI"}
KEYS: Mapping[System, Mapping[str, Key]] = {"clarify": CLARIFY, "vertex": VERTEX}
_MAKERS: Mapping[System, ModuleType] = {"clarify": clarify, "vertex": vertex}

__all__ = ["KEYS", "MADE_BY", "NAMES", "Converted", "Fate", "Key", "Note", "System", "convert_file", "told"]


@dataclasses.dataclass(frozen=True)
class Converted:
    """What a file of another system has become.

    Attributes:
      config: the configuration; what the file does not say has its default.
      text: the same as YAML, with comments.
      notes: what became of each key of the file, in its order.
    """

    config: ExplainConfig
    text: str
    notes: tuple[Note, ...]


def convert_file(path: str, system: System, feature: str | None = None) -> Converted:
    """Turns a file of another system into a configuration.

    Args:
      path: of the file, or its URI: JSON; of Vertex AI YAML, too.
      system: whose it is.
      feature: what the feature with the image or the text is called, where the file does not say.

    Raises:
      ConfigError: the file cannot be read, is no configuration of that system, or asks for nothing that is computed
        here.
    """
    text = read_text(path)
    try:
        data = documents.parse_json(text) if system == "clarify" else documents.parse_yaml(text)
    except documents.DocumentError as error:
        raise ConfigError(f"{path} {error}.") from None
    if not isinstance(data, Mapping):
        raise ConfigError(
            f"{path} holds no mapping of keys to values; check that it is a configuration of {NAMES[system]}."
        )
    try:
        document = _document(data, system)
        draft = _MAKERS[system].draft_of(document, feature)
        config = ExplainConfig.from_dict(draft.finished())
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None
    notes = tuple(document.notes(draft.told))
    source = f"{path} ({NAMES[system]})"
    return Converted(config, as_yaml(draft.finished(), notes, draft.reasons, source), notes)


def _document(data: Mapping[str, object], system: System) -> Document:
    if system == "clarify":
        return read(data, CLARIFY, str)
    root, place, inner = vertex.place_of(data)
    document = read(inner, VERTEX, snake_case, root=root, place=place)
    others = [str(name) for name in data if place and name != place]
    return document.beside(others, "it is no part of the explanation's configuration")
