"""Which tokens a model's graph makes of texts: their numbers, slot by slot, without the rest of the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfx_explain.errors import ModelCallError
from tfx_explain.models.calls import model_errors
from tfx_explain.models.features import Column, Ragged
from tfx_explain.models.graph import FrozenGraph
from tfx_explain.models.ports import PortValue, feed_tensors, n_rows_of, port_types, port_value
from tfx_explain.models.tracing import traced

IntArray = npt.NDArray[np.int64]

_MOST_BYTES = 2**24
_MOST_TEXTS = 2_048


class TokenReader:
    """Reads texts as a graph does, up to the numbers of their tokens. Safe to share between threads.

    Args:
      graph: the whole graph, with its ports.
      feature: the text.
      sources: number of slots -> tensors of one value per slot: a way in which it is cut into tokens.
      what: the model, for messages.
    """

    def __init__(self, graph: FrozenGraph, feature: str, sources: Mapping[int, Sequence[str]], what: str) -> None:
        self._port = next(port for port in graph.ports if port.spec.name == feature)
        self._what, self._lengths, port = what, list(sources), self._port
        names = [name for of_way in sources.values() for name in of_way]
        call = graph.function(port.tensors, names)

        def run(value: PortValue) -> list[tf.Tensor]:
            made = dict(zip(names, call(*feed_tensors([port], [value]), n_rows=n_rows_of(value)), strict=True))
            return [tf.stack([_numbers(made[name]) for name in of_way], axis=-1) for of_way in sources.values()]

        self._run = traced(run, input_signature=port_types([port]))

    def __call__(self, texts: Sequence[bytes]) -> list[IntArray]:
        """Per way, (n, slots, m): m numbers, of one meaning each, say which token stands in a slot.

        Raises:
          ModelCallError: the graph fails on a text, or makes other numbers of slots.
        """
        sizes = np.array([len(text) for text in texts], np.int64)
        call = np.maximum(np.cumsum(sizes) // _MOST_BYTES, np.arange(len(texts)) // _MOST_TEXTS)
        found = []
        with model_errors(self._what):
            for some in np.split(np.array(texts, object), np.flatnonzero(np.diff(call)) + 1):
                found.append([made.numpy() for made in self._run(port_value(self._port, self._column(some)))])
                if [made.shape[1] for made in found[-1]] != self._lengths:
                    raise ModelCallError(
                        f"{self._what} makes as many tokens of the text {self._port.spec.name!r} as the longest one of "
                        "a batch has, and not a fixed number, so its tokens cannot be told apart; use `shapley` with "
                        "`unit: word`."
                    )
        return [np.concatenate(of_way) for of_way in zip(*found, strict=True)]

    def _column(self, texts: npt.NDArray[np.object_]) -> Column:
        if self._port.encoding == "dense":
            return texts.reshape(len(texts), *self._port.spec.shape)
        return Ragged.from_lengths(texts, np.ones(len(texts), np.int64))


def _numbers(values: tf.Tensor) -> tf.Tensor:
    """(n, slots) integers, the same for the same values."""
    flat = tf.reshape(values, tf.shape(values)[:2])
    return tf.strings.to_hash_bucket_fast(flat, 2**62) if flat.dtype == tf.string else tf.cast(flat, tf.int64)
