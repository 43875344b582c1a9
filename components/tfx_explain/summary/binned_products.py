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

import functools

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
# Products that are made at a time: those of thousands of columns would take more memory than all else.
_PRODUCTS_AT_ONCE = 2**21


class BinnedProducts:
    """Sums over rows of the products of all pairs of C columns.

    Attributes:
      top: (C,) number of the bin of each column's largest number: bin b counts units of 2^(16 b).
      levels: (N_LEVELS, n_pairs) sums of products of parts whose bins are that far below those two together.
      unknown: (C,) whether any number was not finite, or has a product that is not.
    """

    def __init__(self, n_columns: int) -> None:
        self.top: npt.NDArray[np.int16] = np.full(n_columns, _LOWEST, np.int16)
        self.levels: IntArray = np.zeros((N_LEVELS, n_columns * (n_columns + 1) // 2), np.int64)
        self.unknown = np.zeros(n_columns, bool)

    @property
    def pairs(self) -> tuple[IntArray, IntArray]:
        """The columns of each pair; not to be changed."""
        return _pairs(len(self.top))

    def add(self, values: Array) -> None:
        """Adds rows (n, C)."""
        for start in range(0, len(values), _ROWS_AT_ONCE):
            rows = values[start : start + _ROWS_AT_ONCE]
            largest = np.abs(rows).max(axis=0)
            unknown = ~(largest < 2.0 ** (_WIDTH * _HIGHEST))
            if unknown.any():
                rows, largest = np.where(unknown, 0.0, rows), np.where(unknown, 0.0, largest)
            # Of thousands of columns each copy takes more memory than all else: the new products are added in place.
            self._move(np.maximum(self.top, top_bins(largest, _WIDTH, _LOWEST)))
            self._multiply(_parts(rows, self.top))
            self.unknown = self.unknown | unknown

    def _multiply(self, parts: Array) -> None:
        """Adds the products of the (n, N_LEVELS, C) parts of numbers."""
        n, _, n_columns = parts.shape
        step = max(_PRODUCTS_AT_ONCE // (N_LEVELS * n_columns), 1)
        for start in range(0, n_columns, step):
            stop = min(start + step, n_columns)
            # The pairs of these columns with themselves and with later ones follow each other.
            places = slice(_pairs_before(start, n_columns), _pairs_before(stop, n_columns))
            first, second = (column[places] - start for column in self.pairs)
            sums = np.zeros((stop - start, N_LEVELS, n_columns - start))
            for part in range(N_LEVELS):
                others = parts[:, : N_LEVELS - part, start:].reshape(n, -1)
                # Whole numbers of less than 2^53 in sum: any order adds up the same.
                sums[:, part:] += (parts[:, part, start:stop].T @ others).reshape(len(sums), -1, n_columns - start)
            self.levels[:, places] += sums.transpose(1, 0, 2)[:, first, second].astype(np.int64)

    def merge(self, other: BinnedProducts) -> None:
        """Adds the rows that another one has seen."""
        self._move(np.maximum(self.top, other.top))
        self.levels += other._at(self.top)
        self.unknown = self.unknown | other.unknown

    def without(self, part: BinnedProducts) -> BinnedProducts:
        """The sums over all rows but those of a part, which this one has seen."""
        rest = BinnedProducts(len(self.top))
        rest.top, rest.levels = self.top.copy(), self.levels - part._at(self.top)
        rest.unknown = self.unknown | part.unknown
        return rest

    def _move(self, top: npt.NDArray[np.int16]) -> None:
        """Makes these the bins of the largest numbers."""
        if (self.top != _LOWEST).any() or self.levels.any():
            self.levels = self._at(top)
        self.top = top

    def _at(self, top: npt.NDArray[np.int16]) -> IntArray:
        """The levels as where the largest numbers are in these bins: a copy, or themselves where that is so."""
        by = top - self.top
        if not by.any():
            return self.levels
        first, second = self.pairs
        return shifted(self.levels, by[first] + by[second])

    def exact(self, pairs: slice = slice(None)) -> DoubleDouble:
        """(n_pairs,) the sums of some pairs, to twice the digits of a float64; NaN where a number is unknown."""
        first, second = (column[pairs] for column in self.pairs)
        top = self.top.astype(np.int64)
        unknown = np.where(self.unknown[first] | self.unknown[second], np.nan, 0.0)
        return sum_of_bins(self.levels[:, pairs], _WIDTH * (top[first] + top[second]), _WIDTH, unknown)


@functools.lru_cache(maxsize=8)
def _pairs(n_columns: int) -> tuple[IntArray, IntArray]:
    """The columns of each pair, each with itself and with later ones."""
    pairs = np.triu_indices(n_columns)
    for column in pairs:
        column.flags.writeable = False
    return pairs


def _pairs_before(column: int, n_columns: int) -> int:
    """How many pairs begin with an earlier column."""
    return column * n_columns - column * (column - 1) // 2


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
