"""The functions behind the components. Kubeflow copies the source of each into its step, without the rest of this file.

It reads their annotations as objects, so that this file does without postponed evaluation.
"""

from typing import List, NamedTuple, Optional

from kfp.dsl import HTML, Artifact, Dataset, Input, Metrics, Model, Output


def explain_model(
    model: Input[Model],
    examples: Input[Dataset],
    explanation: Output[Artifact],
    attributions: Output[Dataset],
    report: Output[HTML],
    metrics: Output[Metrics],
    explain_config: str = "",
    background_examples: Input[Dataset] = None,
    baseline_model: Input[Model] = None,
    schema: Input[Artifact] = None,
    transform_graph: Input[Artifact] = None,
    baseline_transform_graph: Input[Artifact] = None,
    beam_args: Optional[List[str]] = None,
) -> None:
    """Explains what a trained model's outputs depend on, by tfx-explain.

    Args:
        model: A SavedModel, or what the module_file of explain_config loads.
        examples: TFRecords of tf.Examples, in a directory or in Split-<name> directories of one.
        explanation: Tables, manifest and report, which tfx_explain.load opens.
        attributions: A tf.Example for each explained row, in Split-<name> directories.
        report: The report for people.
        metrics: How many rows were explained, how exactly, and each feature's share of the importance.
        explain_config: An ExplainConfig as YAML or JSON; empty for the defaults.
        background_examples: Where the background is drawn from; by default the examples.
        baseline_model: A model to explain on the same rows, for comparison.
        schema: Of the examples: the schema.pbtxt of TensorFlow Data Validation, or its directory.
        transform_graph: What TensorFlow Transform wrote, for models of transformed features.
        baseline_transform_graph: The same of the baseline model; by default transform_graph.
        beam_args: Apache Beam's pipeline options.
    """
    from tfx_explain.kfp_steps import explain_step

    inputs = {
        "model": model,
        "examples": examples,
        "background_examples": background_examples,
        "baseline_model": baseline_model,
        "schema": schema,
        "transform_graph": transform_graph,
        "baseline_transform_graph": baseline_transform_graph,
    }
    outputs = {"explanation": explanation, "attributions": attributions, "report": report, "metrics": metrics}
    explain_step(inputs, outputs, explain_config, beam_args)


def validate_explanation(
    explanation: Input[Artifact],
    validation: Output[Artifact],
    verdict: Output[HTML],
    metrics: Output[Metrics],
    validation_config: str,
    model: Input[Model] = None,
    baseline_explanation: Input[Artifact] = None,
    previous_validation: Input[Artifact] = None,
) -> NamedTuple("Outputs", [("blessed", bool)]):  # type: ignore[valid-type]
    """Judges an explanation by a policy, by tfx-explain.

    Args:
        explanation: What explain_model wrote.
        validation: The findings, and the empty file BLESSED or NOT_BLESSED.
        verdict: The findings for people.
        metrics: Whether the policy is met, and how many rules ended how.
        validation_config: A ValidationConfig as YAML or JSON.
        model: The model that is to be blessed; refused where it is not the explained one.
        baseline_explanation: An explanation that rules about drift compare with.
        previous_validation: The validation of the run before, whose history goes on in this one.

    Returns:
        Whether the explanation meets the policy.
    """
    from tfx_explain.kfp_steps import validate_step

    inputs = {
        "explanation": explanation,
        "model": model,
        "baseline_explanation": baseline_explanation,
        "previous_validation": previous_validation,
    }
    outputs = {"validation": validation, "verdict": verdict, "metrics": metrics}
    return (validate_step(inputs, outputs, validation_config),)
