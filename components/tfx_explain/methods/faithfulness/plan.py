"""What is settled once: which rows are checked, and what explaining models with random weights takes."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from tfx_explain import tables
from tfx_explain.config.faithfulness import FaithfulnessConfig
from tfx_explain.content_sample import are_among, stream_of
from tfx_explain.methods.background import JobPlan
from tfx_explain.rows import HashArray

KEY = tables.FAITHFULNESS_METHOD
BoolArray = npt.NDArray[np.bool_]


@dataclasses.dataclass(frozen=True)
class FaithfulnessPlan:
    """The same for all workers.

    Attributes:
      randomised: plans of explaining each model with random weights.
      fraction: part of the rows that is checked.
      randomised_fraction: part of the rows that these models, and other outputs, are explained on.
    """

    randomised: tuple[JobPlan, ...] = ()
    fraction: float = 1.0
    randomised_fraction: float = 1.0

    def for_rows(self, n_rows: int, settings: FaithfulnessConfig) -> FaithfulnessPlan:
        """The plan for so many rows."""
        parts = (min(n / max(n_rows, 1), 1.0) for n in (settings.num_examples, settings.num_randomised_examples))
        return FaithfulnessPlan(self.randomised, *parts)

    def is_checked(self, draws: HashArray, seed: int, *, other_outputs: bool = False) -> tuple[BoolArray, BoolArray]:
        """(n,) which rows with these random numbers are checked, and on which other models or outputs are explained."""
        stream, is_few = stream_of(seed, "faithfulness rows"), bool(self.randomised) or other_outputs
        # Of one stream, the rows of the smaller part are among those of the larger one.
        checked, few = (are_among(draws, part, stream) for part in (self.fraction, self.randomised_fraction))
        return checked, few & is_few
