"""Windows of series, and series with some of their parts absent."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfx_explain.regions.series import ALL_CHANNELS, SeriesValues, Windows, n_real_steps

KINDS = st.sampled_from(["time", "channel", "both"])


@given(KINDS, st.integers(0, 40), st.integers(1, 4), st.integers(1, 12), st.booleans())
def test_parts_cover_each_value_once(by: str, n_steps: int, n_channels: int, size: int, by_length: bool) -> None:
    windows = Windows(by, None if by_length else size, size if by_length else None, 12)
    parts, owners = windows.parts(n_steps, n_channels), windows.owners(n_steps, n_channels)
    expected = np.full((n_steps, n_channels), -1)
    for part, (start, stop, channel) in enumerate(parts.tolist()):
        where = slice(start, stop), slice(None) if channel == ALL_CHANNELS else channel
        assert start < stop
        assert (expected[where] == -1).all()
        expected[where] = part
    assert owners.tolist() == expected.ravel().tolist()
    assert (expected >= 0).all()
    assert len(parts) == (len(windows.starts(n_steps, n_channels)) - 1) * windows.n_parts_of_window(n_channels)
    if by_length:
        assert len(parts) <= 12


@pytest.mark.parametrize(
    ("n_steps", "n", "sizes"), [(10, 4, [2, 3, 2, 3]), (3, 10, [1, 1, 1]), (1, 10, [1]), (0, 3, [])]
)
def test_so_many_windows_are_even(n_steps: int, n: int, sizes: list[int]) -> None:
    assert np.diff(Windows("time", n, None, 128).starts(n_steps, 2)).tolist() == sizes


@pytest.mark.parametrize(
    ("n_steps", "most", "starts"), [(25, 128, [0, 12, 24, 25]), (24, 128, [0, 12, 24]), (49, 3, [0, 24, 48, 49])]
)
def test_windows_of_a_length_are_joined_where_they_are_many(n_steps: int, most: int, starts: list[int]) -> None:
    assert Windows("time", None, 12, most).starts(n_steps, 2).tolist() == starts


def test_absent_parts_are_replaced_and_padding_stays() -> None:
    windows = Windows("both", 2, None, 128)
    own = np.arange(10, 18, dtype=np.float32)
    values = SeriesValues(own, np.array([1, 2] * 3, np.float32), windows.owners(3, 2), 4)
    coalitions = np.array([[True] * 4, [False] * 4, [True, False, False, True]])
    made = values.column(coalitions)
    assert made.dtype == np.float32
    assert made.tolist() == [own.tolist(), [1, 2, 1, 2, 1, 2, 16, 17], [10, 2, 1, 13, 1, 15, 16, 17]]


@pytest.mark.parametrize("dtype", [np.float32, np.int64])
def test_padding_is_at_the_end_and_of_all_channels(dtype: type) -> None:
    rows = [[], [-1, -1], [3, -1, -1, -1], [-1, -1, 5, 5, -1, -1, -1, -1], [1, 2, 3]]
    values = np.array([value for row in rows for value in row], dtype)
    lengths = np.array([len(row) for row in rows])
    assert n_real_steps(values, lengths, 2, -1.0).tolist() == [0, 0, 1, 2, 1]
    assert n_real_steps(values, lengths, 2, None).tolist() == [0, 1, 2, 4, 1]


def test_padding_is_told_as_32_bit_floats_have_it() -> None:
    assert n_real_steps(np.array([1.0, 0.1], np.float32), np.array([2]), 1, 0.1).tolist() == [1]
