"""Masked evaluation inside TensorFlow: mixed rows are made in the graph, next to the model that reads them."""

from __future__ import annotations

import contextlib
import functools
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfx_explain.errors import ModelCallError, ModelError
from tfx_explain.models.call_bytes import RowBytes, calls_of, refuse_large
from tfx_explain.models.chunks import padded_range, rows_per_call, tile_size
from tfx_explain.models.compilation import can_compile
from tfx_explain.models.features import Column, Inputs, Ragged, take_rows
from tfx_explain.models.graph import Change, FrozenGraph, Port, coarsest_rounding, with_nodes
from tfx_explain.models.hoist import Hoisted, hoist, unhoisted
from tfx_explain.models.host import as_matrix
from tfx_explain.models.messages import first_line
from tfx_explain.models.pieces import Sizes
from tfx_explain.models.ports import feed_tensors, forward_function, n_rows_of, port_types, port_value, port_values
from tfx_explain.models.tracing import traced

_LOG = logging.getLogger(__name__)
_PREDICT_ROWS = 1024
_ALL_BITS = np.int32(-1)


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
        self._rows = min(_PREDICT_ROWS, rows_per_call(width, graph.n_weights()))
        # Traced once for any number of rows.
        run = forward_function(graph, before.kept if before else ())
        self._run: Any = traced(run, input_signature=[port_types(graph.ports)])
        self._stages: dict[Any, list[_Stage]] = {}
        self._last_bound: tuple[Inputs, Any, Bound] | None = None
        self._lock = threading.Lock()

    def predict(self, inputs: Inputs) -> npt.NDArray[np.float64]:
        """(n, n_outputs) outputs.

        Raises:
          ModelError: the model fails, or does not give one row of outputs for each row.
        """
        shapes: list[Any] = []

        def run(values: list[Any]) -> list[Any]:
            outputs = self._run(values)[0]
            shapes.append(tuple(outputs.shape))
            return [outputs]

        with model_errors(self.what):
            outputs = as_matrix(in_chunks(run, self._graph.ports, inputs, self._rows, self.what)[0])
        if outputs.shape != (len(inputs), self._n_outputs):
            odd = next((shape for shape in shapes if shape[:1] != (self._rows,)), shapes[0])
            raise ModelError(
                f"{self.what} gave outputs of shape {odd} for {self._rows} rows; it must give as many rows as it "
                f"gets, of {self._n_outputs} values each."
            )
        return outputs

    def outputs(self, inputs: Inputs) -> npt.NDArray[np.float64]:
        """(n, n_outputs) outputs of one call on these rows and no others."""
        with model_errors(self.what):
            made = as_matrix(self._run(port_values(self._graph.ports, inputs.columns))[0].numpy())
        if len(made) != len(inputs):
            raise ModelError(
                f"{self.what} gives {len(made)} outputs for {len(inputs)} rows; it must give one for each."
            )
        return made

    def outputs_before(self, inputs: Inputs) -> npt.NDArray[np.float64]:
        """The same without the change for the sake of the output space."""
        if self._before is None:
            return self.outputs(inputs)
        with model_errors(self.what):
            values = port_values(self._graph.ports, inputs.columns)
            return as_matrix(self._undone(values, self._run(values)[1:]).numpy())

    @functools.cached_property
    def _undone(self) -> Any:
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

    def bind(self, background: Inputs, players: Sequence[Sequence[str]]) -> Bound:
        """Fixes what absent features become and which features form a player; the last such is kept."""
        key = tuple(tuple(names) for names in players)
        last = self._last_bound
        if last is None or last[0] is not background or last[1] != key:
            last = (background, key, Bound(self._stages_for(players, background), background, self.what))
            self._last_bound = last
        return last[2]

    def _stages_for(self, players: Sequence[Sequence[str]], background: Inputs) -> list[_Stage]:
        """The ways to run the graph for these players, best first, made once."""
        owners = {name: player for player, names in enumerate(players) for name in names}
        key = (len(players), *sorted(owners.items()))
        with self._lock, model_errors(self.what):
            if key not in self._stages:
                ways = [hoist(self._graph, owners, background), unhoisted(self._graph, owners)]
                self._stages[key] = [
                    _Stage(self._graph.ports, way, self._n_outputs, self._rows, len(players)) for way in ways
                ]
            return self._stages[key]


