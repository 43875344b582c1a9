"""Calling a model on re-encoded tf.Examples, where its graph cannot be cut after parsing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import tensorflow as tf
from tfx_bsl.coders import example_coder

from tfx_explain.models.engine import model_errors
from tfx_explain.models.features import Inputs, Ragged

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
    encoder = example_coder.RecordBatchToExamplesEncoder(None)
    return list(encoder.encode(pa.RecordBatch.from_arrays(arrays, names)))


def serialized_call(function: Callable[[Any], Any], what: str) -> Callable[[Inputs], Any]:
    """A function on inputs from one on a tensor of serialised examples; `what` names the model in errors."""

    def call(inputs: Inputs) -> Any:
        with model_errors(what):
            return function(tf.constant(encode_examples(inputs), tf.string)).numpy()

    return call
