"""How many rows count."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


class RowCount:
    """The number of rows of positive weight, and what it is worth: fewer rows where weights differ."""

    def __init__(self) -> None:
        self.n_examples = 0
        self._weight = self._squared_weight = 0.0

    def add(self, weights: npt.NDArray[np.float64]) -> None:
        """Adds rows of these weights, (n,)."""
        self.n_examples += int(np.count_nonzero(weights > 0))
        self._weight += float(weights.sum())
        self._squared_weight += float(weights @ weights)

    def merge(self, other: RowCount) -> None:
        """Adds everything that another one has seen."""
        self.n_examples += other.n_examples
        self._weight += other._weight
        self._squared_weight += other._squared_weight

    @property
    def n_effective(self) -> float:
        """(sum w)^2 / sum w^2: the number of rows of one weight that tell as much; 0 where there are none."""
        return self._weight**2 / self._squared_weight if self._squared_weight else 0.0
