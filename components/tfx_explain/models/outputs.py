"""Which output of a signature is explained, and in which space."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tfx_explain.errors import ConfigError, SignatureError
from tfx_explain.models.graph import FrozenGraph

OUTPUT_SPACES = ("logit", "probability", "raw")

# Ops that neither mix nor change values, so that a squashing op before them is still the model's last word.
_PASSING = ("Identity", "IdentityN", "Reshape", "Squeeze", "ExpandDims", "EnsureShape", "StopGradient", "Snapshot")
_SQUASHING = ("Sigmoid", "Softmax")


def check_output_space(output_space: str) -> None:
    """Refuses an unknown output space.

    Raises:
      ConfigError: it is none of `OUTPUT_SPACES`.
    """
    if output_space not in OUTPUT_SPACES:
        raise ConfigError(f"output_space must be one of {', '.join(OUTPUT_SPACES)}, got {output_space!r}.")


def choose_output(outputs: Mapping[str, Any], output_key: str | None, where: str) -> str:
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


def _check_shape(shape: Any, what: str) -> None:
    if shape.rank is None:
        return
    if shape.rank == 0 or shape[0] is not None:
        raise SignatureError(
            f"{what} has shape {tuple(shape)}, without a batch dimension: export one value per example."
        )
    if shape.rank > 2:
        raise SignatureError(f"{what} has shape {tuple(shape)}; only (batch,) and (batch, outputs) can be explained.")


def in_output_space(graph: FrozenGraph, output_space: str, what: str) -> tuple[FrozenGraph, str, str]:
    """Takes the output to the space asked for.

    A logit is read by turning the final sigmoid or softmax into an identity, so reshapes after it stay in place.

    Args:
      graph: the frozen graph.
      output_space: "logit", "probability" or "raw".
      what: the output and model, for messages.

    Returns:
      The graph, the space its output is really in, and a note that says why when that is not the one asked for.

    Raises:
      SignatureError: probabilities are asked of an output that ends in neither sigmoid nor softmax.
    """
    if output_space == "raw":
        return graph, "raw", ""
    tensor = graph.import_graph().get_tensor_by_name(graph.output)
    while tensor.op.type in _PASSING or _is_float_cast(tensor.op):
        tensor = tensor.op.inputs[tensor.value_index if tensor.op.type == "IdentityN" else 0]
    squashed = tensor.op.type in _SQUASHING
    if output_space == "probability":
        if not squashed:
            message = f"{what} ends in {tensor.op.type}, not in a sigmoid or softmax, so it is no probability"
            raise SignatureError(f"{message}; set output_space to raw.")
        return graph, "probability", ""
    if not squashed:
        return (
            graph,
            "raw",
            f"{what} ends in {tensor.op.type}, not in a sigmoid or softmax, so it is explained as it is.",
        )
    return graph.replace_op(tensor.op.name, "Identity"), "logit", ""


def _is_float_cast(op: Any) -> bool:
    return op.type == "Cast" and op.inputs[0].dtype.is_floating and op.outputs[0].dtype.is_floating
