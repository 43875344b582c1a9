"""What a run writes from its workers row by row: attribution records, dead letters, and rows for the report."""

from __future__ import annotations

from collections.abc import Sequence

import apache_beam as beam
import numpy as np
import pyarrow as pa

from tfx_explain import storage
from tfx_explain.attribution_records import MethodFigures, RecordLayout, attribution_batch
from tfx_explain.job.explained import ExplainedExamples
from tfx_explain.methods.attribution_rows import AttributionRows
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
