"""From Arrow batches to feature columns: which rows a model cannot take, and the columns it is fed.

A batch is what tfx_bsl makes of tf.Examples: each column a list of floats, integers or bytes, and a null list, an empty
list or an absent column all mean that the value is missing. Flat columns, as Parquet gives them, count as lists of one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfx_explain.errors import InputError
from tfx_explain.models.features import Array, Column, FeatureSpec, Inputs, Ragged, numpy_dtype
from tfx_explain.rows import mixed_types


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
