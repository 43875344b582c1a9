"""The digest of a directory tells any two contents apart, and nothing else."""

import os
import shutil

import pytest

from tfx_explain import storage
from tfx_explain.content_digest import EMPTY, directory_digest, object_digest


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


def test_the_order_of_keys_does_not_count_and_everything_else_does():
    digest = object_digest({"a": 1, "b": {"c": 2, "d": [3]}})
    assert digest == object_digest({"b": {"d": [3], "c": 2}, "a": 1})
    assert digest != object_digest({"a": 1, "b": {"c": 2, "d": ["3"]}})
