"""Columns that a transform graph makes of raw rows, and the raw features that they come from."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
import tensorflow as tf
import tensorflow_transform as tft

import transforming
from tfx_explain import storage
from tfx_explain.errors import ConfigError, ModelCallError, ModelError
from tfx_explain.models.transform.column import TransformedColumn
from tfx_explain.models.transform.graph import TransformGraph
from tfx_explain.models.transform.handle import TransformHandle
from tfx_explain.models.transform.origins import origins_of


def test_a_column_is_what_transform_makes(transform_graph: str, tools: Any) -> None:
    """Numbers, text and lists; of rows that miss features, too."""
    data, graph = tools.Data(transforming.SCHEMA), TransformGraph(transform_graph)
    rows = data.rows(30, 1)
    layer = tft.TFTransformOutput(transform_graph).transform_features_layer()
    expected = layer(tf.io.parse_example([tools.to_example(row) for row in rows], transforming.RAW))
    for name, features in {
        "tips_xf": ["income", "tips"],
        "race_name": ["race"],
        "cross": ["age", "income"],
        "words_xf": ["words"],
    }.items():
        column = TransformedColumn(graph, name)
        assert column.features == features
        made = expected[name]
        lists = (
            tf.RaggedTensor.from_sparse(made).to_list()
            if isinstance(made, tf.SparseTensor)
            else made.numpy().reshape(-1, 1).tolist()
        )
        for empty in (False, True):
            assert column.of(data.batch(rows, empty_for_missing=empty)).to_pylist() == lists


def test_rows_that_the_graph_cannot_take_have_no_value_and_leave_others_theirs(transform_graph: str) -> None:
    """It reads one race of a row, and insists on an age."""
    graph = TransformGraph(transform_graph)
    batch = pa.RecordBatch.from_arrays(
        [
            pa.array([[b"red"], [b"red", b"green"], None, [b"green"], [b"blue"]], pa.large_list(pa.large_binary())),
            pa.array([[1.0], [2.0], None, [4.0], [5.0, 6.0]], pa.large_list(pa.float32())),
        ],
        names=["race", "age"],
    )
    assert TransformedColumn(graph, "race_name").of(batch).to_pylist() == [[b"red"], None, [b""], [b"green"], [b"blue"]]
    assert TransformedColumn(graph, "age").of(batch).to_pylist() == [[2.0], [4.0], None, [8.0], None]
    assert TransformedColumn(graph, "age").of(batch.slice(2, 1)).to_pylist() == [None]
    with pytest.raises(ModelCallError, match=r"Running column `race_name` of the transform graph at .* failed"):
        TransformedColumn(graph, "race_name").of(batch.take(pa.array([1, 1])))


def test_columns_come_from_the_features_whose_values_they_have(transform_graph: str) -> None:
    """Not from those that they only have the number of rows of."""
    assert origins_of(TransformGraph(transform_graph)) == {
        "income": ("income",),
        "age": ("age",),
        "race_xf": ("race",),
        "race_name": ("race",),
        "cross": ("age", "income"),
        "words_xf": ("words",),
        "tips_xf": ("income", "tips"),
        "ones": (),
    }


def test_a_column_that_is_not_made_is_said(transform_graph: str) -> None:
    with pytest.raises(ConfigError, match="makes no column `fare`; it makes age, cross, income"):
        TransformedColumn(TransformGraph(transform_graph), "fare")


def test_a_graph_that_changes_during_a_run_is_refused(transform_graph: str) -> None:
    handle = TransformHandle(transform_graph).identified()
    handle.check()
    assert handle.acquire() is TransformHandle(transform_graph).identified().acquire()
    stale = TransformHandle(transform_graph, "0" * 32)
    with pytest.raises(ModelError, match="was changed while it was used: run again"):
        stale.acquire()


def test_a_graph_on_other_storage_is_the_same_one(transform_graph: str) -> None:
    for name in storage.names_beneath(transform_graph):
        storage.write_bytes(f"memory://graph/{name}", storage.read_bytes(storage.join(transform_graph, name)))
    there, here = TransformHandle("memory://graph").identified(), TransformHandle(transform_graph).identified()
    assert there.identity == here.identity
    assert there.acquire().columns == here.acquire().columns
    assert there.acquire().directory == "memory://graph"
    there.check()
    storage.remove("memory://graph")
    with pytest.raises(ModelError, match="the transform graph at memory://graph was changed"):
        there.check()
