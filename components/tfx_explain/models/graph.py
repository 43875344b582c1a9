"""A frozen TensorFlow graph, where it may be fed and where it may be read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol

import numpy as np
import tensorflow as tf
from tensorflow.python.ops.resource_variable_ops import get_eager_safe_handle_data

from tfx_explain.models.features import FeatureSpec

Encoding = Literal["dense", "sparse", "ragged", "padded"]

_ROUNDING = {
    tf.bfloat16: 2.0**-7,
    tf.float16: 2.0**-10,
    tf.float32: 2.0**-23,
    tf.float64: 2.0**-52,
}

# What picks rows of its first input.
_PICKS = ("Gather", "GatherNd", "GatherV2", "ResourceGather", "ResourceGatherNd")


class GraphFunction(Protocol):
    """A part of a graph, to be called while tracing: from tensors to tensors."""

    def __call__(self, *values: tf.Tensor, n_rows: tf.Tensor | None = None) -> list[tf.Tensor]:
        """The fetched tensors from the fed ones; `n_rows`, a scalar, where serialised examples are counted."""


@dataclass(frozen=True)
class Port:
    """Where the values of one feature enter a graph.

    Attributes:
      spec: the feature, as the graph reads it here.
      encoding: "dense": one tensor (n, *shape); "sparse": indices, values and dense shape; "ragged": values and row
        splits; "padded": one tensor (n, longest row, *shape), short rows filled with `padding`.
      tensors: the names of those tensors, in that order.
      splits_dtype: the type of a ragged port's row splits.
      padding: the filler of a padded port.
    """

    spec: FeatureSpec
    encoding: Encoding
    tensors: tuple[str, ...]
    splits_dtype: str = "int64"
    padding: bytes | float | None = None


@dataclass(frozen=True)
class FrozenGraph:
    """A graph without variables that can be run from any tensors to any others.

    Attributes:
      graph_def: the frozen graph; control edges are dropped, so assertions do not run.
      ports: where features enter.
      output: name of the output tensor.
      captures: placeholder name -> tensor, for what is not frozen: lookup tables, and large weights.
      serialized: name of the placeholder of serialised examples, if the graph has one.
      unread: features that it parses although the output does not depend on them.
    """

    graph_def: tf.compat.v1.GraphDef
    ports: tuple[Port, ...]
    output: str
    captures: Mapping[str, tf.Tensor]
    serialized: str | None = None
    unread: tuple[FeatureSpec, ...] = ()

    def import_graph(self) -> tf.Graph:
        """The graph as a `tf.Graph`, to look at."""
        graph = tf.Graph()
        with graph.as_default():
            tf.import_graph_def(self.graph_def, name="")
        return graph

    def reachable(self, targets: Iterable[str], stops: Iterable[str] = ()) -> set[str]:
        """Names of the tensors that `targets` are computed from, themselves included, not looking beyond `stops`."""
        inputs = {node.name: [tensor_name(name) for name in node.input] for node in self.graph_def.node}
        stop, seen, todo = set(stops), set(), list(targets)
        while todo:
            name = todo.pop()
            if name in seen:
                continue
            seen.add(name)
            if name not in stop:
                todo.extend(inputs[name.rpartition(":")[0]])
        return seen

    def function(self, feeds: Sequence[str], fetches: Sequence[str]) -> GraphFunction:
        """A function from the tensors `feeds` to the list of the tensors `fetches`, to be called while tracing.

        Lookup tables and large weights are passed along. Serialised examples that are still read, for the sake of their
        number, become empty strings, as many as the first feed has rows.
        """
        used = self.reachable(fetches, stops=feeds) - set(feeds)
        captured = [name for name in self.captures if name in used]
        counted = [self.serialized] if self.serialized in used else []
        replaced = {*feeds, *captured, *counted}
        nodes = {name.rpartition(":")[0] for name in used.difference(replaced)}
        part = tf.compat.v1.GraphDef(versions=self.graph_def.versions, library=self.graph_def.library)
        part.node.extend(node for node in self.graph_def.node if node.name in nodes)
        wanted = {tensor_name(name) for node in part.node for name in node.input}

        def call(*values: tf.Tensor, n_rows: tf.Tensor | None = None) -> list[tf.Tensor]:
            given = dict(zip(feeds, values, strict=True))
            given.update({name: tf.identity(self.captures[name]) for name in captured})
            given.update({name: tf.fill([n_rows], "") for name in counted})
            inner = [name for name in fetches if name not in given]
            mapped = {name: value for name, value in given.items() if name in wanted}
            made = tf.import_graph_def(part, input_map=mapped, return_elements=inner, name="model")
            computed = dict(zip(inner, made, strict=True))
            return [given[name] if name in given else computed[name] for name in fetches]

        return call

    def n_weights(self) -> int:
        """The number of weights between ports and output, which bounds the work per row from below.

        Tables that rows are picked from do not count: that takes no longer from a large one.
        """
        handed_on = passed(self.graph_def)
        tables = {handed_on(node.input[0]) for node in self.graph_def.node if node.op in _PICKS}
        feeds = {name for port in self.ports for name in port.tensors}
        used = self.reachable([self.output], stops=feeds) - feeds - tables
        constants = (
            (node.attr["value"].tensor.tensor_shape, node.attr["dtype"].type)
            for node in self.graph_def.node
            if node.op == "Const" and f"{node.name}:0" in used
        )
        captured = (shape for name, value in self.captures.items() if name in used for shape in _held(value))
        return sum(
            int(np.prod([dim.size for dim in shape.dim]))
            for shape, dtype in (*constants, *captured)
            if tf.dtypes.as_dtype(dtype).is_floating
        )

    def replace_op(self, name: str, op: str) -> FrozenGraph:
        """The same graph with one node's op exchanged for another with the same attributes."""
        graph_def = tf.compat.v1.GraphDef()
        graph_def.CopyFrom(self.graph_def)
        next(node for node in graph_def.node if node.name == name).op = op
        return replace(self, graph_def=graph_def)


