"""The example notebook runs, and shows what it says it shows."""

import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib
import matplotlib.pyplot
import nbformat
import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from traitlets.config import Config

NOTEBOOK = Path(__file__).parents[2] / "pipelines/notebook.ipynb"


@pytest.fixture
def shell() -> Iterator[InteractiveShell]:
    """A notebook's Python in this process, without a history."""
    config = Config()
    config.HistoryManager.enabled = False
    yield InteractiveShell.instance(config=config)
    InteractiveShell.clear_instance()


def _shown(shell: InteractiveShell, code: str) -> list[str]:
    """The HTML that a cell shows."""
    with capture_output() as captured, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TFX's own in a notebook
        shell.run_cell(code, silent=False).raise_error()
        made: Any = shell.user_ns.get("_")
    shown = [output.data.get("text/html", "") for output in captured.outputs]
    return [*shown, made._repr_html_() if hasattr(made, "_repr_html_") else ""]


def test_the_example_notebook_shows_report_rows_verdict_and_pictures(
    shell: InteractiveShell,
    linear_model: str,
    linear_examples: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    matplotlib.use("Agg")
    shutil.copytree(linear_model, tmp_path / "model" / "Format-Serving")
    monkeypatch.setenv("MODEL", str(tmp_path / "model"))
    monkeypatch.setenv("EXAMPLES", linear_examples)
    monkeypatch.chdir(tmp_path)
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    assert not [cell for cell in notebook.cells if cell.get("outputs")]
    shown = {cell.source: _shown(shell, cell.source) for cell in notebook.cells if cell.cell_type == "code"}
    of = {code.rpartition("context.show(")[2]: "".join(html) for code, html in shown.items()}
    assert "<iframe title=&quot;" not in of['explainer.outputs["explanation"])']
    assert 'srcdoc="&lt;!doctype html' in of['explainer.outputs["explanation"])'].lower()
    assert "attribution_income" in of['explainer.outputs["attributions"])']
    assert "max_completeness_gap" in of['validator.outputs["validation"])']
    (waterfall,) = [html for code, html in of.items() if "explanation.row(" in code]
    assert "from the base value" in waterfall
    assert len(matplotlib.pyplot.get_fignums()) == 4
    matplotlib.pyplot.close("all")
