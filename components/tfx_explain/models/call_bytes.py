"""How much rows bring to a call of a model, so that rows far larger than others go into calls of fewer rows.

The widths of features bound a call where all rows have the same size. Lists and strings have any: one list of 100,000
values among lists of three, mixed with every background row in every coalition, would fill the memory. Counted are the
bytes of lists and strings that a model is fed; what it makes of them is several times as much.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from tfx_explain.errors import ModelCallError
from tfx_explain.models.features import Column, Inputs, Ragged

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]
Owner = int | None

# Of one call. Rows of up to 512 bytes reach the bound of rows first.
MAX_CALL_BYTES = 128 * 2**20
# Of a row in a call of its own.
MAX_ROW_BYTES = 2**30
_STRING_BYTES = 24
# Of a call, as calls are filled up with copies: of these rows a single one takes longer than what a call costs besides.
_LARGE_ROWS = 4


@dataclass(frozen=True)
class RowBytes:
    """Lists and strings of n rows, apart by whose they are.

    Attributes:
      alone: (n, n_owners) bytes of a row's values.
      filled: (n, n_owners) bytes that every row of a call takes in a column whose lists are filled up to the longest
        of the call, where this row has the longest; of the owner's largest such column.
      n_filled: how many such columns there are.
    """

    alone: FloatArray
    filled: FloatArray
    n_filled: int

    @classmethod
    def of(
        cls, columns: Sequence[Column], owners: Sequence[Sequence[Owner]], fills: Sequence[bool], n_owners: int
    ) -> RowBytes | None:
        """What some columns hold; None where all rows have the same size.

        Args:
          columns: n rows each.
          owners: per column, the owner of each value, or of all; None is nobody, who comes last.
          fills: per column, whether lists are filled up to the longest of a call.
          n_owners: how many owners there are, nobody included.
        """
        counted = [
            (column, of_column, fill)
            for column, of_column, fill in zip(columns, owners, fills, strict=True)
            if isinstance(column, Ragged) or column.dtype.kind == "O"
        ]
        if not counted:
            return None
        n = len(counted[0][0])
        alone, filled = np.zeros((n, n_owners)), np.zeros((n, n_owners))
        for column, of_column, fill in counted:
            sizes = _value_bytes(column)
            if not isinstance(column, Ragged):
                sizes = sizes.reshape(n, -1)
                for place in range(sizes.shape[1]):
                    owner = of_column[place if len(of_column) > 1 else 0]
                    alone[:, -1 if owner is None else owner] += sizes[:, place]
                continue
            owner = -1 if of_column[0] is None else of_column[0]
            ends = np.concatenate([[0.0], np.cumsum(sizes)])
            alone[:, owner] += ends[column.row_splits[1:]] - ends[column.row_splits[:-1]]
            if fill:
                per_value = _STRING_BYTES if column.values.dtype.kind == "O" else column.values.dtype.itemsize
                filled[:, owner] = np.maximum(filled[:, owner], column.lengths * float(per_value))
        return cls(alone, filled, sum(fill for *_, fill in counted))

    def take(self, rows: npt.NDArray[np.int64]) -> RowBytes:
        """Some of the rows."""
        return RowBytes(self.alone[rows], self.filled[rows], self.n_filled)

    def whole(self) -> FloatArray:
        """(n,) bytes of each row in a call of rows of its size."""
        return np.asarray(self.alone.sum(axis=1) + self.n_filled * self.filled.max(axis=1))


def _value_bytes(column: Column) -> FloatArray:
    """Bytes of each value, in the shape of the values."""
    values = column.values if isinstance(column, Ragged) else column
    if values.dtype.kind != "O":
        return np.full(values.shape, float(values.dtype.itemsize))
    flat, lengths = values.reshape(-1), np.zeros(values.size)
    present = np.asarray(pd.notna(flat))  # None is what a model without a default gets for a missing string
    lengths[present] = np.fromiter(map(len, flat[present]), np.float64)
    return lengths.reshape(values.shape) + _STRING_BYTES


def input_bytes(inputs: Inputs, *, fills: bool = True) -> FloatArray:
    """(n,) bytes of the lists and strings of each row; `fills`: lists are filled up to the longest of a call."""
    columns = list(inputs.columns.values())
    of_rows = RowBytes.of(columns, [(None,)] * len(columns), [fills] * len(columns), 1)
    return np.zeros(len(inputs)) if of_rows is None else of_rows.whole()


def calls_of(sizes: FloatArray, n_rows: int) -> list[tuple[IntArray, int]]:
    """Rows that go into calls of the same number of rows, and that number.

    What call a row goes into depends on its own size, so that its result does not depend on other rows.

    Args:
      sizes: (n,) bytes of each row.
      n_rows: of a call, where rows are small.
    """
    if not len(sizes) or sizes.max() * n_rows <= MAX_CALL_BYTES:
        return [(np.arange(len(sizes)), n_rows)]
    fitting = np.maximum(MAX_CALL_BYTES / np.maximum(sizes, 1.0), 1.0)
    few = np.minimum(2 ** np.floor(np.log2(fitting)), _LARGE_ROWS)
    per_call = np.where(fitting >= n_rows, n_rows, few).astype(np.int64)
    return [(np.flatnonzero(per_call == size), size) for size in sorted(set(per_call.tolist()), reverse=True)]


def small_rows(inputs: Inputs, n_copies: int, fewest: int) -> IntArray:
    """The rows of which a call has room for so many copies, in order; the smallest few where there are not as many."""
    sizes = input_bytes(inputs)
    most = max(MAX_CALL_BYTES / n_copies, np.sort(sizes)[:fewest].max(initial=0.0))
    return np.flatnonzero(sizes <= most)


def refuse_large(n_bytes: float, what: str) -> None:
    """Refuses a row that takes too much even in a call of its own.

    Raises:
      ModelCallError: it does.
    """
    if n_bytes > MAX_ROW_BYTES:
        raise ModelCallError(
            f"{what} would be fed {n_bytes / 2**30:.1f} GiB of lists and strings for one row, where "
            f"{MAX_ROW_BYTES / 2**30:.3g} GiB is the most; shorten them"
        )
