"""Gradients along paths of a frozen graph: points are made in the graph, in calls of fixed shape."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfx_explain.errors import ModelCallError
from tfx_explain.models.calls import in_chunks, model_errors
from tfx_explain.models.features import Column, Inputs, Ragged
from tfx_explain.models.path_calls import PathCalls
from tfx_explain.models.path_columns import Moving
from tfx_explain.models.path_cut import Cut
from tfx_explain.models.path_gradients import (
    ExpectedGradients,
    FloatArray,
    IntArray,
    PathSegments,
    Points,
    StepPlaces,
)
from tfx_explain.models.path_pairs import pair_by_pair
from tfx_explain.models.path_pieces import Call, Pieces, finite_rows
from tfx_explain.models.path_runner import PathRunner
from tfx_explain.models.path_sums import ReferenceSums
from tfx_explain.models.path_sweeps import SweepLayout, first_steps
from tfx_explain.models.path_tiles import Layout, in_tiles, over_examples, tile_by_tile
from tfx_explain.models.ports import PackedPorts, PortValue
from tfx_explain.models.side_by_side import Owner
from tfx_explain.models.token_reading import TokenReader
from tfx_explain.models.tracing import Variants, traced, traced_by_shapes, traced_variants
from tfx_explain.paths import Refined, Rule, Steps

Enter = Callable[[Sequence[PortValue]], Sequence[tf.Tensor]]

# Of expected gradients, points of a tile of a compiled call, and of a call of a model that XLA does not compile.
_ROWS_PER_TILE = 2**14
_ROWS_OF_PAIRS = 2**12
# What is asked for at a time: tiles, and points where XLA does not compile.
_MAX_TILES = 32
_MAX_POINTS = 2**16
# Of a call where few paths come to be cut into segments.
_TILES_OF_FEW = 4
# Of single points, of few of which each waits for the one before.
_MAX_ROWS_OF_POINTS = 2**6
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
        self._enter, self._feed = _entrance(cut)
        self._runner = PathRunner(cut.graph, self._fixed, n_outputs, what)
        plain = PathCalls(cut.graph, self._moving, n_outputs, False)
        fused = PathCalls(cut.graph, self._moving, n_outputs, True) if self._runner.compiles else plain
        made = {False: plain, True: fused}
        self._path_calls, self._tiled, self._lock = made, dict[Rule | Steps, Variants](), threading.Lock()
        self.first_steps = first_steps(cut.graph) if self._runner.compiles else 0
        self._values, self._steps, self._at = (
            traced_variants({compiled: getattr(run, name) for compiled, run in made.items()})
            for name in ("values", "steps", "at")
        )
        tiled = over_examples(made[True].expected, min(_ROWS_PER_TILE, self._runner.rows_per_call), n_players)
        of_call = min(_ROWS_OF_PAIRS, self._runner.rows_per_call)
        of_pairs = pair_by_pair(traced_by_shapes(made[False].steps), of_call, n_players)
        self._expected = {True: traced_by_shapes(tiled, jit_compile=True), False: of_pairs}
        self._inside = {
            player: traced_variants(
                {compiled: functools.partial(run.inside, player=player) for compiled, run in made.items()}
            )
            for player in cut.pictures
        }

    @property
    def is_compiled(self) -> bool:
        """Whether XLA compiles gradients."""
        return self._runner.compiles

    def enter(self, inputs: Inputs) -> Points:
        """The rows at the cut."""
        columns: list[Column] = [inputs.columns[self._cut.entry_ports[i].spec.name] for i in self._cut.kept]
        if self._enter is not None and len(inputs):
            with model_errors(self._what):
                columns += in_chunks(
                    self._enter, self._cut.entry_ports, inputs, self._entry_rows, self._what, self._feed
                )
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
        made = self._runner.in_pieces(self._values, starts, ends, outputs, pieces, (pieces.size, outputs.shape[1]))
        return made.reshape(n_paths, pieces.per_path * pieces.size, outputs.shape[1])[:, :n_points]

    def refine(self, starts: Points, ends: Points, segments: PathSegments, outputs: IntArray, rule: Rule) -> Refined:
        """Integrals over pieces of segments, and outputs at their edges."""
        layout, tile = self._layout(rule), self._runner.tile(rule.n_points)
        # TensorFlow makes functions of a loop that differ, with gradients and without, but have one name: no graph can
        # have both.
        variants = self._variants(rule, tile, layout.n_figures, ("edges", "integrals"), "refine")
        run = functools.partial(self._runner.segments, variants, starts, ends, segments, layout=layout, tile=tile)
        return layout.unpacked(_by_columns(outputs, run))

    def _layout(self, rule: Rule) -> Layout:
        layout = Layout(rule, self.n_players + self._moving.n_slots)
        return replace(layout, max_tiles=_TILES_OF_FEW) if self.first_steps else layout

    def sweep(
        self, starts: Points, ends: Points, paths: PathSegments, outputs: IntArray, steps: Steps
    ) -> list[FloatArray]:
        """Figures of whole paths."""
        layout = SweepLayout(steps, self.n_players + self._moving.n_slots)
        variants = self._variants(steps, layout.tile, layout.n_figures, ("sweep",), "sweep")
        run = functools.partial(self._runner.segments, variants, starts, ends, paths, layout=layout, tile=layout.tile)
        return layout.unpacked(_by_columns(outputs, run))

    def inside(
        self, starts: Points, ends: Points, alphas: FloatArray, outputs: IntArray, player: int
    ) -> tuple[FloatArray, FloatArray]:
        """Means over the halves of the steps, of players and of the columns of one."""
        n_paths, n_steps = alphas.shape
        pieces = Pieces.of(alphas)
        n_figures = self.n_players + self._moving.owners.count(player)

        def run(part: IntArray) -> FloatArray:
            shape = (2, n_figures, part.shape[1])
            return self._runner.in_pieces(self._inside[player], starts, ends, part, pieces, shape)

        sums = _by_columns(outputs, run).reshape(n_paths, pieces.per_path, 2, n_figures, outputs.shape[1]).sum(axis=1)
        means = sums / (n_steps // 2)
        return means[:, :, : self.n_players], means[:, :, self.n_players :]

    def gradients(self, points: Points, outputs: IntArray) -> FloatArray:
        """Of single points, in calls of fewer rows: paths that choose their way ask for one point each at a time."""
        pieces, width = Pieces.of(np.zeros((len(points), 1))), points.moving.shape[1]

        def run(part: IntArray) -> FloatArray:
            shape = (width, part.shape[1])
            return self._runner.in_pieces(self._at, points, points, part, pieces, shape, _MAX_ROWS_OF_POINTS)

        return _by_columns(outputs, run)

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
        self, references: Points, examples: Points, weights: FloatArray, places: StepPlaces, outputs: IntArray
    ) -> ExpectedGradients:
        """Expected gradients of n rows."""
        run = self._few_steps if places.n_steps <= self._runner.rows_per_call else self._many_steps
        sums = _by_columns(outputs, lambda part: run(references, examples, part, places, weights))
        return ReferenceSums(sums, weights).estimates()

    def _few_steps(
        self, references: Points, examples: Points, outputs: IntArray, places: StepPlaces, weights: FloatArray
    ) -> FloatArray:
        """(4, n, n_players, c) sums over references, some references and examples a call."""
        n, n_references, n_steps = len(examples), len(references), places.n_steps
        pairs = max(min(self._runner.rows_per_call, _ROWS_PER_TILE) // n_steps, 1)
        n_together = -(-n_references // -(-n_references // pairs))
        # Powers of two, as the numbers of rows of batches mostly are.
        of_tile = 1 << (max(pairs // n_together, 1).bit_length() - 1)
        most = 2 * self._runner.rows_per_call if self._runner.compiles else _MAX_POINTS
        n_tiles = min(max(most // (of_tile * n_together * n_steps), 1), _MAX_TILES)
        n_rows = of_tile << (n_tiles.bit_length() - 1)
        finite = finite_rows(examples) & finite_rows(references).all()
        sums = np.zeros((4, n, self.n_players, outputs.shape[1]))

        def add(call: Call) -> None:
            own, chosen = examples.take(call.items), outputs[call.items]
            for first in range(0, n_references, n_together):
                numbers = np.arange(first, first + n_together)
                others = np.minimum(numbers, n_references - 1)
                shares = np.where(numbers < n_references, weights[others], 0.0)
                # Half of what there is to copy, where points are of 32 bits.
                steps = (places.of(call.items, others).astype(own.moving.dtype), shares, np.int32(call.n))
                part = self._runner.run(self._expected, call.compiled, references.take(others), own, chosen, steps)
                sums[:, call.items[: call.n]] += part[:, : call.n]

        self._runner.do(add, self._runner.calls(finite, self._runner.bytes(examples, n_together * n_steps), n_rows))
        return sums

    def _many_steps(
        self, references: Points, examples: Points, outputs: IntArray, places: StepPlaces, weights: FloatArray
    ) -> FloatArray:
        """The same where the steps from one reference are more than a call takes: example by example."""
        sums = np.zeros((4, len(examples), self.n_players, outputs.shape[1]))
        for row in range(len(examples)):
            (steps,) = places.of(np.array([row]), np.arange(len(references)))
            copies = np.full(len(references), row)
            pieces = Pieces.of(steps)
            ends, shape = examples.take(copies), (pieces.size, *sums.shape[2:])
            made = self._runner.in_pieces(self._steps, references, ends, outputs[copies], pieces, shape)
            by_step = made.reshape(len(references), -1, *sums.shape[2:])[:, : steps.shape[1]]
            sums[:, row] = ReferenceSums.of_steps(by_step[None], steps[None], weights).sums[:, 0]
        return sums

    def _variants(self, of: Rule | Steps, tile: int, n_figures: int, plain: Sequence[str], fused: str) -> Variants:
        """What makes figures of paths in tiles: one program, or functions whose figures follow each other."""
        with self._lock:
            if of not in self._tiled:
                given = {"rule": of} if isinstance(of, Rule) else {"steps": of}
                one, parts = (
                    [functools.partial(getattr(self._path_calls[compiled], name), **given) for name in names]
                    for compiled, names in ((True, (fused,)), (False, plain))
                )
                program = traced_by_shapes(in_tiles(one[0], tile, n_figures), jit_compile=True)
                by_tile = tile_by_tile([traced_by_shapes(part) for part in parts], tile)
                self._tiled[of] = {True: program, False: by_tile}
            return self._tiled[of]


def _entrance(cut: Cut) -> tuple[Enter | None, Callable[[Mapping[str, Column]], list[PortValue]] | None]:
    """The way of rows to the cut, and what it is fed where that is not the value of each port: numbers side by side."""
    enter = cut.enter
    if enter is None or not all(port.encoding == "dense" for port in cut.entry_ports):
        return enter, None
    packed = PackedPorts.of(cut.entry_ports)
    return traced(lambda values: enter(packed.unpacked(values))), packed.values


def _with_slots(cut: Cut, n_players: int) -> Moving:
    """What moves at a cut, and the slots of features that are looked into, those of one player after another's."""
    moving, n_slots, of_ports = Moving.of(cut.graph, cut.moving, n_players), 0, dict[int, tuple[Owner, ...]]()
    numbers = {port.tensors[0]: number for number, port in enumerate(cut.graph.ports)}
    for _, slots in sorted(cut.slots.items()):
        for name, own in slots.floats.items():
            of_ports[numbers[name]] = tuple(slot + n_slots for slot in own)
        n_slots += slots.n_slots
    return moving.with_slots(of_ports, n_slots) if n_slots else moving


def _by_columns(outputs: IntArray, run: Callable[[IntArray], FloatArray]) -> FloatArray:
    """(..., c) what a function makes of the outputs (n, c) asked of rows, as many as a call has backward passes."""
    made = [run(outputs[:, start : start + _MAX_COLUMNS]) for start in range(0, outputs.shape[1], _MAX_COLUMNS)]
    return made[0] if len(made) == 1 else np.concatenate(made, axis=-1)
