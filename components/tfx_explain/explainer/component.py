"""Explainer as a node of a pipeline."""

from __future__ import annotations

import tfx
from tfx import types
from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.orchestration import data_types
from tfx.types import component_spec, standard_artifacts

from tfx_explain.artifacts import Explanation
from tfx_explain.config import ExplainConfig
from tfx_explain.errors import ConfigError
from tfx_explain.explainer import executor
from tfx_explain.version import __version__


class ExplainerSpec(component_spec.ComponentSpec):
    """Inputs, outputs and parameters of Explainer."""

    PARAMETERS = {
        "explain_config": component_spec.ExecutionParameter(type=str),
        # The cache key of a node does not cover this package's version; a parameter does.
        "component_version": component_spec.ExecutionParameter(type=str),
        "tfx_version": component_spec.ExecutionParameter(type=str, optional=True),
    }
    INPUTS = {
        "examples": component_spec.ChannelParameter(type=standard_artifacts.Examples),
        "model": component_spec.ChannelParameter(type=standard_artifacts.Model),
        "baseline_model": component_spec.ChannelParameter(type=standard_artifacts.Model, optional=True),
        "schema": component_spec.ChannelParameter(type=standard_artifacts.Schema, optional=True),
        "background_examples": component_spec.ChannelParameter(type=standard_artifacts.Examples, optional=True),
        "transform_graph": component_spec.ChannelParameter(type=standard_artifacts.TransformGraph, optional=True),
        "baseline_transform_graph": component_spec.ChannelParameter(
            type=standard_artifacts.TransformGraph, optional=True
        ),
    }
    OUTPUTS = {
        "explanation": component_spec.ChannelParameter(type=Explanation),
        "attributions": component_spec.ChannelParameter(type=standard_artifacts.Examples),
    }


class Explainer(base_beam_component.BaseBeamComponent):
    """Explains what a trained model's outputs depend on.

    Outputs `explanation` (an `artifacts.Explanation`: tables, manifest, report) and `attributions` (standard Examples,
    a record per explained row, same splits, which StatisticsGen, Evaluator and BulkInferrer read as they are).

    Example:
      >>> inputs = {"examples": standard_artifacts.Examples, "model": standard_artifacts.Model}
      >>> channels = {name: types.Channel(type=kind) for name, kind in inputs.items()}  # of ExampleGen and Trainer
      >>> explainer = Explainer(**channels, explain_config=ExplainConfig(splits=["eval"], max_examples=5_000))
      >>> sorted(explainer.outputs)
      ['attributions', 'explanation']
    """

    SPEC_CLASS = ExplainerSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(executor.Executor)

    def __init__(
        self,
        examples: types.BaseChannel,
        model: types.BaseChannel,
        explain_config: ExplainConfig | str | data_types.RuntimeParameter | None = None,
        baseline_model: types.BaseChannel | None = None,
        schema: types.BaseChannel | None = None,
        background_examples: types.BaseChannel | None = None,
        transform_graph: types.BaseChannel | None = None,
        baseline_transform_graph: types.BaseChannel | None = None,
    ) -> None:
        """Checks the configuration now, while the pipeline is built.

        Args:
          examples: what to explain: tf.Examples, as ExampleGen or Transform writes them.
          model: what is explained.
          explain_config: an ExplainConfig, its JSON, or a RuntimeParameter that will hold its JSON; None: the defaults.
          baseline_model: a model to explain on the same rows and designs, for comparison.
          schema: of the examples; tells which features there are even where the first rows lack them.
          background_examples: where the background is drawn from; default: `examples`.
          transform_graph: what Transform gives: goes before a model that takes transformed features, and makes labels
            that raw examples lack.
          baseline_transform_graph: what the baseline model was trained with; default: `transform_graph`.

        Raises:
          ConfigError: the configuration cannot work.
        """
        if explain_config is None:
            explain_config = ExplainConfig()
        if isinstance(explain_config, str):
            explain_config = ExplainConfig.from_json(explain_config)
        if isinstance(explain_config, ExplainConfig):
            sides = explain_config.examples_are, explain_config.model.takes
            if transform_graph is None and (explain_config.label_from == "transform" or sides != (None, None)):
                raise ConfigError(
                    "`label_from: transform`, `examples_are` and `model.takes` are about Transform's graph; give "
                    "`transform_graph`."
                )
            explain_config = explain_config.to_json()
        elif not isinstance(explain_config, data_types.RuntimeParameter):
            raise ConfigError(
                "`explain_config` must be an ExplainConfig, its JSON or a RuntimeParameter, "
                f"got {type(explain_config).__name__}."
            )
        super().__init__(
            spec=ExplainerSpec(
                explain_config=explain_config,
                component_version=__version__,
                tfx_version=tfx.__version__,
                examples=examples,
                model=model,
                baseline_model=baseline_model,
                schema=schema,
                background_examples=background_examples,
                transform_graph=transform_graph,
                baseline_transform_graph=baseline_transform_graph,
                explanation=types.Channel(type=Explanation),
                attributions=types.Channel(type=standard_artifacts.Examples),
            )
        )
