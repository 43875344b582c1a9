"""Everything but the components runs where TFX cannot be imported."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import tfx_explain

SUPPORT = Path(__file__).resolve().parents[1] / "support"
ABSENT = """
import importlib.abc, json, sys
class Absent(importlib.abc.MetaPathFinder):
    def __init__(self, *names):
        self.names = set(names)
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in self.names:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
def loaded(*names):
    return sorted(name for name in names if name in sys.modules)
sys.meta_path.insert(0, Absent("tfx", "ml_metadata", "tensorflow_model_analysis", "tensorflow_data_validation"))
"""
EVERYTHING = """
import contextlib, io
from pathlib import Path
import tfx_explain
from tfx_explain import *
starred = sorted(name for name in tfx_explain.__all__ if name in globals())
refused = {}
for name in [*tfx_explain.__all__, *tfx_explain._NEED_TFX]:
    try:
        getattr(tfx_explain, name)
    except ImportError as error:
        refused[name] = str(error)
import tfx_explain.cli
at_import = loaded("tfx_bsl", "tensorflow_transform")
import worlds
def score(features):
    return features["age"] - 2.0 * features["income"]
model = worlds.save_serving_model(Path("model"), score, worlds.FEATURES)
worlds.write_splits(Path("examples"), worlds.make_rows, 40, 30)
config = {"background": {"num_rows": 8}, "features": {"include": ["age", "income"]}}
explained = tfx_explain.explain(model=model, examples="examples", output_dir="explanation", config=config)
try:
    explained.attribution_stats
except tfx_explain.InputError as error:
    statistics = str(error)
policy = {"rules": [{"max_share": {"players": ["income"], "value": 0.01}}], "min_slice_examples": 10}
verdict = tfx_explain.judge(explained, tfx_explain.ValidationConfig.from_dict(policy))
Path("policy.json").write_text(json.dumps(policy))
said = io.StringIO()
with contextlib.redirect_stdout(said):
    code = tfx_explain.cli.main(["validate", "--explanation", "explanation", "--config", "policy.json"])
print(json.dumps({
    "starred": starred, "refused": refused,
    "at_import": at_import, "blessed": verdict.blessed, "code": code, "said": said.getvalue(),
    "rows": len(tfx_explain.load("explanation").attributions()),
    "statistics": statistics, "versions": explained.manifest["versions"],
    "absent": loaded("tfx", "ml_metadata", "tensorflow_model_analysis"), "found_at": tfx_explain.__file__,
}))
"""


def run(site: Path, code: str, directory: Path) -> Any:
    """What the code prints last, as JSON, run where TFX is absent and the package is the wheel's."""
    environment = {**os.environ, "PYTHONPATH": f"{site}{os.pathsep}{SUPPORT}"}
    command = [sys.executable, "-W", "ignore", "-c", ABSENT + code]
    done = subprocess.run(command, env=environment, cwd=directory, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def done(site: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return run(site, EVERYTHING, tmp_path_factory.mktemp("work"))


def test_a_model_is_explained_and_judged(done: Any, site: Path) -> None:
    assert Path(done["found_at"]).is_relative_to(site)
    assert done["absent"] == []
    assert done["rows"] == 30
    assert done["blessed"] is False


def test_only_statistics_are_absent_without_tensorflow_data_validation(done: Any) -> None:
    assert "made without TensorFlow Data Validation; pip install 'tfx-explain[statistics]'" in done["statistics"]
    assert {"tensorflow", "apache-beam"} <= set(done["versions"])
    assert not {"tfx", "tensorflow-data-validation"} & set(done["versions"])


def test_the_command_line_judges_too(done: Any) -> None:
    assert done["code"] == 1
    assert done["said"].endswith("refused\n")


def test_only_the_components_are_refused_each_in_a_sentence_that_says_what_to_install(done: Any) -> None:
    components = {"Explainer", "ExplanationValidator", "Explanation", "ExplanationValidation"}
    components |= {"BlessedModelFinder", "BlessedModelRecorder", "OptionalBaselineEvaluator"}
    assert set(done["refused"]) == components
    for name, sentence in done["refused"].items():
        assert sentence == (
            f"tfx_explain.{name} needs TFX, which cannot be imported (No module named 'tfx'): "
            "pip install 'tfx-explain[tfx]'."
        )


def test_a_star_takes_what_needs_no_tfx(done: Any) -> None:
    assert done["starred"] == sorted(set(tfx_explain.__all__) - tfx_explain._NEED_TFX)
    assert {"explain", "judge", "load"} <= set(done["starred"])


def test_libraries_of_tfx_are_imported_where_they_are_used(done: Any) -> None:
    assert done["at_import"] == []
