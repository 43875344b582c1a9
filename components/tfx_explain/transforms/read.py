"""From files of tf.Examples to RecordBatches.

Where rows are only passed by, files are the unit of work. Where all are explained it is parts of them, so that one file
keeps many workers busy; the rows themselves cross no shuffle.
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterable, Iterator

import apache_beam as beam
import numpy as np

from tfx_explain import storage
from tfx_explain.content_sample import (
    ContentCounts,
    CopyNumbers,
    PlaceContents,
    copy_keys,
    draws_of,
    in_buckets,
    number_places,
)
from tfx_explain.job.split_rows import SplitRows
from tfx_explain.tfrecords import FileRange, RecordReader
from tfx_explain.transforms.decode import COUNTS, FAILED, Element, read_file, read_part, read_range
from tfx_explain.transforms.kept import KeptParts, Place
from tfx_explain.transforms.timing import tell_timings

_PARTS = "parts"
_KEPT = KeptParts(64 * 2**20)


class ReadExamples(beam.PTransform):
    """Reads TFRecords of tf.Examples as SplitRows; corrupt records go to the `failed` output.

    The `counts` output says how many rows were read, and sums their hashes to a digest that no order can change.

    Args:
      pattern: the files; plain or gzipped.
      split: their split.
      stream: of the random numbers that rows are to have, for which the files are read twice: copies of a row are told
        apart by numbers, and sharding may not change which numbers there are. The second time, workers share the
        parts of each file. None for no random numbers, and for files that are read once.
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
            read = beam.ParDo(ReadNumbered(job, self.split, self.stream))
        return files | "Decode" >> read.with_outputs(FAILED, COUNTS, main="rows")


class NumberCopies(beam.PTransform):
    """Files to (place, [FileRange, PlaceContents..]) of their parts, with the numbers that copies of rows have there.

    Args:
      job: names this reading, see `KeptParts`.
      split: the files' split.
    """

    def __init__(self, job: str, split: str) -> None:
        super().__init__()
        self.job = job
        self.split = split

    def expand(self, files: beam.PCollection) -> beam.PCollection:
        """Adds the steps."""
        count = beam.FlatMap(count_file, self.job, self.split)
        counted = files | "Contents" >> count.with_outputs(_PARTS, main="contents")
        numbers = (
            counted.contents
            | "Buckets" >> beam.GroupByKey()
            | "Contained" >> beam.Values()
            | "Number" >> beam.FlatMap(number_places)
            | "ByPlace" >> beam.Map(lambda contents: (contents.place, contents))
        )
        every = counted[_PARTS] | "EveryPart" >> beam.Map(lambda part: ((part.uri, part.start), part))
        return [every, numbers] | "Both" >> beam.Flatten() | "Together" >> beam.GroupByKey()


def count_file(uri: str, job: str, split: str) -> Iterator[tuple[int, PlaceContents] | beam.pvalue.TaggedOutput]:
    """The parts of a file, tagged, and how often each content occurs in each of them, in buckets of contents."""
    with contextlib.closing(RecordReader(uri)) as reader:
        while not reader.ended:
            place, counted = (uri, reader.position), ContentCounts()
            for element in _KEPT.keep(job, place, read_part(reader, split)):
                if isinstance(element, SplitRows):
                    counted.add(*np.unique(element.hashes, return_counts=True))
            stop = None if reader.ended else reader.position
            yield beam.pvalue.TaggedOutput(_PARTS, FileRange(*place, stop))
            for bucket, contents in in_buckets(*counted.result()):
                yield bucket, PlaceContents(place, *contents)
    tell_timings()


class ReadNumbered(beam.DoFn):
    """Parts of files to their rows, each with the random number that its content and its number among the copies give.

    Args:
      job: names this reading, see `KeptParts`.
      split: the files' split.
      stream: of the random numbers.
    """

    def __init__(self, job: str, split: str, stream: int) -> None:
        self.job = job
        self.split = split
        self.stream = stream

    def start_bundle(self) -> None:
        """No file is open yet."""
        self._reader: RecordReader | None = None

    def process(self, element: tuple[Place, Iterable[FileRange | PlaceContents]]) -> Iterator[Element]:
        """Reads one part."""
        place, known = element[0], list(element[1])
        numbers = CopyNumbers(part for part in known if isinstance(part, PlaceContents))
        kept = _KEPT.take(self.job, place)
        if kept is None:
            (part,) = (part for part in known if isinstance(part, FileRange))
            elements: Iterable[Element] = read_range(self._reader_at(place), self.split, part)
        else:
            elements = kept
        try:
            for one in elements:
                if isinstance(one, SplitRows):
                    keys = copy_keys(one.hashes, numbers.number(one.hashes), self.stream)
                    one = one._replace(draws=draws_of(keys))
                yield one
        except BaseException:
            # Where this step fails, or one behind it, no bundle is finished.
            self.finish_bundle()
            raise

    def finish_bundle(self) -> None:
        """Closes the last file."""
        if self._reader is not None:
            self._reader.close()

    def _reader_at(self, place: Place) -> RecordReader:
        """One that has not passed the place yet: parts often come in order, and gzipped files are read in no other."""
        uri, start = place
        reader = self._reader
        if reader is None or reader.ended or reader.uri != uri or reader.position > start:
            if reader is not None:
                reader.close()
            reader = self._reader = RecordReader(uri)
        return reader
