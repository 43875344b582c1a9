"""The artifacts that explanations, verdicts and pushes are about, and the executions that made them.

A few queries over whole tables, however many artifacts there are; what has nothing to do with these is not read.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tfx_explain.audit.stores import Store

EXPLANATION = "tfx_explain.Explanation"
VALIDATION = "tfx_explain.ExplanationValidation"
PUSHED_MODEL = "PushedModel"

Value = str | int | float

_PENDING, _ABANDONED = 1, 5
_DELETED = {3: "marked for deletion", 4: "deleted"}
_OUTPUT, _INPUT = 4, 3
_CACHED = 5

# The components of `kfp_component` make artifacts of Kubeflow's own type, which their properties tell apart.
_KUBEFLOW, _MARK = "system.Artifact", "manifest_digest"

_KINDS = ", ".join(f"'{kind}'" for kind in (EXPLANATION, VALIDATION, PUSHED_MODEL))
_MARKED = f"SELECT artifact_id FROM ArtifactProperty WHERE name = '{_MARK}'"
_OF_KINDS = (
    "SELECT a.id FROM Artifact a JOIN Type t ON t.id = a.type_id "
    f"WHERE t.name IN ({_KINDS}) OR (t.name = '{_KUBEFLOW}' AND a.id IN ({_MARKED}))"
)
_MAKERS = f"SELECT execution_id FROM Event WHERE type = {_OUTPUT} AND artifact_id IN ({_OF_KINDS})"
_AROUND = f"SELECT artifact_id FROM Event WHERE execution_id IN ({_MAKERS})"
_ARTIFACTS = f"(a.id IN ({_OF_KINDS}) OR a.id IN ({_AROUND}))"


@dataclasses.dataclass(frozen=True)
class Artifact:
    """An artifact as the store has it.

    Attributes:
      id: the store's own.
      kind: name of its type; of what components of Kubeflow made, that of the same thing in TFX.
      uri: where it is, or was.
      created: milliseconds since 1970, UTC.
      deleted: `deleted` or `marked for deletion`, as whoever cleaned up says; empty of others.
      properties: by name.
    """

    id: int
    kind: str
    uri: str
    created: int
    deleted: str
    properties: Mapping[str, Value]

    def text(self, name: str) -> str | None:
        """A property that is a text; None where it was not recorded."""
        value = self.properties.get(name)
        return value if isinstance(value, str) else None

    def number(self, name: str) -> int | None:
        """A property that is a whole number, which Kubeflow keeps as a double; None where it was not recorded."""
        value = self.properties.get(name)
        return int(value) if isinstance(value, int | float) and value % 1 == 0 else None


@dataclasses.dataclass
class Execution:
    """What made artifacts of others.

    Attributes:
      id: the store's own.
      is_cached: whether it only handed on what an earlier one had made.
      properties: by name; those of a component are its parameters.
      inputs: key -> artifacts.
      outputs: key -> artifacts.
      contexts: type -> name, of pipeline and run.
    """

    id: int
    is_cached: bool
    properties: dict[str, Value] = dataclasses.field(default_factory=dict)
    inputs: dict[str, list[Artifact]] = dataclasses.field(default_factory=dict)
    outputs: dict[str, list[Artifact]] = dataclasses.field(default_factory=dict)
    contexts: dict[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Lineage:
    """What was read.

    Attributes:
      artifacts: those that were published, the oldest first.
      makers: artifact id -> the execution that made it.
    """

    artifacts: Sequence[Artifact]
    makers: Mapping[int, Execution]

    def of_kind(self, kind: str) -> list[Artifact]:
        """The artifacts of a type, the oldest first."""
        return [artifact for artifact in self.artifacts if artifact.kind == kind]

    def input(self, made: Artifact | None, key: str) -> Artifact | None:
        """What the maker of an artifact was given; None where it is not known or was given none."""
        maker = None if made is None else self.makers.get(made.id)
        return next(iter(maker.inputs.get(key, [])), None) if maker else None

    def beside(self, made: Artifact | None, key: str) -> Artifact | None:
        """What the maker of an artifact made as another output."""
        maker = None if made is None else self.makers.get(made.id)
        return next(iter(maker.outputs.get(key, [])), None) if maker else None


def read_lineage(store: Store) -> Lineage:
    """All of a store that explanations, verdicts and pushes are about.

    Raises:
      InputError: the store cannot be read.
    """
    artifacts = {artifact.id: artifact for artifact in _artifacts(store)}
    executions = _executions(store)
    of_makers = f"FROM Event WHERE execution_id IN ({_MAKERS})"
    paths = f"SELECT event_id, step_key FROM EventPath WHERE event_id IN (SELECT id {of_makers})"
    keys = {event: key for event, key in store.rows(paths) if key is not None}
    makers: dict[int, Execution] = {}
    events = f"SELECT id, artifact_id, execution_id, type {of_makers} ORDER BY id"
    for event, artifact_id, execution_id, kind in store.rows(events):
        artifact, execution = artifacts.get(artifact_id), executions.get(execution_id)
        if artifact is None or execution is None or kind not in (_INPUT, _OUTPUT):
            continue
        side = execution.inputs if kind == _INPUT else execution.outputs
        side.setdefault(keys.get(event, ""), []).append(artifact)
        if kind == _OUTPUT and (artifact_id not in makers or makers[artifact_id].is_cached):
            makers[artifact_id] = execution
    return Lineage(sorted(artifacts.values(), key=lambda one: (one.created, one.id)), makers)


def _artifacts(store: Store) -> Iterable[Artifact]:
    properties = _properties(
        store,
        f"SELECT %s FROM ArtifactProperty p JOIN Artifact a ON a.id = p.artifact_id WHERE {_ARTIFACTS}",
        "artifact_id",
    )
    query = (
        "SELECT a.id, t.name, a.uri, a.state, a.create_time_since_epoch "
        f"FROM Artifact a JOIN Type t ON t.id = a.type_id WHERE {_ARTIFACTS}"
    )
    for number, kind, uri, state, created in store.rows(query):
        if state not in (_PENDING, _ABANDONED):
            found = properties.get(number, {})
            if kind == _KUBEFLOW and _MARK in found:
                kind = VALIDATION if "blessed" in found else EXPLANATION
            yield Artifact(number, kind, uri or "", created or 0, _DELETED.get(state, ""), found)


def _executions(store: Store) -> dict[int, Execution]:
    query = f"SELECT id, last_known_state FROM Execution WHERE id IN ({_MAKERS})"
    found = {number: Execution(number, state == _CACHED) for number, state in store.rows(query)}
    asked = f"SELECT %s FROM ExecutionProperty p WHERE p.execution_id IN ({_MAKERS})"
    for number, properties in _properties(store, asked, "execution_id").items():
        if number in found:
            found[number].properties = properties
    contexts = (
        "SELECT s.execution_id, t.name, c.name FROM Association s JOIN Context c ON c.id = s.context_id "
        "JOIN Type t ON t.id = c.type_id WHERE t.name IN ('pipeline', 'pipeline_run') "
        f"AND s.execution_id IN ({_MAKERS})"
    )
    for number, kind, name in store.rows(contexts):
        if number in found:
            found[number].contexts[kind] = name
    return found


def _properties(store: Store, query: str, owner: str) -> dict[int, dict[str, Value]]:
    """Id -> name -> value; a custom property comes before a declared one of the same name."""
    columns = f"p.{owner}, p.name, p.int_value, p.double_value, p.string_value"
    found: dict[int, dict[str, Value]] = {}
    for number, name, *values in store.rows(query % columns + " ORDER BY p.is_custom_property"):
        value: Any = next((value for value in values if value is not None), None)
        if value is not None:
            found.setdefault(number, {})[name] = value
    return found
