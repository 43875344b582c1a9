"""The rule `drift`: how far importance has moved from the baseline, by a measure of choice."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tfx_explain.errors import ConfigError
from tfx_explain.judgement.drift import measures
from tfx_explain.judgement.drift.bounds import (
    Bounds,
    fold_change_bounds,
    rank_reversal_bounds,
    share_bounds,
    sign_flip_bounds,
)
from tfx_explain.judgement.drift.comparison import Comparison
from tfx_explain.judgement.drift.deciding import Wording, decide
from tfx_explain.judgement.drift.orders import kendall_bounds, ndcg_bounds, top_k_bounds
from tfx_explain.judgement.drift.z_tests import ZTests
from tfx_explain.judgement.evidence import Finding, Outcome
from tfx_explain.judgement.wording import count

_Estimate = Callable[[Comparison, Sequence[int], float, int], Bounds]


@dataclasses.dataclass(frozen=True)
class Measure:
    """A way to measure drift.

    Attributes:
      bounds: comparison, chosen players, confidence and k -> the figure and its bounds.
      wording: how it is talked about.
    """

    bounds: _Estimate
    wording: Wording


def _by_shares(measure: Callable[..., Any]) -> _Estimate:
    return lambda comparison, chosen, confidence, _: share_bounds(comparison, chosen, measure, confidence)


def _changed_players(comparison: Comparison, chosen: Sequence[int], confidence: float, _: int) -> Bounds:
    tests = ZTests.of(comparison, chosen)
    changed = tests.changed(1 - confidence)
    about = tuple(comparison.players[i] for i, moved in zip(chosen, changed, strict=True) if moved)
    # The upper bound is the number found: a test shows that something changed, never that something did not.
    found = float(changed.sum())
    return Bounds(found, min(float(tests.surely_changed(1 - confidence)), found), found, about)


MEASURES: Mapping[str, Measure] = {
    "total_variation": Measure(
        _by_shares(measures.total_variation),
        Wording("{} of the importance moved from some players to others"),
    ),
    "l_infinity": Measure(
        _by_shares(measures.l_infinity),
        Wording("the share of one player changed by {} of all importance"),
    ),
    "ndcg": Measure(
        lambda comparison, chosen, confidence, _: ndcg_bounds(comparison, chosen, confidence),
        Wording("1 - nDCG of the order of importance is {}"),
    ),
    "kendall_tau": Measure(
        lambda comparison, chosen, confidence, _: kendall_bounds(comparison, chosen, confidence),
        Wording("{} of the pairs of players changed their order"),
    ),
    "top_k_overlap": Measure(
        top_k_bounds,
        Wording("{} of the most important players of the baseline are no longer among them"),
    ),
    "rank_reversal": Measure(
        lambda comparison, chosen, confidence, _: rank_reversal_bounds(comparison, chosen, confidence),
        Wording("two players changed places by a margin of {} of all importance"),
    ),
    "sign_flips": Measure(
        lambda comparison, chosen, confidence, _: sign_flip_bounds(comparison, chosen, confidence),
        Wording("a mean effect of {} of all importance changed its direction"),
    ),
    "importance_ratio": Measure(
        lambda comparison, chosen, confidence, _: fold_change_bounds(comparison, chosen, confidence),
        Wording("the importance became {} times larger or smaller", is_fraction=False),
    ),
    "z_score": Measure(_changed_players, Wording("{} players changed", is_fraction=False)),
}
"""What `drift: {measure: ...}` may be; each is 0 (`importance_ratio`: 1) where nothing changed."""


def drift(
    comparison: Comparison,
    *,
    measure: str,
    max: float,
    players: Sequence[str] | None = None,
    k: int = 3,
    confidence: float = 0.95,
    min_examples: int = 2,
) -> Finding:
    """Importance may not have moved further from the baseline than this.

    Measures: `total_variation`, `l_infinity` (of shares), `ndcg` (1 - nDCG), `kendall_tau` (fraction of pairs
    reversed), `top_k_overlap` (fraction of the top k lost), `rank_reversal` (margin by which two players changed
    places), `sign_flips` (largest mean effect that changed direction, as a share), `importance_ratio` (factor by which
    all importance grew or shrank, at least 1) and `z_score` (number of players whose importance or mean effect changed
    at all, at a false discovery rate of 1 - confidence). `z_score` is a test, not an estimate: it passes where nothing
    is found, and finds ever smaller changes the more examples there are.

    Args:
      comparison: of one (slice, output).
      measure: a key of `MEASURES`.
      max: largest allowed value of it.
      players: the players that are measured; None = all. Shares are always of the total of all.
      k: size of the top, for `top_k_overlap`.
      confidence: of each bound.
      min_examples: fewer examples than this, on either side, are `insufficient_evidence`.

    Raises:
      ConfigError: the measure or a player is unknown.
    """
    if measure not in MEASURES:
        raise ConfigError(f"there is no drift measure `{measure}`; measures: {', '.join(MEASURES)}.")
    chosen = comparison.index(players)
    settings: dict[str, Any] = {"measure": measure, "max": max}
    settings |= {"players": list(players)} if players is not None else {}
    settings |= {"k": k} if measure == "top_k_overlap" else {}
    reason = nothing_to_compare(comparison, min_examples)
    bounds = Bounds(math.nan, math.nan, math.nan)
    if not reason:
        bounds = MEASURES[measure].bounds(comparison, chosen, confidence, k)
    outcome = decide(bounds, max)
    message = reason or MEASURES[measure].wording.sentence(bounds, max, confidence) + _movers(comparison, outcome)
    figures = (bounds.value, bounds.low, bounds.high, float(max))
    about = bounds.about
    return Finding("drift", settings, comparison.slice_key, comparison.output, outcome, *figures, message, about)


def _movers(comparison: Comparison, outcome: Outcome) -> str:
    """Where the importance went, for a person who has to find out why."""
    if outcome == "pass":
        return ""
    ours, theirs = comparison.candidate.shares(), comparison.baseline.shares()
    order = abs(ours - theirs).argsort()[::-1][:2]
    moved = [f"{comparison.players[i]} from {theirs[i]:.1%} to {ours[i]:.1%}" for i in order]
    return f" Shares that changed most: {', '.join(moved)}; find out what changed in the data or the model."


def nothing_to_compare(comparison: Comparison, min_examples: int) -> str:
    """Why the two cannot be compared, as a sentence; empty where they can."""
    least = max(min_examples, 2)
    for name, side in (("the explanation", comparison.candidate), ("its baseline", comparison.baseline)):
        if side.n_examples < least:
            return (
                f"{name[:1].upper()}{name[1:]} has only {count(side.n_examples)} examples here and this rule needs "
                f"{count(least)}: explain more or lower `min_slice_examples`."
            )
        if not side.is_known():
            return f"The importance in {name} or its error is not a number: explain the model again."
    if not comparison.baseline.total > 0 and not comparison.candidate.total > 0:
        return "No player has any importance on either side: check that the right model and output were explained."
    return ""
