"""A model is served only if its explanation obeys a policy: the pipeline of digits and of reviews."""

from __future__ import annotations

import hashlib
from pathlib import Path
from types import ModuleType

from ml_metadata.proto import metadata_store_pb2
from tfx import v1 as tfx

import tf_examples
from tfx_explain import ExplainConfig, Explainer, ExplanationValidator, ValidationConfig


def create_pipeline(
    *,
    module: ModuleType,
    directory: Path,
    explain_config: ExplainConfig,
    validation_config: ValidationConfig,
    metadata_connection_config: metadata_store_pb2.ConnectionConfig | None = None,
) -> tfx.dsl.Pipeline:
    """Builds the pipeline; a third of the examples is for evaluation and explained.

    Args:
      module: user code with a `run_fn` for Trainer; its folder names the pipeline.
      directory: has the examples as TFRecord in `data`; artifacts go to `artifacts`, accepted models to `serving`.
      explain_config: what to explain.
      validation_config: the policy on the explanation.
      metadata_connection_config: ML Metadata of a local run; None where the orchestrator brings its own.
    """
    example_gen = tfx.components.ImportExampleGen(input_base=str(directory / "data"))
    examples = example_gen.outputs["examples"]
    statistics_gen = tfx.components.StatisticsGen(examples=examples)
    schema_gen = tfx.components.SchemaGen(statistics=statistics_gen.outputs["statistics"])
    trainer = tfx.components.Trainer(
        run_fn=f"{module.__name__}.run_fn",
        examples=examples,
        schema=schema_gen.outputs["schema"],
        train_args=tfx.proto.TrainArgs(),
        eval_args=tfx.proto.EvalArgs(),
        custom_config={"code_digest": _digest(module, tf_examples)},
    )
    explainer = Explainer(
        examples=examples,
        model=trainer.outputs["model"],
        schema=schema_gen.outputs["schema"],
        explain_config=explain_config,
    )
    validator = ExplanationValidator(
        explanation=explainer.outputs["explanation"],
        model=trainer.outputs["model"],
        validation_config=validation_config,
    )
    with tfx.dsl.Cond(validator.outputs["validation"].future()[0].custom_property("blessed") == 1):
        pusher = tfx.components.Pusher(
            model=trainer.outputs["model"],
            push_destination=tfx.proto.PushDestination(
                filesystem=tfx.proto.PushDestination.Filesystem(base_directory=str(directory / "serving"))
            ),
        )
    return tfx.dsl.Pipeline(
        pipeline_name=module.__name__.partition(".")[0],
        pipeline_root=str(directory / "artifacts"),
        components=[example_gen, statistics_gen, schema_gen, trainer, explainer, validator, pusher],
        metadata_connection_config=metadata_connection_config,
        enable_cache=True,
    )


def _digest(*modules: ModuleType) -> str:
    # TFX's cache knows user code that is named by import path only by that name; the digest tells edits apart.
    return hashlib.sha256(b"".join(Path(str(module.__file__)).read_bytes() for module in modules)).hexdigest()
