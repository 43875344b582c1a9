"""Runs functions of points of paths, in calls of fixed shape; see `path_calls`."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfx_explain.models.call_bytes import RowBytes
from tfx_explain.models.calls import calls_at_once, model_errors
from tfx_explain.models.chunks import rows_per_call, rows_that_round_alike
from tfx_explain.models.compilation import can_compile_gradients
from tfx_explain.models.graph import FrozenGraph
from tfx_explain.models.messages import first_line
from tfx_explain.models.path_calls import Lines
from tfx_explain.models.path_gradients import FloatArray, IntArray, PathSegments, Points
from tfx_explain.models.path_pieces import BoolArray, Call, Pieces, calls, check_outputs, finite_rows
from tfx_explain.models.path_tiles import Figures, padded_to
from tfx_explain.models.ports import port_value
from tfx_explain.models.row_values import values_per_row
from tfx_explain.models.tracing import Variants

_LOG = logging.getLogger(__name__)

# Measured on two cores, small networks: larger calls gain little, and more of them is filled up.
_MAX_ROWS = 3 * 2**14
# Of a tile, and of a call of pieces: late rounds have few points, and fill larger ones up with copies. Small networks
# lose little by that; of slow ones few rows are explained at a time.
_MAX_ROWS_OF_PIECES = 3 * 2**8
# What the ops of a call make is to stay in the caches.
_MAX_VALUES = 2**25


class PathRunner:
    """What runs the part of a graph behind a cut. Safe to share between threads.

    Args:
      graph: that part.
      fixed: numbers of its ports that do not move.
      n_outputs: values its output has per row.
      what: the model, for messages.

    Attributes:
      rows_per_call: how many gradient rows (points of paths) one call takes for best speed.
      compiles: whether XLA compiles gradients, as far as is known.
    """

    def __init__(self, graph: FrozenGraph, fixed: Sequence[int], n_outputs: int, what: str) -> None:
        self._ports, self._fixed, self._n_outputs, self._what = graph.ports, fixed, n_outputs, what
        width = sum(int(np.prod(port.spec.shape)) for port in graph.ports)
        most = min(rows_per_call(width, graph.n_weights()), _MAX_VALUES // max(values_per_row(graph), 1))
        self.rows_per_call = 3 << (max(min(most, _MAX_ROWS) // 3, 8).bit_length() - 1)
        self.compiles = can_compile_gradients(graph)
        # Where calls are short: one is made ready and another's figures are taken up while two are worked off.
        more = 2 if self.compiles and calls_at_once() > 1 else 1
        self._threads = ThreadPoolExecutor(more * calls_at_once())

    def tile(self, n_points: int) -> int:
        """How many segments of so many points make a tile: the most of those whose calls are filled up least."""
        sizes = np.arange(max(min(self.rows_per_call, _MAX_ROWS_OF_PIECES) // n_points, 1), 0, -1)
        used = sizes * n_points / rows_that_round_alike(sizes * n_points)
        return int(sizes[np.argmax(used)])

    def in_pieces(
        self,
        variants: Variants,
        starts: Points,
        ends: Points,
        outputs: IntArray,
        pieces: Pieces,
        shape: tuple[int, ...],
        max_rows: int = _MAX_ROWS_OF_PIECES,
    ) -> FloatArray:
        """(n_pieces, *shape) what a function makes of each piece of the paths."""
        check_outputs(outputs, self._n_outputs)
        finite = (finite_rows(starts) & finite_rows(ends))[pieces.paths]
        n_bytes = self.bytes(ends, pieces.size)
        if n_bytes is not None:
            n_bytes = n_bytes[pieces.paths]
        made = np.empty((len(pieces.paths), *shape))
        n_rows = min(self.rows_per_call, max_rows)

        def fill(call: Call) -> None:
            rows = pieces.paths[call.items]
            steps = tuple(step[call.items] for step in pieces.steps)
            part = self.run(variants, call.compiled, starts.take(rows), ends.take(rows), outputs[rows], steps)
            made[call.items[: call.n]] = part[: call.n]

        self.do(fill, self.calls(finite, n_bytes, max(n_rows // pieces.size, 1)))
        return made

    def segments(
        self,
        variants: Variants,
        starts: Points,
        ends: Points,
        segments: PathSegments,
        outputs: IntArray,
        layout: Figures,
        tile: int,
    ) -> FloatArray:
        """(q, n_figures, c) of segments, compiled in calls of many tiles, else a tile a call."""
        check_outputs(outputs, self._n_outputs)
        finite = (finite_rows(starts)[segments.start] & finite_rows(ends)[segments.end]) & self.compiles
        n_bytes = self.bytes(ends, layout.n_points)
        n_bytes = None if n_bytes is None else n_bytes[segments.end]
        most = layout.n_tiles(tile, outputs.shape[1]) * tile
        made = np.empty((len(segments), layout.n_figures, outputs.shape[1]))

        def fill(call: Call) -> None:
            size = most if call.compiled and self.compiles else tile
            for first in range(0, call.n, size):
                items, n = call.items[first : first + size], min(size, call.n - first)
                own = segments.take(items if n_bytes is not None else padded_to(items[:n], size))
                given = starts.take(own.start), ends.take(own.end), outputs[own.end]
                made[items[:n]] = self.run(variants, call.compiled, *given, own.steps(-(-n // tile)))[:n]

        self.do(fill, self.calls(finite, n_bytes, most if self.compiles else tile))
        return made

    def do(self, work: Callable[[Call], None], todo: Iterator[Call]) -> None:
        """All calls, some at a time: while one is prepared in Python, TensorFlow has another."""
        for _ in self._threads.map(work, todo):
            pass

    def calls(self, finite: BoolArray, n_bytes: FloatArray | None, size: int) -> Iterator[Call]:
        """See `path_pieces`; only finite items are compiled."""
        return calls(finite & self.compiles, n_bytes, size, self._what)

    def bytes(self, points: Points, times: int) -> FloatArray | None:
        """(n,) bytes of the lists and strings of each row, repeated; None where all rows have the same."""
        is_padded = [self._ports[port].encoding == "padded" for port in self._fixed]
        n_bytes = RowBytes.of(points.fixed, [(None,)] * len(is_padded), is_padded, 1)
        return None if n_bytes is None else times * n_bytes.whole()

    def run(
        self,
        variants: Variants,
        compiled: bool,
        starts: Points,
        ends: Points,
        outputs: IntArray,
        steps: tuple[npt.NDArray[np.generic] | np.int32, ...],
    ) -> FloatArray:
        """What one call gives, compiled by XLA where that was asked for and works."""
        with model_errors(self._what):
            ports = (self._ports[port] for port in self._fixed)
            fixed = [port_value(port, column) for port, column in zip(ports, ends.fixed, strict=True)]
            lines = Lines(tf.constant(starts.moving), tf.constant(ends.moving), fixed, tf.constant(outputs))
            given = (lines, *map(tf.constant, steps))
            if compiled and self.compiles:
                try:
                    return np.asarray(variants[True](*given).numpy())
                except (tf.errors.OpError, ValueError, NotImplementedError) as error:
                    _LOG.info("XLA does not compile gradients of this model: %s", first_line(error))
                    self.compiles = False
            return np.asarray(variants[False](*given).numpy())
