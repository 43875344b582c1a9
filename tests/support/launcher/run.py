"""Runs a compiled job task by task."""

from __future__ import annotations

import copy
import dataclasses
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from launcher import conditions
from launcher.containers import Container, ContainerError
from launcher.job import Job, Task
from launcher.store import Artifact, Outputs, Store, cache_key

VERTEX, OPEN_SOURCE = "Vertex AI Pipelines", "open-source Kubeflow Pipelines"

SUCCEEDED, CACHED, SKIPPED, FAILED = "succeeded", "cached", "skipped", "failed"


@dataclasses.dataclass(eq=False)
class Run:
    """What became of a job.

    Attributes:
      name: of the run.
      states: task -> succeeded, cached, skipped or failed; a task after one that failed is not there.
      outputs: task -> key -> its artifacts.
      parameters: task -> its output parameters.
      errors: task -> what each failed try said.
      seconds: task -> how long it took with all its tries.
    """

    name: str
    states: dict[str, str] = dataclasses.field(default_factory=dict)
    outputs: dict[str, Outputs] = dataclasses.field(default_factory=dict)
    parameters: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)
    errors: dict[str, list[str]] = dataclasses.field(default_factory=dict)
    seconds: dict[str, float] = dataclasses.field(default_factory=dict)

    def uri(self, task: str, key: str) -> str:
        """Where the one artifact of a key is."""
        (artifact,) = self.outputs[task][key]
        return str(artifact["uri"])

    def in_state(self, state: str) -> set[str]:
        """The tasks of which this became."""
        return {task for task, its in self.states.items() if its == state}


