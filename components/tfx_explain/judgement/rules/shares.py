"""Rules about how much players matter: shares of the importance, and importance itself."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tfx_explain.judgement.bounds import Intervals, Side, decide, decide_all
from tfx_explain.judgement.evidence import Evidence
from tfx_explain.judgement.intervals import t_intervals
from tfx_explain.judgement.rule import TOTAL, Decision, Demand, RuleDescription
from tfx_explain.judgement.rules.sentences import Compared, ends, them
from tfx_explain.judgement.shares import ShareTest
from tfx_explain.judgement.skewness import of_estimated_sum, of_share, of_sizes, widened
from tfx_explain.judgement.wording import joined, percent, percents
from tfx_explain.summary.ratio import Array, parts_of, share_interval, t_quantile


def _max_share(evidence: Evidence, confidence: float, *, players: Sequence[str], value: float) -> Decision:
    """Together, these features may carry at most this share of the importance.

    Importance is mean |attribution|; the share of a set S is sum_S / sum_all. The test is on the mean over examples of
    u = sum_S |phi| - value * sum_all |phi|, with Student's t on n - 1 degrees of freedom, widened for the skewness of
    u; the bounds are Fieller's and agree with it. Where all importance is 0 the share is reported as 0, but as 0 / 0 it
    is no evidence: a model whose output never changes ends in `insufficient_evidence`.

    Args:
      evidence: of one (slice, output).
      confidence: of each bound.
      players: names; the set S.
      value: largest allowed share, 0..1.

    Source: E. C. Fieller, JRSS B 16 (1954) 175-185.
    """
    advice = f"remove or constrain {them(players)}"
    return _of_share(evidence, confidence, players, value, "at most", advice)


def _min_share(evidence: Evidence, confidence: float, *, players: Sequence[str], value: float) -> Decision:
    """Together, these features must carry at least this share of the importance.

    The test is that of `max_share`, with the bounds exchanged.

    Args:
      evidence: of one (slice, output).
      confidence: of each bound.
      players: names; the set S.
      value: smallest allowed share, 0..1.
    """
    advice = f"find out why the model uses {them(players)} so little"
    return _of_share(evidence, confidence, players, value, "at least", advice)


def _of_share(
    evidence: Evidence, confidence: float, players: Sequence[str], value: float, side: Side, advice: str
) -> Decision:
    test = ShareTest.of(evidence, players, value, confidence)
    outcome = decide(test.difference, 0.0, side)
    limit = "allowed" if side == "at most" else "required"
    end = f" {test.forecast(evidence.n_examples)}."
    if outcome != "insufficient_evidence":
        end = f", {ends(f'{percent(value)} {limit}', advice, side)[outcome]}"
    message = test.sentence(players, value, confidence, limit) + end
    return Decision(outcome, test.share.named(*players), message)


def _max_top_share(evidence: Evidence, confidence: float, *, value: float) -> Decision:
    """No single feature may carry more than this share of the importance.

    A feature that is known only after the outcome carries nearly everything, whatever its name. Each player's share has
    Fieller's bounds, as for `max_share`.

    Args:
      evidence: of one (slice, output).
      confidence: of a pass, and of a fail over all players together (Bonferroni).
      value: largest allowed share of any player, 0..1.
    """
    shares = parts_of(evidence.mean_abs, evidence.total)
    outcome, bounds, index = decide_all(shares, _share_intervals(evidence), value, confidence)
    player = evidence.players[index]
    share, low, high = percents(bounds.value, bounds.low, bounds.high, threshold=value)
    limit = f"{percent(value)} allowed of any one feature"
    advice = "find out whether it is known before the outcome is"
    compared = Compared(f"{player} alone carries {share} of the importance", low, high, limit, advice)
    message = compared.sentence(outcome, "at most", evidence.n_examples, confidence)
    return Decision(outcome, bounds.named(player), message)


def _min_importance(evidence: Evidence, confidence: float, *, players: Sequence[str], value: float) -> Decision:
    """Together, these features must move the output by at least this much, in its own units.

    The sum of their mean |attribution|, with Student's t widened for its skewness. Shares say how players compare with
    each other and stay as they are when all of them fade: a model that has learned nothing is told by its importances
    alone.

    Args:
      evidence: of one (slice, output).
      confidence: of each bound.
      players: names.
      value: smallest allowed sum, in units of the output.
    """
    chosen = evidence.index(players)
    size = np.maximum([np.sum(evidence.uncut[chosen])], 0.0)
    outcome, bounds, _ = decide_all(size, _sum_intervals(evidence, chosen, size), value, confidence, "at least")
    shown, low, high = (f"{figure:.3g}" for figure in (bounds.value, bounds.low, bounds.high))
    move = "moves" if len(players) == 1 else "together move"
    start = f"{joined(players)} {move} the output by {shown} on average"
    advice = f"find out whether the model has learned anything from {them(players)}"
    compared = Compared(start, low, high, f"{value:g} required", advice)
    message = compared.sentence(outcome, "at least", evidence.n_examples, confidence)
    return Decision(outcome, bounds.named(*players), message)


def _sum_intervals(evidence: Evidence, chosen: Sequence[int], size: Array) -> Intervals:
    """Of the chosen players' summed importance, which is `size`, (1,)."""
    covariance = np.asarray(evidence.mean_abs_covariance, np.float64)[np.ix_(chosen, chosen)]
    variance, n = np.sum(covariance), evidence.weighed_examples
    skewness = of_sizes(size, [variance], n)
    if evidence.skewness is not None:
        skewness = of_estimated_sum(evidence.skewness[chosen], covariance, n, skewness)
    std_error = np.sqrt(np.maximum([variance], 0.0))
    return t_intervals(size, std_error, evidence.degrees_of_freedom, skewness, least=0.0)


def _share_intervals(evidence: Evidence) -> Intervals:
    """Fieller's, of every player's share, widened for skewness."""
    covariance = np.asarray(evidence.mean_abs_covariance, dtype=np.float64)
    figures = (
        np.asarray(evidence.mean_abs, np.float64),
        evidence.total,
        np.diag(covariance),
        covariance.sum(axis=1),
        float(covariance.sum()),
    )
    left, right = of_share(*figures, evidence.weighed_examples)

    def intervals(confidence: float) -> tuple[Array, Array]:
        quantile = t_quantile(confidence, evidence.degrees_of_freedom)
        low, _ = share_interval(*figures, widened(quantile, left))
        _, high = share_interval(*figures, widened(quantile, right))
        return low, high

    return intervals


MAX_SHARE = RuleDescription(
    "max_share", _max_share, Evidence, "fraction", demand=Demand.SHARE_AT_MOST, needs=(TOTAL,), shows_figures=True
)
MIN_SHARE = RuleDescription(
    "min_share", _min_share, Evidence, "fraction", demand=Demand.SHARE_AT_LEAST, needs=(TOTAL,), shows_figures=True
)
MAX_TOP_SHARE = RuleDescription(
    "max_top_share", _max_top_share, Evidence, "fraction", demand=Demand.EACH_SHARE_AT_MOST, needs=(TOTAL,)
)
MIN_IMPORTANCE = RuleDescription(
    "min_importance", _min_importance, Evidence, "output", demand=Demand.IMPORTANCE_AT_LEAST
)
