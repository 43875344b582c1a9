"""Calling a model on re-encoded tf.Examples, where its graph cannot be cut after parsing."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import tensorflow as tf

from tfx_explain import records
from tfx_explain.models.calls import model_errors
from tfx_explain.models.features import Array, Inputs, Ragged
from tfx_explain.models.graph import FrozenGraph
from tfx_explain.models.host import HostEngine
from tfx_explain.models.tracing import traced

_ARROW_TYPES = {"f": pa.float32(), "i": pa.int64(), "u": pa.int64(), "b": pa.int64(), "O": pa.large_binary()}


def encode_examples(inputs: Inputs) -> list[bytes]:
    """Serialised tf.Examples of all columns; a feature without values is missing in its example."""
    names, arrays = [], []
    for name, column in inputs.columns.items():
        if not isinstance(column, Ragged):
            lengths = np.full(len(inputs), int(np.prod(column.shape[1:])))
            column = Ragged.from_lengths(column.reshape(-1), lengths)
        values = pa.array(column.values, _ARROW_TYPES[column.values.dtype.kind])
        # A null offset makes the row null, which the encoder writes as a feature without a value.
        missing = np.append(column.lengths == 0, False)
        offsets = pa.array(column.row_splits, pa.int64(), mask=missing)
        arrays.append(pa.LargeListArray.from_arrays(offsets, values))
        names.append(name)
    if not names:
        return [b""] * len(inputs)
    encoder = records.example_coder().RecordBatchToExamplesEncoder(None)
    return list(encoder.encode(pa.RecordBatch.from_arrays(arrays, names)))


def serialized_engine(graph: FrozenGraph, serialized: str, where: str) -> HostEngine:
    """Runs a graph on re-encoded examples.

    Args:
      graph: the frozen graph.
      serialized: name of its placeholder of serialised examples, (n,).
      where: the model, for messages.
    """
    one_string_per_row = [tf.TensorSpec([None], tf.string)]
    run = traced(graph.function([serialized], [graph.output]), input_signature=one_string_per_row)

    def call(inputs: Inputs) -> Array:
        with model_errors(where):
            return np.asarray(run(tf.constant(encode_examples(inputs), tf.string))[0].numpy())

    return HostEngine(call, where)
