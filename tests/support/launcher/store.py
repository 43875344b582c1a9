"""What ML Metadata is to a launcher: the artifacts that runs made, and what each cached step gave."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

Artifact = dict[str, Any]
"""A RuntimeArtifact as JSON: `name`, `uri`, `type`, `metadata`."""

Outputs = dict[str, list[Artifact]]
"""The artifacts of one task by their key."""

_PLACEHOLDER = re.compile(r"\{\{\$\.inputs\.artifacts\['([^']+)'\]\.metadata\['([^']+)'\]\}\}")


class Store:
    """Artifacts of all runs, the oldest first, and outputs by cache key."""

    def __init__(self) -> None:
        self._artifacts: list[Artifact] = []
        self._cached: dict[str, Outputs] = {}
        self._named = 0

    def new_name(self) -> str:
        """A name that no artifact has."""
        self._named += 1
        return f"projects/1/locations/here/metadataStores/default/artifacts/{self._named}"

    def add(self, outputs: Outputs) -> None:
        """Remembers what a step that ended well made."""
        self._artifacts += [artifact for artifacts in outputs.values() for artifact in artifacts]

    def cached(self, key: str) -> Outputs | None:
        """What a step with this key gave."""
        return self._cached.get(key)

    def cache(self, key: str, outputs: Outputs) -> None:
        """Remembers what a step with this key gave."""
        self._cached[key] = outputs

    def latest(self, query: str, inputs: Mapping[str, Sequence[Artifact]]) -> list[Artifact]:
        """The newest artifact that a resolver's query finds: one or none.

        Args:
          query: terms joined by AND; placeholders in it stand for the metadata of inputs.
          inputs: of the resolver.
        """
        for key, entry in _PLACEHOLDER.findall(query):
            if not inputs[key]:
                return []
            query = _PLACEHOLDER.sub(str(inputs[key][0]["metadata"][entry]), query, count=1)
        terms = [re.fullmatch(r"([\w.]+)=\"?([^\"]*)\"?", term) for term in query.split(" AND ")]
        if not all(terms):
            raise NotImplementedError(f"queries like {query} are not known here.")
        wanted = [match.groups() for match in terms if match]
        found = [artifact for artifact in self._artifacts if all(_meets(artifact, *term) for term in wanted)]
        return found[-1:]


def _meets(artifact: Artifact, field: str, value: str) -> bool:
    if field == "schema_title":
        return title(artifact["type"]) == value
    if field == "state":
        return value == "LIVE"
    if field == "name":
        return str(artifact["name"]) == value
    kind, key, what = field.split(".")
    if (kind, what) != ("metadata", "number_value"):
        raise NotImplementedError(f"queries have no {field} here.")
    number = artifact["metadata"].get(key)
    return isinstance(number, int | float) and float(number) == float(value)


def title(kind: Mapping[str, str]) -> str:
    """The title of an ArtifactTypeSchema."""
    return kind["schemaTitle"] if "schemaTitle" in kind else yaml.safe_load(kind["instanceSchema"])["title"]


def cache_key(container: Mapping[str, Any], executor_input: Mapping[str, Any], outputs: Mapping[str, Any]) -> str:
    """What tells executions apart: the container, parameters, names of the input artifacts, and what comes out."""
    inputs = executor_input["inputs"]
    given = {key: [artifact["name"] for artifact in value["artifacts"]] for key, value in inputs["artifacts"].items()}
    told = [container, inputs["parameterValues"], given, outputs]
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()
