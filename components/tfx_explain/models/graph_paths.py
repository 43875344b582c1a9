"""Gradients along paths of a frozen graph: points are made in the graph, in calls of fixed shape."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from tfx_explain.errors import ModelCallError
from tfx_explain.models.calls import in_chunks, model_errors
from tfx_explain.models.chunks import padded_range, rows_per_call
from tfx_explain.models.features import Column, Inputs, Ragged
from tfx_explain.models.path_calls import Moving, PathCalls
from tfx_explain.models.path_cut import Cut
from tfx_explain.models.path_gradients import ExpectedGradients, FloatArray, IntArray, Points
from tfx_explain.models.ports import port_value

_MAX_ROWS = 2**13
# Points of one path that a call takes at most; more are several pieces.
_STEPS = 8


class GraphPaths:
    """A cut graph and its players; see `path_gradients.Paths`. Safe to share between threads.

    Args:
      cut: where paths run.
      entry_rows: how many rows at a time go up to there.
      n_players: how many players there are.
      what: the model, for messages.
    """

    def __init__(self, cut: Cut, entry_rows: int, n_players: int, what: str) -> None:
        self._cut, self._entry_rows, self._what = cut, entry_rows, what
        self.n_players, self.note = n_players, cut.note
        self._ports = cut.graph.ports
        self._moving = Moving.of(cut.graph, cut.moving, n_players)
        self._fixed = [port for port in range(len(self._ports)) if port not in cut.moving]
        width = sum(int(np.prod(port.spec.shape)) for port in self._ports)
        self.rows_per_call = min(rows_per_call(width, cut.graph.n_weights()), _MAX_ROWS)
        calls = PathCalls(cut.graph, self._moving)
        self._values, self._along, self._expected = calls.functions(jit_compile=None)

    def enter(self, inputs: Inputs) -> Points:
        """The rows at the cut."""
        with model_errors(self._what):
            columns: list[Column] = [inputs.columns[self._cut.entry_ports[i].spec.name] for i in self._cut.kept]
            if self._cut.enter is not None:
                columns += in_chunks(self._cut.enter, self._cut.entry_ports, inputs, self._entry_rows, self._what)
        for port, column in zip(self._ports, columns, strict=True):
            if not isinstance(column, Ragged) and column.shape != (len(inputs), *port.spec.shape):
                raise ModelCallError(
                    f"{self._what} makes tensors of another shape of these rows than of the background at "
                    f"{port.spec.name!r}, so no path leads from one to the other; use `shapley`."
                )
        is_double = any(self._ports[port].spec.dtype == "float64" for port in self._moving.ports)
        kind = np.float64 if is_double else np.float32
        parts = [np.asarray(columns[port], kind).reshape(len(inputs), -1) for port in self._moving.ports]
        return Points(
            np.concatenate([np.zeros((len(inputs), 0), kind), *parts], axis=1),
            tuple(columns[port] for port in self._fixed),
        )

    def values(self, starts: Points, ends: Points, alphas: FloatArray, outputs: IntArray) -> FloatArray:
        """(P, e, c) outputs at points of paths."""
        n_paths, n_points = alphas.shape
        made = self._in_pieces(self._values, starts, ends, [alphas], outputs)
        return made.reshape(n_paths, -1, outputs.shape[1])[:, :n_points]

    def along(
        self, starts: Points, ends: Points, alphas: FloatArray, weights: FloatArray, outputs: IntArray
    ) -> FloatArray:
        """(P, n_players, c) weighted sums of contributions."""
        made = self._in_pieces(self._along, starts, ends, [alphas, weights], outputs)
        return np.asarray(made.reshape(len(alphas), -1, self.n_players, outputs.shape[1]).sum(axis=1))

    def _in_pieces(
        self,
        run: Callable[..., tf.Tensor],
        starts: Points,
        ends: Points,
        steps: list[FloatArray],
        outputs: IntArray,
    ) -> FloatArray:
        """What a function makes of pieces of paths, of as many points each; points that fill up have weight 0."""
        n_paths, n_points = steps[0].shape
        size = min(_STEPS, 1 << max(n_points - 1, 0).bit_length())
        n_pieces = -(-n_points // size)
        spare = n_pieces * size - n_points
        filled = [np.pad(steps[0], ((0, 0), (0, spare)), "edge")]
        filled += [np.pad(step, ((0, 0), (0, spare))) for step in steps[1:]]
        cut = [step.reshape(n_paths * n_pieces, size) for step in filled]
        paths = np.repeat(np.arange(n_paths), n_pieces)
        per_call, made = max(self.rows_per_call // size, 1), []
        for start in range(0, len(paths), per_call):
            pieces = padded_range(start, per_call, len(paths))
            rows = paths[pieces]
            with model_errors(self._what):
                part = run(
                    starts.moving[rows],
                    ends.moving[rows],
                    self._fixed_values(ends.take(rows)),
                    *(step[pieces] for step in cut),
                    outputs[rows],
                ).numpy()
            made.append(part[: len(paths) - start])
        return np.concatenate(made)

    def _fixed_values(self, points: Points) -> list[tf.Tensor]:
        ports = (self._ports[port] for port in self._fixed)
        return [port_value(port, column) for port, column in zip(ports, points.fixed, strict=True)]

    def expected(
        self, references: Points, examples: Points, weights: FloatArray, alphas: FloatArray, outputs: IntArray
    ) -> ExpectedGradients:
        """Expected gradients of n rows."""
        n, n_references, n_steps = alphas.shape
        per_call = max(self.rows_per_call // n_steps, 1)
        n_together = -(-n_references // -(-n_references // per_call))
        n_rows = max(per_call // n_together, 1)
        sums = np.zeros((4, n, self.n_players, outputs.shape[1]))
        for start in range(0, n, n_rows):
            rows = padded_range(start, n_rows, n)
            own = examples.take(rows)
            for first in range(0, n_references, n_together):
                others = padded_range(first, n_together, n_references)
                share = np.where(np.arange(first, first + n_together) < n_references, weights[others], 0.0)
                with model_errors(self._what):
                    part = self._expected(
                        references.moving[others],
                        own.moving,
                        self._fixed_values(own),
                        share,
                        alphas[np.ix_(rows, others)],
                        outputs[rows],
                    ).numpy()
                sums[:, start : start + n_rows] += part[:, : n - start]
        return _of_sums(sums, weights)


def _of_sums(sums: FloatArray, weights: FloatArray) -> ExpectedGradients:
    values, weighted, squares, design = sums
    n = len(weights)
    spread = squares - 2.0 * values * weighted + values**2 * np.sum(weights**2)
    factor = n / (n - 1) if n > 1 else 0.0
    return ExpectedGradients(values, design, np.maximum(spread, 0.0) * factor)
