"""The rule `drift`: how far importance has moved from the baseline, by a measure of choice."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

from tfx_explain.errors import ConfigError
from tfx_explain.judgement.bounds import Bounds
from tfx_explain.judgement.drift import distances
from tfx_explain.judgement.drift.bootstrap import share_bounds
from tfx_explain.judgement.drift.comparison import Comparison
from tfx_explain.judgement.drift.measure import FACTOR, UNBOUNDED, Measure
from tfx_explain.judgement.drift.orders import kendall_bounds, ndcg_bounds, top_k_bounds
from tfx_explain.judgement.drift.reversals import fold_change_bounds, rank_reversal_bounds, sign_flip_bounds
from tfx_explain.judgement.drift.z_tests import ZTests
from tfx_explain.judgement.evidence import ONLY_NOISE
from tfx_explain.judgement.finding import Outcome
from tfx_explain.judgement.rule import Decision, RuleDescription, Settings
from tfx_explain.summary.ratio import Array


def _by_shares(distance: Callable[[Array, Array], Array]) -> Callable[[Comparison, Sequence[int], float], Bounds]:
    return lambda comparison, chosen, confidence: share_bounds(comparison, chosen, distance, confidence)


def _changed_players(comparison: Comparison, chosen: Sequence[int], confidence: float) -> Bounds:
    tests = ZTests.of(comparison, chosen)
    changed = tests.changed(1 - confidence)
    about = tuple(comparison.players[i] for i, moved in zip(chosen, changed, strict=True) if moved)
    # The upper bound is the number found: a test shows that something changed, never that something did not.
    n_changed = float(changed.sum())
    return Bounds(n_changed, min(float(tests.surely_changed(1 - confidence)), n_changed), n_changed, about)


DRIFT_MEASURES: Mapping[str, Measure] = {
    "total_variation": Measure(
        _by_shares(distances.total_variation), "{} of the importance moved from some features to others"
    ),
    "l_infinity": Measure(_by_shares(distances.l_infinity), "the share of one feature changed by {} of all importance"),
    "ndcg": Measure(ndcg_bounds, "1 - nDCG of the order of importance is {}"),
    "kendall_tau": Measure(kendall_bounds, "{} of the pairs of features changed their order"),
    "top_k_overlap": Measure(
        top_k_bounds, "{} of the most important features of the baseline are no longer among them", takes=("k",)
    ),
    "rank_reversal": Measure(rank_reversal_bounds, "two features changed places by a margin of {} of all importance"),
    "sign_flips": Measure(sign_flip_bounds, "a mean effect of {} of all importance changed its direction"),
    "importance_ratio": Measure(
        fold_change_bounds, "the importance grew or shrank by a factor of {}", FACTOR, is_percent=False
    ),
    "z_score": Measure(_changed_players, "{} features changed", UNBOUNDED, is_percent=False),
}
"""What `drift: {measure: ...}` may be; each is 0 (`importance_ratio`: 1) where nothing changed."""

_OF_SHARES = ("total_variation", "l_infinity", "rank_reversal", "sign_flips")


def _drift(
    comparison: Comparison,
    confidence: float,
    *,
    measure: str,
    max: float,
    players: Sequence[str] | None = None,
    k: int = 3,
) -> Decision:
    """Importance may not have moved further from the baseline than this.

    Measures: `total_variation`, `l_infinity` (of shares), `ndcg` (1 - nDCG), `kendall_tau` (fraction of pairs
    reversed), `top_k_overlap` (fraction of the top k lost), `rank_reversal` (margin by which two players changed
    places), `sign_flips` (largest mean effect that changed direction, as a share), `importance_ratio` (factor by which
    all importance grew or shrank, at least 1) and `z_score` (number of players whose importance or mean effect changed
    at all, at a false discovery rate of 1 - confidence). `z_score` is a test, not an estimate: it passes where nothing
    is found, and finds ever smaller changes the more examples there are.

    Args:
      comparison: of one (slice, output).
      confidence: of each bound.
      measure: a key of `DRIFT_MEASURES`.
      max: largest allowed value of it.
      players: the players that are measured; None = all. Shares are always of the total of all.
      k: size of the top, for `top_k_overlap`.
    """
    by = DRIFT_MEASURES[measure]
    if measure in _OF_SHARES and (comparison.candidate.is_only_noise or comparison.baseline.is_only_noise):
        return Decision.undecided(ONLY_NOISE)
    further = {"k": k} if "k" in by.takes else {}
    bounds = by.bounds(comparison, comparison.index(players), confidence, **further)
    decision = by.decision(bounds, max, confidence)
    return dataclasses.replace(decision, message=decision.message + _movers(comparison, decision.outcome))


def _movers(comparison: Comparison, outcome: Outcome) -> str:
    """Where the importance went, for a person who has to find out why."""
    if outcome == "pass" or comparison.candidate.is_only_noise or comparison.baseline.is_only_noise:
        return ""
    ours, theirs = comparison.candidate.shares(), comparison.baseline.shares()
    order = abs(ours - theirs).argsort()[::-1][:2]
    moved = [f"{comparison.players[i]} from {theirs[i]:.1%} to {ours[i]:.1%}" for i in order]
    return f" Shares that changed most: {', '.join(moved)}; find out what changed in the data or the model."


def _refuse_unknown(_: Comparison, *, measure: str, **__: object) -> None:
    if measure not in DRIFT_MEASURES:
        raise ConfigError(f"there is no drift measure `{measure}`; measures: {', '.join(DRIFT_MEASURES)}.")


def _shown(settings: Settings) -> Settings:
    """Settings without those that say nothing here."""
    left_out = {"players"} if settings["players"] is None else set()
    left_out |= set() if "k" in DRIFT_MEASURES[settings["measure"]].takes else {"k"}
    return {name: value for name, value in settings.items() if name not in left_out}


DRIFT = RuleDescription(
    "drift",
    _drift,
    Comparison,
    "ratio",
    limits=("max", "k"),
    about=None,
    beforehand=_refuse_unknown,
    shown=_shown,
)
