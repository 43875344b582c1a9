"""Row identity: content alone decides."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import worlds
from tfx_explain import records
from tfx_explain.rows import (
    alike,
    as_written,
    concat_alike,
    concat_rows,
    list_lengths,
    mixed_types,
    row_hashes,
    take_rows,
)

ROWS: list[dict[str, Any]] = [
    {"a": 1.0, "b": 3, "c": b"x"},
    {"a": [], "c": [b"x", b"y"]},
    {"c": [b"y", b"x"]},
    {"a": 1.0, "b": 3},
    {"b": 1, "c": b"x"},
    {"a": 2.0},
]


def decode(rows: list[dict[str, Any]]) -> pa.RecordBatch:
    batches, failures = records.decode_examples([worlds.to_example(row) for row in rows])
    assert not failures
    return batches[0]


def test_hash_depends_on_the_row_alone() -> None:
    together = row_hashes(decode(ROWS))
    assert len(set(together.tolist())) == len(ROWS)
    assert [row_hashes(decode([row]))[0] for row in ROWS] == together.tolist()
    assert row_hashes(decode(ROWS[::-1])).tolist() == together[::-1].tolist()
    assert row_hashes(decode(ROWS).slice(2, 3)).tolist() == together[2:5].tolist()


def test_empty_list_and_no_list_are_the_same_missing_value() -> None:
    assert row_hashes(decode([{"a": [], "b": 1}]))[0] == row_hashes(decode([{"b": 1}]))[0]


def test_hash_is_the_same_in_every_process_and_version() -> None:
    # Pinned: a change would choose other rows and other designs than earlier runs did.
    assert row_hashes(decode([{"a": 1.5, "b": 7, "c": b"text"}])).tolist() == [11367718872199955831]


def test_hashes_are_spread_evenly() -> None:
    hashes = row_hashes(decode([{"a": i} for i in range(4_000)]))
    counts = np.bincount((hashes % np.uint64(8)).astype(int), minlength=8)
    assert abs(counts - 500).max() < 5 * np.sqrt(500)


def test_concat_has_every_column() -> None:
    both = concat_rows([decode([{"a": 1.0}]), decode([{"b": 2}])])
    assert both.to_pydict() == {"a": [[1.0], None], "b": [None, [2]]}
    assert not mixed_types(both)


def test_concat_of_mixed_types_loses_no_value_and_says_so() -> None:
    parts = [decode([{"a": 1.5, "b": 2**60}]), decode([{"a": 3, "b": 0.5}]), decode([{"b": []}])]
    both = concat_rows(parts)
    assert both.to_pydict() == {"a": [[1.5], [3.0], None], "b": [[str(2**60).encode()], [b"0.5"], []]}
    assert set(mixed_types(take_rows(both, np.array([1])))) == {"a", "b"}
    assert as_written(both).column(0).type == pa.large_list(pa.float32())
    # The last one has no value of `b`, so that its type is none.
    assert [part.num_rows for part in concat_alike(parts)] == [2, 1]


def test_lengths_and_taking() -> None:
    batch = decode(ROWS)
    assert list_lengths(batch.column(batch.schema.get_field_index("c"))).tolist() == [1, 2, 2, 0, 1, 0]
    assert take_rows(batch, np.array([5, 0])).to_pydict()["a"] == [[2.0], [1.0]]


@pytest.mark.parametrize("kind", [pa.float32(), pa.large_binary(), pa.int64()])
def test_lists_without_values_have_no_type_that_others_must_share(kind: pa.DataType) -> None:
    """Some writers give every feature a kind, whatever it is of rows that have none of it."""
    whole = pa.RecordBatch.from_arrays([pa.array([[7], [8]], pa.large_list(pa.int64()))], names=["a"])
    empty = pa.RecordBatch.from_arrays([pa.array([[], None], pa.large_list(kind))], names=["a"])
    absent = pa.RecordBatch.from_arrays([pa.nulls(1)], names=["a"])
    for batches in ([whole, empty, absent], [absent, empty, whole], [empty, whole]):
        assert alike(batches) == [list(range(len(batches)))]
        together = concat_rows(batches)
        assert not mixed_types(together)
        assert together.column(0).type == pa.large_list(pa.int64())
        assert list_lengths(together.column(0)).sum() == 2
        assert sorted(together.column(0).flatten().to_pylist()) == [7, 8]
    alone = concat_rows([empty, empty])
    assert list_lengths(alone.column(0)).tolist() == [0, 0, 0, 0]
