"""One model of a transform graph and a model that takes what it makes: raw features enter it, so all else stays.

The joined model is a function on serialised raw tf.Examples, as the serving signature of a trainer would be that puts
Transform's layer before its model. Features are ported where it parses them, and preprocessing is hoisted as there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import tensorflow as tf

from tfx_explain.errors import ConfigError, SignatureError
from tfx_explain.models.access import takes_examples, with_tensors
from tfx_explain.models.features import Inputs
from tfx_explain.models.freezing import freeze
from tfx_explain.models.graph import FrozenGraph, Port
from tfx_explain.models.parsing import cut_after_parsing, parsed_features
from tfx_explain.models.ports import forward_function
from tfx_explain.models.signature import Feeds, examples_feeds, tensors_feeds
from tfx_explain.models.transform.graph import SERIALIZED, TransformGraph, as_column, is_fixed, misfit, port_value_of

Outputs = Mapping[str, tf.Tensor]

_LAYER = "transform_features_layer"


@dataclass(frozen=True)
class Front:
    """A transform graph that may go before a model.

    Attributes:
      graph: the graph.
      takes: whether the model takes "raw" examples, and stays as it is, or "transformed" ones; None = as can be seen.
    """

    graph: TransformGraph
    takes: str | None = None


@dataclass(frozen=True)
class Joined:
    """A transform graph and a model as one.

    Attributes:
      function: from `examples`, serialised raw tf.Examples, to the model's output by its key; one graph.
      own: the same by way of the model's own signature, called as whoever serves the model would; the judge.
    """

    function: tf.types.experimental.ConcreteFunction
    own: Callable[..., Outputs]


def join(function: tf.types.experimental.ConcreteFunction, key: str, front: Front, where: str) -> Joined | None:
    """Puts a transform graph before a model; None where the model takes raw examples already.

    Args:
      function: a signature of the model.
      key: of the output that is explained.
      front: the graph, and what is known of the model.
      where: the signature and model, for messages.

    Raises:
      ConfigError: nothing tells whether the model takes raw examples or transformed ones.
      SignatureError: the model takes a column that the graph does not make, or not as it makes it.
    """
    if front.takes == "raw":
        return None
    transform = front.graph
    graph, names = freeze(function, key)
    arguments = function.structured_input_signature[1]
    if takes_examples(graph, arguments):
        ((argument, serialized),) = names.items()
        cut = cut_after_parsing(graph, serialized)
        reads = [spec.name for spec in parsed_features(graph)] if cut is None else _ported_names(cut)
        if _takes_raw(cut or graph, reads, front, where):
            return None
        if cut is None:
            raise SignatureError(
                f"{where} cannot be put behind the transform graph at {transform.directory}, since its graph cannot be "
                "cut after its parse op; export a signature that takes the transformed columns as tensors."
            )
        ported, feeds = cut, examples_feeds(argument, cut.unread)
    else:
        ported = with_tensors(graph, arguments, names, where)
        if _takes_raw(ported, _ported_names(ported), front, where):
            return None
        feeds = tensors_feeds(ported, arguments)
    _check_columns(ported, transform, where)
    return _joined(function, key, transform, ported, feeds)


def _joined(
    function: tf.types.experimental.ConcreteFunction,
    key: str,
    transform: TransformGraph,
    ported: FrozenGraph,
    feeds: Callable[[Inputs], Feeds],
) -> Joined:
    forward = forward_function(ported)

    def joined(*, examples: tf.Tensor) -> Outputs:
        columns = transform.function(examples=examples)
        return {key: forward([port_value_of(port, columns[port.spec.name]) for port in ported.ports])[0]}

    def own(*, examples: tf.Tensor) -> Outputs:
        columns = transform.function(examples=examples)
        fed = {port.spec.name: as_column(port_value_of(port, columns[port.spec.name])) for port in ported.ports}
        made: Outputs = function(**feeds(Inputs(int(examples.shape[0]), fed)))
        return made

    return Joined(tf.function(joined, autograph=False).get_concrete_function(examples=SERIALIZED), own)


def _ported_names(graph: FrozenGraph) -> list[str]:
    return sorted({port.spec.name for port in graph.ports})


def _takes_raw(graph: FrozenGraph, reads: Sequence[str], front: Front, where: str) -> bool:
    """Whether a model takes raw examples: it reads raw features, and where columns have their names, not these.

    Raises:
      ConfigError: nothing tells.
    """
    raw, columns = front.graph.raw, front.graph.columns
    if front.takes is not None or not reads or not set(reads) <= set(raw):
        return False
    if not set(reads) <= set(columns) or _holds_layer(graph):
        return True
    likes = [(_is_like(port, raw[port.spec.name]), _is_like(port, columns[port.spec.name])) for port in graph.ports]
    if any(misfit(port, columns[port.spec.name]) for port in graph.ports) or (True, False) in likes:
        return True
    if (False, True) in likes:
        return False
    raise ConfigError(
        f"nothing tells whether {where} takes raw features or what the transform graph at {front.graph.directory} "
        "makes: both have the same names and types; set `model.takes` to `raw` or `transformed`."
    )


def _is_like(port: Port, specification: object) -> bool:
    """Whether a port takes a feature as this specification parses it."""
    dtype = getattr(specification, "dtype", None)
    return is_fixed(specification) == (port.encoding == "dense") and dtype == tf.dtypes.as_dtype(port.spec.dtype)


def _holds_layer(graph: FrozenGraph) -> bool:
    """Whether a graph has Transform's layer in it, whatever is put around that."""
    nodes = [*graph.graph_def.node, *(node for f in graph.graph_def.library.function for node in f.node_def)]
    return any(part.startswith(_LAYER) for node in nodes for part in node.name.split("/")[:-1])


def _check_columns(ported: FrozenGraph, transform: TransformGraph, where: str) -> None:
    for port in ported.ports:
        name = port.spec.name
        if name not in transform.columns:
            raise SignatureError(
                f"{where} takes feature {name!r}, which the transform graph at {transform.directory} does not make; it "
                f"makes {', '.join(sorted(transform.columns))}."
            )
        fault = misfit(port, transform.columns[name])
        if fault:
            raise SignatureError(
                f"column {name!r} of the transform graph at {transform.directory} {fault} ({where}); explain the model "
                "with the transform graph that it was trained with."
            )
