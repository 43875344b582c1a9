"""What a model is fed: features, and their columns for some rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Kind = Literal["dense", "sparse", "ragged"]


@dataclass(frozen=True)
class FeatureSpec:
    """One feature a model reads.

    Attributes:
      name: the feature's name in the examples.
      dtype: TensorFlow's name of the type: "float32", "int64", "string", ...
      kind: "dense" (always `shape` values), "sparse" or "ragged" (any number of items, none included).
      shape: shape of one example's value, for dense features, else of one item of its list: (), (1,), (4,).
      default: what a missing dense value becomes, of that shape; None where a dense value must be there.
    """

    name: str
    dtype: str
    kind: Kind
    shape: tuple[int, ...] = ()
    default: Array | None = None

    @property
    def size(self) -> int:
        """Values of one example, or of one item of its list."""
        return int(np.prod(self.shape))


@dataclass(frozen=True)
class Ragged:
    """Values of varying number per row.

    Attributes:
      values: (n_values,) of all rows, one after the other.
      row_splits: (n_rows + 1,) int64; row i holds values[row_splits[i]:row_splits[i + 1]].
    """

    values: Array
    row_splits: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.row_splits) - 1

    @classmethod
    def from_lengths(cls, values: Array, lengths: Array) -> Ragged:
        """Rows of the given lengths, (n_rows,), cut from `values` in order."""
        return cls(values, np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]).astype(np.int64))

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """(n_rows,) number of values per row."""
        return np.diff(self.row_splits)

    def take(self, rows: Array) -> Ragged:
        """The given rows, (n,) integers, in that order; a row may be taken more than once."""
        lengths = self.lengths[rows]
        splits = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        within = np.arange(splits[-1]) - np.repeat(splits[:-1], lengths)
        return Ragged(self.values[np.repeat(self.row_splits[:-1][rows], lengths) + within], splits)


Column = Array | Ragged


@dataclass(frozen=True)
class Inputs:
    """What a model is fed for n examples.

    Attributes:
      n_rows: the number of examples.
      columns: per feature name, an array (n_rows, *shape) or, for sparse and ragged features, a `Ragged`.
    """

    n_rows: int
    columns: Mapping[str, Column]

    def __len__(self) -> int:
        return self.n_rows

    def take(self, rows: Array) -> Inputs:
        """The given rows, (n,) integers, in that order; a row may be taken more than once."""
        return Inputs(len(rows), {name: take_rows(column, rows) for name, column in self.columns.items()})

    def with_column(self, name: str, donor: Inputs, rows: Array) -> Inputs:
        """The same examples with one feature taken from other rows: `rows` of `donor`, (n_rows,) integers."""
        return Inputs(self.n_rows, {**self.columns, name: take_rows(donor.columns[name], rows)})

    def followed_by(self, other: Inputs) -> Inputs:
        """These examples, then the others; lists that either of them has not are empty there.

        Where the model's features are unknown, a batch has the columns that its rows have values for.
        """
        names = {**self.columns, **other.columns}
        columns = {name: concat_rows(self.column(name, like), other.column(name, like)) for name, like in names.items()}
        return Inputs(len(self) + len(other), columns)

    def column(self, name: str, like: Column) -> Column:
        """The column of this name; lists without values, of the kind of another's, where there is none."""
        if name in self.columns or not isinstance(like, Ragged):
            return self.columns[name]
        return Ragged.from_lengths(like.values[:0], np.zeros(len(self), np.int64))


def take_rows(column: Column, rows: Array) -> Column:
    """The given rows of a column."""
    return column.take(rows) if isinstance(column, Ragged) else column[rows]


def concat_rows(first: Column, second: Column) -> Column:
    """The rows of the first column, then those of the second."""
    if isinstance(first, Ragged) and isinstance(second, Ragged):
        lengths = np.concatenate([first.lengths, second.lengths])
        return Ragged.from_lengths(np.concatenate([first.values, second.values]), lengths)
    return np.concatenate([np.asarray(first), np.asarray(second)])


def numpy_dtype(dtype: str) -> np.dtype[Any]:
    """The NumPy type that holds a TensorFlow type: object (of bytes) for strings."""
    return np.dtype(object if dtype == "string" else dtype)


def blank_inputs(specs: Sequence[FeatureSpec], n_rows: int) -> Inputs:
    """Rows of zeros and empty strings, one item where any number will do, to ask a model what it gives for them."""
    return Inputs(n_rows, {spec.name: _blank(spec, n_rows) for spec in specs})


def _blank(spec: FeatureSpec, n_rows: int) -> Column:
    filler: bytes | int = b"" if spec.dtype == "string" else 0
    if spec.kind == "dense":
        return np.full((n_rows, *spec.shape), filler, numpy_dtype(spec.dtype))
    values = np.full(n_rows * spec.size, filler, numpy_dtype(spec.dtype))
    return Ragged.from_lengths(values, np.full(n_rows, spec.size, np.int64))
