"""On which ways the tensors of a cut reach the output: with a gradient, or past ops that have none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import tensorflow as tf

from tfx_explain.models.path_ops import JUMPING, SHAPE_ONLY, OpGradients, Pass, moves

Owner = int | None


@dataclass
class Ways:
    """How a tensor depends on the tensors of a cut.

    Attributes:
      smooth: those by which it has a gradient.
      rough: those that it also, or only, depends on past an op without a gradient -> that op.
      unknown: those behind an op of which TensorFlow has no gradient registered -> that op.
    """

    smooth: set[str] = field(default_factory=set)
    rough: dict[str, str] = field(default_factory=dict)
    unknown: dict[str, str] = field(default_factory=dict)

    def add(self, other: Ways) -> None:
        """Takes in another tensor's."""
        self.smooth |= other.smooth
        self.rough = {**other.rough, **self.rough}
        self.unknown = {**other.unknown, **self.unknown}

    def without_gradient(self, op: tf.Operation) -> Ways:
        """What is left of them past an op without a gradient."""
        return Ways(rough={**dict.fromkeys([*self.smooth, *self.unknown], op.name), **self.rough})


@dataclass(frozen=True)
class Beyond:
    """The part of a graph behind a cut.

    Attributes:
      output: how the graph's output depends on the cut's tensors.
      meetings: tensor of the cut -> the first op in which it meets other owners, and the owners that meet there.
    """

    output: Ways
    meetings: Mapping[str, tuple[str, frozenset[Owner]]]


def follow(
    graph: tf.Graph,
    output: str,
    cut: Mapping[str, bool],
    dense: set[str],
    owners: Mapping[str, set[Owner]],
    gradients: OpGradients,
) -> Beyond:
    """Follows the tensors of a cut to the output.

    Args:
      graph: the whole graph.
      output: name of its output tensor.
      cut: name of a tensor at the cut -> whether it moves.
      dense: those of them that have one row per row, always of the same shape.
      owners: tensor -> the owners that it depends on.
      gradients: what is known of single ops.
    """
    ways = {name: Ways(smooth={name}) if moves else Ways(rough={name: ""}) for name, moves in cut.items()}
    meetings: dict[str, tuple[str, frozenset[Owner]]] = {}
    used = _used(graph, output, set(cut))
    for op in graph.get_operations():
        outs = [tensor for tensor in op.outputs if tensor.name in used and tensor.name not in cut]
        inputs = [(i, tensor) for i, tensor in enumerate(op.inputs) if tensor.name in ways]
        if not outs or not inputs:
            continue
        if op.type in SHAPE_ONLY:
            inputs = [(i, tensor) for i, tensor in inputs if not _is_dense(ways[tensor.name], dense)]
        met = frozenset().union(*(owners.get(tensor.name, set()) for tensor in outs))
        for tensor in outs:
            ways[tensor.name] = _after(op, tensor, inputs, ways, gradients)
            if len(met) > 1:
                for name in (*ways[tensor.name].rough, *ways[tensor.name].smooth):
                    meetings.setdefault(name, (op.name, met))
    return Beyond(ways.get(output, Ways()), meetings)


def _used(graph: tf.Graph, output: str, stops: set[str]) -> set[str]:
    seen: set[str] = set()
    todo = [output]
    while todo:
        name = todo.pop()
        if name not in seen:
            seen.add(name)
            todo.extend(tensor.name for tensor in graph.get_tensor_by_name(name).op.inputs if name not in stops)
    return seen


def _is_dense(ways: Ways, dense: set[str]) -> bool:
    return dense.issuperset((*ways.smooth, *ways.rough, *ways.unknown))


def _after(
    op: tf.Operation,
    out: tf.Tensor,
    inputs: Sequence[tuple[int, tf.Tensor]],
    ways: Mapping[str, Ways],
    gradients: OpGradients,
) -> Ways:
    made = Ways()
    is_moving = moves(out)
    passes = gradients.by_input(op) if is_moving else ()
    for index, tensor in inputs:
        own = ways[tensor.name]
        if is_moving and passes[index] is Pass.YES:
            made.add(own)
        elif is_moving and passes[index] is Pass.UNKNOWN_TO_TENSORFLOW:
            made.add(Ways(rough=own.rough, unknown={**dict.fromkeys(own.smooth, op.name), **own.unknown}))
        else:
            made.add(own.without_gradient(op))
        if op.type in JUMPING:
            made.add(own.without_gradient(op))
    return made
