"""What a measure of drift is, how it is talked about, and the limits that a policy may set it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

from tfx_explain.judgement.bounds import Bounds, decide
from tfx_explain.judgement.rule import Decision
from tfx_explain.judgement.wording import joined, percent


@dataclasses.dataclass(frozen=True)
class Reach:
    """What limits a measure can be held to.

    Attributes:
      least: the smallest one.
      below: every limit is below this; infinite where there is no end.
      says: why, after the measure's name.
    """

    least: float
    below: float
    says: str

    def holds(self, limit: float) -> bool:
        """Whether the limit is one of them."""
        return self.least <= limit and (limit < self.below or self.below == math.inf)


FRACTION = Reach(0.0, 1.0, "is a fraction, so `max` must be below 1")
AT_MOST_ONE = Reach(0.0, 1.0, "is at most 1, so `max` must be below 1")
FACTOR = Reach(1.0, math.inf, "is a factor of at least 1, so `max` must be 1 or more")
AUC = Reach(0.5, 1.0, "is an AUC between 0.5 and 1, so `max` must be at least 0.5 and below 1")
UNBOUNDED = Reach(0.0, math.inf, "is at least 0, so `max` must be 0 or more")


@dataclasses.dataclass(frozen=True)
class Measure:
    """A way to measure drift.

    Attributes:
      bounds: comparison, positions of the measured players, confidence, and by name the settings that it takes -> the
        figure and its bounds.
      says: a clause with the figure in place of `{}`.
      reach: of its limit.
      is_percent: whether the figure is written in percent.
      takes: further settings of the rule that it needs.
      is_paired: whether it compares the same rows on both sides.
    """

    bounds: Callable[..., Bounds]
    says: str
    reach: Reach = FRACTION
    is_percent: bool = True
    takes: tuple[str, ...] = ()
    is_paired: bool = False

    def figure(self, value: float) -> str:
        """A value of the measure in words."""
        if self.is_percent:
            return f"{100 * value:.3g} %"
        return "infinity" if math.isinf(value) else f"{value:.3g}"

    def decision(self, bounds: Bounds, largest: float, confidence: float) -> Decision:
        """What bounds of the figure say of the largest one that is allowed."""
        outcome, is_known = decide(bounds, largest), not math.isnan(bounds.low + bounds.high)
        return Decision(outcome, bounds, self.sentence(bounds, largest, confidence), is_estimated=is_known)

    def sentence(self, bounds: Bounds, largest: float, confidence: float) -> str:
        """The comparison with the baseline."""
        value, low, high, limit = (self.figure(x) for x in (bounds.value, bounds.low, bounds.high, largest))
        about = f" ({joined(bounds.about)})" if bounds.about else ""
        start = f"Against the baseline, {self.says.format(value)}{about}"
        sure = f"with {percent(confidence)} confidence"
        outcome = decide(bounds, largest)
        if outcome == "pass":
            return f"{start}, at most {high} {sure}: within the {limit} allowed."
        if outcome == "fail":
            return f"{start}, at least {low} {sure}: more than the {limit} allowed."
        return f"{start} (between {low} and {high}), too close to the {limit} allowed to tell {sure}: explain more."
