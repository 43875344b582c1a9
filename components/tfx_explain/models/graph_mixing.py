"""Masked evaluation inside TensorFlow: mixed rows are made in the graph, next to the model that reads them."""

from __future__ import annotations

import functools
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfx_explain.errors import ModelCallError
from tfx_explain.models.call_bytes import RowBytes
from tfx_explain.models.calls import in_chunks, model_errors
from tfx_explain.models.chunks import rows_per_call, rows_that_round_alike, tile_size
from tfx_explain.models.compilation import can_compile
from tfx_explain.models.engine import FloatArray, RowNumbers
from tfx_explain.models.features import Column, Inputs, Ragged, take_rows
from tfx_explain.models.graph import Port
from tfx_explain.models.hoist import Hoisted
from tfx_explain.models.messages import first_line
from tfx_explain.models.pieces import Piece, Sizes
from tfx_explain.models.ports import PortValue, forward_function, port_value
from tfx_explain.models.tensor_mixing import Select, in_tiles, mix_dense, mix_ragged, select, select_bits
from tfx_explain.models.tracing import traced

_LOG = logging.getLogger(__name__)


class BoundGraph:
    """A graph for some players, and a background for rows to be mixed from.

    Args:
      stages: the ways to run the graph, best first.
      background: B rows.
      what: the model, for messages.
    """

    def __init__(self, stages: Sequence[Stage], background: Inputs, what: str) -> None:
        self._stages = stages
        self._what = what
        with model_errors(what):
            entered = [stage.enter(background, what) for stage in stages]
        self._backgrounds = [
            (stage.tensors(columns), stage.sizes(columns)) if columns else None
            for stage, columns in zip(stages, entered, strict=True)
        ]
        self._finite = all(bool(_finite_rows(columns, len(background)).all()) for columns in entered if columns)
        self.max_rows = stages[0].max_rows
        self._last_prepared: tuple[Inputs, list[GraphRows]] | None = None

    def prepare(self, examples: Inputs) -> list[GraphRows]:
        """The examples in two parts at most: those that run compiled, and the others."""
        last = self._last_prepared
        if last is None or last[0] is not examples:
            last = (examples, self._prepare(examples))
            self._last_prepared = last
        return last[1]

    def _prepare(self, examples: Inputs) -> list[GraphRows]:
        with model_errors(self._what):
            for stage, background in zip(self._stages, self._backgrounds, strict=True):
                columns = None if background is None else stage.enter(examples, self._what)
                if background is not None and columns:
                    finite = stage.compiles & self._finite & _finite_rows(columns, len(examples))
                    parts = [(np.flatnonzero(finite), True), (np.flatnonzero(~finite), False)]
                    own, other = stage.sizes(columns), background[1]
                    sizes = None if own is None or other is None else Sizes(own, other)
                    return [
                        GraphRows(rows, stage, background[0], columns, sizes, compiled, self._what)
                        for rows, compiled in parts
                        if len(rows)
                    ]
        raise ModelCallError(f"{self._what} takes neither the examples nor the background.")


@dataclass(frozen=True)
class GraphRows:
    """Examples that run alike: past what one player alone goes through, compiled or not.

    Attributes:
      rows: which of the examples they are.
      stage: the graph that sees mixed rows.
      background: its ports' values of the background.
      columns: its ports' values of ALL examples.
      sizes: what all examples and the background bring to a call; None where all rows have the same size.
      compiled: whether XLA may compile.
      what: the model, for messages.
    """

    rows: RowNumbers
    stage: Stage
    background: list[PortValue]
    columns: list[Column]
    sizes: Sizes | None
    compiled: bool
    what: str

    def select(self, rows: RowNumbers) -> SelectedGraphRows:
        """Some of the examples, as tensors."""
        return SelectedGraphRows(self, self.stage.tensors([take_rows(column, rows) for column in self.columns]))


@dataclass(frozen=True)
class SelectedGraphRows:
    """Some examples as tensors, one of each port."""

    prepared: GraphRows
    examples: list[PortValue]

    def values(self, piece: Piece) -> npt.NDArray[np.float32] | FloatArray:
        """(n, n_blocks, n_coalitions, n_outputs) outputs of mixed rows; see `engine.SelectedRows.values`."""
        prepared = self.prepared
        with model_errors(prepared.what):
            made = prepared.stage.masked(prepared.compiled, self.examples, prepared.background, piece)
            return np.asarray(made.numpy())


