"""A SavedModel's own signature, called as a user of the model would: the judge of every other way to call it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from tfx_explain.models.engine import FloatArray
from tfx_explain.models.features import FeatureSpec, Inputs, blank_inputs
from tfx_explain.models.graph import FrozenGraph
from tfx_explain.models.host import as_matrix
from tfx_explain.models.ports import feed_tensors, port_values
from tfx_explain.models.serialized import encode_examples

Feeds = Mapping[str, tf.Tensor]


class Signature:
    """One output of a signature, before it is taken to an output space. Its assertions run, as they do in serving.

    Args:
      function: the signature.
      output: the key of the output.
      feeds: from rows to the signature's arguments.
    """

    def __init__(
        self, function: Callable[..., Mapping[str, tf.Tensor]], output: str, feeds: Callable[[Inputs], Feeds]
    ) -> None:
        self._function = function
        self._output = output
        self._feeds = feeds

    def outputs(self, inputs: Inputs) -> FloatArray:
        """(n, n_outputs) outputs of one call.

        Raises:
          tf.errors.OpError: the model refuses the rows.
        """
        return as_matrix(self._function(**self._feeds(inputs))[self._output].numpy())

    def one_by_one(self, inputs: Inputs) -> list[FloatArray | Exception]:
        """Of each row called alone, its (1, n_outputs) outputs, or the exception with which the model refuses it.

        Lists are fed as they are in a batch of that row, so not padded for the others.
        """
        return [self._alone(inputs.take(np.array([row]))) for row in range(len(inputs))]

    def _alone(self, row: Inputs) -> FloatArray | Exception:
        try:
            return self.outputs(row)
        except (tf.errors.OpError, ValueError) as error:
            return error


@dataclass(frozen=True)
class OwnOutputs:
    """A SavedModel's own signature, and what our way to call the model makes of it; both before the output space.

    Attributes:
      signature: the signature.
      ours: from rows to (n, n_outputs), in one call.
    """

    signature: Signature
    ours: Callable[[Inputs], FloatArray]


def examples_feeds(argument: str, required: Sequence[FeatureSpec]) -> Callable[[Inputs], Feeds]:
    """The argument of a signature on serialised tf.Examples.

    Args:
      argument: its name.
      required: features that the signature parses; those that no output depends on are not among the inputs, and are
        made up here.
    """

    def feeds(inputs: Inputs) -> Feeds:
        made_up = blank_inputs([spec for spec in required if spec.name not in inputs.columns], len(inputs))
        complete = Inputs(len(inputs), {**made_up.columns, **inputs.columns})
        return {argument: tf.constant(encode_examples(complete), tf.string)}

    return feeds


def tensors_feeds(graph: FrozenGraph, arguments: Mapping[str, tf.TensorSpec]) -> Callable[[Inputs], Feeds]:
    """The arguments of a signature on feature tensors; those that the output does not depend on are made up."""
    used = {port.spec.name for port in graph.ports}
    unused = {name: spec for name, spec in arguments.items() if name not in used}

    def feeds(inputs: Inputs) -> Feeds:
        tensors = feed_tensors(graph.ports, port_values(graph.ports, inputs.columns))
        given = dict(zip((port.spec.name for port in graph.ports), tensors, strict=True))
        for name, spec in unused.items():
            shape = [len(inputs), *(1 if size is None else size for size in spec.shape[1:])]
            given[name] = tf.fill(shape, "") if spec.dtype == tf.string else tf.zeros(shape, spec.dtype)
        return given

    return feeds
