"""What a compiled job says: its tasks in an order that they can run in."""

from __future__ import annotations

import dataclasses
import graphlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml


@dataclasses.dataclass(frozen=True, eq=False)
class Task:
    """One task of a job.

    Attributes:
      name: of the task.
      spec: its PipelineTaskSpec.
      component: the ComponentSpec that it refers to.
      executor: how it is executed: `container`, `importer` or `resolver`.
    """

    name: str
    spec: Mapping[str, Any]
    component: Mapping[str, Any]
    executor: Mapping[str, Any]

    def inputs(self, kind: str) -> Mapping[str, Any]:
        """Where its `artifacts` or `parameters` come from."""
        return self.spec.get("inputs", {}).get(kind, {})

    def outputs(self, kind: str) -> Mapping[str, Any]:
        """What its `artifacts` or `parameters` are."""
        return self.component.get("outputDefinitions", {}).get(kind, {})

    @property
    def upstream(self) -> set[str]:
        """The tasks that come before it: those it names, and those whose outputs it takes."""
        sources = [*self.inputs("artifacts").values(), *self.inputs("parameters").values()]
        taken = [source.get("taskOutputArtifact") or source.get("taskOutputParameter") for source in sources]
        return {*self.spec.get("dependentTasks", []), *(source["producerTask"] for source in taken if source)}


@dataclasses.dataclass(frozen=True, eq=False)
class Job:
    """A compiled job.

    Attributes:
      name: of the pipeline.
      parameters: defaults of its parameters, of those that have one.
      tasks: in an order that they can run in.
    """

    name: str
    parameters: Mapping[str, Any]
    tasks: tuple[Task, ...]

    @classmethod
    def read(cls, path: Path) -> Job:
        """Reads a PipelineSpec in YAML, or a PipelineJob in JSON."""
        text = path.read_text("utf-8")
        spec = yaml.safe_load(text) if path.suffix in (".yaml", ".yml") else json.loads(text)["pipelineSpec"]
        if spec["schemaVersion"] != "2.1.0":
            raise NotImplementedError(f"{path} has schema {spec['schemaVersion']}, not 2.1.0.")
        executors = spec["deploymentSpec"]["executors"]
        tasks = {}
        for name, task in spec["root"]["dag"]["tasks"].items():
            component = spec["components"][task["componentRef"]["name"]]
            tasks[name] = Task(name, task, component, executors[component["executorLabel"]])
        order = graphlib.TopologicalSorter({name: sorted(tasks[name].upstream) for name in sorted(tasks)})
        parameters = spec["root"].get("inputDefinitions", {}).get("parameters", {})
        return cls(
            spec["pipelineInfo"]["name"],
            {name: one["defaultValue"] for name, one in parameters.items() if "defaultValue" in one},
            tuple(tasks[name] for name in order.static_order()),
        )
