"""How much a model can be tried before a job, in the time that there is for it."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from tfx_explain.models.features import Inputs
from tfx_explain.models.model import Model

FEWEST_ROWS = 4
"""Rows to try of the slowest model."""

_MOST_ROWS = 48
# For each of about six kinds of calls, if one row in 48 is not to be too much already.
_SECONDS = 0.25
_MOST_SECONDS = 0.5
_SECONDS_OF_SMALL_CALL = 0.02
_FEWEST_ALONE, _MOST_ALONE = 2, 6


@dataclass(frozen=True)
class Effort:
    """How much can be asked of a model.

    Attributes:
      seconds: what one row takes, beside others.
    """

    seconds: float

    @classmethod
    def of(cls, model: Model, pair: Inputs) -> Effort:
        """From a second call, as the first one is also traced; a larger one where that takes no time."""
        for n in (2, _MOST_ROWS):
            batch = pair.take(np.arange(n) % len(pair))
            seconds = _seconds(model, batch)
            if seconds > _SECONDS_OF_SMALL_CALL:
                # The machine may have been busy for a moment, and a fast model is to be tried in full.
                seconds = min(seconds, _seconds(model, batch))
            if seconds > _SECONDS_OF_SMALL_CALL:
                break
        return cls(seconds / n)

    @property
    def n_rows(self) -> int:
        """Rows to try: each is called about eight times in all."""
        return int(np.clip(_SECONDS / (2 * self.seconds), FEWEST_ROWS, _MOST_ROWS))

    @property
    def n_alone(self) -> int:
        """Rows to try alone."""
        return int(np.clip(_SECONDS / (2 * self.seconds), _FEWEST_ALONE, _MOST_ALONE))

    @property
    def is_full(self) -> bool:
        """Whether the model is so fast that everything can be tried."""
        return self.n_rows == _MOST_ROWS

    def affords(self, n_rows: int) -> bool:
        """Whether so many rows more are no matter."""
        return n_rows * self.seconds <= _MOST_SECONDS


def _seconds(model: Model, batch: Inputs) -> float:
    started = time.perf_counter()
    model.outputs(batch)
    return time.perf_counter() - started
