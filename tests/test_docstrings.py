"""Examples in docstrings are run: they print what they say, and whoever starts somewhere finds one there."""

import doctest
import importlib
import shutil
from pathlib import Path

import pytest

import tfx_explain
from tfx_explain import attribution, summary

ROOT = Path(tfx_explain.__file__).parent
FIXTURE = Path(__file__).parent / "fixtures/explanation_format_2/explanation"
MODULES = sorted(
    ".".join(("tfx_explain", *path.relative_to(ROOT).with_suffix("").parts))
    for path in ROOT.rglob("*.py")
    if ">>> " in path.read_text()
)
ENTRIES = [
    tfx_explain.explain,
    tfx_explain.load,
    tfx_explain.judge,
    tfx_explain.ExplainConfig,
    tfx_explain.ValidationConfig,
    tfx_explain.Explainer,
    tfx_explain.ExplanationValidator,
    attribution.make_design,
    summary.ImportanceAccumulator,
    summary.PartialDependenceAccumulator,
]


@pytest.fixture
def places(linear_model: str, linear_examples: str, tmp_path: Path) -> dict[str, str]:
    """The directories that examples name."""
    explanation = shutil.copytree(FIXTURE, tmp_path / "written")
    return {
        "model_dir": linear_model,
        "examples_dir": linear_examples,
        "explanation_dir": str(explanation),
        "output_dir": str(tmp_path / "explanation"),
    }


@pytest.mark.parametrize("module", MODULES)
def test_examples_print_what_they_say(module: str, places: dict[str, str]) -> None:
    failed, attempted = doctest.testmod(importlib.import_module(module), extraglobs=places)
    assert attempted
    assert not failed


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.__name__)
def test_entries_have_examples(entry: object) -> None:
    assert any(found.examples for found in doctest.DocTestFinder(recurse=False).find(entry))
