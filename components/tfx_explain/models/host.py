"""Masked evaluation of a model that is called from Python: mixed rows are gathered in NumPy."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tfx_explain.errors import ModelCallError, ModelError
from tfx_explain.models.call_bytes import RowBytes, calls_of, input_bytes, refuse_large
from tfx_explain.models.engine import FloatArray, Pixels, RowNumbers
from tfx_explain.models.features import Array, Column, Inputs, take_rows
from tfx_explain.models.path_gradients import Paths, ReadTokens
from tfx_explain.models.pieces import Piece, Sizes

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

    def __init__(self, call: Callable[[Inputs], npt.ArrayLike], what: str) -> None:
        self._call = call
        self.what = what
        self._width: int | None = None  # as many outputs as the first call gave

    def predict(self, inputs: Inputs) -> FloatArray:
        """(n, n_outputs) outputs."""
        sizes = input_bytes(inputs)
        refuse_large(sizes.max(initial=0.0), self.what)
        of_calls = calls_of(sizes, _MAX_ROWS)
        rows = [alike[start : start + size] for alike, size in of_calls for start in range(0, len(alike), size)]
        outputs = np.concatenate([self.outputs(inputs.take(part)) for part in rows])
        return outputs if len(of_calls) == 1 else outputs[np.argsort(np.concatenate(rows), kind="stable")]

    def outputs(self, inputs: Inputs) -> FloatArray:
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

    def with_pixels(self, feature: str, background: Inputs) -> Pixels | None:
        """None: what it makes of files cannot be seen."""
        return None

    def tokens(self, rows: Inputs, feature: str) -> ReadTokens:
        """Refuses.

        Raises:
          ModelError: always, as nothing is known of what happens inside.
        """
        raise ModelError(
            f"{self.what} is called as a whole, in Python or with serialised examples, so its tokens are not known; "
            "use `unit: word`."
        )

    def paths(self, background: Inputs, players: Sequence[Sequence[str]], inside: Collection[str] = ()) -> Paths:
        """Refuses.

        Raises:
          ModelError: always, as nothing is known of what happens inside.
        """
        raise ModelError(
            f"{self.what} is called as a whole, in Python or with serialised examples, so it has no gradients; use "
            "`shapley`."
        )


class BoundHost:
    """A host engine and a background that it mixes rows with.

    Args:
      engine: what is called.
      background: B rows.
      owners: feature name -> player.
      n_players: how many players there are.
    """

    max_rows = _MAX_ROWS

    def __init__(self, engine: HostEngine, background: Inputs, owners: dict[str, int], n_players: int) -> None:
        self._engine = engine
        self._background = background
        self._owners = owners
        self._n_players = n_players
        self._last_prepared: HostRows | None = None

    def prepare(self, examples: Inputs) -> list[HostRows]:
        """All examples in one part."""
        last = self._last_prepared
        if last is None or last.examples is not examples:
            last = HostRows(self._engine, self._background, self._owners, self._n_players, examples)
            self._last_prepared = last
        return [last]


@dataclass(frozen=True)
class HostRows:
    """All examples of a batch, and what they are mixed with.

    Attributes:
      engine: what is called.
      background: B rows.
      owners: feature name -> player.
      n_players: how many players there are.
      examples: n rows.
    """

    engine: HostEngine
    background: Inputs
    owners: dict[str, int]
    n_players: int
    examples: Inputs

    @property
    def rows(self) -> RowNumbers:
        """All there are."""
        return np.arange(len(self.examples))

    @functools.cached_property
    def sizes(self) -> Sizes | None:
        """What mixed rows bring to a call; None where all have the same size.

        What a Python model does with lists cannot be seen; it is taken to fill them up to the longest.
        """
        own, other = self._sizes_of(self.examples), self._sizes_of(self.background)
        return None if own is None or other is None else Sizes(own, other)

    def _sizes_of(self, inputs: Inputs) -> RowBytes | None:
        names = {**self.examples.columns, **self.background.columns}
        columns = [inputs.column(name, like) for name, like in names.items()]
        owners = [(self.owners.get(name),) for name in names]
        return RowBytes.of(columns, owners, [True] * len(names), self.n_players + 1)

    def select(self, rows: RowNumbers) -> SelectedHostRows:
        """Some of the examples, followed by the background rows."""
        columns = dict(self.examples.take(rows).followed_by(self.background).columns)
        return SelectedHostRows(self.engine, self.owners, len(rows), columns)


@dataclass(frozen=True)
class SelectedHostRows:
    """Some examples and the background.

    Attributes:
      engine: what is called.
      owners: feature name -> player.
      n_examples: how many examples there are.
      columns: the values of the examples, then of the background rows.
    """

    engine: HostEngine
    owners: dict[str, int]
    n_examples: int
    columns: dict[str, Column]

    def values(self, piece: Piece) -> FloatArray:
        """(n, n_blocks, n_coalitions, n_outputs) outputs of mixed rows; see `engine.SelectedRows.values`."""
        n_blocks, n_coalitions, _ = piece.coalitions.shape
        index = piece.index
        shape = (self.n_examples, n_blocks, n_coalitions, index.shape[1])
        own = np.broadcast_to(np.arange(self.n_examples)[:, None, None, None], shape)
        rows: dict[int | None, Array] = {None: own.reshape(-1)}
        columns = {}
        for name, column in self.columns.items():
            owner = self.owners.get(name)
            if owner not in rows:
                keep = piece.coalitions[None, :, :, None, owner]
                rows[owner] = np.where(keep, own, self.n_examples + index[None, :, None, :]).reshape(-1)
            columns[name] = take_rows(column, rows[owner])
        outputs = self.engine.outputs(Inputs(own.size, columns))
        return np.asarray(np.einsum("egcrk,gr->egck", outputs.reshape(*shape, -1), piece.weight))


def as_matrix(outputs: npt.ArrayLike) -> FloatArray:
    """Outputs (n,) or (n, n_outputs) as a float64 matrix."""
    matrix = np.asarray(outputs, np.float64)
    return matrix if matrix.ndim == 2 else matrix.reshape(-1, 1)