class Bound:
    """Players and a background, for rows to be mixed from."""

    def __init__(self, stages: Sequence[_Stage], background: Inputs, what: str) -> None:
        self._stages = stages
        self._what = what
        with model_errors(what):
            entered = [stage.enter(background, what) for stage in stages]
        self._backgrounds = [
            (stage.tensors(columns), stage.sizes(columns)) if columns else None
            for stage, columns in zip(stages, entered, strict=True)
        ]
        self._finite = all(bool(finite_rows(columns, len(background)).all()) for columns in entered if columns)
        self.max_rows = stages[0].max_rows
        self._last_prepared: tuple[Inputs, list[tuple[npt.NDArray[np.intp], Any]]] | None = None

    def prepare(self, examples: Inputs) -> list[tuple[npt.NDArray[np.intp], Any]]:
        """The examples in parts that are run alike: the rows of each part, and what `select` takes for them."""
        last = self._last_prepared
        if last is None or last[0] is not examples:
            last = (examples, self._prepare(examples))
            self._last_prepared = last
        return last[1]

    def _prepare(self, examples: Inputs) -> list[tuple[npt.NDArray[np.intp], Any]]:
        with model_errors(self._what):
            for stage, background in zip(self._stages, self._backgrounds, strict=True):
                columns = None if background is None else stage.enter(examples, self._what)
                if background is not None and columns:
                    finite = stage.compiles & self._finite & finite_rows(columns, len(examples))
                    parts = [(np.flatnonzero(finite), True), (np.flatnonzero(~finite), False)]
                    own, other = stage.sizes(columns), background[1]
                    sizes = None if own is None or other is None else Sizes(own, other)
                    return [
                        (rows, _Prepared(stage, background[0], columns, sizes, compiled))
                        for rows, compiled in parts
                        if len(rows)
                    ]
        raise ModelCallError(f"{self._what} takes neither the examples nor the background.")

    def sizes(self, prepared: _Prepared) -> Sizes | None:
        """What mixed rows bring to a call; None where all have the same size."""
        return prepared.sizes

    def select(self, prepared: _Prepared, rows: Any) -> Any:
        """What `values` takes for some of the prepared examples."""
        stage = prepared.stage
        examples = stage.tensors([take_rows(column, rows) for column in prepared.columns])
        return stage, prepared.background, examples, prepared.compiled

    def piece(self, coalitions: Any, index: Any, weight: Any) -> Any:
        """What `values` takes for a piece of the blocks.

        Args:
          coalitions: (n_blocks, n_coalitions, n_players) bool, True = present.
          index: (n_blocks, n_block_rows) rows of the background.
          weight: (n_blocks, n_block_rows) float64, each block's summing to one.
        """
        present = np.concatenate([coalitions, np.ones((*coalitions.shape[:2], 1), bool)], axis=2)
        masks = np.where(present, _ALL_BITS, np.int32(0))
        return tf.constant(masks), tf.constant(index, tf.int32), tf.constant(weight, tf.float64)

    def values(self, selected: Any, piece: Any) -> npt.NDArray[np.floating[Any]]:
        """Outputs of mixed rows, averaged over each block's background rows.

        Args:
          selected: what `select` made of n_examples rows.
          piece: what `piece` made of n_blocks times n_coalitions coalitions.

        Returns:
          (n_examples, n_blocks, n_coalitions, n_outputs).
        """
        stage, background, examples, compiled = selected
        with model_errors(self._what):
            return np.asarray(stage.masked(compiled, examples, background, *piece).numpy())


class _Prepared(NamedTuple):
    """Examples that are run alike.

    Attributes:
      stage: what runs them.
      background: its tensors of the background.
      columns: of all examples.
      sizes: of all examples and the background; None where all rows have the same.
      compiled: whether XLA runs them.
    """

    stage: _Stage
    background: list[Any]
    columns: list[Column]
    sizes: Sizes | None
    compiled: bool


