"""Monitoring of a served model: explains the newest span of examples and refuses it on attribution drift.

Each run takes the newest span, compares it with what the model was accepted for, and goes on with the history of the
run before, which the verdict's page draws. Where rules about drift fail, the log has one line at WARNING.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence

from ml_metadata.proto import metadata_store_pb2
from tfx import v1 as tfx
from tfx.types import standard_artifacts

from tfx_explain import (
    ExplainConfig,
    Explainer,
    Explanation,
    ExplanationValidation,
    ExplanationValidator,
    ValidationConfig,
)

SPANS = "span-{SPAN}/*"
"""Where the files of a span are, beneath the directory of all spans."""


@dataclasses.dataclass(frozen=True)
class Served:
    """A model in production and what it was accepted for.

    Attributes:
      model_uri: the Model artifact.
      explanation_uri: its explanation, which new spans are compared with.
      examples_uri: the Examples that it was explained on; the background comes from them again.
      splits: their splits.
    """

    model_uri: str
    explanation_uri: str
    examples_uri: str
    splits: tuple[str, ...]


def create_pipeline(
    *,
    pipeline_name: str,
    pipeline_root: str,
    data_root: str,
    served: Served,
    explain_config: ExplainConfig,
    validation_config: ValidationConfig,
    metadata_connection_config: metadata_store_pb2.ConnectionConfig | None = None,
    beam_pipeline_args: Sequence[str] = (),
    enable_cache: bool = True,
) -> tfx.dsl.Pipeline:
    """Builds the pipeline for the newest span.

    Two explanations can be compared only if they have the same background: it is drawn from the same examples as
    before, by `background_examples`, not from the new span.

    Args:
      pipeline_name: name of the pipeline in ML Metadata and on the orchestrator.
      pipeline_root: where artifacts go.
      data_root: directory with a directory `span-<number>` of CSV files for each span.
      served: the model in production.
      explain_config: what the served model was explained with; its `splits` must be `[eval]`.
      validation_config: the policy, with rules about drift.
      metadata_connection_config: ML Metadata of a local run; None where the orchestrator brings its own.
      beam_pipeline_args: how Beam runs; empty for the direct runner with its defaults.
      enable_cache: reuse results of equal executions.
    """
    output = tfx.proto.Output(
        split_config=tfx.proto.SplitConfig(splits=[tfx.proto.SplitConfig.Split(name="eval", hash_buckets=1)])
    )
    spans = tfx.proto.Input(splits=[tfx.proto.Input.Split(name="eval", pattern=SPANS)])
    example_gen = tfx.components.CsvExampleGen(input_base=data_root, input_config=spans, output_config=output)
    model = tfx.dsl.Importer(source_uri=served.model_uri, artifact_type=standard_artifacts.Model).with_id(
        "served_model"
    )
    background = tfx.dsl.Importer(
        source_uri=served.examples_uri,
        artifact_type=standard_artifacts.Examples,
        properties={"split_names": json.dumps(list(served.splits))},
        custom_properties={"payload_format": "FORMAT_TF_EXAMPLE", "file_format": "tfrecords_gzip"},
    ).with_id("background_examples")
    baseline = tfx.dsl.Importer(source_uri=served.explanation_uri, artifact_type=Explanation).with_id("baseline")
    previous = tfx.dsl.Resolver(
        strategy_class=tfx.dsl.experimental.LatestArtifactStrategy,
        validation=tfx.dsl.Channel(type=ExplanationValidation),
    ).with_id("previous_validation")
    explainer = Explainer(
        examples=example_gen.outputs["examples"],
        model=model.outputs["result"],
        background_examples=background.outputs["result"],
        explain_config=explain_config,
    )
    # The model is served already: the verdict is about the span, and blesses nothing.
    validator = ExplanationValidator(
        explanation=explainer.outputs["explanation"],
        model=model.outputs["result"],
        baseline_explanation=baseline.outputs["result"],
        previous_validation=previous.outputs["validation"],
        bless_model=False,
        validation_config=validation_config,
    )
    return tfx.dsl.Pipeline(
        pipeline_name=pipeline_name,
        pipeline_root=pipeline_root,
        components=[example_gen, model, background, baseline, previous, explainer, validator],
        metadata_connection_config=metadata_connection_config,
        beam_pipeline_args=list(beam_pipeline_args),
        enable_cache=enable_cache,
    )
