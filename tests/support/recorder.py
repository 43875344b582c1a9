"""A component that writes down which model it was given; importable, because TFX loads it by its name."""

from pathlib import Path

from tfx import v1 as tfx


@tfx.dsl.components.component
def RecordModel(
    path: tfx.dsl.components.Parameter[str],
    model: tfx.dsl.components.InputArtifact[tfx.types.standard_artifacts.Model] = None,
) -> None:
    Path(path).write_text(model.uri if model is not None else "none")
