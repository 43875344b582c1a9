"""Which players moved a row most to the adverse side, which of them are as strong, and how certain their order is."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


class AdversePlayers(NamedTuple):
    """The strongest adverse players of rows, n of them over all rows: row by row, the strongest first.

    Attributes:
      rows, players: (n,) indices of row and player.
      ranks: (n,) from 1 on within a row; ties share the rank of the first of them.
      margins: (n,) how much further the player moved the row than the next one, listed or not; than 0, if none is left.
      is_tied: (n,) whether another player moved the row as far, but for rounding.
      is_uncertain: (n,) whether another place is possible: intervals overlap, or one reaches 0 or is not known.
    """

    rows: IntArray
    players: IntArray
    ranks: IntArray
    margins: FloatArray
    is_tied: BoolArray
    is_uncertain: BoolArray


def most_adverse(values: FloatArray, low: FloatArray, high: FloatArray, floor: FloatArray, k: int) -> AdversePlayers:
    """At most k players of each row that moved it to the adverse side, by more than rounding.

    Where more than k are tied for the last place, those that come first are taken, and are called tied.

    Args:
      values: (n_rows, d) attributions, above 0 to the adverse side.
      low: (n_rows, d) lower limits of their intervals; NaN where errors are not known.
      high: (n_rows, d) upper limits.
      floor: (n_rows,) sizes up to which attributions, and differences of them, are rounding.
      k: players of a row at most.
    """
    order, first, is_tied = _ranked(values, floor)
    sizes = np.take_along_axis(values, order, axis=1)
    lows = np.take_along_axis(np.nan_to_num(low, nan=-np.inf), order, axis=1)
    highs = np.take_along_axis(np.nan_to_num(high, nan=np.inf), order, axis=1)
    is_reason = sizes > floor[:, None]
    following = np.pad(np.where(is_reason, sizes, 0.0)[:, 1:], ((0, 0), (0, 1)))
    is_uncertain = is_tied | (lows <= 0) | _overlaps(lows, highs)
    chosen = np.nonzero(is_reason[:, :k])
    return AdversePlayers(
        chosen[0],
        order[chosen],
        first[chosen] + 1,
        np.maximum(sizes - following, 0.0)[chosen],
        is_tied[chosen],
        is_uncertain[chosen],
    )


def _ranked(values: FloatArray, floor: FloatArray) -> tuple[IntArray, IntArray, BoolArray]:
    """(n_rows, d) each: players by size, the place of the first that each is tied with, and whether another one is."""
    n_rows, d = values.shape
    by_size = np.argsort(-values, axis=1, kind="stable")
    sizes = np.take_along_axis(values, by_size, axis=1)
    apart = (sizes[:, :-1] - sizes[:, 1:] > floor[:, None]) | (sizes[:, 1:] <= floor[:, None])
    begins = np.ones((n_rows, d + 1), np.bool_)
    begins[:, 1:-1] = apart
    first = np.maximum.accumulate(np.where(begins[:, :-1], np.arange(d), 0), axis=1)
    # Players that are tied stand in their own order, whatever rounding makes of their sizes.
    order = np.take_along_axis(by_size, np.argsort(first * d + by_size, axis=1, kind="stable"), axis=1)
    return order, first, ~(begins[:, :-1] & begins[:, 1:])


def _overlaps(low: FloatArray, high: FloatArray) -> BoolArray:
    """(n_rows, d) whether the interval of a player meets that of any other; players stand by size, largest first."""
    nothing = np.full((len(low), 1), np.inf)
    least_before = np.concatenate([nothing, np.minimum.accumulate(low, axis=1)[:, :-1]], axis=1)
    most_behind = np.maximum.accumulate(high[:, ::-1], axis=1)[:, ::-1]
    most_behind = np.concatenate([most_behind[:, 1:], -nothing], axis=1)
    return np.asarray((least_before <= high) | (most_behind >= low))
