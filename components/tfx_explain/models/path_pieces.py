"""How points of paths are cut into calls of fixed shape."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tfx_explain.errors import InputError
from tfx_explain.models.call_bytes import calls_of, refuse_large
from tfx_explain.models.chunks import padded_range
from tfx_explain.models.features import Ragged
from tfx_explain.models.path_gradients import FloatArray, IntArray, Points, RowNumbers

BoolArray = npt.NDArray[np.bool_]

_LARGEST = 2.0**64
# Points of one path that go together: whatever divides their number with the least filling up.
_SIZES = (16, 8, 4, 2, 1)


@dataclass(frozen=True)
class Pieces:
    """Paths of m points as pieces of fewer points, filled up with points of weight 0.

    Attributes:
      per_path: how many pieces a path has.
      paths: (n_pieces,) which path each is of; the pieces of a path stand together.
      steps: per quantity (alphas, weights), (n_pieces, size).
    """

    per_path: int
    paths: RowNumbers
    steps: tuple[FloatArray, ...]

    @classmethod
    def of(cls, alphas: FloatArray, *weights: FloatArray) -> Pieces:
        """Cuts (P, m) alphas and weights; the size of a piece depends on m alone."""
        n_paths, n_points = alphas.shape
        size = min(_SIZES, key=lambda size: -(-n_points // size) * (size + 0.5))
        n_pieces = -(-n_points // size)
        filled = [alphas, *weights]
        if n_pieces * size > n_points:
            spare = ((0, 0), (0, n_pieces * size - n_points))
            filled = [np.pad(alphas, spare, "edge"), *(np.pad(weight, spare) for weight in weights)]
        paths = np.repeat(np.arange(n_paths), n_pieces)
        return cls(n_pieces, paths, tuple(step.reshape(n_paths * n_pieces, size) for step in filled))

    @property
    def size(self) -> int:
        """Points of a piece."""
        return int(self.steps[0].shape[1])


@dataclass(frozen=True)
class Call:
    """Which items one call takes, filled up with copies of the last.

    Attributes:
      items: (size,) their numbers.
      n: how many of them are no copies.
      compiled: whether XLA may compile.
    """

    items: RowNumbers
    n: int
    compiled: bool


def calls(finite: BoolArray, n_bytes: FloatArray | None, size: int, what: str) -> Iterator[Call]:
    """Calls of the same size each, fewer where items are large; those that XLA may compile apart from the others.

    Args:
      finite: (n,) whether all floats of an item are finite.
      n_bytes: (n,) bytes of lists and strings of an item; None where all have the same.
      size: items of a call.
      what: the model, for messages.

    Raises:
      ModelCallError: an item is too large for a call of its own.
    """
    if n_bytes is not None:
        refuse_large(n_bytes.max(initial=0.0), what)
    for compiled in (True, False):
        numbers = np.flatnonzero(finite == compiled)
        parts = [(np.arange(len(numbers)), size)] if n_bytes is None else calls_of(n_bytes[numbers], size)
        for alike, of_call in parts:
            for start in range(0, len(alike), of_call):
                items = numbers[alike[padded_range(start, of_call, len(alike))]]
                yield Call(items, min(of_call, len(alike) - start), compiled)


def finite_rows(points: Points) -> BoolArray:
    """(n,) whether all floats of a row are finite, and what moves far enough from overflow to be multiplied."""
    with np.errstate(invalid="ignore"):
        finite = np.asarray((np.abs(points.moving) <= _LARGEST).all(axis=1))
    for column in points.fixed:
        if not isinstance(column, Ragged) and column.dtype.kind == "f":
            finite &= np.isfinite(column).reshape(len(finite), -1).all(axis=1)
    return finite


def check_outputs(outputs: IntArray, n_outputs: int) -> None:
    """Refuses outputs that the model does not have, which XLA would take for the last.

    Raises:
      InputError: there is one.
    """
    if outputs.size and not 0 <= outputs.min() <= outputs.max() < n_outputs:
        raise InputError(f"Output {outputs.max()} was asked for, but the model has {n_outputs}, counted from 0.")
