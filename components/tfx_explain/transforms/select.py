"""Choosing rows at random by their contents, so that sharding, order and retries cannot change the choice.

Rows are read once: while they pass, contents are counted, one row of each is kept that may be chosen, and the choice
is made when all are counted. Only where copies are many is a chosen content not among the kept ones; then the files are
read again for it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import apache_beam as beam
import numpy as np
import pyarrow as pa

from tfx_explain import storage
from tfx_explain.content_sample import (
    ContentCounts,
    ContentSample,
    CountArray,
    KeptContents,
    SampledRows,
    first_keys,
    in_buckets,
    stream_of,
)
from tfx_explain.job.split_rows import SplitRows
from tfx_explain.progress import PROGRESS
from tfx_explain.rows import ROWS_PER_BATCH, HashArray
from tfx_explain.transforms.combine import MergingFn
from tfx_explain.transforms.decode import read_file


class SelectedContents(NamedTuple):
    """A sample, and a row of each of its contents at least.

    Attributes:
      sample: what was chosen.
      parts: rows and their contents, each part with features of one type.
    """

    sample: ContentSample
    parts: list[tuple[pa.RecordBatch, HashArray]]


@dataclasses.dataclass(frozen=True)
class Selection:
    """What is selected at random.

    Attributes:
      n: at most so many rows.
      seed: of the job.
      name: from what, and what for; different names give independent samples.
    """

    n: int
    seed: int
    name: str

    @property
    def stream(self) -> int:
        """Identifies its random numbers."""
        return stream_of(self.seed, self.name)


class SelectContents(beam.PTransform):
    """One SelectedContents of SplitRows.

    Args:
      selection: how many, and which.
      pattern: the files that the rows were read from.
    """

    def __init__(self, selection: Selection, pattern: str) -> None:
        super().__init__()
        self.selection = selection
        self.pattern = pattern

    def expand(self, rows: beam.PCollection) -> beam.PCollection:
        """Adds the steps."""
        sample = (
            rows
            | "Contents" >> beam.FlatMap(count_contents)
            | "Count" >> beam.CombinePerKey(_ChooseFn(self.selection))
            | "Buckets" >> beam.Values()
            | "Choose" >> beam.CombineGlobally(_MergeSamplesFn(self.selection.n))
        )
        kept = rows | "Keep" >> beam.CombineGlobally(_KeepFn(self.selection))
        chosen = beam.pvalue.AsSingleton(sample)
        missing = kept | "Missing" >> beam.Map(_missing, chosen)
        fetched = (
            missing
            | "Files" >> beam.FlatMap(_files, self.pattern)
            | "Spread" >> beam.Reshuffle()
            | "Find" >> beam.FlatMap(find_rows, beam.pvalue.AsSingleton(missing))
            | "KeepFetched" >> beam.CombineGlobally(_KeepFn(self.selection))
        )
        return kept | "Join" >> beam.Map(_join, chosen, beam.pvalue.AsSingleton(fetched))


class SampleRows(beam.PTransform):
    """One SampledRows of SplitRows; for the arguments see SelectContents."""

    def __init__(self, selection: Selection, pattern: str) -> None:
        super().__init__()
        self.selection = selection
        self.pattern = pattern

    def expand(self, rows: beam.PCollection) -> beam.PCollection:
        """Adds the steps."""
        return rows | SelectContents(self.selection, self.pattern) | "Repeat" >> beam.Map(_all_rows)


class SelectExamples(beam.PTransform):
    """Some SplitRows of a split, which then have draws; for the arguments see SelectContents."""

    def __init__(self, selection: Selection, split: str, pattern: str) -> None:
        super().__init__()
        self.selection = selection
        self.split = split
        self.pattern = pattern

    def expand(self, rows: beam.PCollection) -> beam.PCollection:
        """Adds the steps."""
        return (
            rows
            | SelectContents(self.selection, self.pattern)
            | "Rebatch" >> beam.FlatMap(_batches, self.split)
            | "Spread" >> beam.Reshuffle()
        )


def count_contents(rows: SplitRows) -> Iterator[tuple[int, tuple[HashArray, CountArray]]]:
    """How often each content occurs in a batch, in buckets of contents."""
    return in_buckets(*np.unique(rows.hashes, return_counts=True))


def find_rows(uri: str, contents: HashArray) -> Iterator[SplitRows]:
    """Rows of the file that have one of these contents, each content at least once."""
    for element in read_file(uri, ""):
        if isinstance(element, SplitRows):
            present, first = np.unique(element.hashes, return_index=True)
            found = first[np.isin(present, contents)]
            if len(found):
                yield element.without_records().take(found)


def _files(contents: HashArray, pattern: str) -> list[str]:
    return storage.data_files(pattern) if len(contents) else []


def _missing(kept: KeptContents, sample: ContentSample) -> HashArray:
    return sample.missing(np.concatenate([np.zeros(0, np.uint64), *(hashes for _, hashes in kept.parts())]))


def _join(kept: KeptContents, sample: ContentSample, fetched: KeptContents) -> SelectedContents:
    both = KeptContents(2 * max(kept.n, 1))
    both.merge(kept)
    both.merge(fetched)
    return SelectedContents(sample, both.parts())


def _all_rows(selected: SelectedContents) -> SampledRows:
    return SampledRows.of(*selected)


def _batches(selected: SelectedContents, split: str) -> Iterator[SplitRows]:
    for part in SampledRows.batches(*selected, ROWS_PER_BATCH):
        batch = SplitRows(split, *part)
        PROGRESS.choose(batch.rows.num_rows)
        yield batch


class _ChooseFn(MergingFn):
    """Counted contents to a ContentSample."""

    def __init__(self, selection: Selection) -> None:
        self.selection = selection

    def create_accumulator(self) -> ContentCounts:
        return ContentCounts()

    def add_input(self, accumulator: ContentCounts, counted: tuple[HashArray, CountArray]) -> ContentCounts:
        accumulator.add(*counted)
        return accumulator

    def extract_output(self, accumulator: ContentCounts) -> ContentSample:
        return ContentSample.choose(*accumulator.result(), self.selection.n, self.selection.stream)


class _MergeSamplesFn(beam.CombineFn):
    """ContentSamples of different contents to one."""

    def __init__(self, n: int) -> None:
        self.n = n

    def create_accumulator(self) -> list[ContentSample]:
        return []

    def add_input(self, accumulator: list[ContentSample], sample: ContentSample) -> list[ContentSample]:
        return [ContentSample.merged([*accumulator, sample], self.n)]

    def merge_accumulators(self, accumulators: Iterable[list[ContentSample]]) -> list[ContentSample]:
        return [ContentSample.merged([sample for part in accumulators for sample in part], self.n)]

    def extract_output(self, accumulator: list[ContentSample]) -> ContentSample:
        return ContentSample.merged(accumulator, self.n)


class _KeepFn(MergingFn):
    """SplitRows to KeptContents."""

    def __init__(self, selection: Selection) -> None:
        self.selection = selection

    def create_accumulator(self) -> KeptContents:
        return KeptContents(self.selection.n)

    def add_input(self, accumulator: KeptContents, rows: SplitRows) -> KeptContents:
        contents, of_rows, counts = np.unique(rows.hashes, return_inverse=True, return_counts=True)
        accumulator.add(rows.rows, rows.hashes, first_keys(contents, counts, self.selection.stream)[of_rows])
        return accumulator
