"""Masked evaluation of a model that is called from Python: mixed rows are gathered in NumPy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tfx_explain.errors import ModelCallError, ModelError
from tfx_explain.models.call_bytes import RowBytes, calls_of, input_bytes, refuse_large
from tfx_explain.models.features import Column, Inputs, Ragged, concat_rows, take_rows
from tfx_explain.models.pieces import Sizes

Array = npt.NDArray[Any]
_MAX_ROWS = 16_384


class HostEngine:
    """Runs a Python callable on plain and on mixed rows. As safe to share between threads as the callable.

    Args:
      call: from inputs of n rows to outputs, (n,) or (n, n_outputs).
      what: the model, for messages.
    """

    fixed_shapes = False
    is_thread_safe = False
    rows_per_call = 1
    # What it computes with cannot be seen.
    rounding = float(np.finfo(np.float32).eps)

    def __init__(self, call: Callable[[Inputs], Any], what: str) -> None:
        self._call = call
        self.what = what
        self._width: int | None = None  # as many outputs as the first call gave

    def predict(self, inputs: Inputs) -> npt.NDArray[np.float64]:
        """(n, n_outputs) outputs."""
        sizes = input_bytes(inputs)
        refuse_large(sizes.max(initial=0.0), self.what)
        of_calls = calls_of(sizes, _MAX_ROWS)
        rows = [alike[start : start + size] for alike, size in of_calls for start in range(0, len(alike), size)]
        outputs = np.concatenate([self.outputs(inputs.take(part)) for part in rows])
        return outputs if len(of_calls) == 1 else outputs[np.argsort(np.concatenate(rows), kind="stable")]

    def outputs(self, inputs: Inputs) -> npt.NDArray[np.float64]:
        """(n, n_outputs) outputs of one call.

        Raises:
          ModelCallError: the model fails, or gives something else.
        """
        outputs = np.asarray(self._call(inputs))
        if outputs.ndim not in (1, 2) or len(outputs) != len(inputs) or outputs.dtype.kind not in "fiub":
            got = f"{outputs.dtype} of shape {outputs.shape}"
            raise ModelCallError(
                f"{self.what} gave {got} for {len(inputs)} rows; it must give numbers (n,) or (n, outputs)."
            )
        width = outputs.shape[1] if outputs.ndim == 2 else 1
        if not width or width != (self._width or width):
            wanted = f"{self._width} as before" if self._width else "at least one"
            raise ModelError(f"{self.what} gave {width} outputs for each of {len(inputs)} rows; it must give {wanted}.")
        self._width = width
        return as_matrix(outputs)

    def bind(self, background: Inputs, players: Sequence[Sequence[str]]) -> BoundHost:
        """Fixes what absent features become and which features form a player."""
        owners = {name: player for player, names in enumerate(players) for name in names}
        return BoundHost(self, background, owners, len(players))


class BoundHost:
    """A host engine and a background it mixes rows from."""

    max_rows = _MAX_ROWS

    def __init__(self, engine: HostEngine, background: Inputs, owners: dict[str, int], n_players: int) -> None:
        self._engine = engine
        self._background = background
        self._owners = owners
        self._n_players = n_players
        self._last_sizes: tuple[Inputs, Sizes | None] | None = None

    def prepare(self, examples: Inputs) -> list[tuple[Array, Inputs]]:
        """The examples in parts that are run alike: here one, of all rows."""
        return [(np.arange(len(examples)), examples)]

    def sizes(self, prepared: Inputs) -> Sizes | None:
        """What mixed rows bring to a call; None where all have the same size.

        What a Python model does with lists cannot be seen; it is taken to fill them up to the longest.
        """
        last = self._last_sizes
        if last is None or last[0] is not prepared:
            own, other = (self._sizes_of(inputs, prepared) for inputs in (prepared, self._background))
            last = (prepared, None if own is None or other is None else Sizes(own, other))
            self._last_sizes = last
        return last[1]

    def _sizes_of(self, inputs: Inputs, examples: Inputs) -> RowBytes | None:
        names = {**examples.columns, **self._background.columns}
        columns = [_column(inputs, name, like) for name, like in names.items()]
        return RowBytes.of(
            columns, [(self._owners.get(name),) for name in names], [True] * len(names), self._n_players + 1
        )

    def select(self, prepared: Inputs, rows: Array) -> Inputs:
        """Some of the prepared examples, followed by the background rows."""
        own, other = prepared.take(rows), self._background
        # Where the model's features are unknown, a batch has the columns that its rows have values for.
        names = {**own.columns, **other.columns}
        return Inputs(
            len(rows),
            {name: concat_rows(_column(own, name, like), _column(other, name, like)) for name, like in names.items()},
        )

    def piece(self, coalitions: Array, index: Array, weight: Array) -> tuple[Array, Array, Array]:
        """What `values` takes for a piece of the blocks; see `engine.Bound.piece`."""
        return coalitions, index, weight

    def values(self, examples: Inputs, piece: tuple[Array, Array, Array]) -> npt.NDArray[np.float64]:
        """Outputs of mixed rows, averaged over each block's background rows; see `engine.Bound.values`."""
        coalitions, index, weight = piece
        n_blocks, n_coalitions, _ = coalitions.shape
        shape = (len(examples), n_blocks, n_coalitions, index.shape[1])
        own = np.broadcast_to(np.arange(len(examples))[:, None, None, None], shape)
        rows: dict[int | None, Array] = {None: own.reshape(-1)}
        columns = {}
        for name, column in examples.columns.items():
            owner = self._owners.get(name)
            if owner not in rows:
                keep = coalitions[None, :, :, None, owner]
                rows[owner] = np.where(keep, own, len(examples) + index[None, :, None, :]).reshape(-1)
            columns[name] = take_rows(column, rows[owner])
        outputs = self._engine.outputs(Inputs(own.size, columns))
        return np.asarray(np.einsum("egcrk,gr->egck", outputs.reshape(*shape, -1), weight))


def _column(inputs: Inputs, name: str, like: Column) -> Column:
    if name in inputs.columns or not isinstance(like, Ragged):
        return inputs.columns[name]
    return Ragged.from_lengths(like.values[:0], np.zeros(len(inputs), np.int64))


def as_matrix(outputs: Any) -> npt.NDArray[np.float64]:
    """Outputs (n,) or (n, n_outputs) as a float64 matrix."""
    matrix = np.asarray(outputs, np.float64)
    return matrix if matrix.ndim == 2 else matrix.reshape(-1, 1)
