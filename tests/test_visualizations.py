"""What notebooks show of the artifacts of this package, and of Examples."""

import shutil
from pathlib import Path

import IPython.display
import pytest
from tfx.orchestration.experimental.interactive import visualizations
from tfx.types import standard_artifacts

from tfx_explain import Explanation, ExplanationValidation

FIXTURE = Path(__file__).parent / "fixtures/explanation_format_2/explanation"


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The HTML that is shown."""
    found: list[str] = []
    monkeypatch.setattr(IPython.display, "display", lambda html: found.append(html.data))
    return found


def test_explanation_and_verdict_are_shown_as_their_pages(shown: list[str], tmp_path: Path) -> None:
    for kind, name in ((Explanation, "report.html"), (ExplanationValidation, "verdict.html")):
        (tmp_path / name).write_text(f"<p>{name}</p>")
        artifact = kind()
        artifact.uri = str(tmp_path)
        visualizations.get_registry().get_visualization(artifact.type_name).display(artifact)
    assert ["&lt;p&gt;report.html&lt;/p&gt;" in shown[0], "&lt;p&gt;verdict.html&lt;/p&gt;" in shown[1]] == [True, True]


def test_attributions_are_shown_as_rows_and_other_examples_as_a_line(shown: list[str], tmp_path: Path) -> None:
    shutil.copytree(FIXTURE, tmp_path / "explanation")
    attributions = standard_artifacts.Examples()
    attributions.uri, attributions.split_names = "<b>", '["eval"]'
    display = visualizations.get_registry().get_visualization("Examples").display
    display(attributions)
    assert shown == ["<p>Examples in &lt;b&gt;, splits [&quot;eval&quot;].</p>"]
    attributions.set_string_custom_property("explanation_uri", str(tmp_path / "explanation"))
    display(attributions)
    assert "the first 20 of 24 rows" in shown[1]
    assert shown[1].count("<tr") == 21
