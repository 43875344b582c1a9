"""Rows that a model refuses are found, and no others."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfx_explain.errors import ModelCallError, TooManyFailedRowsError
from tfx_explain.methods.refusals import by_halves


@given(n=st.integers(0, 70), bad=st.sets(st.integers(0, 69)))
def test_each_row_is_done_once_or_refused(n: int, bad: set[int]) -> None:
    calls = []

    def attempt(rows: np.ndarray) -> np.ndarray:
        calls.append(rows)
        if found := bad.intersection(rows.tolist()):
            raise ModelCallError(f"row {min(found)} is odd.")
        return rows

    done, refused = by_halves(n, attempt)
    assert refused == {row: f"row {row} is odd" for row in range(n) if row in bad}
    assert sorted(row for rows in done for row in rows.tolist()) == [row for row in range(n) if row not in bad]
    assert all((np.diff(rows) > 0).all() for rows in done)
    depth = max(n - 1, 0).bit_length()
    assert len(calls) <= 1 + 2 * depth * max(len(refused), 1)


def test_where_too_many_fail_no_more_are_asked_for() -> None:
    calls = []

    def attempt(rows: np.ndarray) -> None:
        calls.append(rows)
        raise ModelCallError("no row will do.")

    with pytest.raises(TooManyFailedRowsError, match="no row will do"):
        by_halves(1_000, attempt, most=3.0)
    assert len(calls) < 30
