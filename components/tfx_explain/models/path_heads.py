"""Where points of paths are made: at the cut, or behind the affine arithmetic that follows it.

Straight lines stay straight in affine arithmetic, as in the first layer of most networks, and gradients pass it by one
matrix. So points are made of what both ends of a path come to behind it, and gradients there are added up before they
are led back: a product of matrices in place of one for every point. What is affine is not guessed from the ops alone
but tried.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import tensorflow as tf

from tfx_explain.models.features import FeatureSpec
from tfx_explain.models.graph import FrozenGraph, Port
from tfx_explain.models.hoist import frontier_of
from tfx_explain.models.path_columns import Moving
from tfx_explain.models.path_ops import SHAPE_ONLY
from tfx_explain.models.ports import PortValue, forward_function
from tfx_explain.models.side_by_side import is_affine
from tfx_explain.models.tracing import traced

_FLOATS = (tf.float32, tf.float64)
# Ops that are linear in the input of this place where all others are constant, besides arithmetic by columns.
_LINEAR_IN = {
    **dict.fromkeys(["BatchMatMulV2", "BroadcastTo", "EnsureShape", "ExpandDims", "GatherV2", "Mean", "Pad"], (0,)),
    **dict.fromkeys(["Reshape", "Slice", "SplitV", "Squeeze", "StridedSlice", "Sum", "Tile", "Transpose"], (0,)),
    "MatMul": (0, 1),
    "Split": (1,),
    "Unpack": (0,),
}
# Ops that add their inputs, or lay them side by side.
_JOINING = frozenset(["Add", "AddN", "AddV2", "ConcatV2", "Pack", "Sub"])
# A float more to make for every point costs about as much as so many multiplications.
_WEIGHTS_PER_COLUMN = 16
_ROUNDING = 1e-4


class Head(Protocol):
    """How points become outputs, and gradients at them gradients at the cut."""

    def columns(self, at_cut: tf.Tensor) -> tf.Tensor:
        """(n, w) where points are made, of n rows (n, width) at the cut."""

    def outputs(self, columns: tf.Tensor, fixed: Sequence[PortValue]) -> tf.Tensor:
        """What the graph makes of n points (n, w), and of the values of its fixed ports."""

    def back(self, gradients: tf.Tensor) -> tf.Tensor:
        """(..., width) gradients by what moves at the cut, of gradients (..., w) by columns or sums of such."""


class AtCut:
    """Points are made at the cut.

    Args:
      graph: the graph past the cut.
      moving: what moves at its ports.
    """

    def __init__(self, graph: FrozenGraph, moving: Moving) -> None:
        self._ports, self._moving, self._forward = graph.ports, moving, forward_function(graph)

    def columns(self, at_cut: tf.Tensor) -> tf.Tensor:
        """The same."""
        return at_cut

    def outputs(self, columns: tf.Tensor, fixed: Sequence[PortValue]) -> tf.Tensor:
        """By the whole graph."""
        feeds = dict(zip(self._moving.ports, split_columns(columns, self._specs()), strict=True))
        others = [port for port in range(len(self._ports)) if port not in feeds]
        values: dict[int, PortValue] = {**feeds, **dict(zip(others, fixed, strict=True))}
        return self._forward([values[port] for port in range(len(self._ports))])[0]

    def back(self, gradients: tf.Tensor) -> tf.Tensor:
        """The same."""
        return gradients

    def _specs(self) -> list[FeatureSpec]:
        return [self._ports[port].spec for port in self._moving.ports]


@dataclass(frozen=True)
class BehindAffine:
    """Points are made of some tensors behind the cut that are affine in what moves.

    Attributes:
      specs: of these tensors.
      width: columns at the cut.
      forward: from (n, width) at the cut to these tensors.
      behind: from their values, and those of the fixed ports, to the graph's output.
    """

    specs: tuple[FeatureSpec, ...]
    width: int
    forward: Callable[[tf.Tensor], list[tf.Tensor]]
    behind: Callable[[Sequence[PortValue]], list[tf.Tensor]]

    def columns(self, at_cut: tf.Tensor) -> tf.Tensor:
        """All tensors side by side."""
        made = self.forward(at_cut)
        sizes = [spec.size for spec in self.specs]
        flat = (tf.reshape(tensor, [-1, size]) for tensor, size in zip(made, sizes, strict=True))
        return tf.concat([tf.cast(tensor, at_cut.dtype) for tensor in flat], axis=1)

    def outputs(self, columns: tf.Tensor, fixed: Sequence[PortValue]) -> tf.Tensor:
        """By the rest of the graph."""
        return self.behind([*fixed, *split_columns(columns, self.specs)])[0]

    def back(self, gradients: tf.Tensor) -> tf.Tensor:
        """By the transposed matrix, which is the same wherever a point is."""
        flat = tf.reshape(gradients, [-1, gradients.shape[-1]])
        at_cut = tf.zeros([flat.shape[0], self.width], gradients.dtype)
        (made,) = tf.gradients(self.columns(at_cut), [at_cut], grad_ys=[flat], unconnected_gradients="zero")
        return tf.reshape(made, [*gradients.shape[:-1], self.width])


def split_columns(columns: tf.Tensor, specs: Sequence[FeatureSpec]) -> list[tf.Tensor]:
    """Tensors (n, *shape) of their columns (n, w) side by side."""
    parts = tf.split(columns, [spec.size for spec in specs], axis=1) if specs else []
    return [
        tf.cast(tf.reshape(part, [-1, *spec.shape]), tf.dtypes.as_dtype(spec.dtype))
        for part, spec in zip(parts, specs, strict=True)
    ]


def head_of(graph: FrozenGraph, moving: Moving) -> Head:
    """Behind the affine start of a graph where there is one that is worth it, else at the cut.

    Args:
      graph: the graph past the cut.
      moving: what moves at its ports.
    """
    return _behind_affine(graph, moving) or AtCut(graph, moving)


def _behind_affine(graph: FrozenGraph, moving: Moving) -> BehindAffine | None:
    # Columns of nobody are the path's end's own, so that what starts come to depends on the ends.
    if not moving.ports or None in moving.owners:
        return None
    imported, entries = graph.import_graph(), {name for port in graph.ports for name in port.tensors}
    ports = [graph.ports[port] for port in moving.ports]
    names = _last_affine(graph, imported, {port.tensors[0] for port in ports}, entries)
    shapes = [imported.get_tensor_by_name(name).shape for name in names]
    if not names or any(shape.rank is None or shape.rank < 1 or None in shape[1:] for shape in shapes):
        return None
    kinds = (imported.get_tensor_by_name(name).dtype.name for name in names)
    specs = tuple(
        FeatureSpec(name, kind, "dense", tuple(shape[1:]))
        for name, kind, shape in zip(names, kinds, shapes, strict=True)
    )
    if any(spec.dtype == "float64" for spec in specs) and all(port.spec.dtype != "float64" for port in ports):
        # What is added up in 64 bits would be rounded to the 32 of the cut.
        return None
    fixed = [port for number, port in enumerate(graph.ports) if number not in moving.ports]
    behind = replace(graph, ports=(*fixed, *(Port(spec, "dense", (spec.name,)) for spec in specs)))
    read = behind.reachable([graph.output], stops=[name for port in behind.ports for name in port.tensors])
    saved = graph.n_weights() - behind.n_weights()
    added = sum(spec.size for spec in specs) - sum(moving.widths)
    if read & {port.tensors[0] for port in ports} - set(names) or saved <= max(_WEIGHTS_PER_COLUMN * added, 0):
        return None
    made = BehindAffine(specs, sum(moving.widths), _forward(graph, moving, names), forward_function(behind))
    return made if _is_affine(made) else None


def _forward(graph: FrozenGraph, moving: Moving, names: Sequence[str]) -> Callable[[tf.Tensor], list[tf.Tensor]]:
    ports = [graph.ports[port] for port in moving.ports]
    call = graph.function([port.tensors[0] for port in ports], names)

    def forward(at_cut: tf.Tensor) -> list[tf.Tensor]:
        values = split_columns(at_cut, [port.spec for port in ports])
        return call(*values, n_rows=tf.shape(at_cut)[0])

    return forward


def _last_affine(graph: FrozenGraph, imported: tf.Graph, moving: set[str], entries: set[str]) -> list[str]:
    """The last tensors that are affine in what moves, on every way from there to the output."""
    used = graph.reachable([graph.output], stops=entries)
    affine, varying = set(moving), set(entries)
    for op in imported.get_operations():
        names = [tensor.name for tensor in op.outputs if tensor.name in used and tensor.name not in entries]
        if not names or op.type in SHAPE_ONLY:
            continue
        places = [place for place, tensor in enumerate(op.inputs) if tensor.name in varying]
        if places:
            varying.update(names)
            if _stays_affine(op, places) and all(op.inputs[place].name in affine for place in places):
                affine.update(names)
    last = frontier_of(imported, graph.output, affine, entries)
    return [name for name in last if name in affine]


def _stays_affine(op: tf.Operation, places: Sequence[int]) -> bool:
    """Whether an op is affine in the inputs of these places, where the others are constant."""
    if any(tensor.dtype not in _FLOATS for tensor in (*op.outputs, *(op.inputs[place] for place in places))):
        return False
    if op.type in _JOINING:
        return True
    return len(places) == 1 and (is_affine(op, places[0]) or places[0] in _LINEAR_IN.get(op.type, ()))


def _is_affine(head: BehindAffine) -> bool:
    """Whether the tensors have one row per row, and the point between two rows lies between what these come to."""
    rows = np.random.default_rng(0).normal(size=(2, head.width)).astype(np.float32)
    run = traced(head.columns)
    try:
        first, last, between = run(tf.constant(np.concatenate([rows, rows.mean(axis=0, keepdims=True)]))).numpy()
        alone = run(tf.constant(rows[1:])).numpy()
    except (tf.errors.OpError, ValueError):
        return False
    off = np.abs(np.stack([(first + last) / 2 - between, last - alone[0]]))
    return len(alone) == 1 and bool((off <= _ROUNDING * np.maximum(np.abs(first), np.abs(last))).all())
