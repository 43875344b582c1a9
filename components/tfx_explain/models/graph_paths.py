"""Gradients along paths of a frozen graph: points are made in the graph, in calls of fixed shape."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfx_explain.errors import ModelCallError
from tfx_explain.models.call_bytes import RowBytes
from tfx_explain.models.calls import calls_at_once, in_chunks, model_errors
from tfx_explain.models.chunks import rows_per_call
from tfx_explain.models.compilation import can_compile_gradients
from tfx_explain.models.features import Column, Inputs, Ragged
from tfx_explain.models.messages import first_line
from tfx_explain.models.path_calls import PathCalls
from tfx_explain.models.path_columns import Moving
from tfx_explain.models.path_cut import Cut
from tfx_explain.models.path_gradients import ExpectedGradients, FloatArray, IntArray, Points
from tfx_explain.models.path_pieces import BoolArray, Call, Pieces, calls, check_outputs, finite_rows
from tfx_explain.models.path_sums import ReferenceSums
from tfx_explain.models.ports import port_value
from tfx_explain.models.row_values import values_per_row
from tfx_explain.models.side_by_side import Owner
from tfx_explain.models.token_reading import TokenReader
from tfx_explain.models.tracing import Variants, traced_variants

_LOG = logging.getLogger(__name__)

# Measured on two cores, small networks: larger calls gain little, and more of them is filled up.
_MAX_ROWS = 2**16
# The same where paths are refined in rounds: late ones have few points, and fill larger calls up with copies. Small
# networks lose little by that; of slow ones few rows are explained at a time.
_MAX_ROWS_OF_PIECES = 2**10
# Of single points, of few of which each waits for the one before.
_MAX_ROWS_OF_POINTS = 2**6
# What the ops of a call make is to stay in the caches.
_MAX_VALUES = 2**25
# Outputs of a call: a backward pass each, after one forward pass.
_MAX_COLUMNS = 8


class GraphPaths:
    """A cut graph and its players; see `path_gradients.Paths`. Safe to share between threads.

    Args:
      cut: where paths run.
      entry_rows: how many rows at a time go up to there.
      n_players: how many players there are.
      n_outputs: values the graph's output has per row.
      what: the model, for messages.
    """

    def __init__(self, cut: Cut, entry_rows: int, n_players: int, n_outputs: int, what: str) -> None:
        self._cut, self._entry_rows, self._what = cut, entry_rows, what
        self.n_players, self._n_outputs, self.note = n_players, n_outputs, cut.note
        self._ports = cut.graph.ports
        self.slots, self._moving = dict(sorted(cut.slots.items())), _with_slots(cut, n_players)
        self._fixed = [port for port in range(len(self._ports)) if port not in cut.moving]
        width = sum(int(np.prod(port.spec.shape)) for port in self._ports)
        most = min(rows_per_call(width, cut.graph.n_weights()), _MAX_VALUES // max(values_per_row(cut.graph), 1))
        self.rows_per_call = 1 << (max(min(most, _MAX_ROWS), 16).bit_length() - 1)
        self._threads = ThreadPoolExecutor(calls_at_once())
        self._compiles = can_compile_gradients(cut.graph)
        made = {compiled: PathCalls(cut.graph, self._moving, n_outputs, compiled) for compiled in (False, True)}
        self._values, self._steps, self._along, self._at, self._expected = (
            traced_variants({compiled: getattr(run, name) for compiled, run in made.items()})
            for name in ("values", "steps", "along", "at", "expected")
        )
        self._inside = {
            player: traced_variants(
                {compiled: functools.partial(run.inside, player=player) for compiled, run in made.items()}
            )
            for player in cut.pictures
        }

    def enter(self, inputs: Inputs) -> Points:
        """The rows at the cut."""
        columns: list[Column] = [inputs.columns[self._cut.entry_ports[i].spec.name] for i in self._cut.kept]
        if self._cut.enter is not None and len(inputs):
            with model_errors(self._what):
                columns += in_chunks(self._cut.enter, self._cut.entry_ports, inputs, self._entry_rows, self._what)
        columns += [np.zeros((0, *port.spec.shape), port.spec.dtype) for port in self._ports[len(columns) :]]
        for port, column in zip(self._ports, columns, strict=True):
            if not isinstance(column, Ragged) and column.shape != (len(inputs), *port.spec.shape):
                raise ModelCallError(
                    f"{self._what} makes tensors of another shape of these rows than of the background, at "
                    f"{port.spec.name!r}, so no path leads from one to the other; use `shapley`."
                )
        is_double = any(self._ports[port].spec.dtype == "float64" for port in self._moving.ports)
        kind = np.float64 if is_double else np.float32
        parts = [np.asarray(columns[port], kind).reshape(len(inputs), width) for port, width in self._moving.columns]
        moving = np.concatenate([np.zeros((len(inputs), 0), kind), *parts], axis=1)
        return Points(moving, tuple(columns[port] for port in self._fixed))

    def values(self, starts: Points, ends: Points, alphas: FloatArray, outputs: IntArray) -> FloatArray:
        """(P, e, c) outputs at points of paths."""
        n_paths, n_points = alphas.shape
        pieces = Pieces.of(alphas)
        made = self._in_pieces(self._values, starts, ends, outputs, pieces, (pieces.size, outputs.shape[1]))
        return made.reshape(n_paths, pieces.per_path * pieces.size, outputs.shape[1])[:, :n_points]

    def along(
        self, starts: Points, ends: Points, alphas: FloatArray, weights: FloatArray, outputs: IntArray
    ) -> FloatArray:
        """(P, n_players + n_slots, c) weighted sums of contributions."""
        pieces, n_figures = Pieces.of(alphas, weights), self.n_players + self._moving.n_slots
        parts = [
            self._in_pieces(self._along, starts, ends, part, pieces, (n_figures, part.shape[1]))
            for part in _columns(outputs)
        ]
        made = np.concatenate(parts, axis=-1)
        return np.asarray(made.reshape(len(alphas), pieces.per_path, *made.shape[1:]).sum(axis=1))

    def inside(
        self, starts: Points, ends: Points, alphas: FloatArray, outputs: IntArray, player: int
    ) -> tuple[FloatArray, FloatArray]:
        """Means over the halves of the steps, of players and of the columns of one."""
        n_paths, n_steps = alphas.shape
        pieces = Pieces.of(alphas)
        width = self._moving.owners.count(player)
        parts = [
            self._in_pieces(
                self._inside[player], starts, ends, part, pieces, (2, self.n_players + width, part.shape[1])
            )
            for part in _columns(outputs)
        ]
        sums = np.concatenate(parts, axis=-1).reshape(n_paths, pieces.per_path, 2, -1, outputs.shape[1]).sum(axis=1)
        means = sums / (n_steps // 2)
        return means[:, :, : self.n_players], means[:, :, self.n_players :]

    def gradients(self, points: Points, outputs: IntArray) -> FloatArray:
        """Of single points, in calls of fewer rows: paths that choose their way ask for one point each at a time."""
        pieces, width = Pieces.of(np.zeros((len(points), 1))), points.moving.shape[1]
        parts = [
            self._in_pieces(self._at, points, points, part, pieces, (width, part.shape[1]), _MAX_ROWS_OF_POINTS)
            for part in _columns(outputs)
        ]
        return np.concatenate(parts, axis=-1)

    def pictures(self, points: Points, player: int) -> npt.NDArray[np.float32] | FloatArray:
        """A player's columns as pictures."""
        return points.moving[:, self.columns(player)].reshape(len(points), *self._cut.pictures[player])

    def columns(self, player: int) -> IntArray:
        """Which columns are a player's."""
        return np.array(self._moving.places(player), np.int64)

    def picture(self, player: int) -> tuple[int, ...] | None:
        """The shape of the picture that a player's columns are."""
        return self._cut.pictures.get(player)

    def tokens(self, player: int) -> TokenReader:
        """What reads a player's texts up to their tokens."""
        slots = self.slots[player]
        sources = dict(zip(slots.lengths, slots.sources, strict=True))
        return TokenReader(self._cut.whole, slots.feature, sources, self._what)

    def expected(
        self, references: Points, examples: Points, weights: FloatArray, alphas: FloatArray, outputs: IntArray
    ) -> ExpectedGradients:
        """Expected gradients of n rows."""
        run = self._few_steps if alphas.shape[2] <= self.rows_per_call else self._many_steps
        sums = [run(references, examples, part, alphas, weights) for part in _columns(outputs)]
        return ReferenceSums(np.concatenate(sums, axis=-1), weights).estimates()

    def _few_steps(
        self, references: Points, examples: Points, outputs: IntArray, alphas: FloatArray, weights: FloatArray
    ) -> FloatArray:
        """(4, n, n_players, c) sums over references, some references and examples a call."""
        n, n_references, n_steps = alphas.shape
        pairs = max(self.rows_per_call // n_steps, 1)
        n_together = -(-n_references // -(-n_references // pairs))
        # A power of two, as the numbers of rows of batches mostly are.
        n_rows = 1 << (max(pairs // n_together, 1).bit_length() - 1)
        finite = finite_rows(examples) & finite_rows(references).all()
        sums = np.zeros((4, n, self.n_players, outputs.shape[1]))

        def add(call: Call) -> None:
            own, chosen = examples.take(call.items), outputs[call.items]
            for first in range(0, n_references, n_together):
                numbers = np.arange(first, first + n_together)
                others = np.minimum(numbers, n_references - 1)
                shares = np.where(numbers < n_references, weights[others], 0.0)
                steps = (alphas[np.ix_(call.items, others)], shares)
                part = self._run(self._expected, call.compiled, references.take(others), own, chosen, steps)
                sums[:, call.items[: call.n]] += part[:, : call.n]

        self._do(add, self._calls(finite, self._bytes(examples, n_together * n_steps), n_rows))
        return sums

    def _many_steps(
        self, references: Points, examples: Points, outputs: IntArray, alphas: FloatArray, weights: FloatArray
    ) -> FloatArray:
        """The same where the steps from one reference are more than a call takes: example by example."""
        sums = np.zeros((4, len(examples), self.n_players, outputs.shape[1]))
        for row, steps in enumerate(alphas):
            copies = np.full(len(references), row)
            pieces = Pieces.of(steps)
            ends, shape = examples.take(copies), (pieces.size, *sums.shape[2:])
            made = self._in_pieces(self._steps, references, ends, outputs[copies], pieces, shape)
            by_step = made.reshape(len(references), -1, *sums.shape[2:])[:, : steps.shape[1]]
            sums[:, row] = ReferenceSums.of_steps(by_step, steps, weights).sums[:, 0]
        return sums

    def _in_pieces(
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
        n_bytes = self._bytes(ends, pieces.size)
        if n_bytes is not None:
            n_bytes = n_bytes[pieces.paths]
        made = np.empty((len(pieces.paths), *shape))
        n_rows = min(self.rows_per_call, max_rows)

        def fill(call: Call) -> None:
            rows = pieces.paths[call.items]
            steps = tuple(step[call.items] for step in pieces.steps)
            part = self._run(variants, call.compiled, starts.take(rows), ends.take(rows), outputs[rows], steps)
            made[call.items[: call.n]] = part[: call.n]

        self._do(fill, self._calls(finite, n_bytes, max(n_rows // pieces.size, 1)))
        return made

    def _do(self, work: Callable[[Call], None], todo: Iterator[Call]) -> None:
        """All calls, two at a time: while one is prepared in Python, TensorFlow has the other."""
        for _ in self._threads.map(work, todo):
            pass

    def _calls(self, finite: BoolArray, n_bytes: FloatArray | None, size: int) -> Iterator[Call]:
        return calls(finite & self._compiles, n_bytes, size, self._what)

    def _bytes(self, points: Points, times: int) -> FloatArray | None:
        """(n,) bytes of the lists and strings of each row, repeated; None where all rows have the same."""
        is_padded = [self._ports[port].encoding == "padded" for port in self._fixed]
        n_bytes = RowBytes.of(points.fixed, [(None,)] * len(is_padded), is_padded, 1)
        return None if n_bytes is None else times * n_bytes.whole()

    def _run(
        self,
        variants: Variants,
        compiled: bool,
        starts: Points,
        ends: Points,
        outputs: IntArray,
        steps: tuple[FloatArray, ...],
    ) -> FloatArray:
        """What one call gives, compiled by XLA where that was asked for and works."""
        with model_errors(self._what):
            ports = (self._ports[port] for port in self._fixed)
            fixed = [port_value(port, column) for port, column in zip(ports, ends.fixed, strict=True)]
            given = (tf.constant(starts.moving), tf.constant(ends.moving), fixed, *map(tf.constant, (outputs, *steps)))
            if compiled and self._compiles:
                try:
                    return np.asarray(variants[True](*given).numpy())
                except (tf.errors.OpError, ValueError, NotImplementedError) as error:
                    _LOG.info("XLA does not compile gradients of this model: %s", first_line(error))
                    self._compiles = False
            return np.asarray(variants[False](*given).numpy())


def _with_slots(cut: Cut, n_players: int) -> Moving:
    """What moves at a cut, and the slots of features that are looked into, those of one player after another's."""
    moving, n_slots, of_ports = Moving.of(cut.graph, cut.moving, n_players), 0, dict[int, tuple[Owner, ...]]()
    numbers = {port.tensors[0]: number for number, port in enumerate(cut.graph.ports)}
    for _, slots in sorted(cut.slots.items()):
        for name, own in slots.floats.items():
            of_ports[numbers[name]] = tuple(slot + n_slots for slot in own)
        n_slots += slots.n_slots
    return moving.with_slots(of_ports, n_slots) if n_slots else moving


def _columns(outputs: IntArray) -> list[IntArray]:
    """The outputs asked of each row, as many at a time as a call has backward passes."""
    return [outputs[:, start : start + _MAX_COLUMNS] for start in range(0, outputs.shape[1], _MAX_COLUMNS)]