class _Stage:
    """The part of a graph that sees mixed rows, for one set of players."""

    def __init__(
        self, entry_ports: Sequence[Port], hoisted: Hoisted, n_outputs: int, entry_rows: int, n_players: int
    ) -> None:
        graph = hoisted.graph
        self._entry_ports, self._hoisted = entry_ports, hoisted
        self._ports, self._owners, self._n_outputs = graph.ports, hoisted.owners, n_outputs
        self._n_owners = n_players + 1
        self._forward = forward_function(graph)
        self._output_dtype = graph.import_graph().get_tensor_by_name(graph.output).dtype
        width = sum(int(np.prod(port.spec.shape)) for port in graph.ports)
        self.max_rows = rows_per_call(width, graph.n_weights())
        self._entry_rows = entry_rows
        self.compiles = can_compile(graph)
        self._compiled: Any = traced(self._mix_tiles, jit_compile=True)
        self._mixed: Any = traced(functools.partial(self._mix, _select))

    def enter(self, inputs: Inputs, what: str) -> list[Column] | None:
        """Per port, the values of all rows; None where a row does not have the shape that the background's have."""
        columns = [inputs.columns[self._entry_ports[i].spec.name] for i in self._hoisted.kept]
        if self._hoisted.enter is None:
            return columns
        made = in_chunks(self._hoisted.enter, self._entry_ports, inputs, self._entry_rows, what)
        ports = self._ports[len(columns) :]
        fits = all(value.shape == (len(inputs), *port.spec.shape) for port, value in zip(ports, made, strict=True))
        return [*columns, *made] if fits else None

    def sizes(self, columns: Sequence[Column]) -> RowBytes | None:
        """What the rows of the ports' columns bring to a call; None where all have the same size."""
        return RowBytes.of(columns, self._owners, [port.encoding == "padded" for port in self._ports], self._n_owners)

    def tensors(self, columns: Sequence[Column]) -> list[Any]:
        """Per port, its column as a tensor."""
        return [port_value(port, column) for port, column in zip(self._ports, columns, strict=True)]

    def masked(self, compiled: bool, *args: Any) -> Any:
        """Runs `_mix`, compiled by XLA where that was asked for and works."""
        if compiled and self.compiles:
            try:
                return self._compiled(*args)
            except (tf.errors.OpError, ValueError, NotImplementedError) as error:
                _LOG.info("XLA does not compile this model, it runs uncompiled: %s", first_line(error))
                self.compiles = False
        return self._mixed(*args)

    def _mix_tiles(self, examples: list[Any], background: list[Any], masks: Any, index: Any, weight: Any) -> Any:
        """`_mix` in a loop over parts of the examples or, of a single one, over parts of the blocks."""
        n, n_blocks, per_block = examples[0].shape[0], masks.shape[0], masks.shape[1] * index.shape[1]
        dtype, blocks = self._values_dtype(index), [masks, index, weight]
        tile = tile_size(n, n_blocks * per_block)

        def mix(own: list[Any]) -> Any:
            def mix_blocks(part: list[Any]) -> Any:
                return self._mix(_select_bits, own, background, *part)

            return _in_tiles(mix_blocks, blocks, tile_size(n_blocks, per_block) if tile == 1 else n_blocks, dtype)

        return tf.reshape(_in_tiles(mix, examples, tile, dtype), [n, *masks.shape[:2], self._n_outputs])

    def _mix(
        self,
        select: Callable[..., Any],
        examples: list[Any],
        background: list[Any],
        masks: Any,
        index: Any,
        weight: Any,
    ) -> Any:
        lattice = (examples[0].shape[0], masks.shape[0], masks.shape[1], index.shape[1])
        feeds = []
        for port, owners, own, other in zip(self._ports, self._owners, examples, background, strict=True):
            last = masks.shape[2] - 1
            keep = tf.gather(masks, [last if owner is None else owner for owner in owners], axis=2)
            if port.encoding == "dense":
                feeds.append(_mix_dense(select, own, other, keep, index, lattice))
            else:
                feeds.append(_mix_ragged(own, other, keep, index, lattice))
        dtype = self._values_dtype(index)
        outputs = tf.reshape(tf.cast(self._forward(feeds)[0], dtype), [*lattice, self._n_outputs])
        if lattice[3] == 1:
            return outputs[:, :, :, 0]
        return tf.reduce_sum(outputs * weight[None, :, None, :, None], axis=3)

    def _values_dtype(self, index: Any) -> Any:
        """Where a block has one row there is nothing to average, and a float32 output loses nothing by staying one."""
        is_single = index.shape[1] == 1 and self._output_dtype == tf.float32
        return tf.float32 if is_single else tf.float64


def _in_tiles(run: Callable[[list[Any]], Any], tensors: list[Any], size: int, dtype: Any) -> Any:
    """(n_tiles, ...) what `run` makes of `size` rows of the tensors after the other."""
    parts = [tf.reshape(tensor, [-1, size, *tensor.shape[1:]]) for tensor in tensors]
    if parts[0].shape[0] == 1:
        return run(tensors)
    return tf.map_fn(run, parts, fn_output_signature=dtype)


def _select(keep: Any, own: Any, other: Any) -> Any:
    """`own` where the mask `keep` has all bits set, `other` where it has none."""
    return tf.where(keep != 0, own, other)


