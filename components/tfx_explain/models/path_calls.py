"""Points of paths inside TensorFlow: made of both ends, run through the model, and reduced to players."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from tfx_explain.models.graph import FrozenGraph
from tfx_explain.models.ports import PortValue, forward_function
from tfx_explain.models.tracing import traced


@dataclass(frozen=True)
class Moving:
    """What moves along a path: which ports, and where their values stand in a row.

    Attributes:
      ports: numbers of the ports, in the order of their columns; the ports of a player stand together.
      players: per port, whose it is.
      widths: per port, how many columns it has.
      n_players: how many players there are.
    """

    ports: tuple[int, ...]
    players: tuple[int, ...]
    widths: tuple[int, ...]
    n_players: int

    @classmethod
    def of(cls, graph: FrozenGraph, players: Mapping[int, int], n_players: int) -> Moving:
        """Players of the same width beside each other, so that few operations add up many players.

        Args:
          graph: the graph past the cut.
          players: number of a port that moves -> whose it is.
          n_players: how many players there are.
        """
        widths = {port: int(np.prod(graph.ports[port].spec.shape)) for port in players}
        totals = np.zeros(n_players, np.int64)
        for port, player in players.items():
            totals[player] += widths[port]
        order = tuple(sorted(players, key=lambda port: (totals[players[port]], players[port], port)))
        return cls(order, tuple(players[port] for port in order), tuple(widths[port] for port in order), n_players)

    def by_player(self, columns: tf.Tensor) -> tf.Tensor:
        """(..., n_players) sums of the columns (..., width) of each player."""
        totals = [
            (player, sum(width for _, width in group))
            for player, group in itertools.groupby(zip(self.players, self.widths, strict=True), lambda pair: pair[0])
        ]
        sums, start = [], 0
        for width, alike in itertools.groupby(totals, lambda total: total[1]):
            n_alike = len(list(alike))
            part = columns[..., start : start + n_alike * width]
            shape = [*columns.shape[:-1], n_alike, width]
            sums.append(tf.reduce_sum(tf.reshape(part, shape), axis=-1) if width > 1 else part)
            start += n_alike * width
        places = {player: place for place, (player, _) in enumerate(totals)}
        sums.append(tf.zeros([*columns.shape[:-1], 1], columns.dtype))
        return tf.gather(tf.concat(sums, axis=-1), [places.get(p, len(totals)) for p in range(self.n_players)], axis=-1)


class PathCalls:
    """Functions of fixed numbers of points, traced for each.

    Args:
      graph: the graph past the cut.
      moving: what moves at its ports.

    Attributes:
      values: (p, s, c) outputs at s points of each of p paths, from starts (p, width), ends (p, width), the fixed
        ports' values of p rows, alphas (p, s), outputs (p, c).
      along: (p, n_players, c) weighted sums of contributions, from the same with weights (p, s) after the alphas.
      expected: (4, p, n_players, c): sums over q references, of w y, w^2 y, w^2 y^2 and w^2 v / s (see
        `Paths.expected`), from references (q, width), ends (p, width), the fixed ports' values of p rows, weights
        (q,), alphas (p, q, s), outputs (p, c).
    """

    def __init__(self, graph: FrozenGraph, moving: Moving) -> None:
        self._ports, self._moving = graph.ports, moving
        self._forward = forward_function(graph)

    def functions(self, *, jit_compile: bool | None) -> tuple[Callable[..., tf.Tensor], ...]:
        """`values`, `along` and `expected`, compiled by XLA or not."""
        made = (self.values, self.along, self.expected)
        return tuple(traced(function, jit_compile=jit_compile) for function in made)

    def values(
        self,
        starts: tf.Tensor,
        ends: tf.Tensor,
        fixed: Sequence[PortValue],
        alphas: tf.Tensor,
        outputs: tf.Tensor,
    ) -> tf.Tensor:
        """Outputs at points; see the class."""
        p, s = alphas.shape
        points = _between(starts[:, None], ends[:, None], alphas[:, :, None])
        made = self._outputs(tf.reshape(points, [p * s, points.shape[-1]]), _repeated(fixed, p, s))
        return tf.gather(tf.reshape(tf.cast(made, tf.float64), [p, s, -1]), _repeated_rows(outputs, s), batch_dims=2)

    def along(
        self,
        starts: tf.Tensor,
        ends: tf.Tensor,
        fixed: Sequence[PortValue],
        alphas: tf.Tensor,
        weights: tf.Tensor,
        outputs: tf.Tensor,
    ) -> tf.Tensor:
        """Weighted sums of contributions; see the class."""
        p, s = alphas.shape
        points = _between(starts[:, None], ends[:, None], alphas[:, :, None])
        steps = self._contributions(points, starts[:, None], ends[:, None], _repeated(fixed, p, s), outputs)
        return tf.stack(
            [self._moving.by_player(tf.reduce_sum(step * weights[:, :, None], axis=1)) for step in steps], axis=-1
        )

    def expected(
        self,
        references: tf.Tensor,
        ends: tf.Tensor,
        fixed: Sequence[PortValue],
        weights: tf.Tensor,
        alphas: tf.Tensor,
        outputs: tf.Tensor,
    ) -> tf.Tensor:
        """Sums over references; see the class."""
        p, q, s = alphas.shape
        starts, stops = references[None, :, None], ends[:, None, None]
        points = _between(starts, stops, alphas[:, :, :, None])
        steps = self._contributions(points, starts, stops, _repeated(fixed, p, q * s), outputs)
        made = []
        for step in steps:
            of_players = self._moving.by_player(step)
            mean = tf.reduce_mean(of_players, axis=2)
            bends = of_players[:, :, :-2] - 2.0 * of_players[:, :, 1:-1] + of_players[:, :, 2:]
            spread = tf.reduce_mean(tf.square(bends), axis=2) / (6.0 * s)
            w = weights[None, :, None]
            terms = (w * mean, w * w * mean, w * w * mean * mean, w * w * spread)
            made.append(tf.stack([tf.reduce_sum(term, axis=1) for term in terms]))
        return tf.stack(made, axis=-1)

    def _contributions(
        self,
        points: tf.Tensor,
        starts: tf.Tensor,
        ends: tf.Tensor,
        fixed: Sequence[PortValue],
        outputs: tf.Tensor,
    ) -> list[tf.Tensor]:
        """Per column of `outputs`, gradient x (end - start), (p, ..., width), at points of that shape."""
        flat = tf.reshape(points, [math.prod(points.shape[:-1]), points.shape[-1]])
        made = self._outputs(flat, fixed)
        rows = _repeated_rows(outputs, flat.shape[0] // outputs.shape[0])
        moves = tf.cast(ends, tf.float64) - tf.cast(starts, tf.float64)
        still = tf.equal(starts, ends)
        contributions = []
        for k in range(outputs.shape[1]):
            chosen = tf.gather(made, tf.reshape(rows[:, :, k], [-1, 1]), batch_dims=1)
            (gradient,) = tf.gradients(tf.reduce_sum(chosen), [flat], unconnected_gradients="zero")
            product = tf.reshape(gradient, points.shape) * moves
            contributions.append(tf.where(still, tf.zeros([], tf.float64), product))
        return contributions

    def _outputs(self, points: tf.Tensor, fixed: Sequence[PortValue]) -> tf.Tensor:
        """(n, K) outputs at n points (n, width)."""
        n_rows = points.shape[0]
        feeds: dict[int, PortValue] = {}
        parts = tf.split(points, self._moving.widths, axis=1) if self._moving.widths else []
        for port, part in zip(self._moving.ports, parts, strict=True):
            spec = self._ports[port].spec
            feeds[port] = tf.cast(tf.reshape(part, [n_rows, *spec.shape]), tf.dtypes.as_dtype(spec.dtype))
        others = [port for port in range(len(self._ports)) if port not in feeds]
        feeds.update(zip(others, fixed, strict=True))
        return tf.reshape(self._forward([feeds[port] for port in range(len(self._ports))])[0], [n_rows, -1])


def _between(starts: tf.Tensor, ends: tf.Tensor, alphas: tf.Tensor) -> tf.Tensor:
    """Float64 points on lines: exactly an end where alpha is 0 or 1, and exactly both where they are the same."""
    first, last = tf.cast(starts, tf.float64), tf.cast(ends, tf.float64)
    return tf.where(tf.equal(starts, ends), first, first * (1.0 - alphas) + last * alphas)


def _repeated(fixed: Sequence[PortValue], n_rows: int, times: int) -> list[PortValue]:
    rows = np.repeat(np.arange(n_rows), times)
    return [tf.gather(value, rows) for value in fixed]


def _repeated_rows(outputs: tf.Tensor, times: int) -> tf.Tensor:
    """(p, times, c)."""
    return tf.tile(outputs[:, None], [1, times, 1])
