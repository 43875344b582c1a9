"""Sentences that several rules have in common."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from tfx_explain.judgement.bounds import Side
from tfx_explain.judgement.finding import Outcome
from tfx_explain.judgement.wording import count, sure


@dataclasses.dataclass(frozen=True)
class Compared:
    """A figure and its limit in words.

    Attributes:
      start: what the figure is, without an end.
      low: its lower bound.
      high: its upper bound.
      limit: the limit, and what it is of: `5 % allowed`.
      advice: what to do where it is broken.
    """

    start: str
    low: str
    high: str
    limit: str
    advice: str

    def sentence(self, outcome: Outcome, side: Side, n_examples: int, confidence: float) -> str:
        """The comparison, and what to do."""
        if outcome == "insufficient_evidence":
            return self.start + too_close(self.low, self.high, f"the {self.limit}", n_examples, confidence)
        is_below = (outcome == "pass") == (side == "at most")
        bound = f"at most {self.high}" if is_below else f"at least {self.low}"
        return f"{self.start} ({bound} {sure(confidence)}), {ends(self.limit, self.advice, side)[outcome]}"


def ends(limit: str, advice: str, side: Side) -> dict[Outcome, str]:
    """How sentences end where the limit is met, and where it is broken."""
    within, beyond = ("within", "more than") if side == "at most" else ("no less than", "less than")
    return {"pass": f"{within} the {limit}.", "fail": f"{beyond} the {limit}: {advice}."}


def too_close(low: str, high: str, limit: str, n_examples: int, confidence: float) -> str:
    """The end of a sentence about a figure whose bounds lie on both sides of its limit."""
    return (
        f" (between {low} and {high}), too close to {limit} to tell {sure(confidence)} from {count(n_examples)} "
        "examples: explain more."
    )


def them(players: Sequence[str]) -> str:
    """`it` or `them`."""
    return "it" if len(players) == 1 else "them"
