"""The loan approval pipeline: a model is served only if its explanation obeys the policy and its quality suffices."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import tensorflow_model_analysis as tfma
from ml_metadata.proto import metadata_store_pb2
from tfx import v1 as tfx

from loan_approval import module
from tfx_explain import (
    BlessedModelFinder,
    BlessedModelRecorder,
    ExplainConfig,
    Explainer,
    ExplanationValidator,
    OptionalBaselineEvaluator,
    ValidationConfig,
)


def create_pipeline(
    *,
    pipeline_name: str,
    pipeline_root: str,
    data_root: str,
    serving_dir: str,
    explain_config: ExplainConfig,
    validation_config: ValidationConfig,
    sees_race: bool,
    sees_outcome: bool = False,
    permutes_labels: bool = False,
    baseline_record: str | None = None,
    metadata_connection_config: metadata_store_pb2.ConnectionConfig | None = None,
    beam_pipeline_args: Sequence[str] = (),
    enable_cache: bool = True,
) -> tfx.dsl.Pipeline:
    """Builds the pipeline for one candidate.

    Candidates that share `pipeline_name` and the metadata, or the record, share their baseline: the last model that
    both the policy and the Evaluator accepted.

    Args:
      pipeline_name: name of the pipeline in ML Metadata and on the orchestrator.
      pipeline_root: where artifacts go.
      data_root: directory with the applications as CSV.
      serving_dir: where accepted models are pushed.
      explain_config: what to explain.
      validation_config: the policy on the explanation.
      sees_race: whether the candidate may read the applicant's race.
      sees_outcome: whether it may read what the lender did, which leaks the label; needs data that have it.
      permutes_labels: whether it is trained on the labels of other applications, from which nothing can be learned.
      baseline_record: URI of a file that says which model was accepted last, for backends that run no resolvers, such
        as open-source Kubeflow Pipelines; None where the orchestrator finds it in its metadata.
      metadata_connection_config: ML Metadata of a local run; None where the orchestrator brings its own.
      beam_pipeline_args: how Beam runs; empty for the direct runner with its defaults.
      enable_cache: reuse results of equal executions.
    """
    example_gen = tfx.components.CsvExampleGen(input_base=data_root)
    examples = example_gen.outputs["examples"]
    features = {"sees_race": sees_race, "sees_outcome": sees_outcome, "module_digest": _module_digest()}
    training = _training(examples, features, permutes_labels)
    schema, model = training["schema_gen"].outputs["schema"], training["trainer"].outputs["model"]
    finder = _finder(baseline_record)
    explainer = Explainer(
        examples=examples,
        model=model,
        baseline_model=finder.outputs["model"],
        schema=schema,
        explain_config=explain_config,
    )
    # With bless_model=False a ModelBlessing exists only for a model that the Evaluator accepted as well.
    validator = ExplanationValidator(
        explanation=explainer.outputs["explanation"],
        model=model,
        bless_model=False,
        validation_config=validation_config,
    )
    with tfx.dsl.Cond(validator.outputs["validation"].future()[0].custom_property("blessed") == 1):
        evaluator_class = tfx.components.Evaluator if baseline_record is None else OptionalBaselineEvaluator
        evaluator = evaluator_class(
            examples=examples,
            model=model,
            baseline_model=finder.outputs["model"],
            schema=schema,
            eval_config=_eval_config(),
        ).with_id("Evaluator")
        blessing = evaluator.outputs["blessing"]
        gated = [evaluator, _pusher(model, blessing, serving_dir)]
        if baseline_record is not None:
            gated.append(BlessedModelRecorder(baseline_record, model, blessing, explainer.outputs["explanation"]))
    return tfx.dsl.Pipeline(
        pipeline_name=pipeline_name,
        pipeline_root=pipeline_root,
        components=[example_gen, *training.values(), finder, explainer, validator, *gated],
        metadata_connection_config=metadata_connection_config,
        beam_pipeline_args=list(beam_pipeline_args),
        enable_cache=enable_cache,
    )


def _training(
    examples: tfx.types.BaseChannel, features: dict[str, bool | str], permutes_labels: bool
) -> dict[str, tfx.types.BaseNode]:
    """What makes the candidate of the examples."""
    statistics_gen = tfx.components.StatisticsGen(examples=examples)
    # A cell may be empty in what is served even where none was in training: every feature keeps a variable length.
    schema_gen = tfx.components.SchemaGen(statistics=statistics_gen.outputs["statistics"], infer_feature_shape=False)
    transform = tfx.components.Transform(
        examples=examples,
        schema=schema_gen.outputs["schema"],
        preprocessing_fn=f"{module.__name__}.preprocessing_fn",
        custom_config=features,
        disable_statistics=True,
    )
    trainer = tfx.components.Trainer(
        run_fn=f"{module.__name__}.run_fn",
        examples=transform.outputs["transformed_examples"],
        transform_graph=transform.outputs["transform_graph"],
        schema=schema_gen.outputs["schema"],
        train_args=tfx.proto.TrainArgs(),
        eval_args=tfx.proto.EvalArgs(),
        # Transform is not told about labels, so that candidates of the same features share its work.
        custom_config={**features, "permutes_labels": permutes_labels},
    )
    return {"statistics_gen": statistics_gen, "schema_gen": schema_gen, "transform": transform, "trainer": trainer}


def _finder(baseline_record: str | None) -> tfx.types.BaseNode:
    """What finds the last accepted model."""
    if baseline_record is not None:
        return BlessedModelFinder(baseline_record)
    return tfx.dsl.Resolver(
        strategy_class=tfx.dsl.experimental.LatestBlessedModelStrategy,
        model=tfx.dsl.Channel(type=tfx.types.standard_artifacts.Model),
        model_blessing=tfx.dsl.Channel(type=tfx.types.standard_artifacts.ModelBlessing),
    ).with_id("latest_blessed_model_resolver")


def _pusher(model: tfx.types.BaseChannel, blessing: tfx.types.BaseChannel, serving_dir: str) -> tfx.components.Pusher:
    return tfx.components.Pusher(
        model=model,
        model_blessing=blessing,
        push_destination=tfx.proto.PushDestination(
            filesystem=tfx.proto.PushDestination.Filesystem(base_directory=serving_dir)
        ),
    )


def _module_digest() -> str:
    # TFX's cache knows user code that is named by import path only by that name; the digest tells edits apart.
    return hashlib.sha256(Path(module.__file__).read_bytes()).hexdigest()


def _eval_config() -> tfma.EvalConfig:
    """AUC of at least 0.7, and not clearly below that of the last accepted model."""
    threshold = tfma.MetricThreshold(
        value_threshold=tfma.GenericValueThreshold(lower_bound={"value": 0.7}),
        change_threshold=tfma.GenericChangeThreshold(
            direction=tfma.MetricDirection.HIGHER_IS_BETTER, absolute={"value": -0.05}
        ),
    )
    return tfma.EvalConfig(
        model_specs=[tfma.ModelSpec(signature_name="serving_default", label_key=module.LABEL)],
        slicing_specs=[tfma.SlicingSpec()],
        metrics_specs=[
            tfma.MetricsSpec(
                metrics=[
                    tfma.MetricConfig(class_name="ExampleCount"),
                    tfma.MetricConfig(class_name="AUC", threshold=threshold),
                ]
            )
        ],
    )