def _held(value: tf.Tensor) -> Iterator[tuple[tf.compat.v1.TensorShapeProto, int]]:
    """The shape and type of a captured tensor; of a variable, as branches and loops read them, those of its value."""
    if value.dtype != tf.resource:
        yield value.shape.as_proto(), value.dtype.as_datatype_enum
    elif (data := get_eager_safe_handle_data(value)) is not None and data.is_set:
        yield from ((held.shape, held.dtype) for held in data.shape_and_type)


def coarsest_rounding(graph: FrozenGraph) -> float:
    """The relative rounding error of the coarsest floats on the way from the ports to the output."""
    feeds = [name for port in graph.ports for name in port.tensors]
    used = graph.reachable([graph.output], stops=feeds)
    tensors = (tensor for op in graph.import_graph().get_operations() for tensor in op.outputs if tensor.name in used)
    kinds = {tensor.dtype.base_dtype for tensor in tensors}
    return max((error for kind, error in _ROUNDING.items() if kind in kinds), default=_ROUNDING[tf.float32])


@dataclass(frozen=True)
class Change:
    """How to get back to what a graph was before it was changed.

    Attributes:
      nodes: the nodes that were other ones.
      output: name of the output tensor.
      kept: names of the tensors, in both graphs, from which that output is computed with these nodes.
    """

    nodes: tuple[tf.compat.v1.NodeDef, ...]
    output: str
    kept: tuple[str, ...]

    @classmethod
    def between(cls, before: FrozenGraph, after: FrozenGraph) -> Change | None:
        """None where nothing was changed."""
        now = {node.name: node for node in after.graph_def.node}
        nodes = []
        for node in before.graph_def.node:
            if now.get(node.name) != node:
                # A copy, as a node keeps the whole graph in memory.
                nodes.append(tf.compat.v1.NodeDef())
                nodes[-1].CopyFrom(node)
        if not nodes and before.output == after.output:
            return None
        changed = {node.name for node in nodes}
        inputs = {tensor_name(name) for node in nodes for name in node.input}
        kept = sorted(name for name in inputs if name.rpartition(":")[0] not in changed)
        return cls(tuple(nodes), before.output, tuple(kept) if nodes else (before.output,))


def with_nodes(graph: FrozenGraph, nodes: Sequence[tf.compat.v1.NodeDef], output: str) -> FrozenGraph:
    """The graph with these nodes instead of its own of their names, and another output."""
    given = {node.name: node for node in nodes}
    graph_def = tf.compat.v1.GraphDef(versions=graph.graph_def.versions, library=graph.graph_def.library)
    graph_def.node.extend(given.pop(node.name, node) for node in graph.graph_def.node)
    graph_def.node.extend(given.values())
    return replace(graph, graph_def=graph_def, output=output)


def passed(graph_def: tf.compat.v1.GraphDef) -> Callable[[str], str]:
    """From an input string to the tensor it means, before ops that hand it on, as where functions were inlined."""
    given = {f"{node.name}:0": tensor_name(node.input[0]) for node in graph_def.node if node.op == "Identity"}

    def origin(name: str) -> str:
        name = tensor_name(name)
        while name in given:
            name = given[name]
        return name

    return origin


def tensor_name(name: str) -> str:
    """The tensor a node's input string means: `a` is `a:0`."""
    name = name.lstrip("^")
    return name if ":" in name else f"{name}:0"
