"""What the components of `kfp_component` run: Kubeflow's artifacts in and out, without its SDK and without TFX."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from absl import logging

from tfx_explain import storage, tables
from tfx_explain.api import explain
from tfx_explain.config import ExplainConfig, ValidationConfig
from tfx_explain.errors import InputError, TfxExplainError
from tfx_explain.explainer.description import describe_explanation, log_explanation
from tfx_explain.explanation_validator.description import describe_verdict
from tfx_explain.explanation_validator.history import History, extended
from tfx_explain.explanation_validator.judge import judge
from tfx_explain.explanation_validator.recorded import check_same_model, load_recorded, log_verdict
from tfx_explain.reader import ExplanationReader
from tfx_explain.report import Beside
from tfx_explain.transforms.runner import is_local, pipeline_args

_MOST_SHARES = 50
_SCHEMA_FILE = "schema.pbtxt"


class Artifact(Protocol):
    """What is used of an artifact of Kubeflow Pipelines.

    Attributes:
      uri: where it is kept.
      path: where the step finds it, or leaves it, on its own disk.
      metadata: what the user interface shows of it, and later steps read.
    """

    uri: str
    metadata: dict[str, Any]

    @property
    def path(self) -> str: ...  # noqa: D102


def explain_step(
    inputs: Mapping[str, Artifact | None],
    outputs: Mapping[str, Artifact],
    explain_config: str,
    beam_args: Sequence[str] | None = None,
) -> None:
    """Explains a model, as the Explainer component does.

    Args:
      inputs: `model`, `examples`, and what is optional: `background_examples`, `baseline_model`, `schema`,
        `transform_graph`, `baseline_transform_graph`.
      outputs: `explanation`, `attributions`, `report` and `metrics`.
      explain_config: an ExplainConfig as YAML or JSON; empty: the defaults.
      beam_args: Apache Beam's pipeline options. With a remote runner artifacts are read and written by their URIs,
        which its workers reach, otherwise by their paths.

    Raises:
      SystemExit: configuration, model or examples cannot be used; its sentence is the last line of the log, and nothing
        is left in the outputs.
    """
    with _one_sentence():
        config = ExplainConfig.from_yaml(explain_config)
        args = list(beam_args or ())
        places = _Places(is_on_disk=is_local(pipeline_args(args)))
        model, examples = (_needed(inputs, name) for name in ("model", "examples"))
        directory = places.emptied(outputs["explanation"])
        explained = explain(
            model=places.of(model),
            examples=places.of(examples),
            output_dir=directory,
            config=config,
            background=places.input(inputs, "background_examples"),
            baseline_model=places.input(inputs, "baseline_model"),
            schema=_schema(places.input(inputs, "schema")),
            transform_graph=places.input(inputs, "transform_graph"),
            baseline_transform_graph=places.input(inputs, "baseline_transform_graph"),
            beam_args=args,
        )
        _describe_explained(explained, model, outputs)
        log_explanation(explained.manifest, directory)


def validate_step(
    inputs: Mapping[str, Artifact | None], outputs: Mapping[str, Artifact], validation_config: str
) -> bool:
    """Judges an explanation, as the ExplanationValidator component does.

    Args:
      inputs: `explanation`, and what is optional: `model`, which must be the explained one, `baseline_explanation`, and
        `previous_validation`, what this step wrote the time before.
      outputs: `validation`, `verdict` and `metrics`.
      validation_config: a ValidationConfig as YAML or JSON.

    Returns:
      Whether the explanation meets the policy.

    Raises:
      SystemExit: explanation or policy cannot be used; its sentence is the last line of the log, and nothing is left in
        the outputs.
    """
    with _one_sentence():
        config = ValidationConfig.from_yaml(validation_config)
        explanation = _needed(inputs, "explanation")
        model, baseline = inputs.get("model"), inputs.get("baseline_explanation")
        reader = _recorded(explanation)
        if model is not None:
            _check_same_model(reader, explanation, model)
        verdict = judge(reader, config, None if baseline is None else _recorded(baseline))
        history = extended(_earlier(inputs), reader, verdict.findings, blessed=verdict.blessed)
        directory = _Places(is_on_disk=True).emptied(outputs["validation"])
        verdict = dataclasses.replace(verdict, history=history).write(directory)
        storage.write_bytes(outputs["verdict"].path, verdict.page(Beside(history=history.table)).encode())
        model_uri = str(explanation.metadata.get("model_uri") or reader.manifest["model"]["uri"])
        described = describe_verdict(verdict, validation_config, model_uri, reader.manifest["model"]["digest"])
        outputs["validation"].metadata.update(described)
        outcomes = [finding.outcome for finding in verdict.findings]
        counts = {f"rules: {outcome.replace('_', ' ')}": outcomes.count(outcome) for outcome in sorted(set(outcomes))}
        outputs["metrics"].metadata.update({"blessed": int(verdict.blessed)} | counts)
        log_verdict(verdict, directory, blessed=verdict.blessed)
        return verdict.blessed


class _Places:
    """Where a step reads and writes artifacts.

    Args:
      is_on_disk: by their paths on the disk of the step, which the workers of a remote runner do not have.
    """

    def __init__(self, *, is_on_disk: bool) -> None:
        self._is_on_disk = is_on_disk

    def of(self, artifact: Artifact) -> str:
        """The place of an artifact."""
        return artifact.path if self._is_on_disk else artifact.uri

    def input(self, inputs: Mapping[str, Artifact | None], name: str) -> str | None:
        """The place of an input; None where it was not given."""
        artifact = inputs.get(name)
        return None if artifact is None else self.of(artifact)

    def emptied(self, output: Artifact) -> str:
        """The place of an output, which is the step's own: what a try of it that was killed left there is removed."""
        place = self.of(output)
        storage.remove(place)
        return place


