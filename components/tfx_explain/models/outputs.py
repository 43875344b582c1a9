"""Which output of a signature is explained, and in which space."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import tensorflow as tf

from tfx_explain.errors import ConfigError, SignatureError
from tfx_explain.models.graph import FrozenGraph
from tfx_explain.models.links import find_link
from tfx_explain.models.ops import keeps_last_axis

OUTPUT_SPACES = ("logit", "probability", "raw")

# Ops that neither mix nor change values, so that a squashing op before them is still the model's last word.
_PASSING = ("Identity", "IdentityN", "Reshape", "Squeeze", "ExpandDims", "EnsureShape", "StopGradient", "Snapshot")
_LINKS = {"Sigmoid": "sigmoid", "Softmax": "softmax", "LogSoftmax": "softmax"}
_CALLS = ("PartitionedCall", "StatefulPartitionedCall")


def check_output_space(output_space: str) -> None:
    """Refuses an unknown output space.

    Raises:
      ConfigError: it is none of `OUTPUT_SPACES`.
    """
    if output_space not in OUTPUT_SPACES:
        raise ConfigError(f"output_space must be one of {', '.join(OUTPUT_SPACES)}, got {output_space!r}.")


def choose_output(outputs: Mapping[str, tf.TensorSpec], output_key: str | None, where: str) -> str:
    """The key of the output to explain: the one asked for, or the only floating one.

    Args:
      outputs: output key -> `tf.TensorSpec`.
      output_key: what the user asked for, if anything.
      where: the signature and model, for messages.

    Raises:
      SignatureError: no such output, none or several floating ones to choose from, or one of an unusable shape.
    """
    listing = ", ".join(sorted(outputs)) or "none"
    floating = [key for key, spec in outputs.items() if spec.dtype.is_floating]
    if output_key is None:
        if len(floating) > 1:
            raise SignatureError(f"{where} has several outputs ({listing}); choose one with `output_key`.")
        if not floating:
            raise SignatureError(f"{where} has no floating-point output to explain (outputs: {listing}).")
        output_key = floating[0]
    if output_key not in outputs:
        raise SignatureError(f"{where} has no output {output_key!r}; its outputs are {listing}.")
    if output_key not in floating:
        kind = outputs[output_key].dtype.name
        raise SignatureError(
            f"Output {output_key!r} of {where} is {kind}; only floating-point outputs can be explained."
        )
    _check_shape(outputs[output_key].shape, f"Output {output_key!r} of {where}")
    return output_key


def _check_shape(shape: tf.TensorShape, what: str) -> None:
    if shape.rank is None:
        return
    if shape.rank == 0 or shape[0] is not None:
        raise SignatureError(
            f"{what} has shape {tuple(shape)}, without a batch dimension: export one value per example."
        )
    if shape.rank > 2:
        raise SignatureError(f"{what} has shape {tuple(shape)}; only (batch,) and (batch, outputs) can be explained.")


@dataclass(frozen=True)
class OutputSpace:
    """In which space an output is explained.

    Attributes:
      graph: the graph, its output in that space.
      space: "logit", "probability" or "raw".
      note: why that is not the one asked for, or in what it differs.
      link: what turns log-odds into the model's own output, "sigmoid" (of each) or "softmax" (of all); "" otherwise.
    """

    graph: FrozenGraph
    space: str
    note: str = ""
    link: str = ""


def in_output_space(graph: FrozenGraph, output_space: str, what: str, output_is: str | None = None) -> OutputSpace:
    """Takes the output to the space asked for.

    The log-odds of a plain sigmoid or softmax are read by turning it into an identity, so reshapes after it stay in
    place; those of other forms (see `links`) by a few ops of their own.

    Args:
      graph: the frozen graph.
      output_space: "logit", "probability" or "raw".
      what: the output and model, for messages.
      output_is: "logits" or "probabilities" where the user says so; None = to be seen in the graph.

    Raises:
      SignatureError: probabilities are asked of an output that is not seen or said to be any, or the graph contradicts
        what is said.
    """
    if output_space == "raw":
        return OutputSpace(graph, "raw")
    imported = graph.import_graph()
    output = imported.get_tensor_by_name(graph.output)
    last = output
    while last.op.type in _PASSING or _is_float_cast(last.op):
        last = last.op.inputs[last.value_index if last.op.type == "IdentityN" else 0]
    squashes = last.op.type == "Sigmoid" or (last.op.type in _LINKS and _squashes_rows(last, output))
    link = None if squashes else find_link(imported, output)
    is_probability = link is not None or last.op.type in ("Sigmoid", "Softmax")
    if output_is == "logits":
        if is_probability:
            raise SignatureError(
                f"{what} ends in {last.op.type}, as probabilities do, so `model.output_is: logits` is wrong; remove it."
            )
        return OutputSpace(graph, "logit", link="softmax")
    if output_space == "probability":
        if not is_probability and output_is != "probabilities":
            raise SignatureError(
                f"{what} ends in {last.op.type}, and no sigmoid or softmax is seen there; set `model.output_is: "
                "probabilities` if it is a probability, else `model.output_space: raw`."
            )
        return OutputSpace(graph, "probability")
    _refuse_one_value(last, what)
    if squashes:
        return OutputSpace(graph.replace_op(last.op.name, "Identity"), "logit", link=_LINKS[last.op.type])
    if link is not None:
        log_odds = replace(graph, graph_def=imported.as_graph_def(), output=link.logits.name)
        note = f"{what}: {'; '.join(link.notes)}." if link.notes else ""
        return OutputSpace(log_odds, "logit", note, link.kind)
    reason = f"{what} ends in {last.op.type}, and no sigmoid or softmax is seen there"
    if last.op.type in _CALLS:
        reason = f"{what} ends in a function that could not be opened, as in a model of 2 GB or more, so no sigmoid or "
        reason += "softmax in it can be undone"
    if output_is == "probabilities":
        return OutputSpace(graph, "probability", f"{reason}, so it is explained as the probability it is said to be.")
    return OutputSpace(graph, "raw", f"{reason}, so it is explained as it is.")


def _squashes_rows(squashed: tf.Tensor, output: tf.Tensor) -> bool:
    """Whether a softmax that is the output in another shape is of each row, not of parts of one or of a batch."""
    return bool(squashed.shape.rank != 1 and keeps_last_axis(output, squashed))


def _refuse_one_value(last: tf.Tensor, what: str) -> None:
    """Refuses a softmax over one value: it is 1 whatever the value is.

    Raises:
      SignatureError: it is one.
    """
    if last.op.type in ("Softmax", "LogSoftmax") and last.shape.rank is not None and last.shape[-1:] == [1]:
        raise SignatureError(
            f"{what} is the {last.op.type} of a single value, which is the same for every row, so there are no "
            "log-odds; export a sigmoid of that value, or the value itself."
        )


def _is_float_cast(op: tf.Operation) -> bool:
    return bool(op.type == "Cast" and op.inputs[0].dtype.is_floating and op.outputs[0].dtype.is_floating)
