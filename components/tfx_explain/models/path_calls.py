"""Points of paths inside TensorFlow: made of both ends, run through the model, and reduced to players."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfx_explain.models.chunks import rows_that_round_alike
from tfx_explain.models.graph import FrozenGraph
from tfx_explain.models.path_columns import Moving
from tfx_explain.models.path_heads import AtCut, head_of
from tfx_explain.models.path_sums import OF_BENDS
from tfx_explain.models.ports import PortValue
from tfx_explain.paths import N_BLOCKS, OF_DIFFERENCE, Rule, Steps, step_weights


class Lines(NamedTuple):
    """Straight ways of p rows, as tensors.

    Attributes:
      starts: (p, width); of expected gradients (q, width), the references of every row.
      ends: (p, width).
      fixed: values of the fixed ports, of p rows.
      outputs: (p, c) which outputs are asked for.
    """

    starts: tf.Tensor
    ends: tf.Tensor
    fixed: Sequence[PortValue]
    outputs: tf.Tensor


class PathCalls:
    """What is traced, for fixed numbers of points; alphas are (p, s).

    Args:
      graph: the graph past the cut.
      moving: what moves at its ports.
      n_outputs: values its output has per row.
      compiled: whether XLA compiles what is traced.
    """

    def __init__(self, graph: FrozenGraph, moving: Moving, n_outputs: int, compiled: bool) -> None:
        self._moving, self._n_outputs = moving, n_outputs
        self._sum = _sum_by_loop if compiled else _sum_by_product
        # Sums that are led back may be of other things than numbers: only rows that are finite run compiled.
        self._head = head_of(graph, moving) if compiled else AtCut(graph, moving)

    def values(self, lines: Lines, alphas: tf.Tensor) -> tf.Tensor:
        """(p, s, c) outputs at s points of each of p paths."""
        p, s = lines.ends.shape[0], alphas.shape[1]
        starts = self._head.columns(self._moving.with_still(lines.starts, lines.ends))
        points = _between(starts[:, None], self._head.columns(lines.ends)[:, None], alphas[:, :, None])
        made = self._outputs(tf.reshape(points, [p * s, starts.shape[1]]), _repeated(lines.fixed, p, s))
        made = tf.reshape(tf.cast(made, tf.float64), [p, s, self._n_outputs])
        return tf.gather(made, _repeated_rows(lines.outputs, s), batch_dims=2)

    def steps(self, lines: Lines, alphas: tf.Tensor) -> tf.Tensor:
        """(p, s, n_players, c) contributions at each point."""
        p, s = alphas.shape
        points, moves = self._points(lines, alphas)
        gradients = self._gradients(points, _repeated(lines.fixed, p, s), lines.outputs)
        # Where nothing moves, a gradient counts for nothing even if it is no number.
        made = [
            self._moving.by_player(tf.math.multiply_no_nan(self._head.back(gradient), moves[:, None]))
            for gradient in gradients
        ]
        return tf.cast(tf.stack(made, axis=-1), tf.float64)

    def refine(self, lines: Lines, low: tf.Tensor, high: tf.Tensor, *, rule: Rule) -> tf.Tensor:
        """(p, figures, c) what segments of paths, low and high (p,), come to; see `path_tiles`."""
        return tf.concat([self.edges(lines, low, high, rule=rule), self.integrals(lines, low, high, rule=rule)], axis=1)

    def edges(self, lines: Lines, low: tf.Tensor, high: tf.Tensor, *, rule: Rule) -> tf.Tensor:
        """(p, e, c) outputs at the edges of segments."""
        if not len(rule.edges):
            return tf.zeros([low.shape[0], 0, lines.outputs.shape[1]], tf.float64)
        return self.values(lines, low[:, None] + (high - low)[:, None] * rule.edges)

    def integrals(self, lines: Lines, low: tf.Tensor, high: tf.Tensor, *, rule: Rule) -> tf.Tensor:
        """(p, figures, c) the other figures of segments."""
        width = (high - low)[:, None]
        points, moves = self._points(lines, low[:, None] + width * rule.nodes)
        gradients = self._gradients(points, _repeated(lines.fixed, low.shape[0], rule.n_points), lines.outputs)
        made = [tf.concat(self._of_segments(gradient, moves, width, rule), axis=1) for gradient in gradients]
        return tf.stack(made, axis=-1)

    def sweep(self, lines: Lines, low: tf.Tensor, high: tf.Tensor, *, steps: Steps) -> tf.Tensor:
        """(p, figures, c) what whole paths come to, wherever segments are said to start and end; see `path_sweeps`."""
        p, groups = low.shape[0], steps.groups
        points, moves = self._points(lines, tf.constant(np.concatenate(groups, axis=None)[None]))
        gradients = self._gradients(points, _repeated(lines.fixed, p, steps.n_points), lines.outputs)
        made = []
        for gradient in gradients:
            parts = tf.split(gradient, [group.size for group in groups], axis=1)
            blocks = (tf.reshape(part, [p, N_BLOCKS, -1, part.shape[2]]) for part in parts)
            summed = [self._sum(tf.ones([block.shape[2]], block.dtype), block) for block in blocks]
            sums = tf.unstack(self._of_owners(tf.stack(summed), moves[None, :, None]))
            made.append(self._of_first(sums, steps) if steps.is_first else tf.reshape(sums[0], [p, -1]))
        figures = tf.stack(made, axis=-1)
        if not steps.is_first:
            return figures
        return tf.concat([self.values(lines, tf.constant([[0.0, 1.0]], tf.float64)), figures], axis=1)

    def _of_first(self, sums: Sequence[tf.Tensor], steps: Steps) -> tf.Tensor:
        """(p, figures) of sums (p, N_BLOCKS, n) of the three groups of the first sweep."""
        before = sums[0] + sums[1]
        of_old, of_new = step_weights(steps.n)
        coarse, fine = 3 * (of_old * sums[0] + of_new * sums[1]), of_old * before + of_new * sums[2]
        variance = tf.square(fine - coarse) * OF_DIFFERENCE
        of_blocks = tf.reduce_sum(variance[:, :, : self._moving.n_players], axis=2)
        added = (tf.reduce_sum(fine, axis=1), tf.reduce_sum(variance, axis=1))
        parts = [*added, of_blocks, before + sums[2], fine]
        return tf.concat([tf.reshape(part, [part.shape[0], -1]) for part in parts], axis=1)

    def _of_segments(self, gradient: tf.Tensor, moves: tf.Tensor, width: tf.Tensor, rule: Rule) -> list[tf.Tensor]:
        """(p, n figures each) integrals of the whole, of pieces, and squared differences of their nodes' halves.

        Args:
          gradient: (p, s, w) at the nodes.
          moves: (p, width).
          width: (p, 1) of the segments.
          rule: where the nodes are.
        """
        p, n_parts = gradient.shape[0], min(rule.n_nodes, 2)
        shape = [p, rule.n_pieces, n_parts, rule.n_nodes // n_parts, gradient.shape[2]]
        weights = tf.constant(rule.weights.reshape(shape[2:4]), gradient.dtype)
        summed = self._sum(weights, tf.reshape(gradient[:, rule.n_whole :], shape))
        parts = self._of_owners(summed, moves[:, None, None]) * width[:, None, None]
        first, last = parts[:, :, 0], parts[:, :, -1]
        both = (first + last, last - first) if n_parts > 1 else (last, last)
        figures = [tf.reshape(both[0], [p, -1]), tf.reshape(tf.square(both[1]), [p, -1])]
        if rule.n_whole:
            whole = self._sum(tf.constant(rule.weights_of_whole, gradient.dtype), gradient[:, : rule.n_whole])
            figures.insert(0, self._of_owners(whole, moves) * width)
        return figures

    def _of_owners(self, gradient: tf.Tensor, moves: tf.Tensor) -> tf.Tensor:
        """(..., n_players + n_slots) of mean gradients (..., w) over paths of these moves."""
        moved = tf.cast(tf.math.multiply_no_nan(self._head.back(gradient), moves), tf.float64)
        return self._moving.by_player_and_slot(moved)

    def inside(self, lines: Lines, alphas: tf.Tensor, *, player: int) -> tf.Tensor:
        """(p, 2, n_players + width, c) sums over the even and the odd of s steps: of players, and of one's columns."""
        p, s = alphas.shape
        points, moves = self._points(lines, alphas)
        halves = tf.tile(tf.constant([[1.0, 0.0], [0.0, 1.0]], points.dtype), [1, s // 2])
        columns = self._moving.places(player)
        made = []
        for gradient in self._gradients(points, _repeated(lines.fixed, p, s), lines.outputs):
            summed = tf.matmul(tf.tile(halves[None], [p, 1, 1]), gradient)
            moved = tf.cast(tf.math.multiply_no_nan(self._head.back(summed), moves[:, None]), tf.float64)
            made.append(tf.concat([self._moving.by_player(moved), tf.gather(moved, columns, axis=2)], axis=2))
        return tf.stack(made, axis=-1)

    def at(self, lines: Lines, alphas: tf.Tensor) -> tf.Tensor:
        """(p, width, c) gradients at the ends; their starts and alphas say nothing."""
        points = self._head.columns(lines.ends)[:, None]
        made = [self._head.back(gradient[:, 0]) for gradient in self._gradients(points, lines.fixed, lines.outputs)]
        return tf.cast(tf.stack(made, axis=-1), tf.float64)

    def expected(self, lines: Lines, alphas: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        """(4, p, n_players, c) sums over q references (see `path_sums`), at points of alphas (p, q, s)."""
        p, q, s = alphas.shape
        starts = self._moving.with_still(lines.starts[None], lines.ends[:, None])
        moves = _moves(starts, lines.ends[:, None])[:, :, None]
        first = self._head.columns(tf.reshape(starts, [-1, starts.shape[2]]))
        first, last = tf.reshape(first, [-1, q, first.shape[1]]), self._head.columns(lines.ends)[:, None]
        points = _inside(first[:, :, None], _moves(first, last)[:, :, None], alphas[:, :, :, None])
        squares, made = tf.square(weights), []
        for gradient in self._gradients(points, _repeated(lines.fixed, p, q * s), lines.outputs):
            of_players = self._moving.by_player(tf.math.multiply_no_nan(self._head.back(gradient), moves))
            mean = self._mean_of_steps(of_players)
            spread = self._mean_of_steps(_step_variances(of_players, tf.cast(alphas, of_players.dtype)[..., None])) / s
            terms = ((weights, mean), (squares, mean), (squares, tf.square(mean)), (squares, spread))
            made.append(tf.stack([self._sum(*term) for term in terms]))
        return tf.stack(made, axis=-1)

    def _mean_of_steps(self, values: tf.Tensor) -> tf.Tensor:
        """(p, q, n) means of (p, q, s, n)."""
        n_steps = values.shape[2]
        return tf.cast(self._sum(tf.ones([n_steps], values.dtype), values) / n_steps, tf.float64)

    def _points(self, lines: Lines, alphas: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """(p, s, w) points of alphas (p, s) behind the head, and (p, width) how far what moves goes at the cut."""
        starts = self._moving.with_still(lines.starts, lines.ends)
        first, last = self._head.columns(starts), self._head.columns(lines.ends)
        points = _inside(first[:, None], _moves(first, last)[:, None], alphas[:, :, None])
        return points, _moves(starts, lines.ends)

    def _gradients(self, points: tf.Tensor, fixed: Sequence[PortValue], outputs: tf.Tensor) -> list[tf.Tensor]:
        """Per column of `outputs`, its gradient (p, ..., w) by points of that shape."""
        n_points = math.prod(points.shape[:-1])
        flat = tf.reshape(points, [n_points, points.shape[-1]])
        made = self._outputs(flat, fixed)
        rows = tf.reshape(_repeated_rows(outputs, n_points // outputs.shape[0]), [n_points, outputs.shape[1]])
        gradients = []
        for k in range(outputs.shape[1]):
            chosen = made if self._n_outputs == 1 else tf.gather(made, rows[:, k, None], batch_dims=1)
            (gradient,) = tf.gradients(tf.reduce_sum(chosen), [flat], unconnected_gradients="zero")
            gradients.append(tf.reshape(gradient, points.shape))
        return gradients

    def _outputs(self, points: tf.Tensor, fixed: Sequence[PortValue]) -> tf.Tensor:
        """(n, K) outputs at n points (n, w)."""
        n, n_called = points.shape[0], int(rows_that_round_alike(points.shape[0]))
        if n_called > n:
            rows = np.minimum(np.arange(n_called), n - 1)
            points = tf.concat([points, tf.stop_gradient(tf.gather(points, rows[n:]))], axis=0)
            fixed = [tf.gather(value, rows) for value in fixed]
        return tf.reshape(self._head.outputs(points, fixed), [n_called, self._n_outputs])[:n]


def _between(starts: tf.Tensor, ends: tf.Tensor, alphas: tf.Tensor) -> tf.Tensor:
    """Points on lines, exactly an end where alpha is 0 or 1."""
    first, last = tf.cast(starts, tf.float64), tf.cast(ends, tf.float64)
    points = tf.where(tf.equal(starts, ends), first, first * (1.0 - alphas) + last * alphas)
    return tf.cast(points, starts.dtype)


def _inside(starts: tf.Tensor, moves: tf.Tensor, alphas: tf.Tensor) -> tf.Tensor:
    """The same to rounding, in fewer operations; exactly both ends where they are the same."""
    return starts + tf.cast(alphas, starts.dtype) * moves


def _moves(starts: tf.Tensor, ends: tf.Tensor) -> tf.Tensor:
    """From start to end; 0 where both are the same, infinity included."""
    return tf.where(tf.equal(starts, ends), tf.zeros([], starts.dtype), ends - starts)


def _sum_by_loop(weights: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
    """(..., n) sums of values (..., m, n) of weights (..., m): XLA makes one loop of this and what makes the values."""
    return tf.reduce_sum(weights[..., None] * values, axis=-2)


def _sum_by_product(weights: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
    """The same without XLA: products of matrices round alike in all rows.

    TensorFlow's own sums over an axis between others do not.
    """
    return tf.matmul(weights[..., None, :], values)[..., 0, :]


def _step_variances(values: tf.Tensor, alphas: tf.Tensor) -> tf.Tensor:
    """(p, q, s - 2, n) variances of the inner ones of values (p, q, s, n) at alphas (p, q, s, 1); see `path_sums`."""
    width = alphas[:, :, 2:] - alphas[:, :, :-2]
    slope = (values[:, :, 2:] - values[:, :, :-2]) / width
    bend = values[:, :, 1:-1] - values[:, :, :-2] - slope * (alphas[:, :, 1:-1] - alphas[:, :, :-2])
    return tf.square(slope) / (12.0 * alphas.shape[2] ** 2) + OF_BENDS * tf.square(bend)


def _repeated(fixed: Sequence[PortValue], n_rows: int, times: int) -> list[PortValue]:
    rows = np.repeat(np.arange(n_rows), times)
    return [tf.gather(value, rows) for value in fixed]


def _repeated_rows(outputs: tf.Tensor, times: int) -> tf.Tensor:
    """(p, times, c)."""
    return tf.tile(outputs[:, None], [1, times, 1])
