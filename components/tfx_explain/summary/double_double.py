"""Numbers of twice the digits of a float64, as the sum of two that is never carried out.

Source: T. J. Dekker, "A floating-point technique for extending the available precision", Numerische Mathematik 18
(1971) 224-242; D. E. Knuth, "The Art of Computer Programming" volume 2, section 4.2.2, theorem B, for the sum.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from tfx_explain.summary.ratio import Array

_SPLITTER = 2.0**27 + 1


@dataclasses.dataclass(frozen=True)
class DoubleDouble:
    """The sum of `high` and `low`, arrays of one shape; `high` is that sum, rounded."""

    high: Array
    low: Array

    def __getitem__(self, places: Any) -> DoubleDouble:
        """The numbers at some places, as NumPy indexes arrays."""
        return DoubleDouble(self.high[places], self.low[places])

    def plus(self, other: DoubleDouble) -> DoubleDouble:
        """The sum, right to some 2^-104 of the larger number."""
        high, low = two_sum(self.high, other.high)
        return _carried(high, low + (self.low + other.low))

    def times(self, factor: Array | float) -> DoubleDouble:
        """The product with numbers of one float64 each, right to some 2^-104."""
        high, low = two_product(self.high, np.asarray(factor, np.float64))
        return _carried(high, low + self.low * factor)


def two_sum(first: Array, second: Array) -> tuple[Array, Array]:
    """The rounded sum, and what rounding took off."""
    total = first + second
    of_second = total - first
    return total, (first - (total - of_second)) + (second - of_second)


def two_product(first: Array, second: Array) -> tuple[Array, Array]:
    """The rounded product, and what rounding took off, where nothing over- or underflows."""
    high, low = _halves(first)
    other_high, other_low = (high, low) if second is first else _halves(second)
    product = np.asarray(first * second)
    error = high * other_high - product
    error += high * other_low
    error += low * other_high
    error += low * other_low
    return product, np.asarray(error)


def _halves(values: Array) -> tuple[Array, Array]:
    """Two numbers of 26 bits each that add up to each value."""
    scaled = values * _SPLITTER
    high = scaled - (scaled - values)
    return high, values - high


def _carried(high: Array, low: Array) -> DoubleDouble:
    """The same number, with `high` what the sum rounds to."""
    total = high + low
    return DoubleDouble(total, low - (total - high))
