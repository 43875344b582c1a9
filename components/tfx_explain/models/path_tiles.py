"""Calls of many points of paths, tile after tile: what the ops of a tile make stays in the caches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import tensorflow as tf

from tfx_explain.models.path_calls import Lines
from tfx_explain.models.path_gradients import FloatArray, RowNumbers
from tfx_explain.paths import Refined, Rule

MAX_FIGURES = 2**20
"""That a call gives back: 8 MiB."""
_MAX_TILES = 16


class Figures(Protocol):
    """What a call gives back of each segment."""

    @property
    def n_points(self) -> int:
        """Where gradients are taken, of a segment."""

    @property
    def n_figures(self) -> int:
        """Of a segment, per output."""

    def n_tiles(self, tile: int, n_outputs: int) -> int:
        """How many tiles of so many segments the largest call takes."""


@dataclass(frozen=True)
class Layout:
    """How the figures of a segment lie: outputs at the rule's edges, the whole's integral, those of pieces, unrest.

    Attributes:
      rule: how segments are cut.
      n_owners: players and slots.
      max_tiles: of a call, which is filled up with copies that are read and written though not worked off.
    """

    rule: Rule
    n_owners: int
    max_tiles: int = _MAX_TILES

    @property
    def n_points(self) -> int:
        """Where gradients are taken, of a segment."""
        return self.rule.n_points

    @property
    def n_figures(self) -> int:
        """Of a segment, per output."""
        return len(self.rule.edges) + self.n_owners * (2 * self.rule.n_pieces + bool(self.rule.n_whole))

    def n_tiles(self, tile: int, n_outputs: int) -> int:
        """How many tiles of so many segments the largest call takes."""
        return min(max(MAX_FIGURES // (tile * self.n_figures * n_outputs), 1), self.max_tiles)

    def unpacked(self, figures: FloatArray) -> Refined:
        """What (q, n_figures, c) say."""
        n_edges, n, k = len(self.rule.edges), self.n_owners, self.rule.n_pieces
        sums, unrest = (
            figures[:, first : first + k * n].reshape(len(figures), k, n, figures.shape[2])
            for first in (self.n_figures - 2 * k * n, self.n_figures - k * n)
        )
        whole = figures[:, n_edges : n_edges + n * bool(self.rule.n_whole)]
        return Refined(figures[:, :n_edges], whole, sums, unrest)


def in_tiles(run: Callable[..., tf.Tensor], size: int, n_figures: int) -> Callable[..., tf.Tensor]:
    """A function of many tiles' tensors, and of how many of these tiles hold work, of one of `size` segments.

    Every tile is the same piece of the one program, so its bits depend on no other.

    Args:
      run: takes lines, and where segments start and end, and gives (size, n_figures, c).
      size: segments of a tile.
      n_figures: of a segment, per output.
    """

    def call(lines: Lines, low: tf.Tensor, high: tf.Tensor, n_tiles: tf.Tensor) -> tf.Tensor:
        tensors = [lines.starts, lines.ends, lines.outputs, low, high, *lines.fixed]
        parts = [tf.reshape(tensor, [-1, size, *tensor.shape[1:]]) for tensor in tensors]
        shape = [size, n_figures, lines.outputs.shape[1]]
        made = tf.TensorArray(tf.float64, size=parts[0].shape[0], element_shape=shape)

        def one(tile: tf.Tensor, made: tf.TensorArray) -> tuple[tf.Tensor, tf.TensorArray]:
            first, last, chosen, begin, end, *others = (tf.gather(part, tile) for part in parts)
            return tile + 1, made.write(tile, run(Lines(first, last, others, chosen), begin, end))

        _, made = tf.while_loop(lambda tile, _: tile < n_tiles, one, (tf.constant(0), made), parallel_iterations=1)
        return tf.reshape(made.stack(), [-1, *shape[1:]])

    return call


def over_examples(run: Callable[..., tf.Tensor], n_points: int, n_players: int) -> Callable[..., tf.Tensor]:
    """A function of expected gradients of many examples, of one that takes about so many points at a time.

    It is told how many examples are no copies that fill a call up: tiles of copies alone are left out.

    Args:
      run: takes lines, alphas (p, q, s) and weights, and gives (4, p, n_players, c).
      n_points: of a tile.
      n_players: how many players there are.
    """

    def call(lines: Lines, alphas: tf.Tensor, weights: tf.Tensor, n_examples: tf.Tensor) -> tf.Tensor:
        p, q, s = alphas.shape
        most = min(max(n_points // (q * s), 1), p)
        size = next(size for size in range(most, 0, -1) if p % size == 0)
        if size == p:
            return run(lines, alphas, weights)
        parts = [
            tf.reshape(tensor, [-1, size, *tensor.shape[1:]])
            for tensor in (lines.ends, lines.outputs, alphas, *lines.fixed)
        ]

        shape = [4, size, n_players, lines.outputs.shape[1]]
        made = tf.TensorArray(tf.float64, size=p // size, element_shape=shape)

        def one(tile: tf.Tensor, made: tf.TensorArray) -> tuple[tf.Tensor, tf.TensorArray]:
            own, chosen, places, *others = (tf.gather(part, tile) for part in parts)
            return tile + 1, made.write(tile, run(Lines(lines.starts, own, others, chosen), places, weights))

        n_tiles = (n_examples + size - 1) // size
        _, made = tf.while_loop(lambda tile, _: tile < n_tiles, one, (tf.constant(0), made), parallel_iterations=1)
        return tf.reshape(tf.transpose(made.stack(), [1, 0, 2, 3, 4]), [4, p, *shape[2:]])

    return call


def tile_by_tile(parts: Sequence[Callable[..., tf.Tensor]], size: int) -> Callable[..., tf.Tensor]:
    """The same by a call for each tile and part of the figures; what is no more than one tile may be ragged."""

    def call(lines: Lines, low: tf.Tensor, high: tf.Tensor, n_tiles: tf.Tensor) -> tf.Tensor:
        if low.shape[0] <= size:
            return tf.concat([part(lines, low, high) for part in parts], axis=1)
        made = []
        for tile in range(int(n_tiles)):
            own = slice(tile * size, (tile + 1) * size)
            fixed = [value[own] for value in lines.fixed]
            of_tile = Lines(lines.starts[own], lines.ends[own], fixed, lines.outputs[own])
            made.append(tf.concat([part(of_tile, low[own], high[own]) for part in parts], axis=1))
        return tf.concat(made, axis=0)

    return call


def padded_to(items: RowNumbers, size: int) -> RowNumbers:
    """`size` of them, the last over and over behind the others."""
    return items[np.minimum(np.arange(size), len(items) - 1)]
