"""ExplanationValidator as a node of a pipeline."""

from __future__ import annotations

import tfx
from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.orchestration import data_types
from tfx.types import component_spec, standard_artifacts

from tfx_explain.artifacts import Explanation, ExplanationValidation
from tfx_explain.config import ValidationConfig
from tfx_explain.errors import ConfigError
from tfx_explain.explanation_validator import executor
from tfx_explain.version import __version__


class ExplanationValidatorSpec(component_spec.ComponentSpec):
    """Inputs, outputs and parameters of ExplanationValidator."""

    PARAMETERS = {
        "validation_config": component_spec.ExecutionParameter(type=str),
        "bless_model": component_spec.ExecutionParameter(type=int),
        # Whether an earlier verdict was wired: one that is wired but absent at run time must refuse, not be forgotten.
        "needs_model_blessing": component_spec.ExecutionParameter(type=int),
        "component_version": component_spec.ExecutionParameter(type=str),
        "tfx_version": component_spec.ExecutionParameter(type=str, optional=True),
    }
    INPUTS = {
        "explanation": component_spec.ChannelParameter(type=Explanation),
        "model": component_spec.ChannelParameter(type=standard_artifacts.Model),
        "model_blessing": component_spec.ChannelParameter(type=standard_artifacts.ModelBlessing, optional=True),
        "baseline_blessing": component_spec.ChannelParameter(type=standard_artifacts.ModelBlessing, optional=True),
        "baseline_explanation": component_spec.ChannelParameter(type=Explanation, optional=True),
        "previous_validation": component_spec.ChannelParameter(type=ExplanationValidation, optional=True),
        "evaluation": component_spec.ChannelParameter(type=standard_artifacts.ModelEvaluation, optional=True),
    }
    OUTPUTS = {
        "validation": component_spec.ChannelParameter(type=ExplanationValidation),
        "blessing": component_spec.ChannelParameter(type=standard_artifacts.ModelBlessing),
        "anomalies": component_spec.ChannelParameter(type=standard_artifacts.ExampleAnomalies),
    }


class ExplanationValidator(base_component.BaseComponent):
    """Judges an explanation by a policy, and blesses or refuses the model.

    Outputs `validation` (an `artifacts.ExplanationValidation`: the verdict on the explanation), `blessing` (the
    ModelBlessing that Pusher and LatestBlessedModelStrategy read) and `anomalies` (what failed, for TFDV's viewer).

    Example:
      >>> inputs = {"explanation": Explanation, "model": standard_artifacts.Model}
      >>> channels = {name: types.Channel(type=kind) for name, kind in inputs.items()}  # of Explainer and Trainer
      >>> policy = ValidationConfig(rules=[{"max_share": {"players": ["race"], "value": 0.05}}])
      >>> validator = ExplanationValidator(**channels, validation_config=policy)
      >>> sorted(validator.outputs)
      ['anomalies', 'blessing', 'validation']
      >>> accepted = validator.outputs["validation"].future()[0].custom_property("blessed") == 1  # for tfx.dsl.Cond
    """

    SPEC_CLASS = ExplanationValidatorSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(executor.Executor)

    def __init__(
        self,
        explanation: types.BaseChannel,
        model: types.BaseChannel,
        validation_config: ValidationConfig | str | data_types.RuntimeParameter,
        model_blessing: types.BaseChannel | None = None,
        baseline_blessing: types.BaseChannel | None = None,
        baseline_explanation: types.BaseChannel | None = None,
        bless_model: bool = True,
        previous_validation: types.BaseChannel | None = None,
        evaluation: types.BaseChannel | None = None,
    ) -> None:
        """Checks the policy now, while the pipeline is built.

        Args:
          explanation: what Explainer made.
          model: the model it explains; the one that is blessed.
          validation_config: a ValidationConfig, its JSON, or a RuntimeParameter that will hold its JSON.
          model_blessing: an earlier verdict on the model, say an Evaluator's; the model is blessed only if both do.
          baseline_blessing: of the last blessed model, as LatestBlessedModelStrategy finds it: leads to the explanation
            that the model was blessed for. Where the resolver finds none, as on the first run, rules about drift are
            skipped and say so. A policy of nothing else then blesses the model, or there never would be a first
            baseline; `findings.json` says so. One rule without a baseline prevents that.
          baseline_explanation: any other explanation to compare with, say of another span. It comes before
            `baseline_blessing`, and that before the Explainer's own `baseline_model`.
          bless_model: False leaves the blessing of the model to someone else: `blessing` is then never blessed, and
            `validation` alone holds the verdict.
          previous_validation: the verdict before this one, as a Resolver with LatestArtifactStrategy finds it: its
            history goes on in this one, and the pages draw importance and drift from run to run.
          evaluation: an Evaluator's metrics of the same model, which the pages lead to.

        Raises:
          ConfigError: the policy cannot work.
        """
        if isinstance(validation_config, str):
            validation_config = ValidationConfig.from_json(validation_config)
        if isinstance(validation_config, ValidationConfig):
            validation_config = validation_config.to_json()
        elif not isinstance(validation_config, data_types.RuntimeParameter):
            raise ConfigError(
                "`validation_config` must be a ValidationConfig, its JSON or a RuntimeParameter, "
                f"got {type(validation_config).__name__}."
            )
        super().__init__(
            spec=ExplanationValidatorSpec(
                validation_config=validation_config,
                bless_model=int(bless_model),
                needs_model_blessing=int(model_blessing is not None),
                component_version=__version__,
                tfx_version=tfx.__version__,
                explanation=explanation,
                model=model,
                model_blessing=model_blessing,
                baseline_blessing=baseline_blessing,
                baseline_explanation=baseline_explanation,
                previous_validation=previous_validation,
                evaluation=evaluation,
                validation=types.Channel(type=ExplanationValidation),
                blessing=types.Channel(type=standard_artifacts.ModelBlessing),
                anomalies=types.Channel(type=standard_artifacts.ExampleAnomalies),
            )
        )
