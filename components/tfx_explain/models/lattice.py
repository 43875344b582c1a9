"""Examples mixed with background rows in coalitions, in calls that a model has room for."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tfx_explain.models import call_bytes
from tfx_explain.models.blocks import CoalitionBlocks, block_weights
from tfx_explain.models.chunks import Chunks, padded_range
from tfx_explain.models.engine import BoundEngine, PreparedRows, SelectedRows
from tfx_explain.models.features import Inputs
from tfx_explain.models.pieces import AllPieces, Piece, Sizes
from tfx_explain.models.repeats import Masks, distinct_values
from tfx_explain.models.tally import Tally

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

# Lists of rows are padded to powers of two from here on, so that there are few shapes to trace and compile.
_MIN_LISTED_ROWS = 1_024
# Where masks are not kept, each serves so many calls.
_CALLS_PER_MASK = 64


@dataclass(frozen=True)
class Lattice:
    """Blocks to be evaluated with a model that is bound to a background.

    Attributes:
      bound: the bound model.
      blocks: which coalitions meet which background rows.
      n_outputs: of the model.
      fixed_shapes: whether calls want the same number of rows each time.
      what: the model, for messages.
      tally: gets the rows that this takes.
      outputs: (n_examples, c) which outputs are kept of each example; None = all.
    """

    bound: BoundEngine
    blocks: CoalitionBlocks
    n_outputs: int
    fixed_shapes: bool
    what: str
    tally: Tally
    outputs: IntArray | None = None

    def fill(self, out: FloatArray, examples: Inputs, rows: IntArray, chunks: Chunks) -> None:
        """Evaluates examples with every coalition and background row of its block.

        Args:
          out: (n, n_blocks, n_coalitions, n_outputs or c) to be filled in.
          examples: the rows that `rows` counts.
          rows: (n,) which of them.
          chunks: what a call covers, where rows are small.
        """
        pieces = AllPieces(self.blocks, chunks, padded=True)
        for prepared in self.bound.prepare(examples):
            places = np.flatnonzero(np.isin(rows, prepared.rows))
            sizes = prepared.sizes
            if sizes is None:
                of_calls = [(np.arange(len(places)), chunks.n_examples, True)]
            else:
                of_calls = sizes.per_call(pieces, chunks.n_examples, rows[places])
            for positions, n_examples, fits in of_calls:
                chosen = places[positions]
                of_chosen = out if len(chosen) == len(out) else np.empty((len(chosen), *out.shape[1:]))
                if fits:
                    self._fill(of_chosen, prepared, rows[chosen], n_examples, pieces)
                elif sizes is not None:
                    self._fill_large(
                        of_chosen, prepared, rows[chosen], n_examples, AllPieces(self.blocks, chunks), sizes
                    )
                if of_chosen is not out:
                    out[chosen] = of_chosen

    def _fill(
        self, out: FloatArray, prepared: PreparedRows, rows: IntArray, n_examples: int, pieces: AllPieces
    ) -> None:
        """Evaluates examples so many at a time, all calls of the same size."""
        firsts, at_once = range(0, len(rows), n_examples), 1 if pieces.are_kept else _CALLS_PER_MASK
        for group in (firsts[start : start + at_once] for start in range(0, len(firsts), at_once)):
            calls = []
            for first in group:
                padded = padded_range(first, n_examples, len(rows))
                filled = out[first : first + n_examples]
                called = rows[padded if self.fixed_shapes else padded[: len(filled)]]
                calls.append((filled, prepared.select(called), called[: len(filled)]))
            for piece in pieces:
                for filled, selected, of_filled in calls:
                    self._put(filled, piece, selected.values(piece), of_filled)

    def _fill_large(
        self,
        out: FloatArray,
        prepared: PreparedRows,
        rows: IntArray,
        n_examples: int,
        pieces: AllPieces,
        sizes: Sizes,
    ) -> None:
        """The same for examples that are so large, or meet such background rows, that even fewer may be too many."""
        for first in range(0, len(rows), n_examples):
            called = rows[first : first + n_examples]
            selected = prepared.select(called)
            for piece in pieces:
                values = self._in_parts(selected, called, piece, sizes)
                self._put(out[first : first + n_examples], piece, values, called)

    def _put(
        self, filled: FloatArray, piece: Piece, values: npt.NDArray[np.float32] | FloatArray, rows: IntArray
    ) -> None:
        """Fills in what a call gives for a piece and some examples, and perhaps for repeated ones behind them."""
        target = filled[:, piece.place[0], piece.place[1]]
        n_block_rows = piece.index.shape[1]
        self.tally.add(target[..., 0].size * n_block_rows, values[..., 0].size * n_block_rows)
        target[:] = self._kept(values[: target.shape[0], : target.shape[1], : target.shape[2]], rows)

    def _kept(self, values: npt.NDArray[np.float32] | FloatArray, rows: IntArray) -> npt.NDArray[np.generic]:
        """(n, ..., n_outputs or c) of what is given for these examples, (n, ..., n_outputs)."""
        if self.outputs is None:
            return values
        return np.take_along_axis(values, self.outputs[rows][:, None, None], axis=3)

    def _in_parts(
        self, selected: SelectedRows, rows: IntArray, piece: Piece, sizes: Sizes
    ) -> npt.NDArray[np.float32] | FloatArray:
        """(n, n_blocks, n_coalitions, n_outputs) of some examples, in parts where a call would be too large.

        Args:
          selected: the examples.
          rows: which these are, (n,).
          piece: what they meet.
          sizes: of all examples and the background.

        Raises:
          ModelCallError: a single mixture is too large.
        """
        n_bytes = sizes.of_call(piece, rows)
        if n_bytes <= call_bytes.MAX_CALL_BYTES or piece.n_rows == 1:
            call_bytes.refuse_large(n_bytes / len(rows), self.what)
            return selected.values(piece)
        out = np.zeros((len(rows), *piece.coalitions.shape[:2], self.n_outputs))
        for half, share in piece.halves():
            out[:, half.place[0], half.place[1]] += share * self._in_parts(selected, rows, half, sizes)
        return out

    def fill_distinct(
        self,
        out: FloatArray,
        examples: Inputs,
        chosen: npt.NDArray[np.intp],
        differing: Masks,
        masks: Masks,
    ) -> None:
        """Fills in some examples, one after the other, without evaluating the same row twice."""
        index, weight = np.asarray(self.blocks.background_index), block_weights(self.blocks)
        n_players = self.blocks.coalitions.shape[2]
        for prepared in self.bound.prepare(examples.take(chosen)) if len(chosen) else []:
            for row in prepared.rows:
                evaluate = functools.partial(self._listed, prepared, np.array([row]))
                of_rows = distinct_values(evaluate, differing[chosen[row]], masks, n_players)
                values = np.zeros((*out.shape[1:3], self.n_outputs))
                for of_block in range(index.shape[1]):
                    values += weight[:, of_block, None, None] * of_rows[index[:, of_block]]
                out[chosen[row]] = self._kept(values[None], chosen[[row]])[0]

    def _listed(
        self, prepared: PreparedRows, example: IntArray, present: npt.NDArray[np.bool_], rows: IntArray
    ) -> FloatArray:
        """(n, n_outputs) of one example mixed with one background row for each set of present players."""
        size = min(_next_power_of_two(max(len(rows), _MIN_LISTED_ROWS)), self.bound.max_rows)
        selected, sizes = prepared.select(example), prepared.sizes
        parts = []
        for start in range(0, len(rows), size):
            n = min(size, len(rows) - start)
            piece = _list(present, rows, padded_range(start, size, len(rows)))
            if sizes is None or sizes.of_call(piece, example) <= call_bytes.MAX_CALL_BYTES:
                values = selected.values(piece)
            else:
                piece = _list(present, rows, np.arange(start, start + n))
                values = self._in_parts(selected, example, piece, sizes)
            parts.append(values[0, :n, 0])
            self.tally.add(n, len(piece.index))
        return np.concatenate(parts)


def _list(present: npt.NDArray[np.bool_], rows: IntArray, part: npt.NDArray[np.intp]) -> Piece:
    return Piece(present[part, None, :], rows[part, None], np.ones((len(part), 1)))


def _next_power_of_two(n: int) -> int:
    return 1 << max(n - 1, 0).bit_length()
