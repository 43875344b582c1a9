"""Small components that tests put into pipelines; importable, because TFX loads them by their names."""

from pathlib import Path

from tfx import v1 as tfx
from tfx.components.evaluator import constants


@tfx.dsl.components.component
def RecordModel(
    path: tfx.dsl.components.Parameter[str],
    model: tfx.dsl.components.InputArtifact[tfx.types.standard_artifacts.Model] = None,
) -> None:
    Path(path).write_text(model.uri if model is not None else "none")


@tfx.dsl.components.component
def Judge(
    blessed: tfx.dsl.components.Parameter[int],
    model: tfx.dsl.components.InputArtifact[tfx.types.standard_artifacts.Model],
    blessing: tfx.dsl.components.OutputArtifact[tfx.types.standard_artifacts.ModelBlessing],
) -> None:
    """Stands in for Evaluator: blesses or refuses as it is told, in Evaluator's own words."""
    blessing.set_int_custom_property(constants.ARTIFACT_PROPERTY_BLESSED_KEY, blessed)
    blessing.set_string_custom_property(constants.ARTIFACT_PROPERTY_CURRENT_MODEL_URI_KEY, model.uri)
    blessing.set_int_custom_property(constants.ARTIFACT_PROPERTY_CURRENT_MODEL_ID_KEY, model.id)
