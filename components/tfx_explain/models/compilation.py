"""Which graphs XLA may compile without changing what they mean.

XLA's minimum and maximum on CPUs lose NaN (relu6 of NaN is 0, and so may be relu of it) and its gathers clamp indices
that TensorFlow refuses. So only rows whose inputs are finite run compiled, and only graphs of ops that make no NaN of
finite numbers short of overflow. The rule looks at the graph alone: every worker decides alike, so gets the same bits.
"""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from tfx_explain.models.graph import FrozenGraph
from tfx_explain.models.ops import constant_value, through

# fmt: off
_SAFE = frozenset([
    "Abs", "Add", "AddN", "AddV2", "AvgPool", "BatchMatMulV2", "BiasAdd", "BroadcastTo", "Cast", "ConcatV2",
    "Const", "Conv1D", "Conv2D", "DepthwiseConv2dNative", "Einsum", "Elu", "EnsureShape", "Equal", "Erf",
    "ExpandDims", "Fill", "Floor", "FusedBatchNormV3", "Greater", "GreaterEqual", "Identity", "IdentityN", "IsNan",
    "LeakyRelu", "Less", "LessEqual", "LogicalAnd", "LogicalNot", "LogicalOr", "MatMul", "Max", "MaxPool",
    "Maximum", "Mean", "Min", "Minimum", "Mul", "Neg", "NotEqual", "OneHot", "OnesLike", "Pack", "Pad", "PadV2",
    "Prod", "Relu", "Relu6", "Reshape", "Select", "SelectV2", "Selu", "Shape", "Sigmoid", "Sign", "Slice",
    "Softmax", "Softplus", "Softsign", "Split", "SplitV", "Square", "SquaredDifference", "Squeeze", "StopGradient",
    "StridedSlice", "Sub", "Sum", "Tanh", "Tile", "Transpose", "Unpack", "ZerosLike",
])
# fmt: on
_SAFE_BY_CONSTANT = ("RealDiv", "Div")


# XLA's gradients of these are several times slower than TensorFlow's.
_SLOW_GRADIENTS = frozenset(["AvgPool", "Conv1D", "Conv2D", "DepthwiseConv2dNative", "MaxPool"])


def can_compile(graph: FrozenGraph) -> bool:
    """Whether everything between the ports and the output is plain, dense arithmetic."""
    return _can_compile(graph, lambda op: op.type in _SAFE)


def can_compile_gradients(graph: FrozenGraph) -> bool:
    """The same of the output's gradients, where that is faster; layer normalisation is plain arithmetic too."""
    return _can_compile(graph, lambda op: op.type in _SAFE - _SLOW_GRADIENTS or _is_root_of_positive(op))


def _can_compile(graph: FrozenGraph, is_safe: Callable[[tf.Operation], bool]) -> bool:
    if any(port.encoding != "dense" or port.spec.dtype == "string" for port in graph.ports):
        return False
    feeds = {name for port in graph.ports for name in port.tensors}
    used = graph.reachable([graph.output], stops=feeds) - feeds
    if graph.serialized in used:
        return False
    varying = set(feeds)
    for op in graph.import_graph().get_operations():
        names = [tensor.name for tensor in op.outputs if tensor.name in used]
        if names and any(tensor.name in varying for tensor in op.inputs):
            varying.update(names)
            constant_divisor = op.type in _SAFE_BY_CONSTANT and op.inputs[1].name not in varying
            if not (is_safe(op) or constant_divisor):
                return False
    return all(_is_number(op) for op in graph.import_graph().get_operations() if f"{op.name}:0" in used)


def _is_root_of_positive(op: tf.Operation) -> bool:
    """1 / sqrt(mean of squares + a positive constant), which has finite gradients."""
    if op.type != "Rsqrt" or op.inputs[0].op.type not in ("Add", "AddV2"):
        return False
    squares, constant = op.inputs[0].op.inputs
    value = constant_value(constant)
    mean = through(squares).op
    while mean.type in ("Reshape", "Squeeze", "ExpandDims"):
        mean = mean.inputs[0].op
    is_mean_of_squares = mean.type == "Mean" and mean.inputs[0].op.type in ("Square", "SquaredDifference")
    return is_mean_of_squares and value is not None and value > 0


def _is_number(op: tf.Operation) -> bool:
    return all(tensor.dtype.is_floating or tensor.dtype.is_integer or tensor.dtype.is_bool for tensor in op.outputs)
