"""The log-odds behind an output of probabilities, read off the end of a graph.

A person who looks at the last operations of a model sees that `1 - sigmoid(z)` has log-odds -z, that a column of a
softmax has the log-odds z_k - logsumexp(the others), and what 1 / (1 + exp(-z)) is. This sees the same, and nothing
that is not exact.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import tensorflow as tf

Kind = Literal["sigmoid", "softmax"]

# Ops that hand on their first input as it is, in some shape.
_SAME = ("Identity", "StopGradient", "Snapshot", "PreventGradient", "CheckNumerics", "EnsureShape")
_RESHAPING = ("Reshape", "Squeeze", "ExpandDims", "Transpose", "Cast")
# Ops that pick some of the values of an input, the first one but for `Split`.
_PICKING = ("StridedSlice", "Slice", "GatherV2", "Gather", "Split", "SplitV", "Unpack", "ReverseV2")
_JOINING = ("ConcatV2", "Pack")
# Clipping as close to 0 and 1 as this leaves a whole softmax a softmax.
_CLOSE = 1e-6
_MAX_UNROLLED = 16


@dataclass(frozen=True)
class Link:
    """What an output of probabilities is made of.

    Attributes:
      logits: a tensor of the output's shape, added to the graph.
      kind: "softmax": the output is the softmax of each row of them; "sigmoid": of each by itself the sigmoid.
      notes: where that is not the whole truth, in which way.
    """

    logits: Any
    kind: Kind
    notes: tuple[str, ...] = ()


def find_link(graph: Any, tensor: Any) -> Link | None:
    """The log-odds of a tensor, added to its graph; None where it is not seen to hold probabilities.

    Args:
      graph: a `tf.Graph`.
      tensor: in the graph, (n,) or (n, K).
    """
    with graph.as_default():
        search = _Search()
        logits, kind = search.link(tensor, each=False)
        return None if logits is None else Link(logits, kind, tuple(dict.fromkeys(search.notes)))


_Found = tuple[Any, Kind]
_NOTHING: _Found = (None, "sigmoid")


@dataclass
class _Search:
    """One search, and what it wants to remark on what it found."""

    notes: list[str] = field(default_factory=list)

    def link(self, tensor: Any, each: bool) -> _Found:
        """Logits and what they are; with `each` every value's own log-odds, also where all make up a softmax."""
        op = tensor.op
        if op.type in _SAME or op.type == "IdentityN":
            return self.link(op.inputs[tensor.value_index if op.type == "IdentityN" else 0], each)
        if op.type in _RESHAPING:
            return self._reshaped(tensor, each)
        if op.type in _PICKING:
            return self._picked(tensor, each)
        if op.type in _JOINING:
            return self._joined(tensor)
        if op.type in ("Minimum", "Maximum", "ClipByValue"):
            return self._clipped(op, each)
        rows = _softmax_of(tensor)
        if rows is not None:
            return (_log_odds(rows), "sigmoid") if each else (rows, "softmax")
        logits = _sigmoid_of(tensor)
        if logits is not None:
            return logits, "sigmoid"
        rest = _one_minus(tensor)
        if rest is not None:
            found, kind = self.link(rest, each=True)
            if found is not None and _same_shape(found, tensor):
                return -found, kind
        return _NOTHING

    def _reshaped(self, tensor: Any, each: bool) -> _Found:
        op = tensor.op
        if op.type == "Cast" and not (op.inputs[0].dtype.is_floating and tensor.dtype.is_floating):
            return _NOTHING
        logits, kind = self.link(op.inputs[0], each)
        return _NOTHING if logits is None else (_again(tensor, {0: logits}), kind)

    def _picked(self, tensor: Any, each: bool) -> _Found:
        op, place = tensor.op, 1 if tensor.op.type == "Split" else 0
        logits, kind = self.link(op.inputs[place], each or not _keeps_all(tensor, op.inputs[place]))
        return _NOTHING if logits is None else (_again(tensor, {place: logits}), kind)

    def _joined(self, tensor: Any) -> _Found:
        parts = list(tensor.op.inputs)[: -1 if tensor.op.type == "ConcatV2" else None]
        found = [self.link(part, each=True)[0] for part in parts]
        if any(logits is None for logits in found):
            return _NOTHING
        return _again(tensor, dict(enumerate(found))), "sigmoid"

    def _clipped(self, op: Any, each: bool) -> _Found:
        """The log-odds of clipped probabilities are clipped log-odds."""
        constants = {place: value for place, one in enumerate(op.inputs) if (value := _constant(one)) is not None}
        inner = [one for place, one in enumerate(op.inputs) if place not in constants]
        if len(inner) != 1 or not constants:
            return _NOTHING
        least, most = -np.inf, np.inf
        if op.type == "ClipByValue":
            if set(constants) != {1, 2}:
                return _NOTHING
            least, most = constants[1], constants[2]
        elif op.type == "Maximum":
            (least,) = constants.values()
        else:
            (most,) = constants.values()
        if least >= 0.5 or most <= 0.5:
            return _NOTHING
        close = least <= _CLOSE and most >= 1 - _CLOSE
        logits, kind = self.link(inner[0], each or not close)
        if logits is None:
            return _NOTHING
        if kind == "softmax":
            if least > 0 or most < 1:
                self.notes.append("its probabilities are clipped, which is left out of the log-odds")
            return logits, kind
        if least > 0:
            logits = tf.maximum(logits, tf.constant(np.log(least) - np.log1p(-least), logits.dtype))
        if most < 1:
            logits = tf.minimum(logits, tf.constant(np.log(most) - np.log1p(-most), logits.dtype))
        if least > 0 or most < 1:
            self.notes.append("its probabilities are clipped, and so are the log-odds")
        return logits, kind


