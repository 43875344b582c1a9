"""Long tables as frames, one after the other, and tables of many small ones."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator

import pandas as pd

# Small frames take far more memory than their rows.
_FRAMES_AT_ONCE = 512


def concatenated(frames: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """One table, numbered anew, of frames that are made for it; without columns where there are none."""
    rest, parts = iter(frames), list[pd.DataFrame]()
    while some := list(itertools.islice(rest, _FRAMES_AT_ONCE)):
        parts.append(_joined(some))
    whole = _joined(parts) if parts else pd.DataFrame()
    whole.index = pd.RangeIndex(len(whole))
    return whole


def in_parts(frames: Iterable[pd.DataFrame], n_rows: int) -> Iterator[pd.DataFrame]:
    """The rows of frames (at least one) of the same columns in parts of `n_rows`; the last one may have fewer."""
    waiting, n_waiting = list[pd.DataFrame](), 0
    for frame in frames:
        rest = frame
        while n_waiting + len(rest) > n_rows:
            n_taken = n_rows - n_waiting
            yield _joined([*waiting, rest.iloc[:n_taken]])
            rest, waiting, n_waiting = rest.iloc[n_taken:], [], 0
        waiting.append(rest)
        n_waiting += len(rest)
        if len(waiting) == _FRAMES_AT_ONCE:
            waiting = [_joined(waiting)]
    yield _joined(waiting)


def _joined(frames: list[pd.DataFrame]) -> pd.DataFrame:
    return frames[0] if len(frames) == 1 else pd.concat(frames, ignore_index=True)
