"""From feature columns to the tensors a graph is fed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import tensorflow as tf

from tfx_explain.models.features import Column, Ragged
from tfx_explain.models.graph import FrozenGraph, Port

PortValue: TypeAlias = tf.Tensor | tf.RaggedTensor
"""What a port is fed for some rows: (n, *shape), or for lists (n, varying length, *shape)."""


def port_value(port: Port, column: Column) -> PortValue:
    """A port's column as a tensor or a `tf.RaggedTensor` of items of the feature's shape."""
    dtype = tf.dtypes.as_dtype(port.spec.dtype)
    if isinstance(column, Ragged):
        items, splits = column.values.reshape(-1, *port.spec.shape), column.row_splits // port.spec.size
        return tf.RaggedTensor.from_row_splits(tf.constant(items, dtype), splits, validate=False)
    return tf.constant(column, dtype)


def port_values(ports: Sequence[Port], columns: Mapping[str, Column]) -> list[PortValue]:
    """Per port, the value of the column of its feature."""
    return [port_value(port, columns[port.spec.name]) for port in ports]


def port_types(ports: Sequence[Port]) -> list[tf.TypeSpec]:
    """Per port, the type of its value for any number of rows."""
    types = []
    for port in ports:
        dtype = tf.dtypes.as_dtype(port.spec.dtype)
        if port.encoding == "dense":
            types.append(tf.TensorSpec([None, *port.spec.shape], dtype))
        else:
            types.append(tf.RaggedTensorSpec([None, None, *port.spec.shape], dtype, ragged_rank=1))
    return types


def feed_tensors(ports: Sequence[Port], values: Sequence[PortValue]) -> list[tf.Tensor]:
    """The tensors of all ports, in order, as the parse op would give them."""
    return [tensor for port, value in zip(ports, values, strict=True) for tensor in _feeds(port, value)]


def _feeds(port: Port, value: PortValue) -> Sequence[tf.Tensor]:
    if port.encoding == "dense":
        return (value,)
    if port.encoding == "sparse":
        sparse = value.to_sparse()
        return sparse.indices, sparse.values, sparse.dense_shape
    if port.encoding == "ragged":
        return value.values, tf.cast(value.row_splits, tf.dtypes.as_dtype(port.splits_dtype))
    return (value.to_tensor(default_value=tf.constant(port.padding, value.dtype)),)


def n_rows_of(value: PortValue) -> tf.Tensor:
    """The number of rows of a port's value, as a scalar int32 tensor."""
    return tf.cast(value.nrows(), tf.int32) if isinstance(value, tf.RaggedTensor) else tf.shape(value)[0]


def forward_function(graph: FrozenGraph, also: Sequence[str] = ()) -> Callable[[Sequence[PortValue]], list[tf.Tensor]]:
    """A function from the ports' values to the graph's output tensor and any others."""
    call = graph.function([name for port in graph.ports for name in port.tensors], [graph.output, *also])

    def forward(values: Sequence[PortValue]) -> list[tf.Tensor]:
        return call(*feed_tensors(graph.ports, values), n_rows=n_rows_of(values[0]))

    return forward