def _select_bits(keep: Any, own: Any, other: Any) -> Any:
    """The same without a branch: XLA makes code a third faster of it. Exact, as it moves bits and rounds nothing."""
    kind = {4: tf.int32, 8: tf.int64}.get(own.dtype.size)
    if kind is None:
        return _select(keep, own, other)
    own_bits, other_bits = tf.bitcast(own, kind), tf.bitcast(other, kind)
    differing = tf.bitwise.bitwise_and(tf.bitwise.bitwise_xor(own_bits, other_bits), tf.cast(keep, kind))
    return tf.bitcast(tf.bitwise.bitwise_xor(other_bits, differing), own.dtype)


def _mix_dense(select: Callable[..., Any], own: Any, other: Any, keep: Any, index: Any, lattice: Sequence[int]) -> Any:
    """(rows, ...) values: the example's where `keep`, (n_blocks, n_coalitions, 1 or width), else the background's."""
    shape = own.shape[1:]
    width = shape.num_elements()
    trailing = [] if width == 1 else [width]
    own = tf.reshape(own, [lattice[0], 1, 1, 1, *trailing])
    other = tf.reshape(tf.gather(other, index), [1, lattice[1], 1, lattice[3], *trailing])
    keep = tf.reshape(keep, [1, lattice[1], lattice[2], 1, *([] if width == 1 else [keep.shape[2]])])
    return tf.reshape(select(keep, own, other), [-1, *shape])


def _mix_ragged(own: Any, other: Any, keep: Any, index: Any, lattice: Sequence[int]) -> Any:
    """The same for rows of varying length, which are gathered whole."""
    own_rows = tf.range(lattice[0])[:, None, None, None]
    other_rows = lattice[0] + tf.cast(index, tf.int32)[None, :, None, :]
    rows = tf.where(keep[None] != 0, own_rows, other_rows)
    return tf.gather(tf.concat([own, other], axis=0), tf.reshape(rows, [-1]))


def finite_rows(columns: Sequence[Column], n_rows: int) -> npt.NDArray[np.bool_]:
    """(n_rows,) whether all floats of a row are finite."""
    finite = np.ones(n_rows, bool)
    for column in columns:
        if not isinstance(column, Ragged) and column.dtype.kind == "f":
            finite &= np.isfinite(column).reshape(n_rows, -1).all(axis=1)
    return finite


def in_chunks(
    run: Callable[[list[Any]], Any], ports: Sequence[Port], inputs: Inputs, n_rows: int, what: str
) -> list[Any]:
    """Runs a function of the ports' values on all rows, `n_rows` at a time, fewer where rows are large.

    The last rows are repeated, so that every call has the same shape, and a row's result the same bits however many
    rows there are.

    Returns:
      Per output of `run`, an array of `len(inputs)` rows; arrays that cannot be joined have a wrong shape.

    Raises:
      ModelCallError: a single row is too large.
    """
    columns = [inputs.columns[port.spec.name] for port in ports]
    sizes = RowBytes.of(columns, [(None,)] * len(ports), [port.encoding == "padded" for port in ports], 1)
    of_calls = [(np.arange(len(inputs)), n_rows)]
    if sizes is not None:
        whole = sizes.whole()
        refuse_large(whole.max(initial=0.0), what)
        of_calls = calls_of(whole, n_rows)
    parts = []
    for alike, size in of_calls:
        for start in range(0, len(alike), size):
            rows = alike[padded_range(start, size, len(alike))]
            outputs = [out.numpy() for out in run(port_values(ports, inputs.take(rows).columns))]
            parts.append([out[: len(alike) - start] if out.shape[:1] == (size,) else None for out in outputs])
    order = np.argsort(np.concatenate([alike for alike, _ in of_calls]), kind="stable")
    joined = []
    for made in zip(*parts, strict=True):
        alike_shapes = {None if part is None else (part.dtype, part.shape[1:]) for part in made}
        fits = len(alike_shapes) == 1 and made[0] is not None
        joined.append(np.concatenate(made)[order] if fits else np.zeros(0))
    return joined


@contextlib.contextmanager
def model_errors(what: str) -> Iterator[None]:
    """Turns TensorFlow's errors into a `ModelCallError` that names the model."""
    try:
        yield
    except tf.errors.OpError as error:
        raise ModelCallError(f"Running {what} failed: {first_line(error)}.") from error
    except MemoryError as error:
        raise ModelCallError(f"Running {what} failed: out of memory ({first_line(error)}).") from error
