"""Pieces of blocks of coalitions, each for one call of a model, and what they cost where rows are large."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfx_explain.models import call_bytes
from tfx_explain.models.blocks import CoalitionBlocks, block_weights
from tfx_explain.models.call_bytes import RowBytes
from tfx_explain.models.chunks import Chunks, padded_range

FloatArray = npt.NDArray[np.float64]

_ALL_BITS = np.int32(-1)
# Masks of 4 bytes for each player and coalition; more are made anew whenever pieces are gone through.
_MOST_KEPT_MASKS = 2**24


@dataclass(frozen=True, eq=False)
class Piece:
    """Coalitions and the background rows that they meet.

    Attributes:
      coalitions: (n_blocks, n_coalitions, n_players) bool, True = present.
      index: (n_blocks, n_block_rows) rows of the background.
      weight: (n_blocks, n_block_rows), each block's summing to one.
      place: where its blocks and coalitions are among all.
    """

    coalitions: npt.NDArray[np.bool_]
    index: npt.NDArray[np.int32] | npt.NDArray[np.int64]
    weight: FloatArray
    place: tuple[slice, slice] = (slice(None), slice(None))

    @functools.cached_property
    def tensors(self) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Masks, rows and weights; a mask has all bits set where the player is present, the last is of no player."""
        present = np.concatenate([self.coalitions, np.ones((*self.coalitions.shape[:2], 1), bool)], axis=2)
        masks = np.where(present, _ALL_BITS, np.int32(0))
        return tf.constant(masks), tf.constant(self.index, tf.int32), tf.constant(self.weight, tf.float64)

    @property
    def n_rows(self) -> int:
        """Mixed rows of one example."""
        return self.coalitions.shape[0] * self.coalitions.shape[1] * self.index.shape[1]

    def bytes_of(self, examples: RowBytes, background: RowBytes) -> FloatArray:
        """(n,) bytes of a call on this piece with so many examples of each one's size, for each of these."""
        n_blocks, n_coalitions, _ = self.coalitions.shape
        present = np.concatenate([self.coalitions.sum(axis=1), np.full((n_blocks, 1), n_coalitions)], axis=1)
        absent = n_coalitions - present
        met = background.alone[self.index].sum(axis=1)
        alone = examples.alone @ (present.sum(axis=0) * self.index.shape[1]) + (absent * met).sum()
        longest = background.filled[self.index].max(axis=(0, 1)) * (absent.sum(axis=0) > 0)
        own = examples.filled * (present.sum(axis=0) > 0)
        filled = np.maximum(own.max(axis=1), longest.max()) * examples.n_filled * self.n_rows
        return np.asarray(alone + filled)

    def halves(self) -> Iterator[tuple[Piece, float]]:
        """The piece in two, their places among its own blocks and coalitions, and each one's share of the weight."""
        n_blocks, n_coalitions, _ = self.coalitions.shape
        all_of = slice(None)
        if n_blocks > 1:
            for part in _halves(n_blocks):
                yield Piece(self.coalitions[part], self.index[part], self.weight[part], (part, all_of)), 1.0
        elif n_coalitions > 1:
            for part in _halves(n_coalitions):
                yield Piece(self.coalitions[:, part], self.index, self.weight, (all_of, part)), 1.0
        else:
            for part in _halves(self.index.shape[1]):
                weight = self.weight[:, part]
                share = float(weight.sum())
                of_part = weight / share if share else np.full(weight.shape, 1 / weight.shape[1])
                yield Piece(self.coalitions, self.index[:, part], of_part), share


def _halves(n: int) -> tuple[slice, slice]:
    return slice(0, n // 2), slice(n // 2, n)


@dataclass(frozen=True)
class AllPieces:
    """Blocks in pieces, in the order of the blocks, then of the coalitions.

    Attributes:
      blocks: which coalitions meet which background rows.
      chunks: how much of them a piece has.
      padded: whether all are of one size; the last ones then have something twice.
    """

    blocks: CoalitionBlocks
    chunks: Chunks
    padded: bool = False

    @property
    def are_kept(self) -> bool:
        """Whether they are made once, with their masks."""
        return self.blocks.coalitions.size <= _MOST_KEPT_MASKS

    @property
    def most_rows(self) -> int:
        """Mixed rows of one example in the largest."""
        return self.chunks.n_blocks * self.chunks.n_coalitions * self.blocks.background_index.shape[1]

    def __iter__(self) -> Iterator[Piece]:
        """One after the other."""
        return iter(self._kept) if self.are_kept else self._made()

    @functools.cached_property
    def _kept(self) -> tuple[Piece, ...]:
        return tuple(self._made())

    def _made(self) -> Iterator[Piece]:
        coalitions, index, weight = self.blocks.coalitions, self.blocks.background_index, block_weights(self.blocks)
        n_blocks, n_coalitions, _ = coalitions.shape
        for g in range(0, n_blocks, self.chunks.n_blocks):
            numbers = padded_range(g, self.chunks.n_blocks, n_blocks)[: None if self.padded else n_blocks - g]
            for c in range(0, n_coalitions, self.chunks.n_coalitions):
                columns = padded_range(c, self.chunks.n_coalitions, n_coalitions)
                columns = columns[: None if self.padded else n_coalitions - c]
                place = slice(g, g + self.chunks.n_blocks), slice(c, c + self.chunks.n_coalitions)
                part = coalitions[place]
                if part.shape[:2] != (len(numbers), len(columns)):
                    part = coalitions[numbers[:, None], columns]
                yield Piece(part, index[numbers], weight[numbers], place)


@dataclass(frozen=True)
class Sizes:
    """The bytes of all examples and background rows that a bound model mixes.

    Attributes:
      examples: of them.
      background: of it.
    """

    examples: RowBytes
    background: RowBytes

    def per_call(
        self, pieces: AllPieces, n_examples: int, rows: npt.NDArray[np.int64]
    ) -> list[tuple[npt.NDArray[np.intp], int, bool]]:
        """Positions among the given examples of those that go into calls of so many, and whether such a call fits.

        Args:
          pieces: what each example meets, in a call each.
          n_examples: of a call, where rows are small.
          rows: the examples.
        """
        examples = self.examples.take(rows)
        most = call_bytes.MAX_CALL_BYTES / n_examples
        roughly = examples.whole().max(initial=0.0) + self.background.whole().max(initial=0.0)
        if roughly * pieces.most_rows <= most:
            return [(np.arange(len(rows)), n_examples, True)]
        exactly = functools.reduce(np.maximum, (piece.bytes_of(examples, self.background) for piece in pieces))
        small, large = np.flatnonzero(exactly <= most), np.flatnonzero(exactly > most)
        apart = call_bytes.calls_of(exactly[large], n_examples) if len(large) else []
        return [(small, n_examples, True), *((large[of_calls], size, False) for of_calls, size in apart)]

    def of_call(self, piece: Piece, rows: npt.NDArray[np.int64]) -> float:
        """Bytes of a call on these examples."""
        return float(piece.bytes_of(self.examples.take(rows), self.background).max()) * len(rows)
