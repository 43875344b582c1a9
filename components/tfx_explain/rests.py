"""What float32 leaves of float64: whole numbers beside the float32 of a tf.Example that give the float64 back.

A tf.Example has no float64. Of outputs near 2e10 its float32 keep steps of 2,048, and of outputs near 1e-50 nothing.
The bits of a float64 and those of its float32, both read as whole numbers, differ by less than 2^29 where float32 has
its full precision, and by more only below 1e-38. Sums of float32 and a second float32 would fail there.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tfx_explain.rows import list_lengths

FloatArray = npt.NDArray[np.floating[Any]]
Float64Array = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_DIGITS = 24


def rests_of(values: FloatArray) -> IntArray:
    """What float32 leaves of each value, an array of the same shape; 0 where it leaves nothing.

    Of the difference of the bits, d: 2 d, or -2 d - 1 where it is negative, since tf.Examples hold small whole numbers
    of 0 or more in few bytes.
    """
    exact = np.ascontiguousarray(values, np.float64)
    with np.errstate(over="ignore", under="ignore"):
        kept = exact.astype(np.float32).astype(np.float64)
    change = exact.view(np.int64) - kept.view(np.int64)
    return np.asarray((change << 1) ^ (change >> 63))


def rests_of_tiny(values: FloatArray) -> IntArray:
    """As `rests_of`, but 0 for values that float32 has in its full precision: errors need no more than that."""
    exact = np.asarray(values, np.float64)
    return np.where(np.abs(exact) < np.finfo(np.float32).tiny, rests_of(exact), 0)


def with_rests(kept: FloatArray, rests: IntArray) -> Float64Array:
    """The values whose float32, and what these leave, are given; arrays of the same shape."""
    change = (rests >> 1) ^ -(rests & 1)
    return (np.ascontiguousarray(kept, np.float64).view(np.int64) + change).view(np.float64)


def rounded(values: Float64Array) -> Float64Array:
    """Values with the 24 binary digits that a float32 has, but at any scale.

    Attributions of two explanations that are the same but for the last bits of float64 are the same then, as with those
    of another processor or an earlier version; whoever counts how many lie where must not see a change.
    """
    mantissa, exponent = np.frexp(values)
    return np.asarray(np.ldexp(np.rint(np.ldexp(mantissa, _DIGITS)), exponent - _DIGITS))


def to_lists(rests: IntArray) -> pa.Array | None:
    """A list column from (n_rows, n_values) rests, zeros at the end of each list left out; None for zeros only."""
    n_values = rests.shape[1]
    lengths = np.where(rests != 0, np.arange(1, n_values + 1), 0).max(axis=1, initial=0)
    if not lengths.any():
        return None
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
    return pa.LargeListArray.from_arrays(pa.array(offsets), pa.array(rests[np.arange(n_values) < lengths[:, None]]))


def from_lists(column: pa.Array, n_values: int) -> IntArray:
    """(n_rows, n_values) rests from such a column, or one without values, whose lists are no longer than n_values."""
    lengths = list_lengths(column)
    rests = np.zeros((len(column), n_values), np.int64)
    if lengths.any():
        rests[np.arange(n_values) < lengths[:, None]] = column.flatten().to_numpy()
    return rests
