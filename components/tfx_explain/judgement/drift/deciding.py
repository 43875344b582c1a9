"""From bounds to an outcome and a sentence, for all rules about drift."""

from __future__ import annotations

import dataclasses
import math

from tfx_explain.judgement.drift.bounds import Bounds
from tfx_explain.judgement.evidence import Outcome
from tfx_explain.judgement.wording import joined, percent


def decide(bounds: Bounds, largest: float) -> Outcome:
    """What bounds say about a limit."""
    if bounds.high <= largest:
        return "pass"
    return "fail" if bounds.low > largest else "insufficient_evidence"


@dataclasses.dataclass(frozen=True)
class Wording:
    """How a measure is talked about.

    Attributes:
      says: a clause with the figure in place of `{}`.
      is_fraction: whether the figure is written in percent.
    """

    says: str
    is_fraction: bool = True

    def figure(self, value: float) -> str:
        """A value of the measure in words."""
        if self.is_fraction:
            return f"{100 * value:.3g} %"
        return "infinitely many" if math.isinf(value) else f"{value:.3g}"

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
