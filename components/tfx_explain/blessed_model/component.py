"""The last blessed model as a file, as nodes of a pipeline."""

from __future__ import annotations

import tfx
from tfx import types
from tfx.components.evaluator import component as evaluator
from tfx.dsl.components.base import base_component, executor_spec
from tfx.orchestration import data_types
from tfx.types import component_spec, standard_artifacts

from tfx_explain.artifacts import Explanation
from tfx_explain.blessed_model import executor
from tfx_explain.version import __version__


class BlessedModelFinderSpec(component_spec.ComponentSpec):
    """Outputs and parameters of BlessedModelFinder."""

    PARAMETERS = {
        "record": component_spec.ExecutionParameter(type=str),
        "run_id": component_spec.ExecutionParameter(type=str),
        "component_version": component_spec.ExecutionParameter(type=str),
        "tfx_version": component_spec.ExecutionParameter(type=str, optional=True),
    }
    INPUTS: dict[str, component_spec.ChannelParameter] = {}
    OUTPUTS = {
        "model": component_spec.ChannelParameter(type=standard_artifacts.Model),
        "model_blessing": component_spec.ChannelParameter(type=standard_artifacts.ModelBlessing),
    }


class BlessedModelFinder(base_component.BaseComponent):
    """Finds the model that BlessedModelRecorder recorded last.

    For the open-source backend of Kubeflow Pipelines, which runs no resolvers; elsewhere tfx.dsl.Resolver with
    LatestBlessedModelStrategy does the same. Outputs `model` (for `baseline_model` of Explainer and of
    OptionalBaselineEvaluator) and `model_blessing` (for `baseline_blessing` of ExplanationValidator); where nothing was
    recorded, as on the first run, both say that they are not there.

    Example:
      >>> finder = BlessedModelFinder(record="gs://bucket/loans/blessed_model.json")
      >>> sorted(finder.outputs)
      ['model', 'model_blessing']
    """

    SPEC_CLASS = BlessedModelFinderSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(executor.FinderExecutor)

    def __init__(self, record: str, run_id: str | data_types.RuntimeParameter = executor.PIPELINE_JOB_ID) -> None:
        """Says where to look.

        Args:
          record: URI of the file that the BlessedModelRecorder of the same pipeline writes.
          run_id: what differs from run to run, so that what one run found is not reused by the next; by default what
            Kubeflow Pipelines puts its own identity of the run in place of.
        """
        super().__init__(
            spec=BlessedModelFinderSpec(
                record=record,
                run_id=run_id,
                component_version=__version__,
                tfx_version=tfx.__version__,
                model=types.Channel(type=standard_artifacts.Model),
                model_blessing=types.Channel(type=standard_artifacts.ModelBlessing),
            )
        )


class BlessedModelRecorderSpec(component_spec.ComponentSpec):
    """Inputs and parameters of BlessedModelRecorder."""

    PARAMETERS = {
        "record": component_spec.ExecutionParameter(type=str),
        "component_version": component_spec.ExecutionParameter(type=str),
        "tfx_version": component_spec.ExecutionParameter(type=str, optional=True),
    }
    INPUTS = {
        "model": component_spec.ChannelParameter(type=standard_artifacts.Model),
        "model_blessing": component_spec.ChannelParameter(type=standard_artifacts.ModelBlessing),
        "explanation": component_spec.ChannelParameter(type=Explanation, optional=True),
    }
    OUTPUTS: dict[str, component_spec.ChannelParameter] = {}


class BlessedModelRecorder(base_component.BaseComponent):
    """Records a model as the last blessed one, if it is blessed; BlessedModelFinder of later runs finds it.

    Example:
      >>> kinds = {"model": standard_artifacts.Model, "model_blessing": standard_artifacts.ModelBlessing}
      >>> channels = {name: types.Channel(type=kind) for name, kind in kinds.items()}  # of Trainer and Evaluator
      >>> recorder = BlessedModelRecorder(record="gs://bucket/loans/blessed_model.json", **channels)
    """

    SPEC_CLASS = BlessedModelRecorderSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(executor.RecorderExecutor)

    def __init__(
        self,
        record: str,
        model: types.BaseChannel,
        model_blessing: types.BaseChannel,
        explanation: types.BaseChannel | None = None,
    ) -> None:
        """Says what to record, and where.

        Args:
          record: URI of the file to write.
          model: what is recorded.
          model_blessing: the verdict on it, of Evaluator or of ExplanationValidator.
          explanation: what it was blessed for; the baseline of later explanations.
        """
        super().__init__(
            spec=BlessedModelRecorderSpec(
                record=record,
                component_version=__version__,
                tfx_version=tfx.__version__,
                model=model,
                model_blessing=model_blessing,
                explanation=explanation,
            )
        )


class OptionalBaselineEvaluator(evaluator.Evaluator):
    """TFX's Evaluator, for a `baseline_model` that a BlessedModelFinder may not have found.

    Without a baseline Evaluator leaves out the thresholds of changes, as it does where a resolver finds none.
    """

    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(executor.EvaluatorExecutor)
