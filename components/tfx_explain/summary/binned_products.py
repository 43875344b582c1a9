"""Sums of products of columns, the same to the bit in whatever order and batches their rows come.

As in `binned_sums` each number is cut at fixed places of its bits, here 16 apart, so that products of the parts are
whole numbers that matrix products add up without rounding. Kept are the sums of those parts whose bins together are at
most `N_LEVELS` - 1 below those of the largest numbers of both columns, so that what is dropped is less than 2^-75 of
the product of these two.

Source: K. Ozaki, T. Ogita, S. Oishi, S. M. Rump, "Error-free transformations of matrix multiplication by using fast
routines of matrix multiplication and its applications", Numerical Algorithms 59 (2012) 95-118, with bins of their own
for what more rows bring, as in `binned_sums`.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from tfx_explain.summary.binned_sums import IntArray, shifted, sum_of_bins, top_bins
from tfx_explain.summary.double_double import DoubleDouble
from tfx_explain.summary.ratio import Array

N_LEVELS = 7
_WIDTH = 16
# Products of larger numbers are no float64, and those of smaller ones are 0.
_LOWEST, _HIGHEST = -34, 31
_ROWS_AT_ONCE = 1_024
# Parts and products that are made at a time: those of thousands of columns would take more memory than all else.
_NUMBERS_AT_ONCE = 2**21


class BinnedProducts:
    """Sums over rows of the products of all pairs of C columns.

    Rows are kept as they are while that takes less memory than sums of all pairs, and multiplied when these are asked
    for, some columns at a time.

    Attributes:
      top: (C,) number of the bin of each column's largest number: bin b counts units of 2^(16 b).
      unknown: (C,) whether any number was not finite, or has a product that is not.
    """

    def __init__(self, n_columns: int) -> None:
        self.top: npt.NDArray[np.int16] = np.full(n_columns, _LOWEST, np.int16)
        self.unknown = np.zeros(n_columns, bool)
        self._waiting = np.zeros((0, n_columns))
        # (N_LEVELS, n_pairs) sums of products of parts whose bins are that far below those two together.
        self._levels: IntArray | None = None

    def add(self, values: Array) -> None:
        """Adds rows (n, C)."""
        for start in range(0, len(values), _ROWS_AT_ONCE):
            rows = values[start : start + _ROWS_AT_ONCE]
            largest = np.abs(rows).max(axis=0)
            unknown = ~(largest < 2.0 ** (_WIDTH * _HIGHEST))
            if unknown.any():
                rows, largest = np.where(unknown, 0.0, rows), np.where(unknown, 0.0, largest)
            self._move(np.maximum(self.top, top_bins(largest, _WIDTH, _LOWEST)))
            self.unknown = self.unknown | unknown
            self._wait(rows)

    def merge(self, other: BinnedProducts) -> None:
        """Adds the rows that another one has seen."""
        self._move(np.maximum(self.top, other.top))
        if other._levels is not None:
            theirs = _below(other._levels, self.top - other.top)
            if self._levels is None:
                self._levels = theirs.copy()
            else:
                self._levels += theirs
        self.unknown = self.unknown | other.unknown
        self._wait(other._waiting)

    def without(self, part: BinnedProducts) -> BinnedProducts:
        """The sums over all rows but those of a part, which this one has seen."""
        rest = BinnedProducts(len(self.top))
        rest.top, rest.unknown = self.top.copy(), self.unknown | part.unknown
        rest._levels = self._multiplied() - _below(part._multiplied(), self.top - part.top)
        return rest

    def sums(self) -> Iterator[tuple[IntArray, IntArray, DoubleDouble]]:
        """The columns of some pairs and their sums, (n_pairs,) each, then those of others.

        Each column is paired with itself and with later ones. Sums have twice the digits of a float64; NaN where a
        number is unknown.
        """
        top = self.top.astype(np.int64)
        for columns in self._parts_of_columns():
            levels = self._products(columns)
            if self._levels is not None:
                levels += self._levels[:, self._places(columns)]
            first, second = self._pairs(columns)
            unknown = np.where(self.unknown[first] | self.unknown[second], np.nan, 0.0)
            yield first, second, sum_of_bins(levels, _WIDTH * (top[first] + top[second]), _WIDTH, unknown)

    def _wait(self, rows: Array) -> None:
        """Keeps rows as they are, or where they are many multiplies all that wait."""
        self._waiting = np.concatenate([self._waiting, rows])
        if len(self._waiting) > N_LEVELS * (len(self.top) + 1) / 2:
            self._multiplied()

    def _multiplied(self) -> IntArray:
        """The levels, with the products of all rows that waited."""
        n_columns = len(self.top)
        if self._levels is None:
            self._levels = np.zeros((N_LEVELS, n_columns * (n_columns + 1) // 2), np.int64)
        for columns in self._parts_of_columns():
            self._levels[:, self._places(columns)] += self._products(columns)
        self._waiting = np.zeros((0, n_columns))
        return self._levels

    def _products(self, columns: slice) -> IntArray:
        """(N_LEVELS, n_pairs) of the rows that wait, for pairs of these columns with themselves and later ones."""
        first, second = self._pairs(columns)
        later, n = slice(columns.start, None), columns.stop - columns.start
        found = np.zeros((N_LEVELS, len(first)), np.int64)
        step = min(max(_NUMBERS_AT_ONCE // (N_LEVELS * len(self.top)), 1), _ROWS_AT_ONCE)
        for start in range(0, len(self._waiting), step):
            parts = _parts(self._waiting[start : start + step, later], self.top[later])
            sums = np.zeros((n, N_LEVELS, parts.shape[2]))
            for part in range(N_LEVELS):
                others = parts[:, : N_LEVELS - part].reshape(len(parts), -1)
                # Whole numbers of less than 2^53 in sum: any order adds up the same.
                sums[:, part:] += (parts[:, part, :n].T @ others).reshape(n, -1, parts.shape[2])
            of_pairs = sums.transpose(1, 0, 2)[:, first - columns.start, second - columns.start]
            found += of_pairs.astype(np.int64)
        return found

    def _parts_of_columns(self) -> Iterator[slice]:
        """All columns, some at a time."""
        n_columns = len(self.top)
        step = max(_NUMBERS_AT_ONCE // (N_LEVELS * n_columns), 1)
        for start in range(0, n_columns, step):
            yield slice(start, min(start + step, n_columns))

    def _pairs(self, columns: slice) -> tuple[IntArray, IntArray]:
        """These columns, each with itself and with later ones."""
        first, second = np.triu_indices(columns.stop - columns.start, columns.start, len(self.top))
        return first + columns.start, second

    def _places(self, columns: slice) -> slice:
        """Where their pairs are among all, which follow each other."""
        before, last = (n * len(self.top) - n * (n - 1) // 2 for n in (columns.start, columns.stop))
        return slice(before, last)

    def _move(self, top: npt.NDArray[np.int16]) -> None:
        """Makes these the bins of the largest numbers."""
        if self._levels is not None:
            self._levels = _below(self._levels, top - self.top)
        self.top = top


def _below(levels: IntArray, by: npt.NDArray[np.int16]) -> IntArray:
    """The levels where the bins of the largest numbers (C,) are to be so many above: a copy, or themselves."""
    if not by.any():
        return levels
    first, second = np.triu_indices(len(by))
    return shifted(levels, by[first] + by[second])


def _parts(values: Array, top: npt.NDArray[np.int16]) -> Array:
    """(n, N_LEVELS, C) whole units that are in each value, from the bin of its column's largest one on."""
    parts, rest = np.empty((len(values), N_LEVELS, len(top))), values.copy()
    for part in range(N_LEVELS):
        exponent = _WIDTH * (top.astype(np.int64) - part)
        # Of the size of this number a float64 has whole units and no more.
        rounder = np.ldexp(1.5, exponent + 52)
        cut = rest + rounder
        cut -= rounder
        rest -= cut
        np.multiply(cut, np.ldexp(1.0, -exponent), out=parts[:, part])
    return parts
