"""What Explainer runs: TFX's dictionaries become one request, the job runs, the artifacts are described."""

from __future__ import annotations

import dataclasses
from typing import Any

import tfx
from tfx import types
from tfx.components.util import examples_utils
from tfx.dsl.components.base import base_beam_executor
from tfx.proto import example_gen_pb2
from tfx.types import artifact_utils
from tfx.utils import io_utils, path_utils

from tfx_explain import records, storage
from tfx_explain.artifacts import found
from tfx_explain.compiled import check_compiled
from tfx_explain.config import ExplainConfig
from tfx_explain.errors import InputError
from tfx_explain.explainer.description import describe_explanation, log_explanation
from tfx_explain.job.model_handle import ModelHandle
from tfx_explain.job.request import ExplainRequest
from tfx_explain.job.transforming import graphs_of
from tfx_explain.models.transform.handle import TransformHandle
from tfx_explain.transforms.job import clear, run_explanation
from tfx_explain.transforms.places import check_places
from tfx_explain.transforms.portable_runners import check_servers
from tfx_explain.transforms.runner import pipeline_args


class Executor(base_beam_executor.BaseBeamExecutor):
    """Executor of the Explainer component."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Explains the model.

        Raises:
          TfxExplainError: configuration, examples or model cannot be used; nothing is left behind.
        """
        check_compiled(exec_properties, tfx.__version__)
        config = ExplainConfig.from_json(exec_properties["explain_config"])
        self._beam_pipeline_args: list[str] = pipeline_args(self._beam_pipeline_args)
        explanation = artifact_utils.get_single_instance(output_dict["explanation"])
        attributions = artifact_utils.get_single_instance(output_dict["attributions"])
        # Pipeline roots may be relative; what an explanation says of itself must be true from elsewhere, too.
        directory, attributions_dir = storage.absolute(explanation.uri), storage.absolute(attributions.uri)
        inputs = [artifact.uri for artifacts in input_dict.values() for artifact in artifacts]
        check_servers(self._beam_pipeline_args)
        check_places(self._beam_pipeline_args, [directory, attributions_dir, config.model.module_file, *inputs])
        # A try of this step that was killed leaves shards, which would be read with those of this one.
        clear(directory, attributions_dir, config.splits)
        request = explain_request(config, input_dict, directory, attributions_dir)
        manifest = run_explanation(request, self._make_beam_pipeline)
        attributions.split_names = artifact_utils.encode_split_names(list(config.splits))
        examples_utils.set_payload_format(attributions, example_gen_pb2.FORMAT_TF_EXAMPLE)
        attributions.set_string_custom_property("explanation_uri", directory)
        explanation.describe(describe_explanation(manifest))
        log_explanation(manifest, directory)


def explain_request(
    config: ExplainConfig, input_dict: dict[str, list[types.Artifact]], explanation_uri: str, attributions_uri: str
) -> ExplainRequest:
    """The request behind TFX's input artifacts."""
    examples = input_dict["examples"]
    background = input_dict.get("background_examples") or examples
    schemas = input_dict.get("schema") or []
    baselines = found(input_dict.get("baseline_model") or [])
    graphs = graphs_of(
        *(_transform_handle(input_dict.get(key) or []) for key in ("transform_graph", "baseline_transform_graph"))
    )
    models = zip((input_dict["model"], baselines), graphs, strict=True)
    request = ExplainRequest.build(
        config=config,
        models=[_model_handle(artifacts, config, graph) for artifacts, graph in models if artifacts],
        example_patterns={split: split_pattern(examples, split, "splits") for split in config.splits},
        background_pattern=split_pattern(background, config.background.split, "background.split"),
        explanation_dir=explanation_uri,
        attributions_dir=attributions_uri,
        schema_features=records.schema_features(f"{schemas[0].uri}/schema.pbtxt") if schemas else None,
    )
    return dataclasses.replace(request, span=span_of(examples))


def span_of(examples: list[types.Artifact]) -> str:
    """The span that ExampleGen says it read; empty where it says none."""
    artifact = artifact_utils.get_single_instance(examples)
    if not artifact.has_custom_property("span"):
        return ""
    return artifact.get_string_custom_property("span") or str(artifact.get_int_custom_property("span"))


def _model_handle(
    models: list[types.Artifact], config: ExplainConfig, transform: TransformHandle | None
) -> ModelHandle:
    model = artifact_utils.get_single_instance(models)
    if config.model.module_file:
        return ModelHandle(model.uri, config.model, transform=transform)
    # Of other storage TFX does not know whether an estimator wrote the model, in directories of its own.
    path = path_utils.serving_model_path if storage.is_local(model.uri) else path_utils.serving_model_dir
    return ModelHandle(path(model.uri, path_utils.is_old_model_artifact(model)), config.model, transform=transform)


def _transform_handle(graphs: list[types.Artifact]) -> TransformHandle | None:
    # Absolute, as the explanation says which graph it was.
    return TransformHandle(storage.absolute(artifact_utils.get_single_instance(graphs).uri)) if graphs else None


def split_pattern(examples: list[types.Artifact], split: str, key: str) -> str:
    """The files of a split.

    Raises:
      InputError: there is no such split, or the examples are of a kind that is not read here.
    """
    artifact = artifact_utils.get_single_instance(examples)
    there = artifact_utils.decode_split_names(artifact.split_names)
    if split not in there:
        raise InputError(
            f"`{key}` names split `{split}`, which {artifact.uri} does not have; it has {', '.join(there)}."
        )
    payload = examples_utils.get_payload_format(artifact)
    if payload != example_gen_pb2.FORMAT_TF_EXAMPLE:
        name = example_gen_pb2.PayloadFormat.Name(payload)
        raise InputError(
            f"{artifact.uri} holds {name}; Explainer reads FORMAT_TF_EXAMPLE: set ExampleGen's output_config."
        )
    return str(io_utils.all_files_pattern(artifact_utils.get_split_uri(examples, split)))
