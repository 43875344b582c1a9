"""Why no path leads through a feature, or not the whole of it: one sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import tensorflow as tf

from tfx_explain.errors import ModelError
from tfx_explain.models.path_ways import Beyond

_LISTED = 3
_RESHAPING = ("Cast", "ExpandDims", "Identity", "Reshape", "Squeeze", "StridedSlice", "Transpose")


@dataclass(frozen=True)
class FeatureCut:
    """What of one feature stands at a cut.

    Attributes:
      feature: its name, quoted; several where they are one player's and come together before the cut.
      moving: names of its tensors that move.
      fixed: names of those that cannot.
    """

    feature: str
    moving: Sequence[str]
    fixed: Sequence[str]


def rough_way(of: FeatureCut, beyond: Beyond, named: Mapping[str, str], graph: tf.Graph, what: str) -> str:
    """The op past which a feature reaches the output without a gradient, beside ways with one; empty for none.

    Args:
      of: the feature's tensors.
      beyond: the graph behind the cut.
      named: tensors that are names' numbers -> the op that numbered them.
      graph: the whole graph.
      what: the model, for messages.

    Raises:
      ModelError: it has no way with a gradient, or one that means nothing.
    """
    output = beyond.output
    moving = [name for name in of.moving if name in output.smooth or name in output.rough]
    for name in of.moving:
        if name in output.unknown:
            raise ModelError(
                f"TensorFlow has no gradient for {_op(graph, output.unknown[name])}, on the way from feature "
                f"{of.feature} to the output of {what}; use `shapley`."
            )
    for name in moving:
        if name in named:
            raise ModelError(
                f"{what} takes feature {of.feature} for a quantity, where it is the number that "
                f"{_op(graph, named[name])} gives to a name, and between two names there is no path; use `shapley`, or "
                "a model that encodes it (one-hot, embedding)."
            )
    rough = [name for name in (*of.moving, *of.fixed) if name in output.rough]
    if output.smooth.intersection(of.moving):
        return _where(rough[0], beyond, graph) if rough else ""
    if rough:
        _refuse(of, rough[0], beyond, graph, what)
    return ""


def note_on(rough: Mapping[str, str], what: str) -> str:
    """One sentence on features that also reach the output past ops without a gradient; empty where there are none.

    Args:
      rough: feature, quoted -> the op.
      what: the model, for messages.
    """
    if not rough:
        return ""
    listed = [f"feature {feature} (past {op})" for feature, op in list(rough.items())[:_LISTED]]
    if len(rough) > _LISTED:
        listed.append(f"{len(rough) - _LISTED} more")
    names = ", ".join(listed)
    return (
        f"Some ways to the output of {what} have no gradient, those of {names}, so contributions may not add up to the "
        "difference of the outputs; where they do not, use `shapley`."
    )


def _refuse(of: FeatureCut, name: str, beyond: Beyond, graph: tf.Graph, what: str) -> None:
    if beyond.output.rough[name]:
        raise ModelError(
            f"The output of {what} has no gradient by feature {of.feature}, as {_where(name, beyond, graph)} has none; "
            "use `shapley`."
        )
    if name in beyond.meetings:
        meeting = graph.get_operation_by_name(beyond.meetings[name][0])
        if any(out.dtype.is_floating for out in meeting.outputs):
            raise ModelError(
                f"{what} has no float tensor of feature {of.feature} alone, with one row for each example, before "
                f"{_op(graph, meeting.name)}, where it meets others, so no path leads through it; use `shapley`."
            )
        raise ModelError(
            f"{what} combines feature {of.feature} with others in {_op(graph, meeting.name)} before it becomes a float "
            "of its own, so no path leads through it; use `shapley`."
        )
    raise ModelError(
        f"{what} has no float tensor of feature {of.feature} for a path to lead through, as of "
        f"{_where(name, beyond, graph)}; use `shapley`."
    )


def _where(name: str, beyond: Beyond, graph: tf.Graph) -> str:
    """The op without a gradient behind a tensor; of a tensor that cannot move, where it meets others or comes from."""
    op = beyond.output.rough[name]
    if op:
        return _op(graph, op)
    tensor = graph.get_tensor_by_name(name)
    if name in beyond.meetings:
        meeting = graph.get_operation_by_name(beyond.meetings[name][0])
        if not any(out.dtype.is_floating for out in meeting.outputs):
            return _op(graph, meeting.name)
    made_by = tensor.op
    while made_by.type in _RESHAPING:
        made_by = made_by.inputs[0].op
    return _op(graph, made_by.name)


def _op(graph: tf.Graph, name: str) -> str:
    return f"{graph.get_operation_by_name(name).type} {name!r}"
