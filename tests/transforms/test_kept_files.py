"""Files that are read twice: decoded once where they are small, never taken for what they were before."""

from __future__ import annotations

from pathlib import Path

import pytest

import worlds
from tfx_explain.transforms import read
from tfx_explain.transforms.read import KeptFiles, read_file


def elements_of(path: Path, n: int = 50) -> list[read.Element]:
    records = [worlds.to_example(row) for row in worlds.make_rows(n, 0)]
    worlds.write_records(path, records)
    return list(read_file(str(next(path.iterdir())), "eval"))


def test_what_was_read_is_taken_once_and_by_its_own_job(tmp_path: Path) -> None:
    elements, kept = elements_of(tmp_path), KeptFiles(2**20)
    assert list(kept.keep("job", "file", elements)) == elements
    assert kept.take("another", "file") is None
    assert kept.take("job", "file") == elements
    assert kept.take("job", "file") is None


def test_large_files_and_those_without_room_are_not_kept(tmp_path: Path) -> None:
    elements = elements_of(tmp_path)
    size = sum(read._n_bytes(element) for element in elements)
    assert size > 50 * len(worlds.to_example(worlds.make_rows(1, 0)[0])) / 2
    small = KeptFiles(size - 1)
    assert list(small.keep("job", "file", elements)) == elements
    assert small.take("job", "file") is None
    room_for_two = KeptFiles(2 * size)
    for name in ("first", "second", "third"):
        list(room_for_two.keep("job", name, elements))
    assert room_for_two.take("job", "first") == elements
    assert room_for_two.take("job", "second") == elements
    assert room_for_two.take("job", "third") is None


def test_what_another_job_left_makes_room(tmp_path: Path) -> None:
    elements = elements_of(tmp_path)
    kept = KeptFiles(2 * sum(read._n_bytes(element) for element in elements))
    for job, name in (("old", "first"), ("old", "second"), ("new", "first")):
        list(kept.keep(job, name, elements))
    assert kept.take("old", "first") is None
    assert kept.take("old", "second") == elements
    assert kept.take("new", "first") == elements


def test_a_file_that_was_not_read_to_its_end_is_not_kept(tmp_path: Path) -> None:
    kept = KeptFiles(2**20)
    next(kept.keep("job", "file", elements_of(tmp_path)))
    assert kept.take("job", "file") is None


def test_the_second_reading_decodes_nothing_and_gives_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elements_of(tmp_path)
    uri = str(next(tmp_path.iterdir()))
    parts = [contents for _, contents in read.count_file(uri, "job", "eval")]
    assert parts
    again = list(read.read_numbered((uri, []), "no such job", "eval", 7))
    calls: list[str] = []
    monkeypatch.setattr(read, "read_file", lambda uri, split: calls.append(uri) or iter(()))
    first = list(read.read_numbered((uri, []), "job", "eval", 7))
    assert not calls
    draws = [[one.draws.tolist() for one in made if isinstance(one, read.SplitRows)] for made in (again, first)]
    assert draws[0] == draws[1]
