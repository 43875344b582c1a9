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


@pytest.fixture
def clone(linear_model: str, linear_examples: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clone in which `make demo` ran twice, to step 10; a notebook runs in `pipelines`."""
    artifacts = tmp_path / "demo/artifacts"
    for run in ("9", "10", ".system"):
        (artifacts / "Trainer/model" / run).mkdir(parents=True)
        (artifacts / "CsvExampleGen/examples" / run).mkdir(parents=True)
    shutil.copytree(linear_model, artifacts / "Trainer/model/10/Format-Serving")
    shutil.copytree(linear_examples, artifacts / "CsvExampleGen/examples/10", dirs_exist_ok=True)
    (tmp_path / "pipelines").mkdir()
    monkeypatch.chdir(tmp_path / "pipelines")
    for name in ("MODEL", "EXAMPLES"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def test_the_example_notebook_takes_what_is_named_or_says_what_to_run(
    shell: InteractiveShell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = next(cell.source for cell in nbformat.read(NOTEBOOK, as_version=4).cells if cell.cell_type == "code")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MODEL", "models/7")
    with pytest.raises(FileNotFoundError, match="run `make demo`, or set MODEL and EXAMPLES"):
        _shown(shell, first)
    monkeypatch.setenv("EXAMPLES", "data")
    _shown(shell, first)
    assert (shell.user_ns["model_dir"], shell.user_ns["examples_dir"]) == ("models/7", "data")


def test_the_example_notebook_shows_report_rows_verdict_and_pictures(shell: InteractiveShell, clone: Path) -> None:
    matplotlib.use("Agg")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    assert not [cell for cell in notebook.cells if cell.get("outputs")]
    shown = {cell.source: _shown(shell, cell.source) for cell in notebook.cells if cell.cell_type == "code"}
    assert shell.user_ns["model_dir"] == str(clone / "demo/artifacts/Trainer/model/10")
    assert shell.user_ns["examples_dir"] == str(clone / "demo/artifacts/CsvExampleGen/examples/10")
    of = {code.rpartition("context.show(")[2]: "".join(html) for code, html in shown.items()}
    assert "<iframe title=&quot;" not in of['explainer.outputs["explanation"])']
    assert 'srcdoc="&lt;!doctype html' in of['explainer.outputs["explanation"])'].lower()
    assert "attribution_income" in of['explainer.outputs["attributions"])']
    assert "max_completeness_gap" in of['validator.outputs["validation"])']
    (waterfall,) = [html for code, html in of.items() if "explanation.row(" in code]
    assert "from the base value" in waterfall
    assert len(matplotlib.pyplot.get_fignums()) == 4
    matplotlib.pyplot.close("all")
