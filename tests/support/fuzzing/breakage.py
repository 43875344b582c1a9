"""What a breakage of files is, and what several of them need."""

from __future__ import annotations

import dataclasses
import gzip
import io
import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import tensorflow as tf


@dataclasses.dataclass
class Run:
    """One run on broken files.

    Attributes:
      place: where they are.
      records: good rows.
      arguments: of `explain`, as far as they are not the usual ones.
      seed: chooses what is flipped.
      config: keys of the configuration.
      n_rows: how many rows the files hold that can still be counted.
      may_refuse: whether one sentence is an answer.
      must_refuse: whether it is the only one.
      written: where the explanation went, if it went anywhere.
      act: what is done instead of an explanation.
      afterwards: what is to be ended or undone.
    """

    place: Path
    records: list[bytes]
    arguments: dict[str, Any]
    seed: int
    config: dict[str, Any] = dataclasses.field(default_factory=dict)
    n_rows: int = 0
    may_refuse: bool = True
    must_refuse: bool = False
    written: str = ""
    act: Callable[[Run, Any], None] | None = None
    afterwards: list[Callable[[], None]] = dataclasses.field(default_factory=list)

    def shard(self, name: str, content: bytes | None, n_rows: int = 0) -> Path:
        """A file among the examples, and how many rows there are to account for in it."""
        path = self.place / "examples" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if content is not None:
            path.write_bytes(content)
        self.n_rows += n_rows
        return path

    def good_shard(self) -> None:
        """A shard in order, so that the others do not make up the whole split."""
        self.shard("data-00000-of-00002.gz", gzip.compress(framed(self.records)), len(self.records))


Breakage = Callable[[Run], None]


class Breakages(dict[str, Breakage]):
    """What is broken -> what breaks it."""

    def named(self, what: str) -> Callable[[Breakage], Breakage]:
        """Notes a function under what it breaks."""

        def note(function: Breakage) -> Breakage:
            self[what] = function
            return function

        return note


def framed(records: Sequence[bytes]) -> bytes:
    """The bytes of an uncompressed TFRecord file."""
    options = tf.io.TFRecordOptions(compression_type="")
    path = f"/tmp/fuzz-framed-{os.getpid()}-{threading.get_ident()}"
    with tf.io.TFRecordWriter(path, options) as writer:
        for record in records:
            writer.write(record)
    content = Path(path).read_bytes()
    os.unlink(path)
    return content


def flip(content: bytes, low: int, high: int, rng: np.random.Generator) -> bytes:
    """The content with a bit flipped somewhere from low to high."""
    changed = bytearray(content)
    changed[int(rng.integers(low, high))] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def parquet() -> bytes:
    """A small Parquet file."""
    sink = io.BytesIO()
    pq.write_table(pa.table({"age": [1.0, 2.0]}), sink)
    return sink.getvalue()
