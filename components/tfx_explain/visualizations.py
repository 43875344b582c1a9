"""What `InteractiveContext.show` shows of the artifacts of this package: the pages themselves."""

from __future__ import annotations

from tfx import types
from tfx.orchestration.experimental.interactive import visualizations
from tfx.types import standard_artifacts

from tfx_explain import storage, tables
from tfx_explain.artifacts import Explanation, ExplanationValidation
from tfx_explain.explanation_validator.judge import VERDICT_REPORT
from tfx_explain.notebook_html import framed, text
from tfx_explain.optional import optional
from tfx_explain.reader import load

_N_ROWS = 20


class ExplanationVisualization(visualizations.ArtifactVisualization):
    """The report of an explanation."""

    ARTIFACT_TYPE = Explanation

    def display(self, artifact: types.Artifact) -> None:
        """Shows it."""
        show(framed(_page(artifact.uri, tables.REPORT), f"Explanation {artifact.uri}"))


class ExplanationValidationVisualization(visualizations.ArtifactVisualization):
    """The verdict on an explanation."""

    ARTIFACT_TYPE = ExplanationValidation

    def display(self, artifact: types.Artifact) -> None:
        """Shows it."""
        show(framed(_page(artifact.uri, VERDICT_REPORT), f"Verdict {artifact.uri}", height=500))


class AttributionsVisualization(visualizations.ArtifactVisualization):
    """The first rows of Explainer's `attributions`; of other Examples, for which TFX has nothing, a line."""

    ARTIFACT_TYPE = standard_artifacts.Examples

    def display(self, artifact: types.Artifact) -> None:
        """Shows them."""
        uri = artifact.get_string_custom_property("explanation_uri")
        if not uri:
            show(f"<p>Examples in {text(artifact.uri)}, splits {text(artifact.split_names)}.</p>")
            return
        explanation = load(uri)
        for output in explanation.outputs:
            rows = explanation.attributions(output=output)
            show(
                f"<p>Attributions in {text(artifact.uri)}, output {text(output)}: the first {min(_N_ROWS, len(rows))} "
                f"of {len(rows):,} rows. <code>tfx_explain.load({text(repr(uri))}).attributions()</code> has all.</p>"
                f'<div style="overflow:auto">{rows.head(_N_ROWS).to_html(escape=True, index=False)}</div>'
            )


def register() -> None:
    """Tells TFX of them; what others have registered for Examples stays."""
    registry = visualizations.get_registry()
    for visualization in (ExplanationVisualization, ExplanationValidationVisualization):
        registry.register(visualization)
    if registry.get_visualization(standard_artifacts.Examples.TYPE_NAME) is None:
        registry.register(AttributionsVisualization)


def show(html: str) -> None:
    """Shows HTML in the cell of a notebook."""
    display = optional("IPython.display", "Notebooks need", "tfx-explain[notebook]")
    display.display(display.HTML(html))


def _page(uri: str, name: str) -> str:
    return storage.read_bytes(storage.join(uri, name)).decode()


register()
