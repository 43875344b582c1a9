"""What rules about distributions compare: the attributions of the same players in two explanations."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from tfx_explain.errors import InputError
from tfx_explain.judgement.drift.comparison import DRIFT_RULE, too_few
from tfx_explain.judgement.evidence import positions
from tfx_explain.summary.ratio import Array

_LEAST = 10
"""Fewer examples than this, on either side, have no distribution to speak of."""


@dataclasses.dataclass(frozen=True)
class AttributionSample:
    """The attributions of n examples.

    Attributes:
      values: (n, d), in units of the model's output.
      weights: (n,) example weights > 0.
    """

    values: Array
    weights: Array


@dataclasses.dataclass(frozen=True)
class DistributionComparison:
    """A candidate's attributions against a baseline's, in one (slice, output).

    Attributes:
      players: (d,) names, those of both.
      candidate: what is judged.
      baseline: what it is compared with.
      slice_key: the part of the data.
      output: the model output.
      is_paired: whether both are about the same rows, in the same order.
      method: which attributions they are; empty where they are of none.
    """

    players: tuple[str, ...]
    candidate: AttributionSample
    baseline: AttributionSample
    slice_key: str = "overall"
    output: str = ""
    is_paired: bool = False
    method: str = ""

    def __post_init__(self) -> None:
        """Checks that the parts fit.

        Raises:
          InputError: they do not.
        """
        for side in (self.candidate, self.baseline):
            n, d = side.values.shape
            if d != len(self.players) or side.weights.shape != (n,):
                raise InputError(f"attributions {side.values.shape} cannot be of {len(self.players)} players.")

    def index(self, players: Sequence[str] | None) -> list[int]:
        """Positions of the named players; of all where None.

        Raises:
          ConfigError: a name is not among the players.
        """
        return positions(self.players, self.players if players is None else players, DRIFT_RULE)

    def lacks(self, min_examples: int) -> str:
        """Why nothing can be compared, as a sentence; empty where something can."""
        least = max(min_examples, _LEAST)
        for name, side in (("The explanation", self.candidate), ("Its baseline", self.baseline)):
            if len(side.weights) < least:
                return too_few(name, len(side.weights), least)
        return ""
