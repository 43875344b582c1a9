"""Where a graph makes tokens of a text, whether or not a path leads through them."""

from __future__ import annotations

import tensorflow as tf

from tfx_explain.errors import ModelError
from tfx_explain.models.features import Inputs
from tfx_explain.models.graph import FrozenGraph
from tfx_explain.models.hoist import players_of, whole_tensors
from tfx_explain.models.path_choice import OneOwner
from tfx_explain.models.slots import slot_tensors
from tfx_explain.models.token_reading import TokenReader


def find_tokens(graph: FrozenGraph, feature: str, rows: Inputs, what: str) -> TokenReader:
    """What reads texts up to their tokens.

    Args:
      graph: a graph with ports.
      feature: the text.
      rows: to try tensors on.
      what: the model, for messages.

    Raises:
      ModelError: there are no tensors of one row per token, as many of them for every text.
    """
    imported = graph.import_graph()
    entries = {name: port for port in graph.ports for name in port.tensors}
    numbers = {port.spec.name: number for number, port in enumerate(graph.ports)}
    used = graph.reachable([graph.output], stops=entries)
    owners = players_of(imported, entries, numbers, used)
    own = {name for name, of_tensor in owners.items() if of_tensor == {numbers[feature]}}
    try:
        shapes = whole_tensors(graph, imported, entries, sorted(own), rows)
    except (tf.errors.OpError, ValueError):
        shapes = {}
    found = slot_tensors(OneOwner(imported, graph.output, entries, own, shapes, ()), own)
    lengths = sorted(set(found.floats.values()))
    if not lengths:
        raise ModelError(
            f"{what} makes no tensor of the text {feature!r} that has one row per token, as many of them for every "
            "text (as embedded numbers of words are, padded to a fixed number of words), so its own tokens cannot be "
            "told apart; use `unit: word`."
        )
    return TokenReader(graph, feature, {n: found.of_length(n) for n in lengths}, what)
