"""From files of tf.Examples to RecordBatches, losing nothing on the way."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeAlias

import apache_beam as beam
import numpy as np

from tfx_explain import records, storage
from tfx_explain.content_sample import (
    ContentCounts,
    CopyNumbers,
    FileContents,
    copy_keys,
    draws_of,
    in_buckets,
    number_files,
)
from tfx_explain.job.failures import EMPTY_FILES, FILE_BYTES, LOST_BYTES
from tfx_explain.job.split_rows import SplitRows
from tfx_explain.rows import ROWS_PER_BATCH, row_hashes
from tfx_explain.tfrecords import Fault

COUNTS = "counts"
"""Tag of the output that holds ((split, what), n)."""

FAILED = "failed"
"""Tag of the output that holds (split, [(record, reason), ...]) of rows that could not be used."""

_BATCH_BYTES = 64 * 2**20


class ReadExamples(beam.PTransform):
    """Reads TFRecords of tf.Examples as SplitRows; corrupt records go to the `failed` output.

    The `counts` output says how many rows were read, and sums their hashes to a digest that no order can change.

    Args:
      pattern: the files; plain or gzipped.
      split: their split.
      stream: of the random numbers that rows are to have, for which the files are read twice: copies of a row are told
        apart by numbers, and sharding may not change which numbers there are. None for no random numbers.
    """

    def __init__(self, pattern: str, split: str, stream: int | None = None) -> None:
        super().__init__()
        self.pattern = pattern
        self.split = split
        self.stream = stream

    def expand(self, pipeline: beam.Pipeline) -> beam.pvalue.DoOutputsTuple:
        # Beam's own source holds 16 MiB of each compressed file and passes records on one by one.
        files = pipeline | "Files" >> beam.Create(storage.data_files(self.pattern)) | "Spread" >> beam.Reshuffle()
        if self.stream is None:
            read = beam.FlatMap(read_file, self.split)
        else:
            job = uuid.uuid4().hex
            files = files | "NumberCopies" >> NumberCopies(job, self.split)
            read = beam.FlatMap(read_numbered, job, self.split, self.stream)
        return files | "Decode" >> read.with_outputs(FAILED, COUNTS, main="rows")


class NumberCopies(beam.PTransform):
    """Files to (file, parts), where the parts say which numbers the copies of rows have in the file.

    Args:
      job: names this reading, see `KeptFiles`.
      split: the files' split.
    """

    def __init__(self, job: str, split: str) -> None:
        super().__init__()
        self.job = job
        self.split = split

    def expand(self, files: beam.PCollection) -> beam.PCollection:
        """Adds the steps."""
        parts = (
            files
            | "Contents" >> beam.FlatMap(count_file, self.job, self.split)
            | "Buckets" >> beam.GroupByKey()
            | "Contained" >> beam.Values()
            | "Number" >> beam.FlatMap(number_files)
            | "ByFile" >> beam.Map(lambda part: (part.uri, part))
        )
        every = files | "EveryFile" >> beam.Map(lambda uri: (uri, None))
        return [every, parts] | "Both" >> beam.Flatten() | "Together" >> beam.GroupByKey()


Element: TypeAlias = SplitRows | beam.pvalue.TaggedOutput
"""What reading a file gives: rows, failures or counts."""


class KeptFiles:
    """What was read of small files, until it is taken: a file that is read twice is then decoded once.

    The second reading may come in another process, which reads the file itself; what is left behind is bounded.

    Args:
      most_bytes: of rows and records that are kept together. What other jobs left goes to make room; files of the
        same job stay, since they are read again in the order of the first reading.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._kept: dict[tuple[str, str], tuple[int, list[Element]]] = {}
        self._lock = threading.Lock()

    def keep(self, job: str, uri: str, elements: Iterable[Element]) -> Iterator[Element]:
        """Passes on what is read of a file, and keeps it where it is small.

        Args:
          job: names one reading of files, so that no other gets what may have changed since.
          uri: the file.
          elements: what is read of it.
        """
        kept, n_bytes = [], 0
        for element in elements:
            n_bytes += _n_bytes(element)
            if n_bytes <= self._most_bytes:
                kept.append(element)
            yield element
        if n_bytes <= self._most_bytes:
            with self._lock:
                self._kept[job, uri] = n_bytes, kept
                others = [key for key in self._kept if key[0] != job]
                while sum(size for size, _ in self._kept.values()) > self._most_bytes:
                    del self._kept[others.pop(0) if others else (job, uri)]

    def take(self, job: str, uri: str) -> list[Element] | None:
        """What was kept of a file, once; None where nothing is."""
        with self._lock:
            return self._kept.pop((job, uri), (0, None))[1]


