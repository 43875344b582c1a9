"""The wheel holds the whole package, and importing it is cheap."""

import importlib.metadata
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "components" / "tfx_explain"
HEAVY = {
    "tensorflow",
    "keras",
    "apache_beam",
    "tfx",
    "tensorflow_data_validation",
    "tensorflow_model_analysis",
}


def run_against(site: Path, code: str) -> Any:
    """Runs `code` in a fresh interpreter that imports the package from `site`; returns the JSON it prints last."""
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(site)}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def files_below(package: Path) -> set[str]:
    files = (path.relative_to(package) for path in package.rglob("*") if path.is_file())
    return {str(path) for path in files if "__pycache__" not in path.parts}


def test_holds_every_file_of_the_package(site: Path) -> None:
    installed = files_below(site / "tfx_explain")
    assert installed == files_below(SOURCE)
    assert "py.typed" in installed
    assert any(name.startswith("report/templates/") for name in installed)


def test_holds_nothing_but_the_package(site: Path) -> None:
    assert {path.name for path in site.iterdir()} - {"bin"} == {
        "tfx_explain",
        f"tfx_explain-{distribution(site).version}.dist-info",
    }


def distribution(site: Path) -> importlib.metadata.Distribution:
    (found,) = importlib.metadata.distributions(path=[str(site)])
    return found


def test_says_one_version(site: Path) -> None:
    code = "import json, tfx_explain.version as v; print(json.dumps([v.__version__, v.__file__]))"
    version, file = run_against(site, code)
    assert Path(file).is_relative_to(site)
    assert distribution(site).version == version


def test_importing_it_imports_nothing_but_python(site: Path) -> None:
    """Which is why it takes milliseconds."""
    code = """
import json, sys
before = set(sys.modules)
import tfx_explain
print(json.dumps([tfx_explain.__file__, sorted({name.split(".")[0] for name in set(sys.modules) - before})]))
"""
    file, modules = run_against(site, code)
    assert Path(file).is_relative_to(site)
    assert set(modules) - sys.stdlib_module_names == {"tfx_explain"}


def test_reading_an_explanation_takes_no_tensorflow(site: Path) -> None:
    code = """
import json, sys
from tfx_explain import ConfigError, ExplainConfig, ExplanationReader, ValidationConfig, load
print(json.dumps(sorted({name.split(".")[0] for name in sys.modules})))
"""
    assert HEAVY.intersection(run_against(site, code)) == set()


def test_every_public_name_resolves_to_something_documented(site: Path) -> None:
    code = """
import inspect, json
import tfx_explain
undocumented = []
for name in tfx_explain.__all__:
    value = getattr(tfx_explain, name)
    if not isinstance(value, str) and not inspect.getdoc(value):
        undocumented.append(name)
print(json.dumps([sorted(tfx_explain.__all__), undocumented, sorted(set(tfx_explain.__all__) - set(dir(tfx_explain)))]))
"""
    public, undocumented, not_listed_by_dir = run_against(site, code)
    assert {"Explainer", "ExplanationValidator", "ExplainConfig", "ValidationConfig", "explain", "load"} <= set(public)
    assert undocumented == []
    assert not_listed_by_dir == []


def test_console_script_leads_to_a_function(site: Path) -> None:
    (script,) = distribution(site).entry_points.select(group="console_scripts", name="tfx-explain")
    code = f"import json, {script.module} as m; print(json.dumps(callable(m.{script.attr})))"
    assert run_against(site, code) is True


@pytest.mark.parametrize(("lock", "python"), [("tfx-1.16", "3.10"), ("tfx-1.21", "3.11"), ("tfx-1.21", "3.13")])
def test_lock_satisfies_what_the_wheel_requires(site: Path, lock: str, python: str) -> None:
    environment = {"python_version": python, "python_full_version": f"{python}.9", "extra": ""}
    locked = {}
    for line in (ROOT / "requirements" / f"{lock}.txt").read_text().splitlines():
        if not line.startswith("#"):
            pin = Requirement(line)
            if pin.marker is None or pin.marker.evaluate(environment):
                locked[canonicalize_name(pin.name)] = str(pin.specifier).removeprefix("==")
    requires = [Requirement(text) for text in distribution(site).requires or []]
    extras = ("", "tfx", "demo", "kfp", "notebook", "images")
    wanted = [
        r for r in requires if r.marker is None or any(r.marker.evaluate({**environment, "extra": e}) for e in extras)
    ]
    assert "tfx" in {r.name for r in wanted}
    missing = {canonicalize_name(r.name) for r in wanted} - set(locked)
    assert missing == set()
    assert [str(r) for r in wanted if not r.specifier.contains(locked[canonicalize_name(r.name)])] == []


def test_tfx_is_required_by_its_extra_alone(site: Path) -> None:
    for requirement in map(Requirement, distribution(site).requires or []):
        markers = str(requirement.marker)
        assert (requirement.name == "tfx") == ('extra == "tfx"' in markers), requirement


@pytest.mark.parametrize("lock", ["tfx-1.16", "tfx-1.21"])
def test_lock_names_no_place(lock: str) -> None:
    text = (ROOT / "requirements" / f"{lock}.txt").read_text()
    assert "://" not in text
    assert not [line for line in text.splitlines() if line.startswith("-") or " /" in line]
