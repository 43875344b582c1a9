"""What the components run that remember the last blessed model."""

from __future__ import annotations

from typing import Any

import tfx
from absl import logging  # as TFX's own components: others' logs are below the level of its runners
from tfx import types
from tfx.components.evaluator import constants
from tfx.components.evaluator import executor as evaluator_executor
from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils, standard_component_specs

from tfx_explain import storage
from tfx_explain.artifacts import FOUND_PROPERTY, found
from tfx_explain.blessed_model.record import BlessedModel
from tfx_explain.compiled import check_compiled
from tfx_explain.errors import InputError
from tfx_explain.explanation_validator.executor import (
    DIGEST_OF_EXPLANATION_PROPERTY,
    DIGEST_PROPERTY,
    EXPLANATION_PROPERTY,
)
from tfx_explain.explanation_validator.judge import write_blessing
from tfx_explain.explanation_validator.recorded import check_same_model

PIPELINE_JOB_ID = "{{$.pipeline_job_uuid}}"
"""What Kubeflow Pipelines puts the identity of the run in place of, where it is the value of a parameter."""


class FinderExecutor(base_executor.BaseExecutor):
    """Executor of the BlessedModelFinder component."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Finds the model.

        Raises:
          InputError: the record cannot be used, or the backend is not one of Kubeflow.
        """
        check_compiled(exec_properties, tfx.__version__)
        if exec_properties["run_id"] == PIPELINE_JOB_ID:
            raise InputError(
                f"BlessedModelFinder was not told which run this is: nothing was put in place of {PIPELINE_JOB_ID}. "
                "On Kubeflow give `run_id` a RuntimeParameter that differs from run to run; elsewhere use "
                "tfx.dsl.Resolver with LatestBlessedModelStrategy."
            )
        record = exec_properties["record"]
        last = BlessedModel.read(record)
        model = artifact_utils.get_single_instance(output_dict["model"])
        blessing = artifact_utils.get_single_instance(output_dict["model_blessing"])
        for artifact in (model, blessing):
            artifact.set_int_custom_property(FOUND_PROPERTY, int(last is not None))
        # A try of this step that was killed may have left another one.
        storage.remove(blessing.uri)
        write_blessing(blessing.uri, last is not None)
        blessing.set_int_custom_property(constants.ARTIFACT_PROPERTY_BLESSED_KEY, int(last is not None))
        if last is None:
            logging.info("There is no record %s: no model was blessed before this run.", record)
            return
        model.uri = last.model_uri
        blessing.set_string_custom_property(constants.ARTIFACT_PROPERTY_CURRENT_MODEL_URI_KEY, last.model_uri)
        blessing.set_string_custom_property(EXPLANATION_PROPERTY, last.explanation_uri)
        blessing.set_string_custom_property(DIGEST_OF_EXPLANATION_PROPERTY, last.manifest_digest)
        logging.info("The last blessed model is %s.", last.model_uri)


class RecorderExecutor(base_executor.BaseExecutor):
    """Executor of the BlessedModelRecorder component."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Records the model, if it is blessed.

        Raises:
          InputError: the explanation is of another model, or the record cannot be written.
        """
        check_compiled(exec_properties, tfx.__version__)
        model = artifact_utils.get_single_instance(input_dict["model"])
        blessing = artifact_utils.get_single_instance(input_dict["model_blessing"])
        explanations = input_dict.get("explanation") or []
        explanation = artifact_utils.get_single_instance(explanations) if explanations else None
        if explanation is not None:
            check_same_model(explanation.model_uri, model.uri)
        if blessing.get_int_custom_property(constants.ARTIFACT_PROPERTY_BLESSED_KEY) != 1:
            logging.info("The model %s is not blessed and not recorded.", model.uri)
            return
        last = BlessedModel(
            model_uri=model.uri,
            explanation_uri="" if explanation is None else explanation.uri,
            manifest_digest="" if explanation is None else explanation.get_string_custom_property(DIGEST_PROPERTY),
        )
        last.write(exec_properties["record"])
        logging.info("%s says now that %s is the last blessed model.", exec_properties["record"], model.uri)


class EvaluatorExecutor(evaluator_executor.Executor):
    """TFX's executor of Evaluator, for which a baseline model that was not found is none."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Evaluates the model."""
        key = standard_component_specs.BASELINE_MODEL_KEY
        super().Do({**input_dict, key: found(input_dict.get(key) or [])}, output_dict, exec_properties)
