"""From Arrow batches to feature columns: what a model reads, which rows it cannot take, and the columns it is fed.

A batch is what tfx_bsl makes of tf.Examples: each column a list of floats, integers or bytes, and a null list, an empty
list or an absent column all mean that the value is missing. Flat columns, as Parquet gives them, count as lists of one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tfx_explain.errors import InputError
from tfx_explain.rows import mixed_types

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


def take_rows(column: Column, rows: Array) -> Column:
    """The given rows of a column."""
    return column.take(rows) if isinstance(column, Ragged) else column[rows]


def concat_rows(first: Column, second: Column) -> Column:
    """The rows of the first column, then those of the second."""
    if isinstance(first, Ragged) and isinstance(second, Ragged):
        lengths = np.concatenate([first.lengths, second.lengths])
        return Ragged.from_lengths(np.concatenate([first.values, second.values]), lengths)
    return np.concatenate([np.asarray(first), np.asarray(second)])


@dataclass(frozen=True)
class _Values:
    """One column of a batch, whatever its Arrow type."""

    ragged: Ragged
    family: str  # "floats", "integers", "strings", "nothing" or the name of an Arrow type we cannot read


def _family(dtype: pa.DataType) -> str:
    if pa.types.is_floating(dtype):
        return "floats"
    if pa.types.is_integer(dtype) or pa.types.is_boolean(dtype):
        return "integers"
    if any(test(dtype) for test in (pa.types.is_binary, pa.types.is_large_binary)):
        return "strings"
    if any(test(dtype) for test in (pa.types.is_string, pa.types.is_large_string)):
        return "strings"
    return "nothing" if pa.types.is_null(dtype) else str(dtype)


def _is_list(dtype: pa.DataType) -> bool:
    return any(test(dtype) for test in (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list))


def read_values(batch: pa.RecordBatch, name: str) -> _Values:
    """One column of a batch as values and row splits; an absent column has no values in any row."""
    n_rows = batch.num_rows
    position = batch.schema.get_field_index(name)
    empty = _Values(Ragged(np.zeros(0, np.float32), np.zeros(n_rows + 1, np.int64)), "nothing")
    if position < 0:
        return empty
    array = batch.column(position)
    if _is_list(array.type):
        values, lengths = array.flatten(), pc.fill_null(pc.list_value_length(array), 0).to_numpy(zero_copy_only=False)
    else:
        values, lengths = array, np.ones(n_rows, np.int64)
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    family = _family(values.type)
    if family == "nothing":
        return empty
    if values.null_count:
        present = pc.is_valid(values).to_numpy(zero_copy_only=False)
        rows = np.repeat(np.arange(n_rows), lengths)[present]
        values, lengths = values.filter(pc.is_valid(values)), np.bincount(rows, minlength=n_rows)
    if family not in ("floats", "integers", "strings"):
        return _Values(Ragged.from_lengths(np.zeros(int(lengths.sum())), lengths), family)
    if family == "strings":
        values = values.cast(pa.large_binary())
    return _Values(Ragged.from_lengths(values.to_numpy(zero_copy_only=False), lengths), family)


_TAKES = {"floats": "a float", "integers": "an integer", "strings": "a string"}


def _wanted(dtype: str) -> str:
    if dtype == "string":
        return "strings"
    return "floats" if "float" in dtype else "integers"


class Reader:
    """Turns batches into `Inputs` for a known list of features.

    Args:
      specs: the features; an empty list means that they cannot be known, and every column is read as it is.
      casts_integers: whether integers serve where the model takes floats. A parse op refuses them, so must we.
    """

    def __init__(self, specs: Sequence[FeatureSpec], *, casts_integers: bool) -> None:
        self.specs = tuple(sorted(specs, key=lambda spec: spec.name))
        self._casts_integers = casts_integers

    def row_errors(self, batch: pa.RecordBatch) -> dict[int, str]:
        """The rows the model cannot take, each with a one-sentence reason."""
        errors: dict[int, str] = {}
        for spec in self.specs:
            for rows, reason in self._faults(spec, read_values(batch, spec.name)):
                for row in rows.tolist():
                    errors.setdefault(row, reason)
        return errors

    def inputs(self, batch: pa.RecordBatch) -> Inputs:
        """The columns of a batch whose rows are all good.

        Raises:
          InputError: a row is one that `row_errors` names.
        """
        if not self.specs:
            for name, types in mixed_types(batch).items():
                raise InputError(
                    f"feature `{name}` is {types} in different examples, and the model does not say whether and how it "
                    "reads it; make it one type."
                )
            columns = {name: read_values(batch, name) for name in batch.schema.names}
            return Inputs(batch.num_rows, {k: v.ragged for k, v in columns.items() if v.family in _TAKES})
        read: dict[str, Column] = {}
        for spec in self.specs:
            values = read_values(batch, spec.name)
            for rows, reason in self._faults(spec, values):
                raise InputError(f"Row {rows[0]} of the batch cannot be explained: {reason}")
            read[spec.name] = _column(spec, values.ragged)
        return Inputs(batch.num_rows, read)

    def _faults(self, spec: FeatureSpec, values: _Values) -> list[tuple[Array, str]]:
        lengths = values.ragged.lengths
        wanted = _wanted(spec.dtype)
        fits = values.family in (wanted, "nothing") or (
            self._casts_integers and values.family == "integers" and wanted == "floats"
        )
        faults: list[tuple[Array, str]] = []
        if not fits:
            reason = f"feature {spec.name!r} holds {values.family} where the model takes {wanted} ({spec.dtype})."
            faults.append((np.flatnonzero(lengths), reason))
        elif spec.dtype not in ("int64", "string") and wanted == "integers" and len(values.ragged.values):
            faults.append((_out_of_range(values.ragged, spec.dtype), f"feature {spec.name!r} overflows {spec.dtype}."))
        if spec.kind == "dense":
            if spec.default is None:
                reason = f"feature {spec.name!r} is missing and the model has no default for it."
                faults.append((np.flatnonzero(lengths == 0), reason))
            for length in np.unique(lengths[(lengths != 0) & (lengths != spec.size)]).tolist():
                reason = f"feature {spec.name!r} has {length} values where the model takes {spec.size}."
                faults.append((np.flatnonzero(lengths == length), reason))
        elif spec.size > 1:
            for length in np.unique(lengths[lengths % spec.size != 0]).tolist():
                reason = f"feature {spec.name!r} has {length} values where the model takes a multiple of {spec.size}."
                faults.append((np.flatnonzero(lengths == length), reason))
        return [(rows, reason) for rows, reason in faults if len(rows)]


def _out_of_range(ragged: Ragged, dtype: str) -> Array:
    low, high = (0, 1) if dtype == "bool" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    values = ragged.values
    bad = (values < low) | (values > high) if values.dtype != np.bool_ else np.zeros(len(values), bool)
    return np.unique(np.repeat(np.arange(len(ragged)), ragged.lengths)[bad])


def numpy_dtype(dtype: str) -> Any:
    """The NumPy type that holds a TensorFlow type: object (of bytes) for strings."""
    return np.dtype(object if dtype == "string" else dtype)


def _column(spec: FeatureSpec, ragged: Ragged) -> Column:
    dtype = numpy_dtype(spec.dtype)
    if spec.kind != "dense":
        return Ragged(ragged.values.astype(dtype), ragged.row_splits)
    present = ragged.lengths == spec.size
    if spec.size and present.all():
        return ragged.values.astype(dtype).reshape(len(ragged), *spec.shape)
    column = np.empty((len(ragged), spec.size), dtype)
    if spec.default is not None:
        column[:] = np.asarray(spec.default, dtype).reshape(-1)
    column[present] = ragged.values.astype(dtype).reshape(-1, spec.size) if spec.size else column[present]
    return column.reshape(len(ragged), *spec.shape)


def blank_inputs(specs: Sequence[FeatureSpec], n_rows: int) -> Inputs:
    """Rows of zeros and empty strings, one item where any number will do, to ask a model what it gives for them."""
    return Inputs(n_rows, {spec.name: _blank(spec, n_rows) for spec in specs})


def _blank(spec: FeatureSpec, n_rows: int) -> Column:
    filler: Any = b"" if spec.dtype == "string" else 0
    if spec.kind == "dense":
        return np.full((n_rows, *spec.shape), filler, numpy_dtype(spec.dtype))
    values = np.full(n_rows * spec.size, filler, numpy_dtype(spec.dtype))
    return Ragged.from_lengths(values, np.full(n_rows, spec.size, np.int64))
