"""Freezing a SavedModel's signature: variables become constants, and called functions are inlined.

So the graph can be cut anywhere: after the op that parses tf.Examples, and before a final sigmoid or softmax. Each part
that is cut out, and each function traced from it, has a copy of its constants. Large weights are therefore none: they
are captured, as lookup tables are, and held once whatever is made of the graph.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import tensorflow as tf

# What `convert_variables_to_constants_v2` consists of; it has no argument for variables that stay as they are.
from tensorflow.python.framework.convert_to_constants import (
    _construct_concrete_function,
    _FunctionConverterDataInEager,
    _replace_variables_by_constants,
)

from tfx_explain.models.graph import FrozenGraph, passed

_LOG = logging.getLogger(__name__)

# Bytes: of all constants of a graph, and of the smallest one that is worth capturing.
_MOST_CONSTANTS = 2**24
_LARGE = 2**16


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
    large = _large_variables(signature)
    graph_def, outputs = _inline(signature, large)
    if _picks_in_functions(graph_def):
        # The converter makes constants of these variables, and leaves the functions to read them as variables.
        graph_def, outputs = _inline(signature, {tensor.name for tensor in signature.graph.internal_captures})
    inner = (tensor.name for tensor in signature.graph.internal_captures)
    open_inputs = {f"{node.name}:0" for node in graph_def.node if node.op == "Placeholder"}
    captured = zip(inner, signature.captured_inputs, strict=True)
    captures = {name: outer for name, outer in captured if name in open_inputs}
    _drop_control_edges(graph_def)
    captures |= _freeze_reads(graph_def, captures, large)
    captures |= _capture_large_constants(graph_def)
    outputs_by_key = dict(zip(sorted(signature.structured_outputs), (tensor.name for tensor in outputs), strict=False))
    keys = sorted(signature.structured_input_signature[1])
    arguments = dict(zip(keys, (tensor.name for tensor in signature.inputs), strict=False))
    return FrozenGraph(graph_def, (), "", captures), arguments, outputs_by_key


def _largest(n_bytes: Mapping[str, int]) -> frozenset[str]:
    """Those of some weights that are captured: the largest, as many as it takes until the others are small together."""
    found, left = set(), sum(n_bytes.values())
    for name in sorted(n_bytes, key=lambda name: (-n_bytes[name], name)):
        if left <= _MOST_CONSTANTS or n_bytes[name] < _LARGE:
            break
        found.add(name)
        left -= n_bytes[name]
    return frozenset(found)


def _large_variables(signature: tf.types.experimental.ConcreteFunction) -> frozenset[str]:
    """Names of the tensors by which large variables enter the signature's graph."""
    sizes = {id(variable.handle): _n_bytes(variable.shape, variable.dtype) for variable in signature.graph.variables}
    captured = zip(signature.graph.internal_captures, signature.captured_inputs, strict=True)
    return _largest({inner.name: sizes[id(outer)] for inner, outer in captured if id(outer) in sizes})


def _n_bytes(shape: tf.TensorShape, dtype: tf.DType) -> int:
    return int(shape.num_elements() or 0) * dtype.size


def _picks_in_functions(graph_def: tf.compat.v1.GraphDef) -> bool:
    """Whether a branch or loop may pick rows of a variable."""
    return any(node.op == "ResourceGather" for function in graph_def.library.function for node in function.node_def)


def _inline(
    signature: tf.types.experimental.ConcreteFunction, kept: Collection[str]
) -> tuple[tf.compat.v1.GraphDef, Sequence[tf.Tensor]]:
    """The signature's graph with called functions inlined as far as the converter can, and its outputs.

    All variables have become constants, but those that enter the graph by the tensors `kept`.
    """
    graph, outputs = signature.graph, signature.outputs
    # Functions with assertions or lookups, Transform's layer among them, are inlined only when asked for aggressively;
    # that may drop side effects, of which a prediction has none. TF1 graphs make the converter fail, but call little.
    for aggressive in (False, True):
        try:
            names = {name.rpartition(":")[0] for name in kept}
            data = _FunctionConverterDataInEager(
                signature, lower_control_flow=False, aggressive_inlining=aggressive, variable_names_denylist=names
            )
            frozen = _construct_concrete_function(signature, *_replace_variables_by_constants(data))
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


def _freeze_reads(
    graph_def: tf.compat.v1.GraphDef, captures: Mapping[str, tf.Tensor], large: Collection[str]
) -> dict[str, tf.Tensor]:
    """Makes constants of what is read of captured variables, or inputs where these are large: name -> their value."""
    values: dict[str, tf.Tensor] = {}
    handed_on = passed(graph_def)
    for node in list(graph_def.node):
        resource = handed_on(node.input[0]) if node.input else ""
        if resource not in captures:
            continue
        if node.op == "ReadVariableOp" and resource not in large:
            _replace_by_constant(node, _value(captures[resource], node).numpy())
        elif node.op == "ReadVariableOp":
            values[f"{node.name}:0"] = value = _value(captures[resource], node)
            _replace_by_placeholder(node, value)
        elif node.op == "ResourceGather" and not node.attr["batch_dims"].i:
            table, axis = graph_def.node.add(name=f"{node.name}/table"), graph_def.node.add(name=f"{node.name}/axis")
            value = _value(captures[resource], node)
            if resource in large:
                values[f"{table.name}:0"] = value
                _replace_by_placeholder(table, value)
            else:
                _replace_by_constant(table, value.numpy())
            _replace_by_constant(axis, np.array(0, np.int32))
            _replace_by_gather(node, table.name, axis.name)
    return values


def _value(variable: tf.Tensor, reader: tf.compat.v1.NodeDef) -> tf.Tensor:
    """What a variable holds, without a copy."""
    return tf.raw_ops.ReadVariableOp(resource=variable, dtype=tf.dtypes.as_dtype(reader.attr["dtype"].type))


def _capture_large_constants(graph_def: tf.compat.v1.GraphDef) -> dict[str, tf.Tensor]:
    """Makes inputs of large constants: name -> value."""
    constants = {node.name: node for node in graph_def.node if node.op == "Const"}
    large = _largest({name: node.attr["value"].tensor.ByteSize() for name, node in constants.items()})
    values = {}
    for name in large:
        values[f"{name}:0"] = value = tf.constant(tf.make_ndarray(constants[name].attr["value"].tensor))
        _replace_by_placeholder(constants[name], value)
    return values


def _replace_by_constant(node: tf.compat.v1.NodeDef, value: npt.ArrayLike) -> None:
    proto = tf.make_tensor_proto(value)
    node.CopyFrom(tf.compat.v1.NodeDef(name=node.name, op="Const"))
    node.attr["dtype"].type = proto.dtype
    node.attr["value"].tensor.CopyFrom(proto)


def _replace_by_placeholder(node: tf.compat.v1.NodeDef, value: tf.Tensor) -> None:
    node.CopyFrom(tf.compat.v1.NodeDef(name=node.name, op="Placeholder"))
    node.attr["dtype"].type = value.dtype.as_datatype_enum
    node.attr["shape"].shape.CopyFrom(value.shape.as_proto())


def _replace_by_gather(node: tf.compat.v1.NodeDef, table: str, axis: str) -> None:
    dtype, indices = node.attr["dtype"].type, node.attr["Tindices"].type
    made = tf.compat.v1.NodeDef(name=node.name, op="GatherV2", input=[table, node.input[1], axis])
    made.attr["Tparams"].type, made.attr["Tindices"].type = dtype, indices
    made.attr["Taxis"].type = tf.int32.as_datatype_enum
    node.CopyFrom(made)
