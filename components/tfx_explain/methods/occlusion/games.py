"""What is asked of a model about one row: the feature without each of its parts, and without all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from tfx_explain.methods.rounding import settled
from tfx_explain.methods.shapley.parts.contexts import Contexts
from tfx_explain.methods.shapley.parts.values import PartValues

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


class Windows(Protocol):
    """What is hidden one after the other: parts, or several of them together."""

    def __len__(self) -> int:
        """How many there are."""

    def hidden(self, windows: IntArray) -> BoolArray:
        """(n, k) which of the k parts each of n windows hides."""

    def spread(self, values: FloatArray) -> FloatArray:
        """(..., k, K) what parts have of what windows (..., n_windows, K) have."""


@dataclass(frozen=True)
class EachPart:
    """Every part is hidden alone, but those at the end that the model does not see.

    Attributes:
      n_parts: which is k.
      n_seen: so many, from the first on, are hidden.
    """

    n_parts: int
    n_seen: int

    def __len__(self) -> int:
        """As many as are seen."""
        return self.n_seen

    def hidden(self, windows: IntArray) -> BoolArray:
        """(n, k), as of `Windows`."""
        return windows[:, None] == np.arange(self.n_parts)

    def spread(self, values: FloatArray) -> FloatArray:
        """The same."""
        return values


@dataclass(frozen=True, eq=False)
class OcclusionGame:
    """One row with a feature of k parts, W windows over it, and C rows of the background that stand in.

    Each context has the row without each window, then without all parts; then, where that may be another path through
    the model than its prediction, the row itself.

    Attributes:
      row: which it is.
      values: that the feature can have.
      contexts: the row's own other features, with each row of the background that stands in.
      windows: what is hidden.
      evaluates_whole: whether the row itself is asked about.
    """

    row: int
    values: PartValues
    contexts: Contexts
    windows: Windows
    evaluates_whole: bool

    @property
    def n_per_context(self) -> int:
        """Model rows of each context."""
        return len(self.windows) + 1 + self.evaluates_whole

    @property
    def n_model_rows(self) -> int:
        """Model rows of all contexts."""
        return self.n_per_context * len(self.contexts)

    @property
    def context_of_block(self) -> IntArray:
        """(C,) one after the other."""
        return np.arange(len(self.contexts))

    def coalitions(self, start: int, stop: int) -> BoolArray:
        """(stop - start, k) which parts are present in these model rows."""
        place = np.arange(start, stop) % self.n_per_context
        n = len(self.windows)
        present = np.broadcast_to((place > n)[:, None], (stop - start, self.values.n_parts)).copy()
        present[place < n] = ~self.windows.hidden(place[place < n])
        return present

    def has_gone(self, start: int, stop: int) -> BoolArray:
        """(stop - start,) in none of these model rows."""
        return np.zeros(stop - start, np.bool_)

    def effects(self, answers: FloatArray, prediction: FloatArray, floor: FloatArray) -> tuple[FloatArray, FloatArray]:
        """What the output of the row has more than without each part, (C, k, K), and than without all, (C, K).

        Args:
          answers: (n_model_rows, K) what the model gives.
          prediction: (K,) for the row itself.
          floor: (K,) rounding of the outputs; what is near it is no change.
        """
        n, n_outputs = len(self.windows), answers.shape[1]
        by_context = answers.reshape(len(self.contexts), self.n_per_context, n_outputs)
        shape = len(self.contexts), n_outputs
        own = by_context[:, n + 1] if self.evaluates_whole else np.broadcast_to(prediction, shape)
        without = settled(by_context[:, : n + 1], own, np.broadcast_to(floor, shape))
        changes = own[:, None] - without
        return self.windows.spread(changes[:, :n]), changes[:, n]
