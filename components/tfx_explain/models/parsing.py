"""Cutting a graph after the op that parses tf.Examples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import tensorflow as tf

from tfx_explain.models.features import FeatureSpec
from tfx_explain.models.graph import FrozenGraph, Port

_PARSERS = ("ParseExampleV2", "ParseExample")
_ANY_PARSER = ("ParseExample", "ParseSingleExample", "ParseSequenceExample", "ParseSingleSequence", "DecodeProto")


def _parse_ops(graph: Any) -> list[Any]:
    return [op for op in graph.get_operations() if op.type in _PARSERS]


def parses(graph: FrozenGraph) -> bool:
    """Whether anything in the graph, its called functions included, parses tf.Examples."""
    return any(node.op.startswith(_ANY_PARSER) for node in _all_nodes(graph))


def parsed_features(graph: FrozenGraph) -> list[FeatureSpec]:
    """The features that any parse op of the graph names, its called functions included, as far as they can be told."""
    specs = {port.spec.name: port.spec for op in _parse_ops(graph.import_graph()) for port in _parsed_ports(graph, op)}
    for function in graph.graph_def.library.function:
        constants = {node.name: node for node in function.node_def if node.op == "Const"}
        for node in function.node_def:
            for key, dtype in _hidden_keys(node, constants):
                specs.setdefault(_text(key), FeatureSpec(_text(key), tf.dtypes.as_dtype(dtype).name, "ragged"))
    return list(specs.values())


def _hidden_keys(node: Any, constants: Mapping[str, Any]) -> list[tuple[Any, int]]:
    """Feature names and types of a parse op in a called function; whether a default exists is not looked into."""
    attr = node.attr
    if node.op == "ParseSingleExample":
        keys = [*attr["sparse_keys"].list.s, *attr["dense_keys"].list.s]
        types = [*attr["sparse_types"].list.type, *attr["Tdense"].list.type]
    elif node.op == "ParseExampleV2":
        named = [constants.get(name.partition(":")[0]) for name in node.input[2:5]]
        keys = [key for const in named if const for key in tf.make_ndarray(const.attr["value"].tensor).tolist()]
        types = [*attr["sparse_types"].list.type, *attr["Tdense"].list.type, *attr["ragged_value_types"].list.type]
    else:
        return []
    return list(zip(keys, types, strict=False))


def _all_nodes(graph: FrozenGraph) -> list[Any]:
    functions = graph.graph_def.library.function
    return [*graph.graph_def.node, *(node for function in functions for node in function.node_def)]


def cut_after_parsing(graph: FrozenGraph, serialized: str) -> FrozenGraph | None:
    """Gives a graph that parses tf.Examples a port for each parsed feature that its output depends on.

    Args:
      graph: the frozen graph.
      serialized: name of the placeholder of serialised examples.

    Returns:
      The graph with its ports, or None where it cannot be cut: the parse op is missing or hidden in control flow, or
      the serialised examples are read past it.
    """
    imported = graph.import_graph()
    ports: list[Port] = []
    for op in _parse_ops(imported):
        if not _reads(op.inputs[0], serialized):
            return None
        ports.extend(_parsed_ports(graph, op))
    feeds = [name for port in ports for name in port.tensors]
    used = graph.reachable([graph.output], stops=feeds)
    if serialized in used:
        readers = [op for op in imported.get_tensor_by_name(serialized).consumers() if f"{op.name}:0" in used]
        if not all(_only_counts(op, used) for op in readers):
            return None
    ports = [port for port in ports if used.intersection(port.tensors)]
    return replace(graph, ports=tuple(ports), serialized=serialized) if ports else None


def _reads(tensor: Any, source: str) -> bool:
    """Whether a tensor is another one, passed on unchanged row by row."""
    while tensor.name != source:
        if tensor.op.type not in ("Identity", "Reshape", "DecodeBase64", "DecodeCompressed"):
            return False
        tensor = tensor.op.inputs[0]
    return True


def _only_counts(op: Any, used: set[str]) -> bool:
    if op.type in ("Shape", "Size", "ShapeN"):
        return True
    readers = [reader for out in op.outputs for reader in out.consumers() if f"{reader.name}:0" in used]
    return op.type == "Identity" and all(_only_counts(reader, used) for reader in readers)


def _constants(graph: FrozenGraph, tensors: Sequence[Any]) -> list[Any]:
    if not tensors:
        return []
    function = tf.function(graph.function([], [tensor.name for tensor in tensors]), autograph=False)
    return [value.numpy() for value in function()]


def _parsed_ports(graph: FrozenGraph, op: Any) -> list[Port]:
    """The ports of one parse op; the order of its outputs is in TensorFlow's op definition."""
    inputs, outputs = list(op.inputs), [tensor.name for tensor in op.outputs]
    if op.type == "ParseExampleV2":
        sparse_keys, dense_keys, ragged_keys = (list(keys) for keys in _constants(graph, inputs[2:5]))
        defaults = inputs[5:]
        ragged_types = list(zip(op.get_attr("ragged_value_types"), op.get_attr("ragged_split_types"), strict=True))
    else:
        n_sparse, n_dense = op.get_attr("Nsparse"), op.get_attr("Ndense")
        keys = [
            key.item() if isinstance(key, np.ndarray) else key
            for key in _constants(graph, inputs[2 : 2 + n_sparse + n_dense])
        ]
        sparse_keys, dense_keys, ragged_keys, ragged_types = keys[:n_sparse], keys[n_sparse:], [], []
        defaults = inputs[2 + n_sparse + n_dense :]
    s, d, r = len(sparse_keys), len(dense_keys), len(ragged_keys)
    ports = [
        Port(FeatureSpec(_text(key), dtype.name, "sparse"), "sparse", (outputs[i], outputs[s + i], outputs[2 * s + i]))
        for i, (key, dtype) in enumerate(zip(sparse_keys, op.get_attr("sparse_types"), strict=True))
    ]
    dense = zip(
        dense_keys, op.get_attr("Tdense"), op.get_attr("dense_shapes"), _constants(graph, defaults), strict=True
    )
    for i, (key, dtype, shape, default) in enumerate(dense):
        ports.append(_dense_port(_text(key), dtype, tf.TensorShape(shape), default, outputs[3 * s + i]))
    for i, (key, (dtype, splits)) in enumerate(zip(ragged_keys, ragged_types, strict=True)):
        names = (outputs[3 * s + d + i], outputs[3 * s + d + r + i])
        ports.append(Port(FeatureSpec(_text(key), dtype.name, "ragged"), "ragged", names, splits.name))
    return ports


def _text(key: Any) -> str:
    return key.decode() if isinstance(key, bytes) else str(key)


def _dense_port(name: str, dtype: Any, shape: Any, default: Any, tensor: str) -> Port:
    if not shape.is_fully_defined():
        spec = FeatureSpec(name, dtype.name, "ragged")
        return Port(spec, "padded", (tensor,), padding=np.asarray(default).reshape(-1)[0])
    sizes = tuple(shape.as_list())
    filler = np.asarray(default).reshape(sizes) if np.size(default) == np.prod(sizes) else None
    return Port(FeatureSpec(name, dtype.name, "dense", sizes, filler), "dense", (tensor,))
