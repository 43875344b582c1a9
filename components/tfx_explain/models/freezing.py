"""Freezing a SavedModel's signature: variables become constants, and called functions are inlined.

So the graph can be cut anywhere: after the op that parses tf.Examples, and before a final sigmoid or softmax.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace

import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from tfx_explain.models.graph import FrozenGraph, tensor_name

_LOG = logging.getLogger(__name__)


def freeze(signature: tf.types.experimental.ConcreteFunction, output_key: str) -> tuple[FrozenGraph, dict[str, str]]:
    """Freezes a signature.

    Returns:
      The graph, still without ports, and the name of the tensor that each argument of the signature feeds.
    """
    graph, arguments, outputs = freeze_all(signature)
    return replace(graph, output=outputs[output_key]), arguments


def freeze_all(
    signature: tf.types.experimental.ConcreteFunction,
) -> tuple[FrozenGraph, dict[str, str], dict[str, str]]:
    """The same without an output of the graph, and with the names of the tensors of all outputs, by their keys."""
    graph_def, outputs = _inline(signature)
    inner = (tensor.name for tensor in signature.graph.internal_captures)
    open_inputs = {f"{node.name}:0" for node in graph_def.node if node.op == "Placeholder"}
    captured = zip(inner, signature.captured_inputs, strict=True)
    captures = {name: outer for name, outer in captured if name in open_inputs}
    _drop_control_edges(graph_def)
    _freeze_reads(graph_def, captures)
    outputs_by_key = dict(zip(sorted(signature.structured_outputs), (tensor.name for tensor in outputs), strict=False))
    keys = sorted(signature.structured_input_signature[1])
    arguments = dict(zip(keys, (tensor.name for tensor in signature.inputs), strict=False))
    return FrozenGraph(graph_def, (), "", captures), arguments, outputs_by_key


def _inline(
    signature: tf.types.experimental.ConcreteFunction,
) -> tuple[tf.compat.v1.GraphDef, Sequence[tf.Tensor]]:
    """The signature's graph with called functions inlined as far as the converter can, and its outputs."""
    graph, outputs = signature.graph, signature.outputs
    # Functions with assertions or lookups, Transform's layer among them, are inlined only when asked for aggressively;
    # that may drop side effects, of which a prediction has none. TF1 graphs make the converter fail, but call little.
    for aggressive in (False, True):
        try:
            frozen = convert_variables_to_constants_v2(
                signature, lower_control_flow=False, aggressive_inlining=aggressive
            )
        except (ValueError, tf.errors.OpError) as error:
            _LOG.debug("A signature's graph is used as it is: %s", error)
            break
        graph, outputs = frozen.graph, frozen.outputs
        if not any(op.type in ("PartitionedCall", "StatefulPartitionedCall") for op in graph.get_operations()):
            break
    return graph.as_graph_def(), outputs


def _drop_control_edges(graph_def: tf.compat.v1.GraphDef) -> None:
    for node in graph_def.node:
        kept = [name for name in node.input if not name.startswith("^")]
        del node.input[:]
        node.input.extend(kept)


def _freeze_reads(graph_def: tf.compat.v1.GraphDef, captures: Mapping[str, tf.Tensor]) -> None:
    """Makes constants of the reads of captured variables."""
    for node in graph_def.node:
        if node.op == "ReadVariableOp" and tensor_name(node.input[0]) in captures:
            dtype = tf.dtypes.as_dtype(node.attr["dtype"].type)
            value = tf.raw_ops.ReadVariableOp(resource=captures[tensor_name(node.input[0])], dtype=dtype)
            constant = tf.compat.v1.NodeDef(name=node.name, op="Const")
            constant.attr["dtype"].type = dtype.as_datatype_enum
            constant.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value.numpy()))
            node.CopyFrom(constant)