def _sigmoid_of(tensor: Any) -> Any:
    """The z where the tensor is sigmoid(z), written in one of several ways; else None."""
    op = tensor.op
    if op.type == "Sigmoid":
        return op.inputs[0]
    logits = _quotient(op) if op.type in ("RealDiv", "Div", "DivNoNan", "Reciprocal", "Inv") else None
    if op.type == "Exp":
        logits = _exp_of_log_sigmoid(op.inputs[0])
    if logits is None:
        logits = _half_of_tanh(tensor)
    return logits if logits is not None and _same_shape(logits, tensor) else None


def _quotient(op: Any) -> Any:
    """The z of 1 / (1 + exp(-z)) and of exp(z) / (1 + exp(z))."""
    above = 1.0 if op.type in ("Reciprocal", "Inv") else _constant(op.inputs[0])
    exponent = _exponent(_plus_one(op.inputs[-1]))
    if exponent is None:
        return None
    if above == 1.0:
        return _negative(exponent)
    numerator = None if above is not None else _exponent(op.inputs[0])
    return exponent if numerator is not None and numerator.name == exponent.name else None


def _exp_of_log_sigmoid(tensor: Any) -> Any:
    """The z of exp(-softplus(-z)), which is exp(log_sigmoid(z))."""
    inner = _through(tensor)
    if inner.op.type != "Neg":
        return None
    softplus = _through(inner.op.inputs[0])
    return _negative(softplus.op.inputs[0]) if softplus.op.type == "Softplus" else None


def _half_of_tanh(tensor: Any) -> Any:
    """2 u of (1 + tanh(u)) / 2."""
    op = tensor.op
    inner: Any = None
    if op.type in ("Mul", "RealDiv", "Div"):
        other = _other_than(op, 0.5) if op.type == "Mul" else op.inputs[0] if _constant(op.inputs[1]) == 2 else None
        inner = None if other is None else _plus_one(other)
    elif op.type in ("AddV2", "Add"):
        other = _other_than(op, 0.5)
        half = None if other is None else _through(other)
        inner = None if half is None or half.op.type != "Mul" else _other_than(half.op, 0.5)
    tanh = None if inner is None else _through(inner)
    return None if tanh is None or tanh.op.type != "Tanh" else 2 * tanh.op.inputs[0]


def _softmax_of(tensor: Any) -> Any:
    """The z where the tensor is the softmax of z along its last axis; else None."""
    op = tensor.op
    if op.type == "Softmax":
        return op.inputs[0]
    if op.type == "Exp" and _through(op.inputs[0]).op.type == "LogSoftmax":
        return _through(op.inputs[0]).op.inputs[0]
    if op.type in ("RealDiv", "Div"):
        above, below = _exponent(op.inputs[0]), _through(op.inputs[1])
        if above is not None and _reduces_last(below, "Sum") and _name(_exponent(below.op.inputs[0])) == above.name:
            return _unshifted(above)
    return None


