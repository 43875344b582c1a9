"""The digest of a model covers the Python that loads it, whose files are read as they are."""

import os
import sys

import pyarrow as pa
import pytest

from tfx_explain.models import load_module_model
from tfx_explain.models.identity import model_identity
from tfx_explain.models.python_sources import imported_beside


def test_what_a_module_file_imports_from_beside_it(tmp_path):
    files = {
        "module.py": "import json, helper\nfrom package.deep import leaf\nimport absent\nfrom package import other\n",
        "helper.py": "def f():\n    import lazy\n",
        "lazy.py": "",
        "package/__init__.py": "",
        "package/deep/__init__.py": "from . import leaf\nfrom ..sibling import x\n",
        "package/deep/leaf.py": "",
        "package/sibling.py": "x = 1\n",
        "package/other.py": "",
        "package/unused.py": "",
        "unused.py": "",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    found = {os.path.relpath(path, tmp_path) for path in imported_beside(str(tmp_path / "module.py"))}
    assert found == set(files) - {"module.py", "package/unused.py", "unused.py"}
    before = model_identity("", str(tmp_path / "module.py"))
    (tmp_path / "unused.py").write_text("y = 2\n")
    assert model_identity("", str(tmp_path / "module.py")) == before
    (tmp_path / "package" / "sibling.py").write_text("x = 2\n")
    assert model_identity("", str(tmp_path / "module.py")) != before


@pytest.mark.parametrize("statement", ["import {0}", "import importlib\n{0} = importlib.import_module('{0}')"])
def test_imported_files_are_read_as_they_are(tmp_path, monkeypatch, statement):
    # Bytecode is found by the size of its source and the second it was written in; modules by their names.
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    helper = f"helper_{len(statement)}"
    module = f"{statement.format(helper)}\nFEATURES = {{'x': 'float32'}}\nload_model = lambda d: {helper}.f\n"
    (tmp_path / "module.py").write_text(module)
    for factor in (2, 3, 2):
        (tmp_path / f"{helper}.py").write_text(f"def f(columns):\n    return {factor} * columns['x']\n")
        os.utime(tmp_path / f"{helper}.py", (1_000_000_000, 1_000_000_000))
        model = load_module_model(str(tmp_path / "module.py"), "")
        one = pa.RecordBatch.from_pydict({"x": pa.array([[1.0]], pa.large_list(pa.float32()))})
        assert model.predict(model.inputs(one)).tolist() == [[factor]]
        assert [os.path.basename(path) for path in model.sources] == [f"{helper}.py"]
