"""Which tensors a graph is cut at, so that a path is a straight line where that means something.

Where a feature is a number or a picture, the path is a line in the number or the pixels themselves: the cut is at the
earliest float tensor from which gradients pass on every way to where features meet. Elsewhere (words, ids, numbers
whose missing values are marked) it is at the last tensors of the feature alone, where embeddings, indicators and masks
of it are already one.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import tensorflow as tf

from tfx_explain.models.graph import Port
from tfx_explain.models.path_ops import (
    SHAPE_ONLY,
    OpGradients,
    Pass,
    hands_on_names,
    is_decoder,
    kept_inputs,
    moves,
    names_things,
)

_MAX_CHANNELS = 4


@dataclass(frozen=True)
class OneOwner:
    """The part of a graph in which every tensor belongs to one owner alone.

    Attributes:
      graph: the whole graph.
      output: name of its output.
      entries: tensor at which a feature enters -> its port.
      tensors: names of the tensors on the way to the output that depend on one owner.
      whole: those of them that give one row per row, always of the same shape -> that shape.
      last: the last of `whole` on every way to the output.
    """

    graph: tf.Graph
    output: str
    entries: Mapping[str, Port]
    tensors: Collection[str]
    whole: Mapping[str, tuple[int, ...]]
    last: Collection[str]

    def reads(self, op: tf.Operation) -> list[tuple[int, str]]:
        """Place and name of the inputs whose values an op reads, as far as they belong to somebody here."""
        if op.type in SHAPE_ONLY and op.inputs[0].name in self.whole:
            return []
        return [(i, tensor.name) for i, tensor in enumerate(op.inputs) if tensor.name in self.tensors]


def choose_tensors(part: OneOwner, gradients: OpGradients, slots: Collection[str] = ()) -> list[str]:
    """Names of the tensors to cut at: no way to the output passes none of them.

    Args:
      part: the graph up to where features meet.
      gradients: of its ops.
      slots: more tensors to cut at, as early as these, where gradients pass.
    """
    early = numbers_of(part).union(pictures(part), slots).intersection(_on_passing_ways(part, gradients))
    covered = _covered(part, early)
    chosen, seen = [], set()
    todo = [tensor.name for tensor in part.graph.get_tensor_by_name(part.output).op.inputs]
    while todo:
        name = todo.pop()
        if name in seen:
            continue
        seen.add(name)
        op = part.graph.get_tensor_by_name(name).op
        is_known_before = name in covered and all(read in covered for _, read in part.reads(op))
        if name in part.entries or (name in part.whole and not is_known_before):
            chosen.append(name)
        else:
            todo.extend(tensor.name for tensor in op.inputs)
    return sorted(chosen)


def named_tensors(part: OneOwner) -> dict[str, str]:
    """Tensors that are names' numbers, cast or calculated with -> the op that numbered them."""
    named: dict[str, str] = {}
    for op in part.graph.get_operations():
        sources = [named[name] for index, name in part.reads(op) if name in named and hands_on_names(op, index)]
        for tensor in op.outputs:
            if tensor.name not in part.tensors or tensor.name in part.entries:
                continue
            if names_things(op) and tensor.dtype.is_integer:
                named[tensor.name] = op.name
            elif sources and not tensor.dtype.is_bool:
                named[tensor.name] = sources[0]
    return named


def numbers_of(part: OneOwner) -> set[str]:
    """Floats that are a feature's own numbers: only reshaped, gathered, cast from integers or filled where missing."""
    numbers = {
        port.tensors[1 if port.encoding == "sparse" else 0]
        for name, port in part.entries.items()
        if port.spec.dtype != "string"
    }
    for op in part.graph.get_operations():
        for place, tensor in enumerate(op.outputs):
            if tensor.name not in part.tensors or tensor.name in part.entries:
                continue
            kept = [op.inputs[i].name for i in kept_inputs(op, place) if i < len(op.inputs)]
            owned = [name for name in kept if name in part.tensors]
            if owned and all(name in numbers for name in owned):
                numbers.add(tensor.name)
    return {name for name in numbers if part.graph.get_tensor_by_name(name).dtype.is_floating}


def pictures(part: OneOwner) -> set[str]:
    """Floats in the shape of a picture, (height, width) or with a few channels, that are made of decoded files."""
    decoding = _decoding_functions(part.graph)
    decoded: set[str] = set()
    for op in part.graph.get_operations():
        if (
            is_decoder(op.type)
            or _calls_one_of(op.node_def, decoding)
            or any(tensor.name in decoded for tensor in op.inputs)
        ):
            decoded.update(tensor.name for tensor in op.outputs)
    return {
        name
        for name in decoded.intersection(part.whole)
        if is_picture(part.whole[name]) and part.graph.get_tensor_by_name(name).dtype.is_floating
    }


def _decoding_functions(graph: tf.Graph) -> set[str]:
    """Names of the graph's functions that decode files, or call one that does."""
    functions, found = list(graph.as_graph_def().library.function), set[str]()
    while True:
        more = {
            function.signature.name
            for function in functions
            if any(is_decoder(node.op) or _calls_one_of(node, found) for node in function.node_def)
        }
        if more == found:
            return found
        found = more


def _calls_one_of(node: tf.compat.v1.NodeDef, functions: Collection[str]) -> bool:
    return node.op in functions or any(value.func.name in functions for value in node.attr.values())


def is_picture(shape: Sequence[int]) -> bool:
    """Whether rows of a tensor may be pictures: (height, width), or (height, width, channels) with up to 4 of these."""
    return len(shape) == 2 or (len(shape) == 3 and shape[2] <= _MAX_CHANNELS)


def _on_passing_ways(part: OneOwner, gradients: OpGradients) -> set[str]:
    """Whole float tensors from which a gradient passes on every way to the last ones."""
    reaching, passing = set(part.last), set(part.tensors)
    for op in reversed(part.graph.get_operations()):
        outs = [tensor for tensor in op.outputs if tensor.name in part.tensors and tensor.name in reaching]
        if not outs:
            continue
        through = all(moves(tensor) and tensor.name in passing for tensor in outs)
        passes = gradients.by_input(op) if through else ()
        for index, name in part.reads(op):
            reaching.add(name)
            if not through or passes[index] is not Pass.YES:
                passing.discard(name)
    return {
        name
        for name in part.whole
        if name in reaching and name in passing and part.graph.get_tensor_by_name(name).dtype.is_floating
    }


def _covered(part: OneOwner, early: Collection[str]) -> set[str]:
    """Tensors of which nothing is left to know once the early ones are known."""
    covered = set(early)
    for op in part.graph.get_operations():
        names = [tensor.name for tensor in op.outputs if tensor.name in part.tensors]
        if names and names[0] not in part.entries and all(name in covered for _, name in part.reads(op)):
            covered.update(names)
    return covered
