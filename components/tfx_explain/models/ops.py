"""Reading arithmetic off the ops of a graph: what a tensor is made of."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

SAME = ("Identity", "StopGradient", "Snapshot", "PreventGradient", "CheckNumerics", "EnsureShape")
"""Ops that hand on their first input as it is."""


def through(tensor: tf.Tensor) -> tf.Tensor:
    """What the tensor is, before ops that hand it on."""
    while tensor.op.type in SAME:
        tensor = tensor.op.inputs[0]
    return tensor


def constant_value(tensor: tf.Tensor) -> float | None:
    """The one value that all elements of a tensor have, whatever it is fed; None where that is not known."""
    op = through(tensor).op
    if op.type in ("OnesLike", "ZerosLike"):
        return 1.0 if op.type == "OnesLike" else 0.0
    if op.type in ("Cast", "Reshape", "ExpandDims", "BroadcastTo", "Tile"):
        return constant_value(op.inputs[0])
    if op.type == "Fill":
        return constant_value(op.inputs[1])
    value = tf.get_static_value(tensor)
    if value is None or np.asarray(value).dtype.kind not in "fiu" or not np.size(value):
        return None
    first = np.ravel(value)[0]
    return float(first) if (np.asarray(value) == first).all() else None


def operand_beside(op: tf.Operation, value: float) -> tf.Tensor | None:
    """The operand beside a constant of this value; None where there is none."""
    for place in (0, 1):
        if constant_value(op.inputs[place]) == value:
            return op.inputs[1 - place]
    return None


def addend_of_one(tensor: tf.Tensor) -> tf.Tensor | None:
    """The x where the tensor is 1 + x; else None."""
    tensor = through(tensor)
    return operand_beside(tensor.op, 1.0) if tensor.op.type in ("AddV2", "Add") else None


def subtrahend_from_one(tensor: tf.Tensor) -> tf.Tensor | None:
    """The p where the tensor is 1 - p; else None."""
    op = tensor.op
    if op.type == "Sub" and constant_value(op.inputs[0]) == 1:
        return op.inputs[1]
    if op.type in ("AddV2", "Add"):
        other = operand_beside(op, 1.0)
        inner = None if other is None else through(other)
        if inner is not None and inner.op.type == "Neg":
            return inner.op.inputs[0]
    return None


def exponent_of(tensor: tf.Tensor | None) -> tf.Tensor | None:
    """The x where the tensor is exp(x); else None."""
    if tensor is None:
        return None
    tensor = through(tensor)
    return through(tensor.op.inputs[0]) if tensor.op.type == "Exp" else None


def negative_of(tensor: tf.Tensor) -> tf.Tensor:
    """-x; the y that is there already where the tensor is -y."""
    inner = through(tensor)
    return inner.op.inputs[0] if inner.op.type == "Neg" else -inner


def reduces_last(tensor: tf.Tensor, kind: str) -> bool:
    """Whether the tensor is the sum or maximum (`kind`) along the last axis of another, kept as an axis of one."""
    op = tensor.op
    if op.type != kind or not op.get_attr("keep_dims") or op.inputs[0].shape.rank is None:
        return False
    axis = tf.get_static_value(op.inputs[1])
    return axis is not None and np.ravel(axis).tolist() in ([-1], [op.inputs[0].shape.rank - 1])


def have_same_shape(a: tf.Tensor, b: tf.Tensor) -> bool:
    """Whether one has the shape of the other, so that nothing was broadcast between them."""
    return bool(a.shape.rank is not None and a.shape.rank == b.shape.rank and a.shape.is_compatible_with(b.shape))


def keeps_all(tensor: tf.Tensor, source: tf.Tensor) -> bool:
    """Whether what was picked has every column of its source once, as far as that can be told."""
    if source.shape.rank is None or tensor.shape.rank is None or tensor.op.type == "Unpack":
        return False
    if tensor.op.type in ("GatherV2", "Gather"):
        indices = tf.get_static_value(tensor.op.inputs[1])
        width = source.shape[-1]
        return indices is not None and width is not None and sorted(np.ravel(indices).tolist()) == list(range(width))
    return (
        tensor.shape[-1] is not None and tensor.shape[-1] == source.shape[-1] and tensor.shape.rank >= source.shape.rank
    )


def keeps_last_axis(tensor: tf.Tensor, source: tf.Tensor) -> bool:
    """Whether the last axis of a reshaped tensor is that of its source, as far as that can be told."""
    if source.shape.rank is None or tensor.shape.rank is None:
        return True
    if min(source.shape.rank, tensor.shape.rank) < 2:
        return bool(tensor.shape.rank == source.shape.rank)
    if tensor.op.type == "Transpose":
        order = tf.get_static_value(tensor.op.inputs[1])
        if order is None or order[-1] != len(order) - 1:
            return False
    widths = {tensor.shape[-1], source.shape[-1]}
    return len(widths) == 1 or (None in widths and 1 not in widths)


def repeated(tensor: tf.Tensor, replaced: dict[int, tf.Tensor]) -> tf.Tensor:
    """The op of a tensor once more, with other inputs in some places."""
    op = tensor.op
    inputs = [replaced.get(place, operand) for place, operand in enumerate(op.inputs)]
    attributes = {name: value for name, value in op.node_def.attr.items() if name != "_class"}
    copied = op.graph.create_op(op.type, inputs, [out.dtype for out in op.outputs], name="logit", attrs=attributes)
    return copied.outputs[tensor.value_index]
