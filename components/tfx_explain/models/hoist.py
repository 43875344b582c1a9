"""Moves the point where rows are mixed down the graph, as far as it goes.

Work that reads one player only (parsing, vocabulary lookups, scaling, one-hot encoding, embeddings) gives the same for
a mixed row as for the row the player's values come from. So it is done once per example and once per background row,
and the rows are mixed after it. What is left for the mixed rows is the part of the model where players meet, mostly
plain float arithmetic that XLA compiles.

Where players are only laid side by side (a concatenation, and arithmetic with constants after it), rows are mixed after
that, column by column.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import tensorflow as tf

from tfx_explain.models.call_bytes import MAX_CALL_BYTES, input_bytes, small_rows
from tfx_explain.models.features import Array, FeatureSpec, Inputs, Ragged, concat_rows
from tfx_explain.models.graph import FrozenGraph, Port
from tfx_explain.models.ports import PortValue, feed_tensors, n_rows_of, port_values
from tfx_explain.models.side_by_side import Owner, lay_side_by_side
from tfx_explain.models.tracing import traced

_PROBE_ROWS = 8
# As many as make up whole blocks of every processor, as those that rows are entered by do.
_CALLED_ROWS = 48
_EMPTY_BEFORE = (3, 7)
# A row alone is rounded otherwise than beside others.
_ROUNDING_ALONE = 1e-5


@dataclass(frozen=True)
class Hoisted:
    """A graph to be fed mixed rows, and the way there.

    Attributes:
      graph: the graph; its ports are where rows are mixed.
      owners: per port, the player of each of its columns; one entry where all have the same.
      kept: which of the original ports are still ports; they come first.
      enter: from the values of the original ports, unmixed rows, to those of the new ports that come after; None where
        there are none.
    """

    graph: FrozenGraph
    owners: tuple[tuple[Owner, ...], ...]
    kept: tuple[int, ...]
    enter: Callable[[Sequence[PortValue]], list[tf.Tensor]] | None


def unhoisted(graph: FrozenGraph, owners: Mapping[str, int]) -> Hoisted:
    """Rows mixed where features enter."""
    players = tuple((owners.get(port.spec.name),) for port in graph.ports)
    return Hoisted(graph, players, tuple(range(len(graph.ports))), None)


def hoist(graph: FrozenGraph, owners: Mapping[str, int], background: Inputs) -> Hoisted:
    """Rows mixed as late as can be.

    That a tensor gives one row per row, from that row alone, is not guessed from its op but tried on background rows
    (reversed, halved, with missing values, as many as calls have): it counts only where the bits are the same.

    Args:
      graph: a graph with ports.
      owners: feature name -> player; features of no player always come from the example.
      background: rows to try tensors on.
    """
    plain = unhoisted(graph, owners)
    imported = graph.import_graph()
    entries = {name: port for port in graph.ports for name in port.tensors}
    used = graph.reachable([graph.output], stops=entries)
    players = players_of(imported, entries, owners, used)
    alone = [name for name, of_tensor in players.items() if len(of_tensor) == 1]
    try:
        columns = whole_tensors(graph, imported, entries, alone, background)
    except (tf.errors.OpError, ValueError):
        return plain
    layout: dict[str, tuple[Owner, ...]] = {name: (next(iter(players[name])),) for name in columns}
    lay_side_by_side(graph, imported, columns, layout, used)
    frontier = frontier_of(imported, graph.output, set(layout), set(entries))
    return rebuild(graph, imported, frontier, columns, layout, owners)


def players_of(
    graph: tf.Graph, entries: Mapping[str, Port], owners: Mapping[str, int], used: set[str]
) -> dict[str, set[Owner]]:
    """The players each tensor between the ports and the output depends on."""
    players: dict[str, set[Owner]] = {name: {owners.get(port.spec.name)} for name, port in entries.items()}
    for op in graph.get_operations():
        names = [tensor.name for tensor in op.outputs if tensor.name in used and tensor.name not in entries]
        if names:
            merged = set().union(*(players.get(tensor.name, set()) for tensor in op.inputs))
            players.update(dict.fromkeys(names, merged))
    return {name: of_tensor for name, of_tensor in players.items() if name in used}


def whole_tensors(
    graph: FrozenGraph,
    imported: tf.Graph,
    entries: Mapping[str, Port],
    names: Sequence[str],
    background: Inputs,
    rounding: float = 0.0,
) -> dict[str, tuple[int, ...]]:
    """Those of some tensors that give one row per row and from that row alone, with the shape of a row.

    Args:
      graph: a graph with ports.
      imported: the same, to look at.
      entries: tensor at which a feature enters -> its port.
      names: the tensors.
      background: rows to try them on.
      rounding: how far a row may depend on how many others there are, relative to the tensor's largest value.

    Raises:
      OpError: the graph does not run on these rows.
      ValueError: it cannot be run from the ports to these tensors.
    """
    opaque = {name for name, port in entries.items() if port.encoding != "dense"}
    kinds = (tf.resource, tf.variant)
    plain = [name for name in names if name not in opaque and imported.get_tensor_by_name(name).dtype not in kinds]
    return _try_rows(graph, plain, background, rounding)


def _try_rows(
    graph: FrozenGraph, names: Sequence[str], background: Inputs, rounding: float
) -> dict[str, tuple[int, ...]]:
    """The tensors that give one row per row and from that row alone, with the shape of a row."""
    small = small_rows(background, _PROBE_ROWS, _PROBE_ROWS)
    probe = _with_missing(background.take(small[:_PROBE_ROWS]))
    n = len(probe)
    n_called = n if rounding or input_bytes(probe).max() > MAX_CALL_BYTES / _CALLED_ROWS else _CALLED_ROWS
    feeds = [name for port in graph.ports for name in port.tensors]
    inner = [name for name in names if name not in feeds]
    call = graph.function(feeds, inner)
    run = traced(lambda v: call(*feed_tensors(graph.ports, v), n_rows=n_rows_of(v[0])))
    shapes = {port.tensors[0]: port.spec.shape for port in graph.ports if port.tensors[0] in names}
    if not inner:
        return shapes
    last = np.array([n - 1])
    # With empty rows before them the others' values stand elsewhere, and fill no whole blocks.
    orders = [np.arange(n), np.arange(n)[::-1], np.arange(0, n, 2)]
    trials = [np.resize(rows, n_called) for rows in orders]
    befores = [np.repeat(last, n_empty) for n_empty in _EMPTY_BEFORE if n_empty < n_called]
    trials += [np.append(before, np.resize(orders[0], n_called - len(before))) for before in befores]
    results = []
    for rows in [*trials, last]:
        values = port_values(graph.ports, probe.take(rows).columns)
        results.append([out.numpy() for out in run(values)])
    for name, whole, *others in zip(inner, *results, strict=True):
        *parts, alone = [whole, *others]
        if (
            np.ndim(whole)
            and len(whole) == n_called
            and all(_same(whole[r], p, rounding) for r, p in zip(trials, parts, strict=True))
            and _same(whole[last], alone, rounding or _ROUNDING_ALONE)
        ):
            shapes[name] = whole.shape[1:]
    return shapes


def _with_missing(inputs: Inputs) -> Inputs:
    """The rows, and one more in which every list is empty."""
    columns = {}
    for name, column in inputs.columns.items():
        empty = Ragged(column.values[:0], np.zeros(2, np.int64)) if isinstance(column, Ragged) else column[:1]
        columns[name] = concat_rows(column, empty)
    return Inputs(len(inputs) + 1, columns)


def _same(expected: Array, got: Array, rounding: float) -> bool:
    if np.shape(got) != expected.shape:
        return False
    if rounding and expected.dtype.kind == "f":
        scale = np.max(np.abs(expected), initial=0.0, where=np.isfinite(expected))
        return bool(np.allclose(got, expected, rtol=0.0, atol=rounding * scale, equal_nan=True))
    return bool(np.array_equal(expected, got, equal_nan=expected.dtype.kind == "f"))


def frontier_of(graph: tf.Graph, output: str, known: set[str], entries: set[str]) -> list[str]:
    """The last known tensors on every way to the output, in a fixed order."""
    frontier, seen = [], set()
    todo = [tensor.name for tensor in graph.get_tensor_by_name(output).op.inputs]
    while todo:
        name = todo.pop()
        if name in seen:
            continue
        seen.add(name)
        if name in known or name in entries:
            frontier.append(name)
        else:
            todo.extend(tensor.name for tensor in graph.get_tensor_by_name(name).op.inputs)
    return sorted(frontier)


def rebuild(
    graph: FrozenGraph,
    imported: tf.Graph,
    frontier: Sequence[str],
    shapes: Mapping[str, tuple[int, ...]],
    layout: Mapping[str, tuple[Owner, ...]],
    owners: Mapping[str, int],
) -> Hoisted:
    """The graph with its ports at the frontier, tensors of which the rows' shapes and the players are known."""
    entries = {name for port in graph.ports for name in port.tensors}
    plain = unhoisted(graph, owners)
    inner = [name for name in frontier if name not in entries]
    if not inner or graph.output in entries:
        return plain
    kept = [i for i, port in enumerate(graph.ports) if set(port.tensors).intersection(frontier)]
    ports = [graph.ports[i] for i in kept]
    for name in inner:
        dtype = imported.get_tensor_by_name(name).dtype.name
        ports.append(Port(FeatureSpec(name, dtype, "dense", shapes[name]), "dense", (name,)))
    call = graph.function([name for port in graph.ports for name in port.tensors], inner)

    enter = traced(lambda v: call(*feed_tensors(graph.ports, v), n_rows=n_rows_of(v[0])))
    players = (*(plain.owners[i] for i in kept), *(layout[name] for name in inner))
    return Hoisted(replace(graph, ports=tuple(ports)), players, tuple(kept), enter)
