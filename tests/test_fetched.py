"""Copies of what TensorFlow and Python cannot read."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tfx_explain import InputError, storage, unfinished
from tfx_explain.fetched import fetch, fetch_files
from tfx_explain.unfinished import undo_all


@pytest.fixture
def model() -> Iterator[str]:
    for name in ("saved_model.pb", "variables/data", "__pycache__/a.pyc", "explanation/table"):
        storage.write_bytes(f"memory://fetched/model/{name}", name.encode())
    yield "memory://fetched/model"
    storage.remove("memory://fetched")


def test_what_is_local_is_itself(tmp_path: Path) -> None:
    assert fetch("model").path == "model"
    assert fetch(f"file://{tmp_path}/a").path == f"{tmp_path}/a"


def test_a_copy_goes_with_its_object(model: str) -> None:
    copy = fetch(model, [f"{model}/explanation"])
    path = copy.path
    assert storage.names_beneath(path) == ["saved_model.pb", "variables/data"]
    assert storage.read_bytes(os.path.join(path, "variables", "data")) == b"variables/data"
    assert copy.uri == model
    del copy
    assert not os.path.exists(path)
    one = fetch(f"{model}/saved_model.pb")
    assert os.path.basename(one.path) == "saved_model.pb"
    assert storage.read_bytes(one.path) == b"saved_model.pb"


def test_of_nothing_there_is_no_copy(model: str) -> None:
    assert not os.path.exists(fetch(f"{model}/nowhere").path)


@pytest.mark.parametrize("name", ["../../above", "a/../../above", "/etc/passwd"])
def test_names_that_lead_elsewhere_are_refused(model: str, name: str) -> None:
    with pytest.raises(InputError, match=r"which is the name of no file beneath it"):
        fetch_files(model, [name], model)


def test_a_process_that_is_ended_leaves_no_copy(model: str) -> None:
    copy = fetch(model)
    undo_all()
    assert not os.path.exists(copy.path)
    n = len(unfinished._UNDONE)
    del copy
    assert len(unfinished._UNDONE) == n - 1
