"""Parts that are read twice: decoded once where they are small, never taken for what they were before."""

from __future__ import annotations

from pathlib import Path

import worlds
from tfx_explain.transforms import kept as kept_parts
from tfx_explain.transforms.decode import Element, read_file
from tfx_explain.transforms.kept import KeptParts


def elements_of(path: Path, n: int = 50) -> list[Element]:
    records = [worlds.to_example(row) for row in worlds.make_rows(n, 0)]
    worlds.write_records(path, records)
    return list(read_file(str(next(path.iterdir())), "eval"))


def test_what_was_read_is_taken_once_and_by_its_own_job(tmp_path: Path) -> None:
    elements, kept = elements_of(tmp_path), KeptParts(2**20)
    assert list(kept.keep("job", ("file", 0), elements)) == elements
    assert kept.take("another", ("file", 0)) is None
    assert kept.take("job", ("file", 0)) == elements
    assert kept.take("job", ("file", 0)) is None


def test_large_parts_and_those_without_room_are_not_kept(tmp_path: Path) -> None:
    elements = elements_of(tmp_path)
    size = sum(kept_parts._n_bytes(element) for element in elements)
    assert size > 50 * len(worlds.to_example(worlds.make_rows(1, 0)[0])) / 2
    small = KeptParts(size - 1)
    assert list(small.keep("job", ("file", 0), elements)) == elements
    assert small.take("job", ("file", 0)) is None
    room_for_two = KeptParts(2 * size)
    for name in ("first", "second", "third"):
        list(room_for_two.keep("job", (name, 0), elements))
    assert room_for_two.take("job", ("first", 0)) == elements
    assert room_for_two.take("job", ("second", 0)) == elements
    assert room_for_two.take("job", ("third", 0)) is None


def test_what_another_job_left_makes_room(tmp_path: Path) -> None:
    elements = elements_of(tmp_path)
    kept = KeptParts(2 * sum(kept_parts._n_bytes(element) for element in elements))
    for job, name in (("old", "first"), ("old", "second"), ("new", "first")):
        list(kept.keep(job, (name, 0), elements))
    assert kept.take("old", ("first", 0)) is None
    assert kept.take("old", ("second", 0)) == elements
    assert kept.take("new", ("first", 0)) == elements


def test_a_part_that_was_not_read_to_its_end_is_not_kept(tmp_path: Path) -> None:
    kept = KeptParts(2**20)
    next(kept.keep("job", ("file", 0), elements_of(tmp_path)))
    assert kept.take("job", ("file", 0)) is None
