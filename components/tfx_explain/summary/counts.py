"""How many rows count."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


class RowCount:
    """The number of rows of positive weight."""

    def __init__(self) -> None:
        self.n_examples = 0

    def add(self, weights: npt.NDArray[np.float64]) -> None:
        """Adds rows of these weights, (n,)."""
        self.n_examples += int(np.count_nonzero(weights > 0))

    def merge(self, other: RowCount) -> None:
        """Adds everything that another one has seen."""
        self.n_examples += other.n_examples
