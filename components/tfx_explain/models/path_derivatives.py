"""Takes out of a graph what makes TensorFlow's gradients other than its derivatives, and tries these.

Training stops gradients and puts others in their place. Along a path only derivatives add up to a difference.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import tensorflow as tf
from tensorflow.python.eager import context

from tfx_explain.errors import ModelError
from tfx_explain.models.features import Inputs
from tfx_explain.models.graph import FrozenGraph, Port
from tfx_explain.models.hoist import Hoisted
from tfx_explain.models.messages import first_line
from tfx_explain.models.ports import PortValue, forward_function, port_values
from tfx_explain.models.tracing import traced

_PASSING = ("StopGradient", "PreventGradient")
_SUFFIX = "_with_derivatives"


def with_derivatives(graph: FrozenGraph) -> FrozenGraph:
    """The graph, and the functions that it calls, with gradients that are derivatives."""
    graph_def = tf.compat.v1.GraphDef()
    graph_def.CopyFrom(graph.graph_def)
    _clear(graph_def.node)
    functions = graph_def.library.function
    changed = [_clear(function.node_def) for function in functions]
    if any(changed):
        # TensorFlow knows functions by their names, so others need other names.
        names = {function.signature.name for function in functions}
        for function in functions:
            function.signature.name += _SUFFIX
        for nodes in (graph_def.node, *(function.node_def for function in functions)):
            _rename_calls(nodes, names)
        for gradient in graph_def.library.gradient:
            gradient.function_name += _SUFFIX if gradient.function_name in names else ""
            gradient.gradient_func += _SUFFIX if gradient.gradient_func in names else ""
        # A trace that takes no gradients calls them as they are, and to import them into it does not make them known.
        for function in functions:
            context.context().add_function_def(function)
    return replace(graph, graph_def=graph_def)


def _clear(nodes: Iterable[tf.compat.v1.NodeDef]) -> bool:
    """Changes what is to be changed; whether there was anything."""
    changed = False
    for node in nodes:
        changed |= node.op in _PASSING or "_gradient_op_type" in node.attr
        node.attr.pop("_gradient_op_type", None)
        if node.op in _PASSING:
            node.op = "Identity"
            node.attr.pop("message", None)
    return changed


def _rename_calls(nodes: Iterable[tf.compat.v1.NodeDef], names: set[str]) -> None:
    for node in nodes:
        node.op += _SUFFIX if node.op in names else ""
        for attribute in node.attr.values():
            called = [attribute.func] if attribute.HasField("func") else attribute.list.func
            for function in called:
                function.name += _SUFFIX if function.name in names else ""


def differentiate(
    hoisted: Hoisted, moving: Sequence[int], entry_ports: Sequence[Port], probe: Inputs, what: str
) -> None:
    """Makes TensorFlow build the gradients and run them.

    Raises:
      ModelError: it cannot, or has none for a tensor that seemed to have one.
    """
    ports = hoisted.graph.ports
    forward, missing = forward_function(hoisted.graph), list[str]()

    def gradients(values: Sequence[PortValue]) -> list[tf.Tensor]:
        made = tf.gradients(forward(values)[0], [values[port] for port in moving])
        missing.extend(ports[port].tensors[0] for port, gradient in zip(moving, made, strict=True) if gradient is None)
        return [gradient for gradient in made if gradient is not None]

    entering = port_values(entry_ports, probe.columns)
    values = [entering[i] for i in hoisted.kept] + (hoisted.enter(entering) if hoisted.enter else [])
    try:
        traced(gradients)(values)
    except (LookupError, NotImplementedError, TypeError, ValueError) as error:
        # Any of these is what TensorFlow's gradient of some op raises where there is none.
        raise ModelError(f"TensorFlow cannot differentiate {what}: {first_line(error)}; use `shapley`.") from error
    if missing:
        raise ModelError(f"TensorFlow has no gradient of the output of {what} by {missing[0]!r}; use `shapley`.")
