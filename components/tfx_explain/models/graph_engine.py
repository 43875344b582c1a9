"""Running a frozen graph, on plain rows and on rows that are mixed in the graph."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Collection, Mapping, Sequence

import numpy as np
import tensorflow as tf

from tfx_explain.errors import ModelError
from tfx_explain.models.call_bytes import small_rows
from tfx_explain.models.calls import in_chunks, model_errors
from tfx_explain.models.chunks import rows_per_call, rows_that_round_alike
from tfx_explain.models.closeness import Closeness
from tfx_explain.models.engine import FloatArray
from tfx_explain.models.features import Column, Inputs
from tfx_explain.models.graph import Change, FrozenGraph, coarsest_rounding, with_nodes
from tfx_explain.models.graph_mixing import BoundGraph, Stage
from tfx_explain.models.graph_paths import GraphPaths
from tfx_explain.models.hoist import hoist, unhoisted
from tfx_explain.models.host import as_matrix
from tfx_explain.models.path_cut import find_cut
from tfx_explain.models.pictures import PictureModel, cut_behind_decoding, named_after
from tfx_explain.models.ports import (
    PackedPorts,
    PortValue,
    feed_tensors,
    forward_function,
    n_rows_of,
    port_types,
    port_values,
)
from tfx_explain.models.token_finding import find_tokens
from tfx_explain.models.token_reading import TokenReader
from tfx_explain.models.tracing import traced

_PREDICT_ROWS = 1024
_TRIED_ROWS = 16

Players = tuple[tuple[str, ...], ...]


class GraphEngine:
    """Runs a frozen graph on plain and on mixed rows. Safe to share between threads.

    Args:
      graph: the graph, with its ports.
      n_outputs: values its output has per row.
      what: the model, for messages.
      before: what was changed in the graph for the sake of the output space.
    """

    fixed_shapes = True
    is_thread_safe = True

    def __init__(self, graph: FrozenGraph, n_outputs: int, what: str, before: Change | None = None) -> None:
        self._graph = graph
        self._n_outputs = n_outputs
        self.what = what
        self._before = before
        width = sum(int(np.prod(port.spec.shape)) for port in graph.ports)
        self._rows = int(rows_that_round_alike(min(_PREDICT_ROWS, rows_per_call(width, graph.n_weights()))))
        # Traced once for any number of rows.
        run = forward_function(graph, before.kept if before else ())
        self._run = traced(run, input_signature=[port_types(graph.ports)])
        # Traced for each number of rows where that is all that a shape depends on: a quarter faster.
        self._run_call = self._run
        self._feed: Callable[[Mapping[str, Column]], list[PortValue]] | None = None
        if all(port.encoding == "dense" for port in graph.ports):
            packed = PackedPorts.of(graph.ports)
            self._feed = packed.values
            self._run_call = traced(lambda values: run(packed.unpacked(values)))
        self._stages: dict[tuple[int, tuple[tuple[str, int], ...]], list[Stage]] = {}
        self._last_bound: tuple[Inputs, Players, BoundGraph] | None = None
        self._lock = threading.Lock()

    def predict(self, inputs: Inputs) -> FloatArray:
        """(n, n_outputs) outputs.

        Raises:
          ModelError: the model fails, or does not give one row of outputs for each row.
        """
        shapes: list[tuple[int, ...]] = []

        def run(values: list[PortValue]) -> list[tf.Tensor]:
            outputs = self._run_call(values)[0]
            shapes.append(tuple(outputs.shape))
            return [outputs]

        with model_errors(self.what):
            outputs = as_matrix(in_chunks(run, self._graph.ports, inputs, self._rows, self.what, self._feed)[0])
        if outputs.shape != (len(inputs), self._n_outputs):
            odd = next((shape for shape in shapes if shape[:1] != (self._rows,)), shapes[0])
            raise ModelError(
                f"{self.what} gave outputs of shape {odd} for {self._rows} rows; it must give as many rows as it "
                f"gets, of {self._n_outputs} values each."
            )
        return outputs

    def outputs(self, inputs: Inputs) -> FloatArray:
        """(n, n_outputs) outputs of one call on these rows and no others."""
        with model_errors(self.what):
            made = as_matrix(self._run(port_values(self._graph.ports, inputs.columns))[0].numpy())
        if len(made) != len(inputs):
            raise ModelError(
                f"{self.what} gives {len(made)} outputs for {len(inputs)} rows; it must give one for each."
            )
        return made

    def outputs_before(self, inputs: Inputs) -> FloatArray:
        """The same without the change for the sake of the output space."""
        if self._before is None:
            return self.outputs(inputs)
        with model_errors(self.what):
            values = port_values(self._graph.ports, inputs.columns)
            return as_matrix(self._undone(values, self._run(values)[1:]).numpy())

    @functools.cached_property
    def _undone(self) -> Callable[[list[PortValue], list[tf.Tensor]], tf.Tensor]:
        """A function from the ports' values and the kept tensors to the output without the change."""
        before = self._before
        if before is None or not before.nodes:
            return lambda values, kept: kept[0]
        ports = self._graph.ports
        feeds = [*(name for port in ports for name in port.tensors), *before.kept]
        call = with_nodes(self._graph, before.nodes, before.output).function(feeds, [before.output])
        return traced(
            lambda values, kept: call(*feed_tensors(ports, values), *kept, n_rows=n_rows_of(values[0]))[0],
        )

    @property
    def rows_per_call(self) -> int:
        """How many rows each call of `predict` gives the model."""
        return self._rows

    @property
    def rounding(self) -> float:
        """The relative rounding error of the coarsest floats that the graph computes with."""
        return coarsest_rounding(self._graph)

    def bind(self, background: Inputs, players: Sequence[Sequence[str]]) -> BoundGraph:
        """Fixes what absent features become and which features form a player; the last such is kept."""
        key = tuple(tuple(names) for names in players)
        last = self._last_bound
        if last is None or last[0] is not background or last[1] != key:
            last = (background, key, BoundGraph(self._stages_for(players, background), background, self.what))
            self._last_bound = last
        return last[2]

    def tokens(self, rows: Inputs, feature: str) -> TokenReader:
        """Finds what makes tokens of a text."""
        with model_errors(self.what):
            return find_tokens(self._graph, feature, rows, self.what)

    def paths(self, background: Inputs, players: Sequence[Sequence[str]], inside: Collection[str] = ()) -> GraphPaths:
        """Cuts the graph where rows can move along straight lines."""
        with model_errors(self.what):
            cut = find_cut(self._graph, players, background, self.what, inside)
            return GraphPaths(cut, self._rows, len(players), self._n_outputs, self.what)

    def with_pixels(self, feature: str, background: Inputs) -> PictureModel | None:
        """The graph from where the feature's files have become pixels; it must give some rows the same outputs."""
        with model_errors(self.what):
            hoisted = cut_behind_decoding(self._graph, feature, background)
        if hoisted is None:
            return None
        engine = GraphEngine(named_after(hoisted, feature), self._n_outputs, self.what)
        made = PictureModel(engine, hoisted, self._graph.ports, feature, self.what)
        tried = background.take(small_rows(background, _TRIED_ROWS, _TRIED_ROWS)[:_TRIED_ROWS])
        outputs = self.predict(tried)
        found = made.predict(made.inputs(tried))
        return None if Closeness.of(outputs, self.rounding).differing(outputs, found).any() else made

    def _stages_for(self, players: Sequence[Sequence[str]], background: Inputs) -> list[Stage]:
        """The ways to run the graph for these players, best first, made once."""
        owners = {name: player for player, names in enumerate(players) for name in names}
        key = len(players), tuple(sorted(owners.items()))
        with self._lock, model_errors(self.what):
            if key not in self._stages:
                ways = [hoist(self._graph, owners, background), unhoisted(self._graph, owners)]
                self._stages[key] = [
                    Stage(self._graph.ports, way, self._n_outputs, self._rows, len(players)) for way in ways
                ]
            return self._stages[key]
