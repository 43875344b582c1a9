"""Attribution records and dead letters: which files, and what a worker leaves that fails."""

from collections.abc import Iterator
from pathlib import Path

import apache_beam as beam
import pytest

from tfx_explain import InputError, storage
from tfx_explain.tfrecords import read_records
from tfx_explain.transforms import write
from tfx_explain.transforms.runner import pipeline_args

ROOTS = ["{tmp_path}", "file://{tmp_path}", "memory://written"]


@pytest.fixture(params=ROOTS)
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    uri = request.param.format(tmp_path=tmp_path)
    yield uri
    storage.remove(uri)


def written(root: str, records: list[bytes]) -> dict[str, list[bytes]]:
    with beam.Pipeline(argv=pipeline_args([])) as pipeline:
        _ = pipeline | beam.Create(records) | write.WriteRecords(storage.join(root, "records"))
    names = storage.names_beneath(root)
    return {name: list(read_records(storage.join(root, name))) for name in names}


def test_files_are_named_as_examples_are_and_nothing_else_is_left(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert written(root, [b"a", b"b"]).keys() == {"records/data_tfrecord-00000-of-00001.gz"}
    storage.remove(root)
    monkeypatch.setattr(write, "SHARD_BYTES", 1)
    files = written(root, [bytes([i]) * 100_000 for i in range(3)])
    assert len(files) > 1
    assert list(files) == [f"records/data_tfrecord-{i:05d}-of-{len(files):05d}.gz" for i in range(len(files))]
    assert sorted(record for of_file in files.values() for record in of_file) == [
        bytes([i]) * 100_000 for i in range(3)
    ]


def test_without_records_there_is_a_file_without_records(root: str) -> None:
    assert written(root, []) == {"records/data_tfrecord-00000-of-00001.gz": []}


def test_names_are_given_anew_where_that_failed_half_way(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("x", "y", "left-by-a-bundle-that-failed"):
        storage.write_bytes(storage.join(root, ".unnamed", name), name.encode())
    arguments = (root, storage.join(root, ".unnamed"), ["y", "x"])
    moved: list[str] = []

    def move(uri: str, new: str) -> None:
        if moved:
            raise InputError("gone")
        moved.append(new)
        real(uri, new)

    real = storage.move
    with monkeypatch.context() as patch:
        patch.setattr(storage, "move", move)
        with pytest.raises(InputError, match="gone"):
            write.name_shards(*arguments)
    for _ in range(2):
        write.name_shards(*arguments)
        assert storage.names_beneath(root) == [f"data_tfrecord-0000{i}-of-00002.gz" for i in range(2)]
    assert storage.read_bytes(storage.join(root, "data_tfrecord-00001-of-00002.gz")) == b"y"