def _n_bytes(element: Element) -> int:
    if not isinstance(element, SplitRows):
        return 0
    return int(element.rows.nbytes + element.hashes.nbytes) + sum(map(len, element.records or ()))


_KEPT = KeptFiles(64 * 2**20)


def count_file(uri: str, job: str, split: str) -> Iterator[tuple[int, FileContents]]:
    """How often each content occurs in a file, in buckets of contents."""
    counted = ContentCounts()
    for element in _KEPT.keep(job, uri, read_file(uri, split)):
        if isinstance(element, SplitRows):
            counted.add(*np.unique(element.hashes, return_counts=True))
    for bucket, contents in in_buckets(*counted.result()):
        yield bucket, FileContents(uri, *contents)


def read_numbered(
    file: tuple[str, Iterable[FileContents | None]], job: str, split: str, stream: int
) -> Iterator[Element]:
    """As `read_file`, each row with the random number that its content and its number among the copies give."""
    uri, parts = file
    numbers = CopyNumbers(part for part in parts if part is not None)
    kept = _KEPT.take(job, uri)
    for element in read_file(uri, split) if kept is None else kept:
        if isinstance(element, SplitRows):
            keys = copy_keys(element.hashes, numbers.number(element.hashes), stream)
            element = element._replace(draws=draws_of(keys))
        yield element


def read_file(uri: str, split: str) -> Iterator[Element]:
    """The rows of one file in batches, what could not be read or decoded, and counts."""
    faults: list[Fault] = []
    any_read = False
    for serialized in record_batches(records.read_records(uri, faults)):
        any_read = True
        yield from _decode(serialized, split)
    if faults:
        # A fault of the rest of a file counts as one row here; how many it may have been, `lost_bytes` says.
        yield beam.pvalue.TaggedOutput(FAILED, (split, [(fault.record, fault.reason) for fault in faults]))
        yield beam.pvalue.TaggedOutput(COUNTS, ((split, "read"), len(faults)))
        yield beam.pvalue.TaggedOutput(COUNTS, ((split, LOST_BYTES), sum(fault.lost_bytes for fault in faults)))
    n_bytes = storage.size(uri)
    yield beam.pvalue.TaggedOutput(COUNTS, ((split, FILE_BYTES), n_bytes))
    if not n_bytes and not any_read and not faults:
        yield beam.pvalue.TaggedOutput(COUNTS, ((split, EMPTY_FILES), 1))


def record_batches(serialized: Iterator[bytes]) -> Iterator[list[bytes]]:
    """Records in lists of ROWS_PER_BATCH, fewer where they are large."""
    batch: list[bytes] = []
    n_bytes = 0
    for record in serialized:
        batch.append(record)
        n_bytes += len(record)
        if len(batch) == ROWS_PER_BATCH or n_bytes > _BATCH_BYTES:
            yield batch
            batch, n_bytes = [], 0
    if batch:
        yield batch


def _decode(serialized: Sequence[bytes], split: str) -> Iterator[Element]:
    decoded, failures = records.decode_records(serialized)
    rows = [SplitRows(split, batch, row_hashes(batch), None, kept) for batch, kept in decoded]
    digest = sum(int(one.hashes.sum(dtype=np.uint64)) for one in rows)
    yield beam.pvalue.TaggedOutput(COUNTS, ((split, "read"), len(serialized)))
    yield beam.pvalue.TaggedOutput(COUNTS, ((split, "digest"), digest))
    if failures:
        yield beam.pvalue.TaggedOutput(FAILED, (split, failures))
    yield from rows
