"""Slides a cut down the graph as far as its paths stay the same lines, to where players stand side by side.

A path that is straight in a tensor is straight in what affine arithmetic makes of it, and gradient x (end - start) is
the same there. One wide tensor in place of many is much faster.
"""

from __future__ import annotations

from collections.abc import Mapping

import tensorflow as tf

from tfx_explain.models.graph import FrozenGraph
from tfx_explain.models.side_by_side import AFFINE, Owner, is_affine, lay_side_by_side

_RESHAPING = ("ExpandDims", "Reshape", "Squeeze")


def slide(
    graph: FrozenGraph,
    imported: tf.Graph,
    shapes: dict[str, tuple[int, ...]],
    layout: dict[str, tuple[Owner, ...]],
    owners: Mapping[str, set[Owner]],
) -> None:
    """Adds the tensors that may be cut at instead.

    Args:
      graph: the whole graph.
      imported: the same, to look at.
      shapes: tensor that has one row per row -> shape of a row.
      layout: tensor at the cut that moves -> its player, in a tuple of one; gets others, of which each column has one.
      owners: tensor -> the owners that it depends on; others are constant.
    """
    entries = {name for port in graph.ports for name in port.tensors}
    used = graph.reachable([graph.output], stops=entries)
    for op in imported.get_operations():
        if len(op.outputs) != 1 or op.outputs[0].name not in shapes or op.outputs[0].name in layout:
            continue
        places = [i for i, tensor in enumerate(op.inputs) if tensor.name in layout]
        if len(places) != 1 or not op.outputs[0].dtype.is_floating:
            continue
        others = [tensor for i, tensor in enumerate(op.inputs) if i != places[0]]
        is_alone = not any(owners.get(tensor.name) for tensor in others)
        if op.type in _RESHAPING or (is_affine(op, places[0]) and is_alone):
            layout[op.outputs[0].name] = layout[op.inputs[places[0]].name]
    lay_side_by_side(graph, imported, shapes, layout, used, AFFINE)
