"""What a run writes from its workers row by row: attribution records, dead letters, and rows for the report."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
from apache_beam.transforms.window import GlobalWindows

from tfx_explain import storage
from tfx_explain.attribution_records import MethodFigures, RecordLayout, attribution_batch
from tfx_explain.job.explained import ExplainedExamples
from tfx_explain.methods.attribution_rows import AttributionRows
from tfx_explain.record_shards import SHARD_BYTES, Shard
from tfx_explain.rows import HashArray
from tfx_explain.transforms.combine import SmallestDrawsFn

N_REPORT_EXAMPLES = 400


def attribution_rows(explained: ExplainedExamples, layout: RecordLayout) -> pa.RecordBatch:
    """The explained rows as they are written: their own features and what each method attributes."""
    found = [method_figures(explained.found[method]) for method in layout.methods]
    if not found:
        nothing = np.zeros((explained.rows.num_rows, 0, explained.base_value.shape[1]))
        found = [MethodFigures(explained.base_value, nothing, nothing, explained.base_value)]
    return attribution_batch(explained.rows, layout, explained.ids, explained.predictions, found)


def method_figures(sides: Sequence[AttributionRows]) -> MethodFigures:
    """What records hold of one method."""
    ours, *others = sides
    return MethodFigures(
        base_value=ours.base_value,
        attributions=ours.attributions,
        std_errors=ours.std_error,
        completeness_gap=ours.completeness_gap,
        degrees_of_freedom=ours.degrees_of_freedom,
        baseline_attributions=others[0].attributions if others else None,
        parts=ours.parts,
    )


class WriteRecords(beam.PTransform):
    """Serialized tf.Examples to gzipped TFRecords named as ExampleGen names them, on any storage.

    Files get these names at the end; until then they are in a directory of their own beneath `directory`, so that what
    a worker wrote whose bundle is done again by another one is never among them.
    """

    def __init__(self, directory: str) -> None:
        super().__init__()
        self.directory = directory

    def expand(self, serialized: beam.PCollection) -> beam.PCollection:
        unnamed = storage.join(self.directory, f".unnamed-{uuid.uuid4().hex}")
        shards = serialized | "Shards" >> beam.ParDo(WriteShards(unnamed))
        once = serialized.pipeline | "Once" >> beam.Create([self.directory])
        return once | "Name" >> beam.Map(name_shards, unnamed, beam.pvalue.AsIter(shards))


class WriteShards(beam.DoFn):
    """Records to files that are named at random; gives these names.

    Args:
      directory: of the files.
    """

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self._shard: Shard | None = None

    def start_bundle(self) -> None:
        """Forgets what a bundle that failed left."""
        self._shard = None

    def process(self, serialized: bytes) -> Iterator[str]:
        if self._shard is None:
            self._shard = Shard()
        self._shard.add(serialized)
        if self._shard.n_bytes >= SHARD_BYTES:
            yield self._write(self._shard)

    def finish_bundle(self) -> Iterator[Any]:
        """Writes the last file."""
        if self._shard is not None:
            yield GlobalWindows.windowed_value(self._write(self._shard))

    def _write(self, shard: Shard) -> str:
        self._shard, name = None, uuid.uuid4().hex
        storage.write_bytes(storage.join(self.directory, name), shard.content())
        return name


def name_shards(directory: str, unnamed: str, shards: Iterable[str]) -> None:
    """Gives files their final names; done again after a failure half way, it goes on.

    Args:
      directory: where they go.
      unnamed: where they are.
      shards: their names there; without any, a file without records is written.
    """
    names = sorted(shards)
    for number, name in enumerate(names):
        final = storage.join(directory, f"data_tfrecord-{number:05d}-of-{len(names):05d}.gz")
        if storage.exists(uri := storage.join(unnamed, name)):
            storage.move(uri, final)
    if not names:
        storage.write_bytes(storage.join(directory, "data_tfrecord-00000-of-00001.gz"), Shard().content())
    storage.remove(unnamed)


class SampleForReport(beam.PTransform):
    """A few explained rows, chosen at random, in one SmallestDraws."""

    def __init__(self, layout: RecordLayout) -> None:
        super().__init__()
        self.layout = layout

    def expand(self, explained: beam.PCollection) -> beam.PCollection:
        return (
            explained
            | "Few" >> beam.Map(report_rows, self.layout)
            | "Fewer" >> beam.CombineGlobally(SmallestDrawsFn(N_REPORT_EXAMPLES))
        )


def report_rows(explained: ExplainedExamples, layout: RecordLayout) -> tuple[pa.RecordBatch, HashArray]:
    """Those rows of a batch that may be in the report, and their draws."""
    order = np.argsort(explained.draws, kind="stable")[:N_REPORT_EXAMPLES]
    return attribution_rows(explained.take(order), layout), explained.draws[order]
