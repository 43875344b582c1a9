"""Which raw features each column of a transform graph comes from."""

from __future__ import annotations

from dataclasses import replace

import tensorflow as tf

from tfx_explain.errors import ModelError
from tfx_explain.models.freezing import freeze_all
from tfx_explain.models.graph import FrozenGraph, tensor_name
from tfx_explain.models.parsing import cut_after_parsing
from tfx_explain.models.transform.graph import SERIALIZED, TransformGraph, as_lists

_COUNTING = ("Shape", "ShapeN", "Size", "Rank", "ZerosLike", "OnesLike")
"""Ops that see how many values there are, which says nothing of a row."""

_LENGTHS = "\0lengths"


def origins_of(transform: TransformGraph) -> dict[str, tuple[str, ...]]:
    """Column -> the raw features that its values depend on, sorted; none for a constant.

    Raises:
      ModelError: the graph cannot be taken apart.
    """
    graph, names, outputs = freeze_all(_all_columns(transform))
    first, *others = outputs.values()
    cut = cut_after_parsing(replace(graph, output=first), names["examples"], also=others)
    if cut is None:
        raise ModelError(
            f"which raw features the columns of the transform graph at {transform.directory} come from cannot be seen, "
            "since its graph cannot be cut after its parse op; explain raw examples."
        )
    owners = {tensor: port.spec.name for port in cut.ports for tensor in port.tensors}
    # The shape of a sparse tensor is the number of rows and the longest list of the batch.
    shapes = {port.tensors[2] for port in cut.ports if port.encoding == "sparse"}
    found: dict[str, set[str]] = {column: set() for column in transform.columns}
    for key, tensor in outputs.items():
        reached = _reachable(graph, tensor, set(owners) - shapes, shapes)
        found[key.removesuffix(_LENGTHS)] |= {owners[name] for name in reached if name in owners}
    return {column: tuple(sorted(features)) for column, features in found.items()}


def _all_columns(transform: TransformGraph) -> tf.types.experimental.ConcreteFunction:
    """The graph with one or two tensors for each column."""

    def columns(*, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        made = {}
        for name, column in transform.function(examples=examples).items():
            values = as_lists(column)
            if isinstance(values, tf.RaggedTensor):
                made[name], made[name + _LENGTHS] = values.flat_values, values.row_lengths()
            else:
                made[name] = values
        return made

    return tf.function(columns, autograph=False).get_concrete_function(examples=SERIALIZED)


def _reachable(graph: FrozenGraph, target: str, stops: set[str], closed: set[str]) -> set[str]:
    """Names of the tensors whose values a tensor depends on: up to `stops`, not by way of `closed` or of counting."""
    nodes = {node.name: node for node in graph.graph_def.node}
    seen, todo = set[str](), [target]
    while todo:
        name = todo.pop()
        node = nodes[name.rpartition(":")[0]]
        if name in seen or name in closed:
            continue
        seen.add(name)
        if name not in stops and node.op not in _COUNTING:
            todo.extend(tensor_name(of) for of in node.input)
    return seen