def _finite_rows(columns: Sequence[Column], n_rows: int) -> npt.NDArray[np.bool_]:
    """(n_rows,) whether all floats of a row are finite."""
    finite = np.ones(n_rows, bool)
    for column in columns:
        if not isinstance(column, Ragged) and column.dtype.kind == "f":
            finite &= np.isfinite(column).reshape(n_rows, -1).all(axis=1)
    return finite


class Stage:
    """The part of a graph that sees mixed rows, for one set of players.

    Args:
      entry_ports: where features enter the whole graph.
      hoisted: the part, and the way to it.
      n_outputs: values its output has per row.
      entry_rows: how many rows at a time go that way.
      n_players: how many players there are.

    Attributes:
      max_rows: how many mixed rows one call may have.
      compiles: whether XLA compiles the part, as far as is known.
    """

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
        self._compiled = traced(self._mix_tiles, jit_compile=True)
        self._mixed = traced(functools.partial(self._mix, select, filled=True))

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

    def tensors(self, columns: Sequence[Column]) -> list[PortValue]:
        """Per port, its column as a tensor."""
        return [port_value(port, column) for port, column in zip(self._ports, columns, strict=True)]

    def masked(self, compiled: bool, examples: list[PortValue], background: list[PortValue], piece: Piece) -> tf.Tensor:
        """(n, n_blocks, n_coalitions, n_outputs), compiled by XLA where that was asked for and works."""
        if compiled and self.compiles:
            try:
                return self._compiled(examples, background, *piece.tensors)
            except (tf.errors.OpError, ValueError, NotImplementedError) as error:
                _LOG.info("XLA does not compile this model, it runs uncompiled: %s", first_line(error))
                self.compiles = False
        return self._mixed(examples, background, *piece.tensors)

    def _mix_tiles(
        self,
        examples: list[tf.Tensor],
        background: list[tf.Tensor],
        masks: tf.Tensor,
        index: tf.Tensor,
        weight: tf.Tensor,
    ) -> tf.Tensor:
        """`_mix` in a loop over parts of the examples or, of a single one, over parts of the blocks."""
        n, n_blocks, per_block = examples[0].shape[0], masks.shape[0], masks.shape[1] * index.shape[1]
        dtype, blocks = self._values_dtype(index), [masks, index, weight]
        tile = tile_size(n, n_blocks * per_block)

        def mix(own: list[tf.Tensor]) -> tf.Tensor:
            def mix_blocks(part: list[tf.Tensor]) -> tf.Tensor:
                return self._mix(select_bits, own, background, *part)

            return in_tiles(mix_blocks, blocks, tile_size(n_blocks, per_block) if tile == 1 else n_blocks, dtype)

        return tf.reshape(in_tiles(mix, examples, tile, dtype), [n, *masks.shape[:2], self._n_outputs])

    def _mix(
        self,
        select: Select,
        examples: list[PortValue],
        background: list[PortValue],
        masks: tf.Tensor,
        index: tf.Tensor,
        weight: tf.Tensor,
        *,
        filled: bool = False,
    ) -> tf.Tensor:
        """What `masked` gives; `filled`: with copies of the last mixed row, up to rows that round alike."""
        lattice = (examples[0].shape[0], masks.shape[0], masks.shape[1], index.shape[1])
        feeds = []
        for port, owners, own, other in zip(self._ports, self._owners, examples, background, strict=True):
            last = masks.shape[2] - 1
            keep = tf.gather(masks, [last if owner is None else owner for owner in owners], axis=2)
            if port.encoding == "dense":
                feeds.append(mix_dense(select, own, other, keep, index, lattice))
            else:
                feeds.append(mix_ragged(own, other, keep, index, lattice))
        dtype, n = self._values_dtype(index), math.prod(lattice)
        n_called = int(rows_that_round_alike(n)) if filled else n
        if n_called > n:
            copies = [n - 1] * (n_called - n)
            feeds = [tf.concat([feed, tf.gather(feed, copies)], axis=0) for feed in feeds]
        made = tf.reshape(tf.cast(self._forward(feeds)[0], dtype), [n_called, self._n_outputs])
        outputs = tf.reshape(made[:n], [*lattice, self._n_outputs])
        if lattice[3] == 1:
            return outputs[:, :, :, 0]
        return tf.reduce_sum(outputs * weight[None, :, None, :, None], axis=3)

    def _values_dtype(self, index: tf.Tensor) -> tf.DType:
        """Where a block has one row there is nothing to average, and a float32 output loses nothing by staying one."""
        is_single = index.shape[1] == 1 and self._output_dtype == tf.float32
        return tf.float32 if is_single else tf.float64