class Launcher:
    """Runs jobs whose artifacts and cache are shared, as those of one project are.

    Args:
      root: pipeline root, a directory.
      container: how to run a step's container.
      backend: VERTEX or OPEN_SOURCE.
      tries: how often a step may be started before its failure is that of the job.
    """

    def __init__(self, root: Path, container: Container, backend: str = VERTEX, tries: int = 1) -> None:
        self.store = Store()
        self._root, self._container, self._backend, self._tries = root, container, backend, tries
        self._n_runs = 0

    def run(self, path: Path, parameters: Mapping[str, Any] | None = None) -> Run:
        """Runs a compiled job until a task fails.

        Args:
          path: the compiled job. The open-source backend takes YAML only.
          parameters: values of the job's parameters.
        """
        if self._backend == OPEN_SOURCE and path.suffix != ".yaml":
            raise NotImplementedError(f"{self._backend} takes YAML, not {path.name}.")
        job = Job.read(path)
        self._n_runs += 1
        run = Run(str(self._n_runs))
        directory = self._root / job.name / run.name
        for task in job.tasks:
            started = time.monotonic()
            state = self._run_task(task, {**job.parameters, **(parameters or {})}, directory / task.name, run)
            run.states[task.name], run.seconds[task.name] = state, time.monotonic() - started
            if state == FAILED:
                break
        return run

    def _run_task(self, task: Task, parameters: Mapping[str, Any], directory: Path, run: Run) -> str:
        if any(run.states[name] == SKIPPED for name in task.upstream):
            return SKIPPED
        inputs = {
            "parameterValues": {
                name: _parameter(source, parameters, run) for name, source in task.inputs("parameters").items()
            },
            "artifacts": {
                name: {"artifacts": _artifacts(source, run)} for name, source in task.inputs("artifacts").items()
            },
        }
        condition = task.spec.get("triggerPolicy", {}).get("condition")
        if condition and not conditions.holds(condition, inputs):
            return SKIPPED
        if "container" in task.executor:
            return self._run_container(task, inputs, directory, run)
        if "resolver" in task.executor:
            run.outputs[task.name] = self._resolve(task, inputs)
        else:
            run.outputs[task.name] = self._import(task, parameters)
        return SUCCEEDED

    def _resolve(self, task: Task, inputs: Mapping[str, Any]) -> Outputs:
        if self._backend == OPEN_SOURCE:
            raise NotImplementedError(f"{self._backend} has no executor for the resolver {task.name}.")
        given = {name: value["artifacts"] for name, value in inputs["artifacts"].items()}
        queries = task.executor["resolver"]["outputArtifactQueries"]
        return {key: self.store.latest(query["filter"], given) for key, query in queries.items()}

    def _import(self, task: Task, parameters: Mapping[str, Any]) -> Outputs:
        importer = task.executor["importer"]
        source = importer["artifactUri"]
        uri = source["constant"] if "constant" in source else parameters[source["runtimeParameter"]]
        (key,) = task.outputs("artifacts")
        artifact = {"name": self.store.new_name(), "uri": uri, "type": importer["typeSchema"]}
        outputs = {key: [{**artifact, "metadata": dict(importer.get("metadata", {}))}]}
        self.store.add(outputs)
        return outputs

    def _run_container(self, task: Task, inputs: dict[str, Any], directory: Path, run: Run) -> str:
        directory.mkdir(parents=True)
        container = task.executor["container"]
        executor_input = {"inputs": inputs, "outputs": self._outputs(task, directory)}
        check = container.get("lifecycle", {}).get("preCacheCheck")
        if check and self._backend == VERTEX:
            self._start(check, executor_input, directory)
            _take(executor_input)
        key = cache_key(container, executor_input, task.component.get("outputDefinitions", {}))
        caches = task.spec.get("cachingOptions", {}).get("enableCache", False)
        known = self.store.cached(key) if caches else None
        if known is not None:
            run.outputs[task.name] = known
            return CACHED
        if not self._try(task, container, executor_input, directory, run):
            return FAILED
        run.parameters[task.name] = _take(executor_input)
        outputs = {name: value["artifacts"] for name, value in executor_input["outputs"]["artifacts"].items()}
        for artifacts in outputs.values():
            for artifact in artifacts:
                artifact.setdefault("name", self.store.new_name())
        run.outputs[task.name] = outputs
        self.store.add(outputs)
        if caches:
            self.store.cache(key, outputs)
        return SUCCEEDED

    def _outputs(self, task: Task, directory: Path) -> dict[str, Any]:
        """The outputs of an ExecutorInput. A step that is tried again gets the same ones."""
        artifacts: dict[str, Any] = {}
        for key, definition in task.outputs("artifacts").items():
            artifact: Artifact = {"uri": str(directory / key), "type": definition["artifactType"], "metadata": {}}
            # On the open-source backend artifacts have a name, which is their id, once they are there.
            name = {"name": self.store.new_name()} if self._backend == VERTEX else {}
            artifacts[key] = {"artifacts": [{**name, **artifact}]}
        return {
            "artifacts": artifacts,
            "parameters": {key: {"outputFile": str(directory / key)} for key in task.outputs("parameters")},
            "outputFile": str(directory / "executor_output.json"),
        }

    def _try(
        self, task: Task, container: Mapping[str, Any], executor_input: Mapping[str, Any], directory: Path, run: Run
    ) -> bool:
        for _ in range(self._tries):
            try:
                self._start(container, executor_input, directory)
            except ContainerError as error:
                run.errors.setdefault(task.name, []).append(str(error))
            else:
                return True
        return False

    def _start(self, container: Mapping[str, Any], executor_input: Mapping[str, Any], directory: Path) -> None:
        told = json.dumps(executor_input)
        command = [*container["command"], *container.get("args", [])]
        self._container([word.replace("{{$}}", told) for word in command], directory / "log.txt")


def _parameter(source: Mapping[str, Any], parameters: Mapping[str, Any], run: Run) -> Any:
    if "runtimeValue" in source:
        value = source["runtimeValue"]["constant"]
        return run.name if value == "{{$.pipeline_job_uuid}}" else value
    if "componentInputParameter" in source:
        return parameters[source["componentInputParameter"]]
    output = source["taskOutputParameter"]
    return run.parameters[output["producerTask"]][output["outputParameterKey"]]


def _artifacts(source: Mapping[str, Any], run: Run) -> list[Artifact]:
    output = source["taskOutputArtifact"]
    return copy.deepcopy(run.outputs[output["producerTask"]][output["outputArtifactKey"]])


def _take(executor_input: dict[str, Any]) -> dict[str, Any]:
    """Puts what an ExecutorOutput says into the ExecutorInput: a driver's parameters, and artifacts' metadata and URI.

    Returns:
      The output parameters.
    """
    output = json.loads(Path(executor_input["outputs"]["outputFile"]).read_text("utf-8"))
    values: dict[str, Any] = output.get("parameterValues", {})
    executor_input["inputs"]["parameterValues"].update(values)
    for key, made in output.get("artifacts", {}).items():
        for artifact, said in zip(
            executor_input["outputs"]["artifacts"][key]["artifacts"], made["artifacts"], strict=True
        ):
            artifact["metadata"].update(said.get("metadata", {}))
            artifact["uri"] = said.get("uri", artifact["uri"])
    return values
