"""Sums that are the same to the bit, in whatever order, batches and groups of batches their numbers come.

Floating-point sums depend on the order of their terms, so that no two engines give the same. Here each number is cut
where its bits pass fixed places, 32 apart, into whole multiples of one unit per bin; whole numbers add up without
rounding. Kept are the bins of the largest number and the next three; what lies below, less than 2^-96 of that number,
is dropped. Sums of terms of one sign, of which nothing cancels, keep a bin less. What a bin holds of a number depends
on the number alone, and which bins are kept on the largest one alone, so the state is a function of the numbers and not
of how they came.

Source: J. Demmel, H. D. Nguyen, "Parallel reproducible summation", IEEE Transactions on Computers 64 (2015) 2060-2070;
their bins are floating-point and carry, ours are whole numbers that have room for 2^31 terms.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tfx_explain.summary.double_double import DoubleDouble, two_sum
from tfx_explain.summary.ratio import Array

IntArray = npt.NDArray[np.int64]

N_BINS = 4
OF_ONE_SIGN = 3
"""Bins that are enough where no term takes away from another."""
_WIDTH = 32
# Below the last bin of this one there is no float64; above the other one, adding the rounder would overflow.
_LOWEST, _HIGHEST = -31, 27
_SHRINKING = 128
# Numbers that are looked at at a time, such that what is made of them stays in a cache.
AT_ONCE = 2**16
# Numbers that are cut at a time, such that they and what is left of them stay in a processor's cache.
_CUT_AT_ONCE = 2**14


class BinnedSums:
    """Sums of G groups of rows, of C columns each.

    Attributes:
      top: (G, C) number of the bin of the largest term: bin b counts units of 2^(32 b).
      bins: (n_bins, G, C) whole units of that bin and of those below.
      beyond: (G, C) sum of the terms that are not finite; None where all are.

    Example:
      >>> sums = BinnedSums(1, 1)
      >>> sums.add(np.array([[1e16], [1.0], [-1e16]]))
      >>> sums.total()
      array([[1.]])
    """

    def __init__(self, n_groups: int, n_columns: int, n_bins: int = N_BINS) -> None:
        self.top: npt.NDArray[np.int16] = np.full((n_groups, n_columns), _LOWEST, np.int16)
        self.bins: IntArray = np.zeros((n_bins, n_groups, n_columns), np.int64)
        self.beyond: Array | None = None

    def add(self, values: Array, groups: IntArray | None = None, low: Array | None = None) -> None:
        """Adds rows.

        Args:
          values: (n, C).
          groups: (n,) of each row; None = all of the only one.
          low: what is to be added to the last columns as well, each number at most 2^-52 of the value that it
            belongs to, as in a `DoubleDouble`; None = nothing.
        """
        if groups is not None and self.top.shape[0] > 1:
            # Of small types NumPy counts instead of comparing.
            order = np.argsort(groups.astype(np.min_scalar_type(self.top.shape[0])), kind="stable")
            values, groups = values[order], groups[order]
            low = None if low is None else low[order]
        step = max(AT_ONCE // max(values.shape[1], 1), 1)
        for start in range(0, len(values), step):
            rows = slice(start, start + step)
            self._add(values[rows], None if groups is None else groups[rows], None if low is None else low[rows])

    def _add(self, values: Array, groups: IntArray | None, low: Array | None) -> None:
        """Adds a few rows, in the order of their groups."""
        places: IntArray | slice = slice(None)
        starts = np.zeros(1, np.int64)
        if groups is not None and self.top.shape[0] > 1:
            places, starts = np.unique(groups, return_index=True)
        largest = _largest(values, starts)
        made = BinnedSums(len(starts), values.shape[1], len(self.bins))
        if not np.isfinite(largest).all():
            finite = np.isfinite(values)
            with np.errstate(invalid="ignore"):
                made.beyond = np.add.reduceat(np.where(finite, 0.0, values), starts, axis=0)
            values = np.where(finite, values, 0.0)
            low = None if low is None else np.where(finite[:, -low.shape[1] :], low, 0.0)
            largest = _largest(values, starts)
        elif not largest.any():
            return
        made._cut(values, low, starts, largest)
        self.merge_at(places, made)

    def _cut(self, values: Array, low: Array | None, starts: IntArray, largest: Array) -> None:
        """Fills the bins."""
        self.top = top_bins(largest, _WIDTH, _LOWEST)
        top, shrinks = self.top.astype(np.int64), self.top > _HIGHEST
        exponents = _WIDTH * (top - np.arange(len(self.bins))[:, None, None])
        lengths = np.diff(np.append(starts, len(values))) if len(starts) > 1 else np.array([len(values)])
        if shrinks.any():
            factors = np.repeat(np.where(shrinks, 2.0**-_SHRINKING, 1.0), lengths, axis=0)
            values = values * factors
            low = None if low is None else low * factors[:, -low.shape[1] :]
            exponents = exponents - _SHRINKING * shrinks
        _count(self.bins, exponents, values, lengths)
        if low is not None and low.any():
            last = slice(values.shape[1] - low.shape[1], None)
            _count(self.bins[1:, :, last], exponents[1:, :, last], low, lengths)

    def merge(self, other: BinnedSums) -> None:
        """Adds the terms that another one of as many groups and columns has seen."""
        self.merge_at(slice(None), other)

    def merge_at(self, places: IntArray | slice, other: BinnedSums) -> None:
        """Adds the terms of other sums at different places among the groups."""
        ours, bins = self.top[places], self.bins[:, places]
        if (ours == other.top).all():
            self.bins[:, places] = bins + other.bins
        elif (ours == _LOWEST).all() and not bins.any():
            self.bins[:, places], self.top[places] = other.bins, other.top
        else:
            top = np.maximum(ours, other.top)
            self.bins[:, places] = shifted(bins, top - ours) + shifted(other.bins, top - other.top)
            self.top[places] = top
        if other.beyond is not None:
            self.beyond = np.zeros(self.top.shape) if self.beyond is None else self.beyond.copy()
            with np.errstate(invalid="ignore"):
                self.beyond[places] += other.beyond

    def without(self, part: BinnedSums) -> BinnedSums:
        """The sums of all terms but those of a part, which this one has seen."""
        rest = self.take(slice(None))
        rest.bins = rest.bins - shifted(part.bins, np.maximum(self.top - part.top, 0))
        if part.beyond is not None:
            rest.beyond = np.where(part.beyond != 0, np.nan, 0.0 if rest.beyond is None else rest.beyond)
        return rest

    def take(self, groups: IntArray | slice, columns: IntArray | slice = slice(None)) -> BinnedSums:
        """Copies of the sums of some groups and columns."""
        taken = BinnedSums(0, 0)
        taken.top, taken.bins = self.top[groups][:, columns].copy(), self.bins[:, groups][:, :, columns].copy()
        taken.beyond = None if self.beyond is None else self.beyond[groups][:, columns].copy()
        return taken

    @classmethod
    def beside(cls, several: Sequence[BinnedSums]) -> BinnedSums:
        """The columns of several, side by side, as copies."""
        made = cls(0, 0)
        made.top = np.concatenate([sums.top for sums in several], axis=1)
        made.bins = np.concatenate([sums.bins for sums in several], axis=2)
        if any(sums.beyond is not None for sums in several):
            parts = [np.zeros(sums.top.shape) if sums.beyond is None else sums.beyond for sums in several]
            made.beyond = np.concatenate(parts, axis=1)
        return made

    def grown(self, n_groups: int) -> BinnedSums:
        """The same with room for so many groups."""
        more = BinnedSums(n_groups, self.top.shape[1], len(self.bins))
        more.merge_at(slice(0, len(self.top)), self)
        return more

    def together(self) -> BinnedSums:
        """The sums of all groups in one."""
        made = BinnedSums(1, self.top.shape[1], len(self.bins))
        for group in range(len(self.top)):
            made.merge(self.take(slice(group, group + 1)))
        return made

    def total(self) -> Array:
        """(G, C) the sums, rounded."""
        return self.exact().high

    def exact(self) -> DoubleDouble:
        """(G, C) the sums, to twice the digits of a float64."""
        return sum_of_bins(self.bins, _WIDTH * self.top.astype(np.int64), _WIDTH, self.beyond)


def whole_units(values: Array) -> Iterator[tuple[int, Array]]:
    """What each of n finite values has in each bin: (number of the bin, whole units (n,)), without what is dropped."""
    rest = values
    while rest.any():
        # One value, since all of them have their bins where the largest one has.
        number = min(int(top_bins(np.abs(rest).max(), _WIDTH, _LOWEST - N_BINS + 1)), _HIGHEST)
        rounder = np.ldexp(1.5, _WIDTH * number + 52)
        cut = (rest + rounder) - rounder
        yield number, np.ldexp(cut, -_WIDTH * number)
        rest = rest - cut


def top_bins(largest: Array, width: int, lowest: int) -> npt.NDArray[np.int16]:
    """The bin of which each size is more than half a unit, but half a unit of the one above at most, which rounds to 0.

    Args:
      largest: finite.
      width: of a bin in bits.
      lowest: bin that there is.
    """
    fraction, exponent = np.frexp(largest)
    bins = np.floor_divide(exponent - (fraction == 0.5), width)
    return np.asarray(np.maximum(np.where(largest > 0, bins, lowest), lowest), np.int16)


def unit(number: int) -> float:
    """Of a bin."""
    return float(np.ldexp(1.0, _WIDTH * number))


def _largest(values: Array, starts: IntArray) -> Array:
    """(G, C) the largest size of each group of rows, one after the other."""
    sizes = np.abs(values)
    if len(starts) == 1:
        return np.asarray(sizes.max(axis=0, keepdims=True))
    return np.maximum.reduceat(sizes, starts, axis=0)


def _count(bins: IntArray, exponents: IntArray, values: Array, lengths: IntArray) -> None:
    """Adds to each bin the whole units that are in each value, from the largest bin on; lengths (G,) of the groups."""
    # Of the size of these numbers a float64 has whole units and no more.
    rounders, sums = np.ldexp(1.5, exponents + 52), np.zeros(bins.shape)
    group_of_row = None if len(lengths) == 1 else np.repeat(np.arange(len(lengths)), lengths)
    step = max(_CUT_AT_ONCE // max(values.shape[1], 1), 1)
    for start in range(0, len(values), step):
        rest = values[start : start + step].copy()
        cut = np.empty_like(rest)
        group: IntArray | slice = slice(0, 1)
        if group_of_row is not None:
            of_row = group_of_row[start : start + step]
            group, firsts = np.unique(of_row, return_index=True)
        for rounder, of_bin in zip(rounders, sums, strict=True):
            by_row = rounder if group_of_row is None else rounder[of_row]
            np.add(rest, by_row, out=cut)
            cut -= by_row
            rest -= cut
            # All of these are whole units, of less than 2^53 in sum: any order adds up the same. No product with ones:
            # threads of the linear algebra would wait for each other longer than this takes.
            of_bin[group] += np.einsum("ij->j", cut) if group_of_row is None else np.add.reduceat(cut, firsts, axis=0)
    bins += np.ldexp(sums, -exponents).astype(np.int64)


def shifted(bins: IntArray, by: npt.NDArray[np.integer[Any]]) -> IntArray:
    """A copy of the bins (n_bins, ...) where the first one is to be so many (...) above; the last ones are dropped."""
    if not by.any():
        return bins.copy()
    made = np.zeros_like(bins)
    for place in range(len(bins)):
        source = place - by
        # One bin at a time, since what is looked up for all at once would take several times their memory.
        found = np.take_along_axis(bins, np.maximum(source, 0)[None].astype(np.int64), axis=0)[0]
        made[place] = np.where(source >= 0, found, 0)
    return made


def sum_of_bins(bins: IntArray, exponent: IntArray, width: int, beyond: Array | None) -> DoubleDouble:
    """The numbers (...) that bins (n_bins, ...) add up to.

    Args:
      bins: whole units of 2^exponent, then of units so many bits below, and so on.
      exponent: (...).
      width: of a bin in bits.
      beyond: (...) what is to be added, not finite or 0; None = nothing.
    """
    # A float64 has 53 bits; of larger numbers it has the upper half and the lower one.
    parts, exponents = bins, exponent - width * np.arange(len(bins)).reshape(-1, *[1] * exponent.ndim)
    if (np.abs(bins) >= 2**53).any():
        upper = bins >> 32 << 32
        parts = np.stack([upper, bins - upper], axis=1).reshape(-1, *exponent.shape)
        exponents = np.repeat(exponents, 2, axis=0)
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        digits = np.ldexp(parts.astype(np.float64), exponents)
        if beyond is not None:
            digits[0] += beyond
        high, low = digits[0], np.zeros(exponent.shape)
        for digit in digits[1:]:
            high, rounded = two_sum(high, digit)
            low += rounded
        total = high + low
        return DoubleDouble(total if beyond is None else np.where(beyond == 0, total, digits[0]), low - (total - high))
