"""What a run writes from its workers row by row: attribution records, dead letters, and rows for the report."""

from __future__ import annotations

from collections.abc import Sequence

import apache_beam as beam
import numpy as np
import pyarrow as pa

from tfx_explain import records, storage
from tfx_explain.job.explained import ExplainedExamples
from tfx_explain.rows import HashArray, take_rows
from tfx_explain.transforms.combine import SmallestDrawsFn

N_REPORT_EXAMPLES = 400


def attribution_rows(explained: ExplainedExamples, players: Sequence[str]) -> pa.RecordBatch:
    """The explained rows as they are written: their own features and their attributions."""
    ours, *others = explained.shapley
    baseline = others[0] if others else None
    return records.attribution_batch(
        explained.rows,
        players=players,
        attributions=ours.attributions,
        std_errors=ours.std_error,
        prediction=ours.prediction,
        base_value=ours.base_value,
        completeness_gap=ours.completeness_gap,
        example_ids=explained.ids,
        degrees_of_freedom=ours.degrees_of_freedom,
        baseline_attributions=None if baseline is None else baseline.attributions,
        baseline_prediction=None if baseline is None else baseline.prediction,
    )


class WriteRecords(beam.PTransform):
    """Serialized tf.Examples to gzipped TFRecords named as ExampleGen names them."""

    def __init__(self, directory: str) -> None:
        super().__init__()
        self.directory = directory

    def expand(self, serialized: beam.PCollection) -> beam.PCollection:
        return serialized | beam.io.WriteToTFRecord(
            storage.join(self.directory, "data_tfrecord"), file_name_suffix=".gz"
        )


class SampleForReport(beam.PTransform):
    """A few explained rows, chosen at random, in one SmallestDraws."""

    def __init__(self, players: Sequence[str]) -> None:
        super().__init__()
        self.players = tuple(players)

    def expand(self, explained: beam.PCollection) -> beam.PCollection:
        return (
            explained
            | "Few" >> beam.Map(report_rows, self.players)
            | "Fewer" >> beam.CombineGlobally(SmallestDrawsFn(N_REPORT_EXAMPLES))
        )


def report_rows(explained: ExplainedExamples, players: Sequence[str]) -> tuple[pa.RecordBatch, HashArray]:
    """Those rows of a batch that may be in the report, and their draws."""
    order = np.argsort(explained.draws, kind="stable")[:N_REPORT_EXAMPLES]
    return take_rows(attribution_rows(explained, players), order), explained.draws[order]
