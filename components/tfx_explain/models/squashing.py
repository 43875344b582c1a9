"""Sigmoids and softmaxes in the forms that people write them, and log-odds of the latter."""

from __future__ import annotations

import tensorflow as tf

from tfx_explain.models.ops import (
    addend_of_one,
    constant_value,
    exponent_of,
    have_same_shape,
    negative_of,
    operand_beside,
    reduces_last,
    through,
)

_MAX_UNROLLED = 16


def sigmoid_logits(tensor: tf.Tensor) -> tf.Tensor | None:
    """The z where the tensor is sigmoid(z), written in one of several ways; else None."""
    op = tensor.op
    if op.type == "Sigmoid":
        return op.inputs[0]
    logits = _quotient(op) if op.type in ("RealDiv", "Div", "DivNoNan", "Reciprocal", "Inv") else None
    if op.type == "Exp":
        logits = _exp_of_log_sigmoid(op.inputs[0])
    if logits is None:
        logits = _half_of_tanh(tensor)
    return logits if logits is not None and have_same_shape(logits, tensor) else None


def _quotient(op: tf.Operation) -> tf.Tensor | None:
    """The z of 1 / (1 + exp(-z)) and of exp(z) / (1 + exp(z))."""
    above = 1.0 if op.type in ("Reciprocal", "Inv") else constant_value(op.inputs[0])
    exponent = exponent_of(addend_of_one(op.inputs[-1]))
    if exponent is None:
        return None
    if above == 1.0:
        return negative_of(exponent)
    numerator = None if above is not None else exponent_of(op.inputs[0])
    return exponent if numerator is not None and numerator.name == exponent.name else None


def _exp_of_log_sigmoid(tensor: tf.Tensor) -> tf.Tensor | None:
    """The z of exp(-softplus(-z)), which is exp(log_sigmoid(z))."""
    inner = through(tensor)
    if inner.op.type != "Neg":
        return None
    softplus = through(inner.op.inputs[0])
    return negative_of(softplus.op.inputs[0]) if softplus.op.type == "Softplus" else None


def _half_of_tanh(tensor: tf.Tensor) -> tf.Tensor | None:
    """2 u of (1 + tanh(u)) / 2."""
    op = tensor.op
    inner: tf.Tensor | None = None
    if op.type in ("Mul", "RealDiv", "Div"):
        other = (
            operand_beside(op, 0.5) if op.type == "Mul" else op.inputs[0] if constant_value(op.inputs[1]) == 2 else None
        )
        inner = None if other is None else addend_of_one(other)
    elif op.type in ("AddV2", "Add"):
        other = operand_beside(op, 0.5)
        half = None if other is None else through(other)
        inner = None if half is None or half.op.type != "Mul" else operand_beside(half.op, 0.5)
    tanh = None if inner is None else through(inner)
    return None if tanh is None or tanh.op.type != "Tanh" else 2 * tanh.op.inputs[0]


def softmax_logits(tensor: tf.Tensor) -> tf.Tensor | None:
    """The z where the tensor is the softmax of z along its last axis; else None."""
    op = tensor.op
    if op.type == "Softmax":
        return op.inputs[0]
    if op.type == "Exp" and through(op.inputs[0]).op.type == "LogSoftmax":
        return through(op.inputs[0]).op.inputs[0]
    if op.type in ("RealDiv", "Div"):
        above, below = exponent_of(op.inputs[0]), through(op.inputs[1])
        if above is not None and reduces_last(below, "Sum") and _name(exponent_of(below.op.inputs[0])) == above.name:
            return _unshifted(above)
    return None


def _name(tensor: tf.Tensor | None) -> str:
    return "" if tensor is None else str(tensor.name)


def _unshifted(tensor: tf.Tensor) -> tf.Tensor:
    """The z of z - max(z), by which a softmax does not change."""
    if tensor.op.type == "Sub":
        logits, most = through(tensor.op.inputs[0]), through(tensor.op.inputs[1])
        if reduces_last(most, "Max") and through(most.op.inputs[0]).name == logits.name:
            return logits
    return tensor


def log_odds(logits: tf.Tensor) -> tf.Tensor | None:
    """z_k - logsumexp of the others, for every k of the last axis; None where their number is unknown or one."""
    n = logits.shape[-1] if logits.shape.rank else None
    if n is None or n < 2:
        return None
    if n == 2:
        return logits - tf.reverse(logits, [-1])
    if n <= _MAX_UNROLLED:
        columns = tf.unstack(logits, axis=-1)
        before, after = [columns[0]], [columns[-1]]
        for column in columns[1:-1]:
            before.append(_logaddexp(before[-1], column))
        for column in columns[-2:0:-1]:
            after.append(_logaddexp(after[-1], column))
        inner = [_logaddexp(before[k - 1], after[n - 2 - k]) for k in range(1, n - 1)]
        return logits - tf.stack([after[-1], *inner, before[-1]], axis=-1)
    before, after = (
        tf.math.cumulative_logsumexp(logits, axis=-1, exclusive=True, reverse=reverse) for reverse in (False, True)
    )
    return logits - _logaddexp(before, after)


def _logaddexp(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    """Of ops that XLA may compile: they make no NaN of finite numbers."""
    return tf.maximum(a, b) + tf.math.softplus(-tf.abs(a - b))
