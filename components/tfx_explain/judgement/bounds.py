"""Figures with their confidence bounds, and what follows for a demand on one of them or on all.

A rule that demands the same of k figures holds when it holds for each. To pass it, every figure's bound must be on the
right side: whatever the number of figures, a rule that is broken passes with a probability of at most 1 - confidence,
because the one broken figure must be missed (an intersection-union test). To fail it, one figure's bound on the wrong
side is enough, so the bounds hold together (Bonferroni).

Source: R. L. Berger, "Multiparameter hypothesis testing and acceptance sampling", Technometrics 24 (1982) 295-300.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np
from typing_extensions import Self

from tfx_explain.judgement.finding import Outcome
from tfx_explain.summary.ratio import Array

Side = Literal["at most", "at least"]
"""On which side of its limit a figure must be."""

Intervals = Callable[[float], tuple[Array, Array]]
"""From the confidence of each bound to lower and upper bounds of k figures, (k,) each; NaN where unknown."""


@dataclasses.dataclass(frozen=True)
class Bounds:
    """A figure and where the true one may lie.

    Attributes:
      value: the estimate.
      low: the true figure is at least this, with the confidence.
      high: and at most this, likewise.
      about: the players that decide; none where the figure is about all.
    """

    value: float
    low: float
    high: float
    about: tuple[str, ...] = ()

    @classmethod
    def exact(cls, value: float, about: tuple[str, ...] = ()) -> Self:
        """Of a figure that is known without error."""
        return cls(value, value, value, about)

    @classmethod
    def unknown(cls, about: tuple[str, ...] = ()) -> Self:
        """Of a figure that cannot be told."""
        return cls.exact(math.nan, about)

    def named(self, *about: str) -> Self:
        """The same figure, about these players."""
        return dataclasses.replace(self, about=about)


def decide(bounds: Bounds, limit: float, side: Side = "at most") -> Outcome:
    """What bounds say about a limit: one decides it, or neither does; what is unknown decides nothing."""
    holds, is_broken = (
        (bounds.high <= limit, bounds.low > limit) if side == "at most" else (bounds.low >= limit, bounds.high < limit)
    )
    return "pass" if holds else "fail" if is_broken else "insufficient_evidence"


class Deciding(NamedTuple):
    """Of several figures the one that decides.

    Attributes:
      outcome: of the demand on all of them.
      bounds: of that figure.
      position: of that figure among them.
    """

    outcome: Outcome
    bounds: Bounds
    position: int


def decide_all(value: Array, intervals: Intervals, limit: float, confidence: float, side: Side = "at most") -> Deciding:
    """What follows for k >= 1 figures that must all be on one side of the limit.

    Args:
      value: (k,) estimates.
      intervals: of the figures.
      limit: the largest allowed, or the least.
      confidence: of a pass, and of a fail over all figures together.
      side: on which side of the limit they must be.
    """
    if side == "at most":
        bounds, index = _at_most(value, intervals, limit, confidence)
    else:
        bounds, index = _at_most(-value, lambda level: _mirrored(*intervals(level)), -limit, confidence)
        bounds = Bounds(-bounds.value, -bounds.high, -bounds.low)
    return Deciding(decide(bounds, limit, side), bounds, index)


def _mirrored(low: Array, high: Array) -> tuple[Array, Array]:
    return -high, -low


def _at_most(value: Array, intervals: Intervals, limit: float, confidence: float) -> tuple[Bounds, int]:
    low, high = intervals(confidence)
    if not (high <= limit).all():
        low, high = intervals(1 - (1 - confidence) / len(value))
        is_broken = low > limit
        # The figure of the highest bound is the one in doubt; an unknown bound is in doubt most of all.
        in_doubt = np.where(np.isnan(high), np.inf, high)
        index = int(np.argmax(np.where(is_broken, low, -np.inf) if is_broken.any() else in_doubt))
    else:
        index = int(np.argmax(high))
    return Bounds(float(value[index]), float(low[index]), float(high[index])), index