def _needed(inputs: Mapping[str, Artifact | None], name: str) -> Artifact:
    artifact = inputs.get(name)
    if artifact is None:
        raise InputError(f"the input `{name}` is absent; wire it.")
    return artifact


def _schema(place: str | None) -> str | None:
    """The file of a schema that may be an artifact of SchemaGen, a directory."""
    file = None if place is None else storage.join(place, _SCHEMA_FILE)
    return file if file is not None and storage.exists(file) else place


def _recorded(artifact: Artifact) -> ExplanationReader:
    return load_recorded(artifact.path, str(artifact.metadata.get("manifest_digest", "")))


def _earlier(inputs: Mapping[str, Artifact | None]) -> History | None:
    """What the verdict before this one knew, if there was one that knew something."""
    previous = inputs.get("previous_validation")
    return None if previous is None else History.read(previous.path)


def _check_same_model(reader: ExplanationReader, explanation: Artifact, model: Artifact) -> None:
    """Compares URIs; paths where an explanation was imported, whose metadata name no model."""
    explained = explanation.metadata.get("model_uri")
    if explained:
        check_same_model(str(explained), model.uri)
    else:
        check_same_model(reader.manifest["model"]["uri"], model.path)


def _describe_explained(explained: ExplanationReader, model: Artifact, outputs: Mapping[str, Artifact]) -> None:
    """The report, the figures and the attributions where Kubeflow's user interface and later steps look for them."""
    explanation, attributions = outputs["explanation"], outputs["attributions"]
    # They lie in the explanation, so that a step that is given the one has the other.
    attributions.uri = storage.join(explanation.uri, tables.ATTRIBUTIONS)
    attributions.metadata["explanation_uri"] = explanation.uri
    explanation.metadata.update(describe_explanation(explained.manifest))
    # Paths are true in this step alone.
    explanation.metadata.update(attributions_uri=attributions.uri, model_uri=model.uri)
    outputs["metrics"].metadata.update(_figures(explained))
    storage.write_bytes(outputs["report"].path, explained.report().encode())


def _figures(explained: ExplanationReader) -> dict[str, float]:
    """What a person wants to know first: how many rows, how exact, who matters by which share."""
    manifest = explained.manifest
    counts = manifest["counts"].values()
    figures = {name: sum(split[name] for split in counts) for name in ("read", "explained", "model_rows")}
    figures["completeness_gap"] = manifest["completeness_gap"]["max_abs"]
    return figures | dict(itertools.islice(_shares(explained), _MOST_SHARES))


def _shares(explained: ExplanationReader) -> Iterator[tuple[str, float]]:
    for output in explained.outputs if explained.methods else ():
        table = explained.importance_for(output=output)
        of_output = f" in {output}" if len(explained.outputs) > 1 else ""
        for player, share in zip(table["player"], tables.shares_of_total(table), strict=True):
            yield f"share of {player}{of_output}", float(share)


@contextlib.contextmanager
def _one_sentence() -> Iterator[None]:
    """Ends a step that cannot do its work with the reason, in the log that Kubeflow shows, without a traceback."""
    logging.set_verbosity(logging.INFO)
    try:
        yield
    except TfxExplainError as error:
        raise SystemExit(f"tfx-explain: {error}") from error
