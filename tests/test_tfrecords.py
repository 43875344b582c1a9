"""Damaged files: what is read of them, what is said of the rest."""

import bz2
import contextlib
import gzip
import lzma
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
import tensorflow as tf

from tfx_explain import InputError
from tfx_explain.tfrecords import Fault, RecordReader, read_records

CONTENT = [b"one", b"second record", b"", b"three" * 300, b"last"]
STARTS = [sum(len(record) + 16 for record in CONTENT[:i]) for i in range(len(CONTENT) + 1)]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("plain") / "records"
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in CONTENT:
            writer.write(record)
    return path.read_bytes()


def read(path: Path) -> tuple[list[bytes], list[Fault]]:
    faults: list[Fault] = []
    return list(read_records(str(path), faults)), faults


@pytest.mark.parametrize("name", ["plain", "zipped.gz", "zipped"])
def test_whole_files_are_read_by_their_content(plain: bytes, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(gzip.compress(plain) if "zipped" in name else plain)
    assert read(tmp_path / name) == (CONTENT, [])


@pytest.mark.parametrize("zipped", [False, True])
def test_every_flipped_byte_is_found_and_no_wrong_record_is_read(plain: bytes, tmp_path: Path, zipped: bool) -> None:
    for place in [*range(STARTS[3] + 40), len(plain) - 1]:
        damaged = bytearray(plain)
        damaged[place] ^= 0x40
        (tmp_path / "damaged").write_bytes(gzip.compress(damaged, 1) if zipped else damaged)
        found, faults = read(tmp_path / "damaged")
        hit = max(i for i, start in enumerate(STARTS[:-1]) if start <= place)
        assert len(faults) == 1
        if place - STARTS[hit] < 12:
            assert found == CONTENT[:hit]
            assert f"byte {STARTS[hit]}" in faults[0].reason or place < 12
        else:
            assert found == CONTENT[:hit] + CONTENT[hit + 1 :]
            assert "checksum" in faults[0].reason
            assert not faults[0].lost_bytes
        with pytest.raises(InputError, match=r"damaged; .*|damaged at byte 0; |checksum") as caught:
            list(read_records(str(tmp_path / "damaged")))
        assert "\n" not in str(caught.value)


def test_what_was_cut_off_is_named_and_all_before_is_read(plain: bytes, tmp_path: Path) -> None:
    for end in range(1, len(plain)):
        (tmp_path / "cut").write_bytes(plain[:end])
        whole = sum(start <= end for start in STARTS[1:])
        found, faults = read(tmp_path / "cut")
        assert found == CONTENT[:whole]
        assert len(faults) == (end not in STARTS)


def test_a_gzipped_file_is_read_up_to_the_byte_where_it_is_cut_or_damaged(plain: bytes, tmp_path: Path) -> None:
    zipped = gzip.compress(plain[: STARTS[3]] * 2_000, 0)  # stored, not compressed: bytes are where they were
    changed = bytearray(zipped)
    changed[-6] ^= 1  # of the checksum at the end
    for content, least in ((zipped[:-40], 5_998), (zipped[: len(zipped) // 2], 2_990), (bytes(changed), 6_000)):
        (tmp_path / "records.gz").write_bytes(content)
        found, faults = read(tmp_path / "records.gz")
        assert found == (CONTENT[:3] * 2_000)[: len(found)]
        assert len(found) >= least
        assert len(faults) == 1
        assert "records.gz is gzipped and" in faults[0].reason


def test_members_and_fillings_of_a_gzipped_file_are_one_file(plain: bytes, tmp_path: Path) -> None:
    parts = [gzip.compress(plain[: STARTS[2]]), gzip.compress(b""), gzip.compress(plain[STARTS[2] :]), bytes(512)]
    (tmp_path / "records.gz").write_bytes(b"".join(parts))
    assert read(tmp_path / "records.gz") == (CONTENT, [])


@pytest.mark.parametrize("zipped", [False, True])
def test_reading_stops_and_goes_on_between_any_two_records(plain: bytes, tmp_path: Path, zipped: bool) -> None:
    path = tmp_path / "records"
    path.write_bytes(gzip.compress(plain) if zipped else plain)
    for first in range(len(CONTENT)):
        for last in range(first, len(CONTENT) + 1):
            with contextlib.closing(RecordReader(str(path))) as reader:
                found = list(reader.records(start=STARTS[first], stop=STARTS[last]))
                assert (found, reader.position, reader.ended) == (CONTENT[first:last], STARTS[last], False)
                assert list(reader.records()) == CONTENT[last:]
                assert reader.ended
                assert reader.content_bytes() == len(plain)
    with contextlib.closing(RecordReader(str(path))) as reader:
        assert next(reader.records()) == CONTENT[0]
        assert list(reader.records(start=STARTS[2])) == CONTENT[2:]


def test_a_gzipped_file_that_is_shorter_than_it_was_is_refused(plain: bytes, tmp_path: Path) -> None:
    (tmp_path / "records").write_bytes(gzip.compress(plain))
    with pytest.raises(InputError, match="records changed"):
        list(RecordReader(str(tmp_path / "records")).records([], start=len(plain) + 1))


OTHERS: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "a.gz": (lambda plain: b"", "is empty"),
    "b.bz2": (bz2.compress, "bzip2 format"),
    "c": (lzma.compress, "xz format"),
    "d": (lambda plain: b"\x28\xb5\x2f\xfd" + plain, "zstd format"),
    "e": (lambda plain: b"age,income\n41,50000\n", "is no TFRecord file"),
    "f": (lambda plain: b"short", "ends in the middle of a record"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_files_are_named(plain: bytes, tmp_path: Path, name: str) -> None:
    make, words = OTHERS[name]
    (tmp_path / name).write_bytes(make(plain))
    assert not read(tmp_path / name)[0]
    (fault,) = read(tmp_path / name)[1]
    assert words in fault.reason
    assert name in fault.reason
    assert fault.lost_bytes == len(make(plain))


def test_plain_records_named_gz_are_read_for_what_they_are(plain: bytes, tmp_path: Path) -> None:
    (tmp_path / "plain.gz").write_bytes(plain)
    assert read(tmp_path / "plain.gz") == (CONTENT, [])


def test_a_file_that_is_gone_or_a_length_that_looks_like_gzip(tmp_path: Path) -> None:
    assert "cannot be read" in read(tmp_path / "nowhere")[1][0].reason
    length = struct.unpack("<Q", b"\x1f\x8b\x08\0\0\0\0\0")[0]
    with tf.io.TFRecordWriter(str(tmp_path / "long")) as writer:
        writer.write(bytes(length))
    assert [len(record) for record in read(tmp_path / "long")[0]] == [length]
