"""Files that workers share: whatever the parts, their order and their readers, the same as a file in one go."""

from __future__ import annotations

import gzip
import random
from collections.abc import Sequence
from pathlib import Path

import apache_beam as beam
import numpy as np
import pytest
import tensorflow as tf

import worlds
from tfx_explain import InputError
from tfx_explain.content_sample import PlaceContents, number_places
from tfx_explain.job.split_rows import SplitRows
from tfx_explain.tfrecords import FileRange
from tfx_explain.transforms import decode, read
from tfx_explain.transforms.decode import Element, read_file
from tfx_explain.transforms.kept import KeptParts, Place

N = 100
KINDS = ["plain", "zipped", "damaged", "cut", "damaged.gz", "cut.gz"]


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decode, "ROWS_PER_BATCH", 4)
    monkeypatch.setattr(read, "_KEPT", KeptParts(0))


def written(directory: Path, kind: str) -> str:
    """A file with every third row twice; a damaged one has a wrong record, a cut one lacks its end."""
    path = directory / kind
    rows = worlds.make_rows(N, 0)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for number in range(N):
            writer.write(worlds.to_example(rows[number - number % 3 // 2]))
    content = bytearray(path.read_bytes())
    if "damaged" in kind:
        content[len(content) // 2 : len(content) // 2 + 200] = bytes(200)
        content = content[: len(content) // 2 + 200]
        content[16] ^= 1
    if "cut" in kind:
        del content[-30:]
    path.write_bytes(gzip.compress(content) if kind == "zipped" or ".gz" in kind else content)
    return str(path)


def shares(uri: str, seed: int = 0) -> dict[Place, list[FileRange | PlaceContents]]:
    """What workers are given, after a shuffle in some order."""
    found: dict[Place, list[FileRange | PlaceContents]] = {}
    buckets: dict[int, list[PlaceContents]] = {}
    for made in read.count_file(uri, "job", "eval"):
        if isinstance(made, beam.pvalue.TaggedOutput):
            found[made.value.uri, made.value.start] = [made.value]
        else:
            buckets.setdefault(made[0], []).append(made[1])
    for contents in buckets.values():
        for numbered in number_places(random.Random(seed).sample(contents, len(contents))):
            found[numbered.place].append(numbered)
    return found


def read_by(n_workers: int, parts: Sequence[tuple[Place, list[FileRange | PlaceContents]]]) -> list[Element]:
    """The parts, shared out in this order."""
    elements: list[Element] = []
    for worker in range(n_workers):
        steps = read.ReadNumbered("job", "eval", 7)
        steps.start_bundle()
        for part in parts[worker::n_workers]:
            elements.extend(steps.process(part))
        steps.finish_bundle()
    return elements


def told(elements: Sequence[Element], *, draws: bool = True) -> list[str]:
    """All that was read, rows by their batches, in an order of its own."""
    counts: dict[str, int] = {}
    others = []
    for one in elements:
        if isinstance(one, SplitRows):
            others.append(repr((one.hashes.tolist(), one.draws.tolist() if draws and one.draws is not None else [])))
        elif one.tag == decode.COUNTS:
            (_, what), n = one.value
            counts[what] = counts.get(what, 0) + n
        else:
            others += [repr(failure) for failure in one.value[1]]
    return sorted(others) + sorted(map(repr, counts.items()))


@pytest.mark.parametrize("part", [0.05, 0.4, 0.8])
def test_a_gzipped_file_that_is_damaged_in_its_first_block_is_one_part(tmp_path: Path, part: float) -> None:
    path = Path(written(tmp_path, "zipped"))
    content = bytearray(path.read_bytes())
    content[int(part * len(content))] ^= 1
    path.write_bytes(content)
    parts = list(shares(str(path)).items())
    assert len(parts) == 1
    assert told(read_by(1, parts), draws=False) == told(list(read_file(str(path), "eval")), draws=False)


@pytest.mark.parametrize("kind", KINDS)
def test_parts_in_any_order_are_the_file(tmp_path: Path, kind: str) -> None:
    uri = written(tmp_path, kind)
    parts = list(shares(uri).items())
    assert len(parts) >= 8
    in_order = read_by(1, parts)
    assert told(in_order, draws=False) == told(list(read_file(uri, "eval")), draws=False)
    draws = np.concatenate([one.draws for one in in_order if isinstance(one, SplitRows)])
    assert len(np.unique(draws)) == len(draws) > 40
    for seed in range(3):
        shuffled = random.Random(seed).sample(list(shares(uri, seed).items()), len(parts))
        assert told(read_by(1 + seed, shuffled)) == told(in_order)


def test_a_gzipped_file_has_few_parts_so_that_little_is_unzipped_in_vain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decode, "_MOST_ZIPPED_PARTS", 3)
    assert len(shares(written(tmp_path, "plain"))) == N // 4 + 1
    assert len(shares(written(tmp_path, "zipped"))) in (3, 4)


def test_what_is_kept_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uri = written(tmp_path, "zipped")
    again = told(read_by(1, list(shares(uri).items())))
    monkeypatch.setattr(read, "_KEPT", KeptParts(2**20))
    parts = list(shares(uri).items())
    monkeypatch.delattr(read, "read_range")
    assert told(read_by(1, parts)) == again


@pytest.mark.parametrize("kind", ["plain", "zipped"])
def test_a_file_that_changed_between_the_readings_is_refused(tmp_path: Path, kind: str) -> None:
    uri = written(tmp_path, kind)
    parts = list(shares(uri).items())
    with tf.io.TFRecordWriter(uri, "GZIP" if kind == "zipped" else "") as writer:
        for row in worlds.make_rows(N // 2, 1):
            writer.write(worlds.to_example(row)[:-1])
    with pytest.raises(InputError, match=rf"{kind} changed, or can no longer be read, while it was read; run again"):
        read_by(1, parts)
