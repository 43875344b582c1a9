"""The digest of a model tells any two contents apart, and nothing else; Python files are read as they are."""

import os
import shutil
import sys

import pyarrow as pa
import pytest

from tfx_explain import storage
from tfx_explain.models import load_module_model
from tfx_explain.models.identity import EMPTY, directory_digest, model_identity
from tfx_explain.models.python_sources import imported_beside


@pytest.fixture
def model_dir(tmp_path):
    root = tmp_path / "model"
    (root / "variables").mkdir(parents=True)
    (root / "saved_model.pb").write_bytes(b"graph")
    (root / "variables" / "data").write_bytes(b"weights")
    return root


def test_any_other_content_has_another_digest(model_dir):
    def restore(path, content):
        status = path.stat()
        path.write_bytes(content)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))

    seen = {directory_digest(str(model_dir)), EMPTY}
    changes = [
        lambda: restore(model_dir / "variables" / "data", b"Weights"),  # same size and time
        lambda: (model_dir / "variables" / "data").rename(model_dir / "data"),
        lambda: (model_dir / "more").write_bytes(b""),
        lambda: (model_dir / "saved_model.pb").unlink(),
    ]
    for n, change in enumerate(changes):
        change()
        seen.add(directory_digest(str(model_dir)))
        assert len(seen) == n + 3
    shutil.rmtree(model_dir)
    assert directory_digest(str(model_dir)) == EMPTY


def test_place_links_caches_and_outputs_do_not_count(model_dir, tmp_path):
    whole = directory_digest(str(model_dir))
    shutil.copytree(model_dir, tmp_path / "copy")
    linked = tmp_path / "linked"
    linked.mkdir()
    (linked / "saved_model.pb").symlink_to(model_dir / "saved_model.pb")
    (linked / "variables").symlink_to(model_dir / "variables")
    (model_dir / "__pycache__").mkdir()
    (model_dir / "__pycache__" / "a.pyc").write_bytes(b"code")
    (model_dir / "explanation").mkdir()
    (model_dir / "explanation" / "table").write_bytes(b"rows")
    ignored = (str(model_dir / "explanation"),)
    assert directory_digest(str(model_dir), ignored) == whole != directory_digest(str(model_dir))
    assert {directory_digest(str(path)) for path in (tmp_path / "copy", linked)} == {whole}
    assert directory_digest(f"file://{tmp_path / 'copy'}") == whole
    for name in storage.names_beneath(str(model_dir)):
        storage.write_bytes(f"memory://identity/model/{name}", (model_dir / name).read_bytes())
    assert directory_digest("memory://identity/model", ("memory://identity/model/explanation",)) == whole
    assert directory_digest("memory://identity/model") != whole
    one = "memory://identity/model/saved_model.pb"
    assert directory_digest(one) == directory_digest(str(model_dir / "saved_model.pb")) != EMPTY
    storage.remove("memory://identity")
    assert directory_digest("memory://identity/model") == directory_digest("models://forest/1") == EMPTY


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
