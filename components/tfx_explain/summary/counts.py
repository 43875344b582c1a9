"""How many rows count."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tfx_explain.summary.binned_sums import BinnedSums


class RowCount:
    """The number of rows of positive weight, and what it is worth: fewer rows where weights differ."""

    def __init__(self) -> None:
        self.n_examples = 0
        self._weights = BinnedSums(1, 2)

    def add(self, weights: npt.NDArray[np.float64]) -> None:
        """Adds rows of these weights, (n,)."""
        self.n_examples += int(np.count_nonzero(weights > 0))
        self._weights.add(np.stack([weights, weights * weights], axis=1))

    def merge(self, other: RowCount) -> None:
        """Adds everything that another one has seen."""
        self.n_examples += other.n_examples
        self._weights.merge(other._weights)

    @property
    def n_effective(self) -> float:
        """(sum w)^2 / sum w^2: the number of rows of one weight that tell as much; 0 where there are none."""
        weight, squared = self._weights.total()[0].tolist()
        return weight**2 / squared if squared else 0.0
