"""The log-odds behind an output of probabilities, read off the end of a graph.

A person who looks at the last operations of a model sees that `1 - sigmoid(z)` has log-odds -z, that a column of a
softmax has the log-odds z_k - logsumexp(the others), and what 1 / (1 + exp(-z)) is. This sees the same, and nothing
that is not exact.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import tensorflow as tf

from tfx_explain.models.ops import (
    SAME,
    constant_value,
    have_same_shape,
    keeps_all,
    keeps_last_axis,
    repeated,
    subtrahend_from_one,
)
from tfx_explain.models.squashing import log_odds, sigmoid_logits, softmax_logits

Kind = Literal["sigmoid", "softmax"]

# Ops that hand on their first input in another shape or type.
_RESHAPING = ("Reshape", "Squeeze", "ExpandDims", "Transpose", "Cast")
# Ops that pick some of the values of an input, the first one but for `Split`.
_PICKING = ("StridedSlice", "Slice", "GatherV2", "Gather", "Split", "SplitV", "Unpack", "ReverseV2")
_JOINING = ("ConcatV2", "Pack")
# Clipping as close to 0 and 1 as this leaves a whole softmax a softmax.
_CLOSE = 1e-6


@dataclass(frozen=True)
class Link:
    """What an output of probabilities is made of.

    Attributes:
      logits: a tensor of the output's shape, added to the graph.
      kind: "softmax": the output is the softmax of each row of them; "sigmoid": of each by itself the sigmoid.
      notes: where that is not the whole truth, in which way.
    """

    logits: tf.Tensor
    kind: Kind
    notes: tuple[str, ...] = ()


def find_link(graph: tf.Graph, tensor: tf.Tensor) -> Link | None:
    """The log-odds of a tensor, added to its graph; None where it is not seen to hold probabilities.

    Args:
      graph: a `tf.Graph`.
      tensor: in the graph, (n,) or (n, K).
    """
    with graph.as_default():
        search = _Search()
        logits, kind = search.link(tensor, each=False)
        return None if logits is None else Link(logits, kind, tuple(dict.fromkeys(search.notes)))


_Found = tuple[tf.Tensor | None, Kind]
_NOTHING: _Found = (None, "sigmoid")


@dataclass
class _Search:
    """One search, and what it wants to remark on what it found."""

    notes: list[str] = field(default_factory=list)

    def link(self, tensor: tf.Tensor, each: bool) -> _Found:
        """Logits and what they are; with `each` every value's own log-odds, also where all make up a softmax."""
        op = tensor.op
        if op.type in SAME or op.type == "IdentityN":
            return self.link(op.inputs[tensor.value_index if op.type == "IdentityN" else 0], each)
        if op.type in _RESHAPING:
            return self._reshaped(tensor, each)
        if op.type in _PICKING:
            return self._picked(tensor, each)
        if op.type in _JOINING:
            return self._joined(tensor)
        if op.type in ("Minimum", "Maximum", "ClipByValue"):
            return self._clipped(op, each)
        rows = softmax_logits(tensor)
        if rows is not None:
            apart = each or rows.shape.rank == 1 or rows.shape[-1:] == [1]
            return (log_odds(rows), "sigmoid") if apart else (rows, "softmax")
        logits = sigmoid_logits(tensor)
        if logits is not None:
            return logits, "sigmoid"
        subtrahend = subtrahend_from_one(tensor)
        if subtrahend is not None:
            logits, kind = self.link(subtrahend, each=True)
            if logits is not None and have_same_shape(logits, tensor):
                return -logits, kind
        return _NOTHING

    def _reshaped(self, tensor: tf.Tensor, each: bool) -> _Found:
        op = tensor.op
        if op.type == "Cast" and not (op.inputs[0].dtype.is_floating and tensor.dtype.is_floating):
            return _NOTHING
        logits, kind = self.link(op.inputs[0], each or not keeps_last_axis(tensor, op.inputs[0]))
        return _NOTHING if logits is None else (repeated(tensor, {0: logits}), kind)

    def _picked(self, tensor: tf.Tensor, each: bool) -> _Found:
        op, place = tensor.op, 1 if tensor.op.type == "Split" else 0
        logits, kind = self.link(op.inputs[place], each or not keeps_all(tensor, op.inputs[place]))
        return _NOTHING if logits is None else (repeated(tensor, {place: logits}), kind)

    def _joined(self, tensor: tf.Tensor) -> _Found:
        parts = list(tensor.op.inputs)[: -1 if tensor.op.type == "ConcatV2" else None]
        of_parts = [self.link(part, each=True)[0] for part in parts]
        if any(logits is None for logits in of_parts):
            return _NOTHING
        return repeated(tensor, dict(enumerate(of_parts))), "sigmoid"

    def _clipped(self, op: tf.Operation, each: bool) -> _Found:
        """The log-odds of clipped probabilities are clipped log-odds."""
        constants = {
            place: value for place, operand in enumerate(op.inputs) if (value := constant_value(operand)) is not None
        }
        inner = [operand for place, operand in enumerate(op.inputs) if place not in constants]
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
