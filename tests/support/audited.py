"""Stores of ML Metadata with runs in them, made by its own client as TFX makes them, for what asks such stores."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ml_metadata.metadata_store import metadata_store
from ml_metadata.proto import metadata_store_pb2 as mlmd

import sealing
from tfx_explain import ValidationConfig, judge, load, records
from tfx_explain.content_digest import directory_digest
from tfx_explain.explainer.description import describe_explanation
from tfx_explain.explanation_validator.description import describe_verdict
from tfx_explain.explanation_validator.judge import Verdict, write_blessing

WRITTEN = Path(__file__).parents[1] / "fixtures/explanation_format_2/explanation"
PIPELINE = "loans"
Properties = Mapping[str, str | int | float]


def sqlite_config(file: Path) -> mlmd.ConnectionConfig:
    config = mlmd.ConnectionConfig()
    config.sqlite.filename_uri = str(file)
    config.sqlite.connection_mode = mlmd.SqliteMetadataSourceConfig.READWRITE_OPENCREATE
    return config


class Recorder:
    """Writes executions with what they took and made, as TFX's orchestrator does."""

    def __init__(self, config: mlmd.ConnectionConfig) -> None:
        self.store = metadata_store.MetadataStore(config)
        self._types: dict[tuple[str, str], int] = {}

    def type_id(self, kind: str, name: str) -> int:
        if (kind, name) not in self._types:
            made = {"artifact": mlmd.ArtifactType, "execution": mlmd.ExecutionType, "context": mlmd.ContextType}[kind]
            put = getattr(self.store, f"put_{kind}_type")
            self._types[kind, name] = put(made(name=name))
        return self._types[kind, name]

    def artifact(self, kind: str, uri: str, **properties: str | int | float) -> mlmd.Artifact:
        made = mlmd.Artifact(type_id=self.type_id("artifact", kind), uri=uri, state=mlmd.Artifact.LIVE)
        _fill(made.custom_properties, properties)
        return made

    def execution(
        self,
        component: str,
        inputs: Mapping[str, mlmd.Artifact],
        outputs: Mapping[str, mlmd.Artifact],
        run: str = "1",
        **properties: str,
    ) -> None:
        """One run of a component; artifacts get their ids."""
        execution = mlmd.Execution(
            type_id=self.type_id("execution", component), last_known_state=mlmd.Execution.COMPLETE
        )
        _fill(execution.custom_properties, properties)
        contexts = [
            mlmd.Context(type_id=self.type_id("context", kind), name=name)
            for kind, name in (("pipeline", PIPELINE), ("pipeline_run", run))
        ]
        pairs = [(inputs[key], _event(mlmd.Event.INPUT, key)) for key in inputs]
        pairs += [(outputs[key], _event(mlmd.Event.OUTPUT, key)) for key in outputs]
        _, ids, _ = self.store.put_execution(execution, pairs, contexts, reuse_context_if_already_exist=True)
        for (artifact, _), number in zip(pairs, ids, strict=True):
            artifact.id = number


def _fill(target: Any, properties: Properties) -> None:
    for name, value in properties.items():
        if isinstance(value, int):
            target[name].int_value = value
        elif isinstance(value, float):
            target[name].double_value = value
        else:
            target[name].string_value = value


def _event(kind: int, key: str) -> mlmd.Event:
    event = mlmd.Event(type=kind)
    event.path.steps.add().key = key
    event.path.steps.add().index = 0
    return event


@dataclasses.dataclass
class Run:
    """What one run left on disk, beneath one directory."""

    root: Path

    @property
    def places(self) -> dict[str, str]:
        names = ("examples", "model", "explanation", "validation", "blessing", "pushed_model")
        return {name: str(self.root / name) for name in names}


def judged_once(policy: ValidationConfig) -> Verdict:
    """A verdict on the explanation that fixtures hold."""
    return judge(load(str(WRITTEN)), policy)


