"""What is inside features, in records and back."""

from __future__ import annotations

import dataclasses

import numpy as np
import pyarrow as pa
import pytest

from tfx_explain import records, tables
from tfx_explain.attribution_records import MethodFigures, RecordLayout, attribution_batch
from tfx_explain.part_records import PartRows, PartsOf, part_frame, part_maps

SPANS = PartsOf("spans", ("start", "stop"))
LENGTHS = [2, 0, 3, 1]


def part_rows(*, maps: bool = False, n_outputs: int = 2) -> PartRows:
    n = sum(LENGTHS)
    values = np.arange(n * n_outputs, dtype=np.float64).reshape(n, n_outputs)
    of_rows = np.array([b"png %d" % row for row in range(len(LENGTHS))], object) if maps else None
    return PartRows(np.array(LENGTHS), np.arange(2 * n).reshape(n, 2), values, values / 8, of_rows)


def batch_of(rows: PartRows, of: PartsOf) -> tuple[pa.RecordBatch, RecordLayout]:
    """As it is read back from records."""
    n, n_outputs = len(rows.lengths), rows.attributions.shape[1]
    layout = RecordLayout(("text",), n_outputs, ("shapley",), parts={"shapley": {"text": of}})
    column = records.lists_of(np.array([b"a"] * n, object)[:, None], pa.large_binary())
    own = pa.RecordBatch.from_arrays([column], names=["text"])
    zeros = np.zeros((n, 1, n_outputs))
    figures = MethodFigures(zeros[:, 0], zeros, zeros, zeros[:, 0], parts={"text": rows})
    ids = [b"row %d" % row for row in range(n)]
    made = attribution_batch(own, layout, ids, [zeros[:, 0]], [figures])
    (batch,), _ = records.decode_examples(records.encode_examples(made))
    return batch, layout


@pytest.mark.parametrize("rows", [[0, 1, 2, 3], [2, 2, 0], [1], []])
def test_rows_are_taken_with_their_parts(rows: list[int]) -> None:
    every = part_rows(maps=True)
    taken = every.take(np.array(rows, np.int64))
    ends = np.cumsum(LENGTHS)
    parts = [part for row in rows for part in range(ends[row] - LENGTHS[row], ends[row])]
    assert taken.lengths.tolist() == [LENGTHS[row] for row in rows]
    assert taken.maps is not None
    assert taken.maps.tolist() == [b"png %d" % row for row in rows]
    for name in ("where", "attributions", "std_errors"):
        assert np.array_equal(getattr(taken, name), getattr(every, name)[parts])
    assert np.array_equal(taken.sums(), every.sums()[rows])


def test_sums_are_those_of_each_row() -> None:
    assert part_rows().sums().tolist() == [[2, 4], [0, 0], [18, 21], [10, 11]]


def test_records_give_back_what_was_written() -> None:
    rows = part_rows()
    batch, layout = batch_of(rows, SPANS)
    assert layout.faults(batch) == []
    for place, output in enumerate(("no", "yes")):
        frame = part_frame(batch, "", "text", SPANS, ("no", "yes"), output)
        assert frame["example_id"].tolist() == ["row 0"] * 2 + ["row 2"] * 3 + ["row 3"]
        assert frame["part"].tolist() == [0, 1, 0, 1, 2, 0]
        assert np.array_equal(frame[["start", "stop"]], rows.where)
        assert np.array_equal(frame["attribution"], rows.attributions[:, place])
        assert np.array_equal(frame["std_error"], rows.std_errors[:, place])


def test_maps_are_kept() -> None:
    batch, layout = batch_of(part_rows(maps=True), dataclasses.replace(SPANS, has_maps=True))
    assert layout.faults(batch) == []
    assert part_maps(batch, "", "text") == [b"png 0", b"png 1", b"png 2", b"png 3"]


def test_lists_of_another_length_are_named() -> None:
    batch, layout = batch_of(part_rows(), SPANS)
    for name in ("attribution_text/parts", "std_error_text/parts", "where_text/parts"):
        place = batch.schema.get_field_index(name)
        shorter = pa.array([values[:-1] for values in batch.column(place).to_pylist()], batch.column(place).type)
        arrays = [shorter if index == place else column for index, column in enumerate(batch.columns)]
        faults = layout.faults(pa.RecordBatch.from_arrays(arrays, names=batch.schema.names))
        assert faults
        assert all(fault.endswith(tables.PARTS_SUFFIX) for fault in faults)


def test_names_of_parts_are_taken() -> None:
    _, layout = batch_of(part_rows(), SPANS)
    assert {"attribution_text/parts", "std_error_text/parts", "where_text/parts"} <= layout.names