def _name(tensor: Any) -> str:
    return "" if tensor is None else str(tensor.name)


def _unshifted(tensor: Any) -> Any:
    """The z of z - max(z), by which a softmax does not change."""
    if tensor.op.type == "Sub":
        logits, most = _through(tensor.op.inputs[0]), _through(tensor.op.inputs[1])
        if _reduces_last(most, "Max") and _through(most.op.inputs[0]).name == logits.name:
            return logits
    return tensor


def _reduces_last(tensor: Any, kind: str) -> bool:
    op = tensor.op
    if op.type != kind or not op.get_attr("keep_dims") or op.inputs[0].shape.rank is None:
        return False
    axis = tf.get_static_value(op.inputs[1])
    return axis is not None and np.ravel(axis).tolist() in ([-1], [op.inputs[0].shape.rank - 1])


def _log_odds(logits: Any) -> Any:
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


def _logaddexp(a: Any, b: Any) -> Any:
    """Of ops that XLA may compile: they make no NaN of finite numbers."""
    return tf.maximum(a, b) + tf.math.softplus(-tf.abs(a - b))


def _one_minus(tensor: Any) -> Any:
    """The p where the tensor is 1 - p; else None."""
    op = tensor.op
    if op.type == "Sub" and _constant(op.inputs[0]) == 1:
        return op.inputs[1]
    if op.type in ("AddV2", "Add"):
        other = _other_than(op, 1.0)
        inner = None if other is None else _through(other)
        if inner is not None and inner.op.type == "Neg":
            return inner.op.inputs[0]
    return None


def _plus_one(tensor: Any) -> Any:
    """The x where the tensor is 1 + x; else None."""
    tensor = _through(tensor)
    return _other_than(tensor.op, 1.0) if tensor.op.type in ("AddV2", "Add") else None


def _other_than(op: Any, value: float) -> Any:
    """The operand beside a constant of this value; None where there is none."""
    for place in (0, 1):
        if _constant(op.inputs[place]) == value:
            return op.inputs[1 - place]
    return None


def _exponent(tensor: Any) -> Any:
    """The x where the tensor is exp(x); else None."""
    if tensor is None:
        return None
    tensor = _through(tensor)
    return _through(tensor.op.inputs[0]) if tensor.op.type == "Exp" else None


def _negative(tensor: Any) -> Any:
    inner = _through(tensor)
    return inner.op.inputs[0] if inner.op.type == "Neg" else -inner


def _through(tensor: Any) -> Any:
    while tensor.op.type in _SAME:
        tensor = tensor.op.inputs[0]
    return tensor


def _constant(tensor: Any) -> float | None:
    """The one value that all elements of a tensor have, whatever it is fed; None where that is not known."""
    op = _through(tensor).op
    if op.type in ("OnesLike", "ZerosLike"):
        return 1.0 if op.type == "OnesLike" else 0.0
    if op.type in ("Cast", "Reshape", "ExpandDims", "BroadcastTo", "Tile"):
        return _constant(op.inputs[0])
    if op.type == "Fill":
        return _constant(op.inputs[1])
    value = tf.get_static_value(tensor)
    if value is None or np.asarray(value).dtype.kind not in "fiu" or not np.size(value):
        return None
    first = np.ravel(value)[0]
    return float(first) if (np.asarray(value) == first).all() else None


def _same_shape(a: Any, b: Any) -> bool:
    """Whether one has the shape of the other, so that nothing was broadcast between them."""
    return bool(a.shape.rank is not None and a.shape.rank == b.shape.rank and a.shape.is_compatible_with(b.shape))


def _keeps_all(tensor: Any, source: Any) -> bool:
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


def _again(tensor: Any, replaced: dict[int, Any]) -> Any:
    """The op of a tensor once more, with other inputs in some places."""
    op = tensor.op
    inputs = [replaced.get(place, one) for place, one in enumerate(op.inputs)]
    attributes = {name: value for name, value in op.node_def.attr.items() if name != "_class"}
    copied = op.graph.create_op(op.type, inputs, [out.dtype for out in op.outputs], name="logit", attrs=attributes)
    return copied.outputs[tensor.value_index]
