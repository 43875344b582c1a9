"""What bounds of one player's distribution are made from."""

from __future__ import annotations

from typing import NamedTuple

from tfx_explain.summary.ratio import Array


class Values(NamedTuple):
    """The attributions of one player.

    Attributes:
      values: (n,), in units of the output.
      weights: (n,) of the examples, > 0.
    """

    values: Array
    weights: Array

    @property
    def n_effective(self) -> float:
        """(sum w)^2 / sum w^2."""
        return float(self.weights.sum() ** 2 / (self.weights**2).sum())

    @property
    def size(self) -> int:
        """As how many rows of equal weight they count."""
        return max(round(self.n_effective), 1)


class Levels(NamedTuple):
    """How sure bounds are.

    Attributes:
      upper: the confidence of the upper bound.
      lower: of the lower one.
    """

    upper: float
    lower: float


class Scale(NamedTuple):
    """What distances are relative to: total importance in the baseline.

    Attributes:
      value: the estimate.
      std_error: of it, which may go along with any of the noise.
    """

    value: float
    std_error: float = 0.0
