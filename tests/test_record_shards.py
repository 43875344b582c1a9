"""TFRecord files that are made in memory."""

import gzip
import random
from pathlib import Path

from tfx_explain.record_shards import Shard
from tfx_explain.tfrecords import read_records

RECORDS = [b"", b"a", b"\0" * 1_000, bytes(range(256)) * 300]


def test_what_was_added_is_read_with_both_checksums_right(tmp_path: Path) -> None:
    shard = Shard()
    for record in RECORDS:
        shard.add(record)
    (tmp_path / "records.gz").write_bytes(shard.content())
    assert list(read_records(str(tmp_path / "records.gz"))) == RECORDS


def test_frames_are_those_that_the_format_says() -> None:
    shard = Shard()
    shard.add(b"123456789")
    # The CRC-32C of these nine characters is the check value that catalogues of checksums give: 0xe3069283.
    masked = ((0xE3069283 >> 15 | 0xE3069283 << 17) + 0xA282EAD8) & 0xFFFFFFFF
    unzipped = gzip.decompress(shard.content())
    assert unzipped[:8] == (9).to_bytes(8, "little")
    assert unzipped[12:] == b"123456789" + masked.to_bytes(4, "little")


def test_its_size_is_known_while_it_grows() -> None:
    shard, numbers = Shard(), random.Random(0)
    n_bytes = []
    for _ in range(40):
        shard.add(numbers.randbytes(10_000))
        n_bytes.append(shard.n_bytes)
    assert n_bytes == sorted(n_bytes)
    # What the compressor holds back is less than its window and block.
    assert n_bytes[-1] <= len(shard.content()) <= n_bytes[-1] + 2**18
    assert n_bytes[-1] > 2**17