def write_run(root: Path, verdict: Verdict, weights: bytes) -> Verdict:
    """A model, its explanation with all digests, and the verdict on it, all on disk."""
    run = Run(root)
    model, explanation = Path(run.places["model"]), Path(run.places["explanation"])
    model.mkdir(parents=True)
    (model / "saved_model.pb").write_bytes(weights)
    shutil.copytree(WRITTEN, explanation)
    (explanation / "report.html").write_text("<title>report</title>")
    shutil.copytree(model, run.places["pushed_model"])
    digest = directory_digest(str(model))

    def edit(manifest: dict[str, Any]) -> None:
        manifest["model"].update(uri=str(model), digest=digest)
        manifest["attributions_uri"] = "attributions"

    sealing.reseal(explanation, edit)
    # As Explainer writes it, whose digest the store gets.
    records.write_json(str(explanation / "manifest.json"), json.loads((explanation / "manifest.json").read_text()))
    reader = load(str(explanation))
    verdict = dataclasses.replace(verdict, explanation_uri=str(explanation), manifest_digest=reader.manifest_digest)
    validation = Path(run.places["validation"])
    validation.mkdir()
    for name in ("verdict.html", "report.html"):
        (validation / name).write_text(f"<title>{name}</title>")
    pages = {page.name: hashlib.sha256(page.read_bytes()).hexdigest() for page in validation.iterdir()}
    verdict = dataclasses.replace(verdict, page_digests=pages)
    records.write_json(str(validation / "findings.json"), verdict.to_dict())
    for directory in (validation, Path(run.places["blessing"])):
        directory.mkdir(exist_ok=True)
        write_blessing(str(directory), verdict.blessed)
    return verdict


def record_run(
    recorder: Recorder,
    root: Path,
    verdict: Verdict,
    manifest: Mapping[str, Any],
    policy: str,
    *,
    known: Sequence[str] | None = None,
    pushed: bool | None = None,
    span: int = 1,
) -> None:
    """A whole run in the store: examples, model, explanation, verdict, and what Pusher did.

    Args:
      recorder: of the store.
      root: of the run, as `write_run` wrote it.
      verdict: on the explanation.
      manifest: of the explanation.
      policy: its text.
      known: the custom properties that there were then; None = those of today.
      pushed: whether Pusher pushed the model; None = it did not run.
      span: of the examples.
    """
    places, name = Run(root).places, root.name
    kept = (lambda found: found) if known is None else lambda found: {n: found[n] for n in found if n in known}
    examples = recorder.artifact("Examples", places["examples"], span=span)
    model = recorder.artifact("Model", places["model"])
    explanation = recorder.artifact(
        "tfx_explain.Explanation", places["explanation"], **kept(describe_explanation(manifest))
    )
    recorder.execution("CsvExampleGen", {}, {"examples": examples}, name)
    recorder.execution("Trainer", {"examples": examples}, {"model": model}, name)
    recorder.execution(
        "tfx_explain.explainer.component.Explainer", {"examples": examples, "model": model},
        {"explanation": explanation, "attributions": recorder.artifact("Examples", f"{root}/attributions")},
        name, explain_config='{"seed": 4}',
    )  # fmt: skip
    said = describe_verdict(verdict, policy, manifest["model"]["uri"], manifest["model"]["digest"])
    validation = recorder.artifact("tfx_explain.ExplanationValidation", places["validation"], **kept(said))
    why = {} if verdict.blessed or known is not None else {"why_not_blessed": str(said["decided_by"])}
    blessing = recorder.artifact("ModelBlessing", places["blessing"], blessed=int(verdict.blessed), **why)
    recorder.execution(
        "tfx_explain.explanation_validator.component.ExplanationValidator",
        {"explanation": explanation, "model": model}, {"validation": validation, "blessing": blessing},
        name, validation_config=policy,
    )  # fmt: skip
    if pushed is not None:
        where = {"pushed_destination": f"/serving/{name}"} if pushed else {}
        artifact = recorder.artifact("PushedModel", places["pushed_model"], pushed=int(pushed), **where)
        recorder.execution("Pusher", {"model": model, "model_blessing": blessing}, {"pushed_model": artifact}, name)


def set_times(file: Path, times: Mapping[str, int]) -> None:
    """Gives all artifacts beneath a directory a time of their own, milliseconds since 1970; the client sets now."""
    change = "UPDATE Artifact SET create_time_since_epoch = ? WHERE uri LIKE ?"
    with sqlite3.connect(file) as connection:
        for root, moment in times.items():
            connection.execute(change, (moment, f"{root}/%"))
    connection.close()
