"""Sums over the players of a table of importance, which are of means that are not cut off at 0."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from tfx_explain.tables.columns import CUT_OFF


def cut_off_of(rows: pd.DataFrame) -> npt.NDArray[np.float64]:
    """(n_rows,) what was cut off; 0 where an earlier version, or a method that knows nothing of it, wrote the rows."""
    if CUT_OFF not in rows:
        return np.zeros(len(rows))
    return np.asarray(rows[CUT_OFF].fillna(0.0).to_numpy(np.float64))


def shares_of_total(rows: pd.DataFrame) -> npt.NDArray[np.float64]:
    """(n_rows,) each player's part of the total without what noise adds to it by being cut off; 1 at most.

    NaN where a share is not in the rows, or where noise leaves nothing of the total.

    Args:
      rows: of all players of one slice, output and method, with `value` and `share`.
    """
    share, of_values = rows["share"].to_numpy(np.float64), float(rows["value"].sum())
    total = of_values + float(cut_off_of(rows).sum())
    if not total > 0:
        return np.where(share > 0, np.nan, share)
    return np.asarray(np.minimum(share * (of_values / total), 1.0))
