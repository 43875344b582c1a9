"""Where a graph is cut for paths: float tensors of one player each, from which the output has a gradient."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import tensorflow as tf

from tfx_explain.errors import ModelError
from tfx_explain.models.features import Inputs
from tfx_explain.models.graph import FrozenGraph, Port
from tfx_explain.models.hoist import hoist
from tfx_explain.models.ports import PortValue


@dataclass(frozen=True)
class Cut:
    """A graph past a cut, and the way there.

    Attributes:
      graph: the graph past the cut; its ports are the tensors at the cut.
      entry_ports: where features enter the whole graph.
      kept: which of those are ports still; they come first.
      enter: from the values of the entry ports to those of the new ports that come after; None where there are none.
      moving: number of a port that moves -> the player whose it is.
      note: empty, or one sentence: what reaches the output past an op without a gradient.
    """

    graph: FrozenGraph
    entry_ports: tuple[Port, ...]
    kept: tuple[int, ...]
    enter: Callable[[Sequence[PortValue]], list[tf.Tensor]] | None
    moving: Mapping[int, int]
    note: str = ""


def find_cut(graph: FrozenGraph, players: Sequence[Sequence[str]], background: Inputs, what: str) -> Cut:
    """Cuts a graph for paths.

    Args:
      graph: a graph with ports.
      players: per player, the names of its features.
      background: rows to try tensors on.
      what: the model, for messages.

    Raises:
      ModelError: no path leads through the tensors of some feature.
    """
    owners = {name: player for player, names in enumerate(players) for name in names}
    hoisted = hoist(graph, owners, background, side_by_side=False)
    moving = {}
    for number, (port, (owner,)) in enumerate(zip(hoisted.graph.ports, hoisted.owners, strict=True)):
        if owner is None:
            continue
        if port.encoding != "dense" or not tf.dtypes.as_dtype(port.spec.dtype).is_floating:
            raise ModelError(
                f"{what} reads {port.spec.name!r} as {port.spec.dtype} until features meet, so no path leads "
                "through it; use `shapley`."
            )
        moving[number] = owner
    return Cut(hoisted.graph, graph.ports, hoisted.kept, hoisted.enter, moving)
