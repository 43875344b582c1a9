"""Tensors in which players stand side by side, each in columns of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from tfx_explain.models.graph import FrozenGraph

Owner = int | None


@dataclass(frozen=True)
class ColumnOps:
    """Ops that work column by column.

    Attributes:
      unary: on a tensor alone.
      binary: with a constant that has one value or one per column.
    """

    unary: frozenset[str]
    binary: frozenset[str]


_ANY_UNARY = ["Identity", "Cast", "Neg", "Relu", "Tanh", "Log", "Log1p", "Exp", "Sqrt", "Square", "Abs", "StopGradient"]
_ANY_BINARY = ["AddV2", "Add", "Sub", "Mul", "RealDiv", "DivNoNan", "Maximum", "Minimum", "BiasAdd", "Pow", "FloorDiv"]
ANY = ColumnOps(frozenset(_ANY_UNARY), frozenset(_ANY_BINARY))
AFFINE = ColumnOps(
    frozenset(["Identity", "Cast", "Neg"]), frozenset(["AddV2", "Add", "Sub", "Mul", "RealDiv", "BiasAdd"])
)
"""Ops by which a straight line stays one; casts and quotients may be others, see `is_affine`."""


def is_affine(op: tf.Operation, index: int) -> bool:
    """Whether an op of `AFFINE` is affine in its input of this place, where the others are constant."""
    if op.type == "Cast":
        return bool(op.inputs[0].dtype.is_floating and op.outputs[0].dtype.is_floating)
    return op.type in AFFINE.unary | AFFINE.binary and (op.type != "RealDiv" or index == 0)


def lay_side_by_side(
    graph: FrozenGraph,
    imported: tf.Graph,
    shapes: dict[str, tuple[int, ...]],
    layout: dict[str, tuple[Owner, ...]],
    used: set[str],
    ops: ColumnOps = ANY,
) -> None:
    """Adds the tensors (n, width) whose columns belong to one player each, in `shapes` and `layout`."""
    for op in imported.get_operations():
        if len(op.outputs) != 1 or op.outputs[0].name in layout or op.outputs[0].name not in used:
            continue
        known = [tensor.name for tensor in op.inputs if tensor.name in layout]
        owners: tuple[Owner, ...] | None = None
        if op.type == "ConcatV2" and len(known) == len(op.inputs) - 1 and _axis(op.inputs[-1]) in (1, -1):
            if all(len(shapes[name]) == 1 for name in known):
                owners = tuple(owner for name in known for owner in _per_column(name, shapes, layout))
        elif op.type == "Pack" and known and len(known) == len(op.inputs) and op.get_attr("axis") in (1, -1):
            if all(shapes[name] == () for name in known):
                owners = tuple(layout[name][0] for name in known)
        elif known and len(shapes[known[0]]) == 1 and _keeps_columns(op, known[0], shapes[known[0]][0], ops):
            owners = _per_column(known[0], shapes, layout)
        if owners is not None:
            shapes[op.outputs[0].name], layout[op.outputs[0].name] = (len(owners),), owners


def _per_column(
    name: str, shapes: Mapping[str, tuple[int, ...]], layout: Mapping[str, tuple[Owner, ...]]
) -> tuple[Owner, ...]:
    return layout[name] if len(layout[name]) == shapes[name][0] else layout[name] * shapes[name][0]


def _axis(tensor: tf.Tensor) -> int | None:
    value = tf.get_static_value(tensor)
    return None if value is None else int(value)


def _keeps_columns(op: tf.Operation, name: str, width: int, ops: ColumnOps) -> bool:
    """Whether an op works column by column: alone, or with a constant that has one value or one per column."""
    if ops is AFFINE and not is_affine(op, [tensor.name for tensor in op.inputs].index(name)):
        return False
    if op.type in ops.unary:
        return True
    others = [tensor for tensor in op.inputs if tensor.name != name]
    if op.type not in ops.binary or len(others) != 1 or len(op.inputs) != 2:
        return False
    value = tf.get_static_value(others[0])
    return value is not None and np.shape(value) in ((), (1,), (width,), (1, 1), (1, width))
