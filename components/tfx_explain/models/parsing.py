"""Cutting a graph after the op that parses tf.Examples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import tensorflow as tf

from tfx_explain.models.features import Array, FeatureSpec
from tfx_explain.models.graph import FrozenGraph, Port
from tfx_explain.models.hidden_parsing import PARSERS, agree, dense_feature, hidden_features, merged, text
from tfx_explain.models.tracing import traced

_PARSERS = ("ParseExampleV2", "ParseExample")
_EXAMPLE_PARSERS = ("ParseExample", "ParseSingleExample")
_SEQUENCE_PARSERS = ("ParseSequenceExample", "ParseSingleSequence")
_OTHER_PARSERS = (*_SEQUENCE_PARSERS, "DecodeProto")


def _parse_ops(graph: tf.Graph) -> list[tf.Operation]:
    return [op for op in graph.get_operations() if op.type in _PARSERS]


def parses(graph: FrozenGraph) -> bool:
    """Whether anything in the graph, its called functions included, parses tf.Examples."""
    return any(node.op.startswith(PARSERS) for node in _all_nodes(graph))


def parsed_features(graph: FrozenGraph) -> list[FeatureSpec]:
    """The features that the parse ops of the graph name, its called functions included; none where one does not say."""
    specs = [port.spec for op in _parse_ops(graph.import_graph()) for port in _parsed_ports(graph, op)]
    for function in graph.graph_def.library.function:
        parsed = hidden_features(function)
        if parsed is None:
            return []
        specs.extend(parsed)
    return merged(specs)


def other_messages(graph: FrozenGraph, serialized: str) -> str:
    """What the graph takes its serialised examples for, where that is not tf.Examples; else nothing."""
    nodes = _all_nodes(graph)
    top = [op for op in graph.import_graph().get_operations() if op.type.startswith(_OTHER_PARSERS)]
    direct = {op.name for op in top if any(_reads(tensor, serialized) for tensor in op.inputs)}
    hidden = [] if any(node.op.startswith(_EXAMPLE_PARSERS) for node in nodes) else nodes
    for node in [*(node for node in graph.graph_def.node if node.name in direct), *hidden]:
        if node.op.startswith(_SEQUENCE_PARSERS):
            return "tf.SequenceExamples"
        if node.op.startswith("DecodeProto"):
            message = node.attr["message_type"].s.decode()
            if message != "tensorflow.Example":
                return f"`{message}` messages"
    return ""


def _all_nodes(graph: FrozenGraph) -> list[tf.compat.v1.NodeDef]:
    functions = graph.graph_def.library.function
    return [*graph.graph_def.node, *(node for function in functions for node in function.node_def)]


def cut_after_parsing(graph: FrozenGraph, serialized: str, also: Sequence[str] = ()) -> FrozenGraph | None:
    """Gives a graph that parses tf.Examples a port for each parsed feature that its output depends on.

    Args:
      graph: the frozen graph.
      serialized: name of the placeholder of serialised examples.
      also: names of tensors that are wanted beside its output.

    Returns:
      The graph with its ports, or None where it cannot be cut: the parse op is missing or hidden in control flow, the
      serialised examples are read past it, or a feature is parsed in two ways.
    """
    imported = graph.import_graph()
    ports: list[Port] = []
    for op in _parse_ops(imported):
        if not _reads(op.inputs[0], serialized):
            return None
        ports.extend(_parsed_ports(graph, op))
    feeds = [name for port in ports for name in port.tensors]
    used = graph.reachable([graph.output, *also], stops=feeds)
    if serialized in used:
        readers = [op for op in imported.get_tensor_by_name(serialized).consumers() if f"{op.name}:0" in used]
        if not all(_only_counts(op, used) for op in readers):
            return None
    unread = tuple(port.spec for port in ports if not used.intersection(port.tensors))
    ports = [port for port in ports if used.intersection(port.tensors)]
    specs = {port.spec.name: port.spec for port in ports}
    if not ports or not all(agree(specs[port.spec.name], port.spec) for port in ports):
        return None
    return replace(graph, ports=tuple(ports), serialized=serialized, unread=unread)


def _reads(tensor: tf.Tensor, source: str) -> bool:
    """Whether a tensor is another one, passed on unchanged row by row."""
    while tensor.name != source:
        if tensor.op.type not in ("Identity", "Reshape", "DecodeBase64", "DecodeCompressed"):
            return False
        tensor = tensor.op.inputs[0]
    return True


def _only_counts(op: tf.Operation, used: set[str]) -> bool:
    if op.type in ("Shape", "Size", "ShapeN"):
        return True
    readers = [reader for out in op.outputs for reader in out.consumers() if f"{reader.name}:0" in used]
    return op.type == "Identity" and all(_only_counts(reader, used) for reader in readers)


def _constants(graph: FrozenGraph, tensors: Sequence[tf.Tensor]) -> list[Array]:
    if not tensors:
        return []
    function = traced(graph.function([], [tensor.name for tensor in tensors]))
    return [value.numpy() for value in function()]


def _parsed_ports(graph: FrozenGraph, op: tf.Operation) -> list[Port]:
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
        Port(FeatureSpec(text(key), dtype.name, "sparse"), "sparse", (outputs[i], outputs[s + i], outputs[2 * s + i]))
        for i, (key, dtype) in enumerate(zip(sparse_keys, op.get_attr("sparse_types"), strict=True))
    ]
    dense = zip(
        dense_keys, op.get_attr("Tdense"), op.get_attr("dense_shapes"), _constants(graph, defaults), strict=True
    )
    for i, (key, dtype, shape, default) in enumerate(dense):
        ports.append(_dense_port(text(key), dtype, tf.TensorShape(shape), default, outputs[3 * s + i]))
    for i, (key, (dtype, splits)) in enumerate(zip(ragged_keys, ragged_types, strict=True)):
        names = (outputs[3 * s + d + i], outputs[3 * s + d + r + i])
        ports.append(Port(FeatureSpec(text(key), dtype.name, "ragged"), "ragged", names, splits.name))
    return ports


def _dense_port(name: str, dtype: tf.DType, shape: tf.TensorShape, default: Array, tensor: str) -> Port:
    spec = dense_feature(name, dtype.name, shape, np.asarray(default))
    if spec.kind == "dense":
        return Port(spec, "dense", (tensor,))
    filler = np.asarray(default).reshape(-1)[:1].tolist() or [b"" if dtype == tf.string else 0]
    return Port(spec, "padded", (tensor,), padding=filler[0])
