"""How many floats a graph makes of a row, as far as the shapes in it say."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import tensorflow as tf

from tfx_explain.models.graph import FrozenGraph

_LOOPS = ("While", "StatelessWhile")
# Floats that a step of a recurrent layer makes for each that it hands on: gates, their activations and products.
_PER_STATE = 6
_UNKNOWN_STEPS = 100


def values_per_row(graph: FrozenGraph) -> int:
    """The floats that the ops between the ports and the output make of a row; what has no known shape is left out."""
    feeds = {name for port in graph.ports for name in port.tensors}
    used = graph.reachable([graph.output], stops=feeds) - feeds
    total, n_steps, varying = 0, 1, set(feeds)
    for op in graph.import_graph().get_operations():
        if any(tensor.name in varying for tensor in op.inputs):
            made = [tensor for tensor in op.outputs if tensor.name in used]
            varying.update(tensor.name for tensor in made)
            if op.type == "TensorListFromTensor":
                n_steps = max(n_steps, _steps(op.inputs[0].shape))
            total += _size(made) * (_PER_STATE * n_steps if op.type in _LOOPS else 1)
    return total


def _size(tensors: Iterable[tf.Tensor]) -> int:
    """Floats of one row in tensors whose number of rows is open."""
    shapes = (tensor.shape.as_list() for tensor in tensors if tensor.dtype.is_floating and tensor.shape.rank)
    return sum(int(np.prod([size or 1 for size in shape])) for shape in shapes if None in shape)


def _steps(shape: tf.TensorShape) -> int:
    """Steps of a loop over a tensor's first axis; 1 where those are the rows."""
    if not shape.rank or shape[0] is not None:
        return int(shape[0]) if shape.rank else _UNKNOWN_STEPS
    return _UNKNOWN_STEPS if shape.rank > 1 and shape[1] is None else 1
