"""Breakages of files of examples, and of what is given beside them: the background and the schema."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import struct
from collections.abc import Callable
from typing import Any

import numpy as np

from fuzzing.breakage import Breakages, Run, flip, framed, parquet

ALL = Breakages()


def _shards(what: str, name: str, change: Callable[[bytes, np.random.Generator], bytes], **expect: Any) -> None:
    """One bad shard beside a good one, and the same alone."""

    def beside(run: Run) -> None:
        run.good_shard()
        content = change(framed(run.records[:20]), np.random.default_rng(run.seed))
        run.shard(name, content, expect.get("n_rows", 0))
        run.may_refuse = expect.get("may_refuse", True)

    def alone(run: Run) -> None:
        run.shard(name, change(framed(run.records[:20]), np.random.default_rng(run.seed)), expect.get("n_rows", 0))

    ALL[f"{what}, beside a good shard"] = beside
    ALL[f"{what}, alone"] = alone


_shards("an empty file", "data-00001-of-00002", lambda c, rng: b"", may_refuse=False)
_shards("an empty gzip", "data-00001-of-00002.gz", lambda c, rng: gzip.compress(b""), may_refuse=False)
_shards("0 bytes named gz", "data-00001-of-00002.gz", lambda c, rng: b"")
_shards("a gzip cut off", "data-00001-of-00002.gz", lambda c, rng: gzip.compress(c)[: int(rng.integers(1, 400))])
_shards("a gzip with a flipped bit", "data-1.gz", lambda c, rng: flip(gzip.compress(c), 10, 500, rng))
_shards("a plain file named gz", "data-1.gz", lambda c, rng: c, n_rows=20, may_refuse=False)
_shards("a gzip not named so", "data-1", lambda c, rng: gzip.compress(c), n_rows=20, may_refuse=False)
_shards("two gzip members", "data-1.gz", lambda c, rng: gzip.compress(c) * 2, n_rows=40, may_refuse=False)
_shards("a gzip with a tail", "data-1.gz", lambda c, rng: gzip.compress(c) + b"tail", n_rows=20)
_shards("bz2", "data-1.bz2", lambda c, rng: bz2.compress(c))
_shards("xz", "data-1.xz", lambda c, rng: lzma.compress(c))
_shards("zstd", "data-1.zst", lambda c, rng: b"\x28\xb5\x2f\xfd" + c)
_shards("a flipped length", "data-1", lambda c, rng: flip(c, 0, 8, rng))
_shards("a flipped crc of a length", "data-1", lambda c, rng: flip(c, 8, 12, rng))
_shards("a flipped bit of data", "data-1", lambda c, rng: flip(c, 12, 60, rng), n_rows=20)
_shards("half a header at the end", "data-1", lambda c, rng: c + c[:7], n_rows=20)
_shards("half a record at the end", "data-1", lambda c, rng: c[:-9], n_rows=19)
_shards("a huge length", "data-1", lambda c, rng: struct.pack("<Q", 2**62) + c[8:])
_shards("a length of 3 GB", "data-1", lambda c, rng: struct.pack("<Q", 3 * 2**30) + c[8:])
_shards("text", "notes.txt", lambda c, rng: b"these are no records\n" * 50)
_shards("a CSV", "data.csv", lambda c, rng: b"age,income\n1,2\n3,4\n")
_shards("a Parquet file", "data.parquet", lambda c, rng: parquet())
_shards("a TFRecord of noise", "data-1", lambda c, rng: framed([rng.bytes(30) for _ in range(9)]), n_rows=9)
_shards("a TFRecord of empty records", "data-1", lambda c, rng: framed([b""] * 5), n_rows=5)
_shards("noise", "data-1", lambda c, rng: rng.bytes(3_000))


@ALL.named("a directory among the shards")
def _directory(run: Run) -> None:
    run.good_shard()
    run.shard("more/data", framed(run.records[:3]))


@ALL.named("a link to nothing among the shards")
def _dangling(run: Run) -> None:
    run.good_shard()
    run.shard("data-2", None).symlink_to(run.place / "gone")


@ALL.named("a link that leads to itself")
def _circle(run: Run) -> None:
    run.good_shard()
    path = run.shard("data-2", None)
    path.symlink_to(path)


@ALL.named("hidden files and markers")
def _hidden(run: Run) -> None:
    run.good_shard()
    for name in ("_SUCCESS", ".data.crc", ".hidden"):
        run.shard(name, b"no records")
    run.may_refuse = False


@ALL.named("a pipe that nobody writes to")
def _pipe(run: Run) -> None:
    run.good_shard()
    os.mkfifo(run.shard("data-2", None))


@ALL.named("a link to a device without end")
def _device(run: Run) -> None:
    run.good_shard()
    run.shard("data-2", None).symlink_to("/dev/zero")


@ALL.named("a file that nobody may read")
def _unreadable(run: Run) -> None:
    run.good_shard()
    run.shard("data-2", framed(run.records[:3]), 3).chmod(0)


@ALL.named("a name with brackets and blanks")
def _brackets(run: Run) -> None:
    run.shard("data [1] ?.gz", gzip.compress(framed(run.records)), len(run.records))
    run.may_refuse = False


@ALL.named("no file at all")
def _none(run: Run) -> None:
    run.must_refuse = True


@ALL.named("examples that are one file")
def _one_file(run: Run) -> None:
    run.arguments["examples"] = run.shard("part [0]", framed(run.records), len(run.records))
    run.may_refuse = False


@ALL.named("a background of noise")
def _background(run: Run) -> None:
    run.good_shard()
    (run.place / "background").write_bytes(b"noise" * 100)
    run.arguments["background"] = str(run.place / "background")
    run.must_refuse = True


@ALL.named("a schema that is none")
def _schema(run: Run) -> None:
    run.good_shard()
    (run.place / "schema.pbtxt").write_bytes(b"\xff\xfe{{{ no schema")
    run.arguments["schema"] = str(run.place / "schema.pbtxt")
    run.must_refuse = True


@ALL.named("a schema that is a directory")
def _schema_directory(run: Run) -> None:
    run.good_shard()
    (run.place / "schema").mkdir()
    run.arguments["schema"] = str(run.place / "schema")
    run.must_refuse = True
