"""The values that a feature of one row can have: what the game over its parts needs to know of a text or a series."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from tfx_explain.models.features import Column


class PartValues(Protocol):
    """A feature of one row in k parts, each present or absent."""

    @property
    def n_parts(self) -> int:
        """Which is k, at least 1."""

    @property
    def size(self) -> int:
        """Bytes of the largest value, roughly."""

    @property
    def sizes(self) -> npt.NDArray[np.float64]:
        """(k,) of the parts: pixels of regions, 1 of all others."""

    def column(self, coalitions: npt.NDArray[np.bool_], background: npt.NDArray[np.int64] | None = None) -> Column:
        """The values for n coalitions: n rows, lists or arrays of as many items as the model's.

        Args:
          coalitions: (n, k), True = present.
          background: (n,) rows of it in whose place the others are; None = any.
        """
