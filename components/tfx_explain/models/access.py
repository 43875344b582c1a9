"""How a SavedModel's graph is fed: past its parse op, with feature tensors, or with re-encoded examples."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import tensorflow as tf

from tfx_explain.errors import SignatureError
from tfx_explain.models.engine import FloatArray
from tfx_explain.models.features import Array, FeatureSpec, Inputs
from tfx_explain.models.graph import Change, FrozenGraph, Port, with_nodes
from tfx_explain.models.graph_engine import GraphEngine
from tfx_explain.models.host import HostEngine
from tfx_explain.models.parsing import cut_after_parsing, other_messages, parsed_features, parses
from tfx_explain.models.ports import forward_function, port_values
from tfx_explain.models.probe import Probe
from tfx_explain.models.reading import Reader
from tfx_explain.models.serialized import serialized_engine
from tfx_explain.models.signature import Feeds, examples_feeds, tensors_feeds
from tfx_explain.models.tracing import traced

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Access:
    """A way to call a graph.

    Attributes:
      name: "parse_cut", "tensors" or "serialized"; see `Model.access`.
      graph: the graph; it has ports unless it is called with serialised examples.
      reader: of the features that it reads.
      n_outputs: values that it gives per row.
      feeds: what its own signature takes for some rows.
      serialized: name of its placeholder of serialised examples, if it has one.
    """

    name: str
    graph: FrozenGraph
    reader: Reader
    n_outputs: int
    feeds: Callable[[Inputs], Feeds]
    serialized: str = ""

    def engine(
        self, change: Change | None, where: str
    ) -> tuple[GraphEngine | HostEngine, Callable[[Inputs], FloatArray]]:
        """What runs the graph, and what gives its outputs without the change for the sake of the output space."""
        if self.name != "serialized":
            engine = GraphEngine(self.graph, self.n_outputs, where, change)
            return engine, engine.outputs_before

        def before_output_space(inputs: Inputs) -> FloatArray:
            undone = self.graph if change is None else with_nodes(self.graph, change.nodes, change.output)
            return serialized_engine(undone, self.serialized, where).outputs(inputs)

        return serialized_engine(self.graph, self.serialized, where), before_output_space


def takes_examples(graph: FrozenGraph, arguments: Mapping[str, tf.TensorSpec]) -> bool:
    """Whether a signature takes serialised examples, and nothing else."""
    if len(arguments) != 1:
        return False
    (spec,) = arguments.values()
    return bool(spec.dtype == tf.string and spec.shape.rank == 1) and parses(graph)


def examples_access(graph: FrozenGraph, argument: str, serialized: str, where: str, probe: Probe) -> Access:
    """Past the parse op where the graph can be cut there, else through re-encoded examples.

    Args:
      graph: the frozen graph.
      argument: of its signature, the serialised examples.
      serialized: name of the placeholder that it feeds.
      where: the signature and model, for messages.
      probe: rows to ask the model with how many outputs it has.

    Raises:
      SignatureError: it parses something else than tf.Examples, or the number of its outputs cannot be known.
    """
    other = other_messages(graph, serialized)
    if other:
        raise SignatureError(
            f"{where} parses {other}, where the examples are tf.Examples; name a signature that takes tf.Examples or "
            "feature tensors, or call the model with `module_file`."
        )
    ported = cut_after_parsing(graph, serialized)
    if ported is not None:
        reader = Reader(_specs(ported), casts_integers=False)
        n_outputs = _graph_width(ported, reader, probe, where)
        return Access("parse_cut", ported, reader, n_outputs, examples_feeds(argument, ported.unread), serialized)
    _LOG.warning("The graph of %s cannot be cut after its parse op; rows are re-encoded, which is slower.", where)
    reader = Reader(parsed_features(graph), casts_integers=False)
    outputs = serialized_engine(graph, serialized, where).outputs
    n_outputs = _known_width(graph) or probe.width(reader, outputs, where)
    return Access("serialized", graph, reader, n_outputs, examples_feeds(argument, graph.unread), serialized)


def tensors_access(
    graph: FrozenGraph,
    arguments: Mapping[str, tf.TensorSpec],
    names: Mapping[str, str],
    where: str,
    output: str,
    probe: Probe,
) -> Access:
    """With feature tensors, as the signature wants them.

    Args:
      graph: the frozen graph.
      arguments: of its signature: name -> type.
      names: of the tensor that each argument feeds.
      where: the signature and model, for messages.
      output: the output, signature and model, for messages.
      probe: rows to ask the model with how many outputs it has.

    Raises:
      SignatureError: an argument has no batch dimension, none counts, or the number of outputs cannot be known.
    """
    ported = with_tensors(graph, arguments, names, where)
    reader = Reader(_specs(ported), casts_integers=True)
    n_outputs = _graph_width(ported, reader, probe, output)
    return Access("tensors", ported, reader, n_outputs, tensors_feeds(ported, arguments))


def with_tensors(
    graph: FrozenGraph, arguments: Mapping[str, tf.TensorSpec], names: Mapping[str, str], where: str
) -> FrozenGraph:
    """A port for each argument of a signature that takes feature tensors and uses them.

    Raises:
      SignatureError: an argument has no batch dimension, or none counts.
    """
    used = graph.reachable([graph.output])
    ports = []
    for name, spec in arguments.items():
        shape = spec.shape
        if shape.rank is None or shape.rank == 0 or shape[0] is not None:
            got = "of unknown shape" if shape.rank is None else f"of shape {tuple(shape)}"
            raise SignatureError(f"Input {name!r} of {where} is {got}, without a batch dimension that may vary.")
        if names[name] not in used:
            continue
        if shape[1:].is_fully_defined():
            feature = FeatureSpec(name, spec.dtype.name, "dense", tuple(shape[1:].as_list()))
            ports.append(Port(feature, "dense", (names[name],)))
        elif shape.rank >= 2 and shape[2:].is_fully_defined():
            padding = b"" if spec.dtype == tf.string else 0
            feature = FeatureSpec(name, spec.dtype.name, "ragged", tuple(shape[2:].as_list()))
            ports.append(Port(feature, "padded", (names[name],), padding=padding))
        else:
            raise SignatureError(
                f"Input {name!r} of {where} has shape {tuple(shape)}: only its first two sizes may vary."
            )
    if not ports:
        raise SignatureError(f"The output of {where} depends on none of its inputs.")
    return replace(graph, ports=tuple(ports))


def _specs(graph: FrozenGraph) -> list[FeatureSpec]:
    return list({port.spec.name: port.spec for port in reversed(graph.ports)}.values())


def _graph_width(graph: FrozenGraph, reader: Reader, probe: Probe, what: str) -> int:
    """The number of outputs, asked of the model itself where its graph does not say."""
    known = _known_width(graph)
    if known is not None:
        return _at_least_one(known, what)
    forward = traced(forward_function(graph))
    ports = graph.ports

    def outputs(inputs: Inputs) -> Array:
        return np.asarray(forward(port_values(ports, inputs.columns))[0].numpy())

    return _at_least_one(probe.width(reader, outputs, what), what)


def _at_least_one(n_outputs: int, what: str) -> int:
    if not n_outputs:
        raise SignatureError(f"{what} has no outputs: its shape is (batch, 0); choose another output.")
    return n_outputs


def _known_width(graph: FrozenGraph) -> int | None:
    shape = graph.import_graph().get_tensor_by_name(graph.output).shape
    if shape.rank in (1, 2) and shape[1:].is_fully_defined():
        return int(shape[1]) if shape.rank == 2 else 1
    return None
