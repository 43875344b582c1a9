"""From feature columns to the tensors a graph is fed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import tensorflow as tf

from tfx_explain.models.features import Column, Ragged
from tfx_explain.models.graph import FrozenGraph, Port

PortValue: TypeAlias = tf.Tensor | tf.RaggedTensor
"""What a port is fed for some rows: (n, *shape), or for lists (n, varying length, *shape)."""

_PACKED = ("float32", "float64", "int32", "int64")
# Values of a row of a port: more of them take longer to copy than a tensor of their own takes.
_MAX_PACKED_SIZE = 64


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


@dataclass(frozen=True)
class PackedPorts:
    """Ports that are fed together: small dense numbers of one type side by side, as one tensor.

    Each tensor that a call is fed takes time, whatever its size; of a model of many features that is most of what a
    small call takes.

    Attributes:
      ports: whose values are fed.
      groups: per tensor, the numbers of the ports in it.
    """

    ports: tuple[Port, ...]
    groups: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, ports: Sequence[Port]) -> PackedPorts:
        """Puts together what can be."""
        together: dict[str, list[int]] = {}
        groups: list[list[int]] = []
        for number, port in enumerate(ports):
            spec = port.spec
            if port.encoding != "dense" or spec.dtype not in _PACKED or spec.size > _MAX_PACKED_SIZE:
                groups.append([number])
            elif spec.dtype in together:
                together[spec.dtype].append(number)
            else:
                groups.append(together.setdefault(spec.dtype, [number]))
        return cls(tuple(ports), tuple(tuple(group) for group in groups))

    def values(self, columns: Mapping[str, Column]) -> list[PortValue]:
        """Per group, the values of the columns of its ports."""
        return [self._value([self.ports[number] for number in group], columns) for group in self.groups]

    def _value(self, ports: Sequence[Port], columns: Mapping[str, Column]) -> PortValue:
        if len(ports) == 1:
            return port_value(ports[0], columns[ports[0].spec.name])
        kind = np.dtype(ports[0].spec.dtype)
        parts = (np.asarray(columns[port.spec.name], kind).reshape(-1, port.spec.size) for port in ports)
        return tf.constant(np.concatenate(list(parts), axis=1))

    def unpacked(self, values: Sequence[PortValue]) -> list[PortValue]:
        """Per port, its value; in a graph."""
        made: dict[int, PortValue] = {}
        for group, value in zip(self.groups, values, strict=True):
            if len(group) == 1:
                made[group[0]] = value
                continue
            specs = [self.ports[number].spec for number in group]
            parts = tf.split(value, [spec.size for spec in specs], axis=1)
            shaped = (tf.reshape(part, [-1, *spec.shape]) for part, spec in zip(parts, specs, strict=True))
            made.update(zip(group, shaped, strict=True))
        return [made[number] for number in range(len(self.ports))]


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
