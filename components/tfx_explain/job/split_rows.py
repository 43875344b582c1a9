"""Rows on their way from files to methods."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tfx_explain.rows import HashArray, take_rows


def background_name(split: str) -> str:
    """How the rows of a split that the background is drawn from are called among counts and failures."""
    return f"{split} (background)"


class SplitRows(NamedTuple):
    """Rows of a split.

    Attributes:
      split: its name.
      rows: n of them.
      hashes: (n,) of their contents.
      draws: (n,) a random number for each, of copies too; None where none were asked for.
      records: the bytes of each row as they were read, while it is being checked; None later, to save the room.
    """

    split: str
    rows: pa.RecordBatch
    hashes: HashArray
    draws: HashArray | None = None
    records: Sequence[bytes] | None = None

    def take(self, chosen: npt.NDArray[np.int64]) -> SplitRows:
        """The rows with these indices, in this order."""
        draws = None if self.draws is None else self.draws[chosen]
        kept = None if self.records is None else [self.records[row] for row in chosen.tolist()]
        return SplitRows(self.split, take_rows(self.rows, chosen), self.hashes[chosen], draws, kept)

    def without_records(self) -> SplitRows:
        """The rows alone."""
        return self._replace(records=None)
