"""Expected gradients without XLA: pairs of references and examples, as many at a time as suit the model."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from tfx_explain.models.path_calls import Lines
from tfx_explain.models.path_gradients import FloatArray
from tfx_explain.models.path_sums import ReferenceSums

# Contributions of steps that are held at a time: 16 MiB.
_FIGURES = 2**21


def pair_by_pair(steps: Callable[..., tf.Tensor], n_points: int, n_players: int) -> Callable[..., tf.Tensor]:
    """The same as `path_tiles.over_examples`, by calls of about so many points, however many references there are.

    Every call has the same shape, and only the last is filled up with copies.

    Args:
      steps: takes lines of pairs and alphas (pairs, s), and gives contributions (pairs, s, n_players, c).
      n_points: of a call.
      n_players: how many players there are.
    """

    def contributions(lines: Lines, places: tf.Tensor, examples: range, size: int) -> FloatArray:
        """(examples, q, s, n_players, c) of some examples, so many pairs a call; places are (p q, s)."""
        q, made = lines.starts.shape[0], []
        end = examples.stop * q
        for first in range(examples.start * q, end, size):
            pairs = np.minimum(np.arange(first, first + size), end - 1)
            row, reference = np.divmod(pairs, q)
            ends, outputs = tf.gather(lines.ends, row), tf.gather(lines.outputs, row)
            fixed = [tf.gather(value, row) for value in lines.fixed]
            of_pairs = Lines(tf.gather(lines.starts, reference), ends, fixed, outputs)
            made.append(steps(of_pairs, tf.gather(places, pairs)).numpy()[: end - first])
        joined = np.concatenate(made)
        return np.asarray(joined.reshape(len(examples), q, *joined.shape[1:]))

    def call(lines: Lines, alphas: tf.Tensor, weights: tf.Tensor, n_examples: tf.Tensor) -> tf.Tensor:
        p, q, s = alphas.shape
        places, n_outputs = tf.reshape(alphas, [p * q, s]), lines.outputs.shape[1]
        at_once = max(_FIGURES // max(q * s * n_players * n_outputs, 1), 1)
        size, sums = max(min(n_points // s, at_once * q), 1), np.zeros((4, p, n_players, n_outputs))
        for first in range(0, int(n_examples), at_once):
            some = range(first, min(first + at_once, int(n_examples)))
            own = slice(some.start, some.stop)
            with np.errstate(invalid="ignore", over="ignore"):
                found = ReferenceSums.of_steps(
                    contributions(lines, places, some, size), alphas[own].numpy(), weights.numpy()
                )
            sums[:, own] = found.sums
        return tf.constant(sums)

    return call
