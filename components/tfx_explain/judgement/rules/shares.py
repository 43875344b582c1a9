"""Rules about how much players matter: shares of the importance, and importance itself."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tfx_explain.judgement.evidence import Evidence, Finding, Outcome
from tfx_explain.judgement.rules.bounds import Bounds, at_least, at_most, t_bounds
from tfx_explain.judgement.rules.sentences import decided, make_finding, nothing_to_judge, them, too_close, undecided
from tfx_explain.judgement.shares import ShareTest
from tfx_explain.judgement.skewness import of_estimated_sum, of_share, of_sizes, widened
from tfx_explain.judgement.wording import joined, percent, percents, sure
from tfx_explain.summary.ratio import Array, share_interval, t_quantile


def max_share(
    evidence: Evidence, *, players: Sequence[str], value: float, confidence: float = 0.95, min_examples: int = 2
) -> Finding:
    """Together, these players may carry at most this share of the importance.

    Importance is mean |attribution|; the share of a set S is sum_S / sum_all. The test is on the mean over examples of
    u = sum_S |phi| - value * sum_all |phi|, with Student's t on n - 1 degrees of freedom, widened for the skewness of
    u; the bounds are Fieller's and agree with it. Where all importance is 0 the share is reported as 0, but as 0 / 0 it
    is no evidence: a model whose output never changes ends in `insufficient_evidence`.

    Args:
      evidence: of one (slice, output).
      players: names; the set S.
      value: largest allowed share, 0..1.
      confidence: of each bound.
      min_examples: fewer examples than this are `insufficient_evidence`.

    Raises:
      ConfigError: a player is unknown.

    Source: E. C. Fieller, JRSS B 16 (1954) 175-185.
    """
    test = ShareTest.of(evidence, players, value, confidence)
    ends = {
        "pass": f", within the {percent(value)} allowed.",
        "fail": f", more than the {percent(value)} allowed: remove or constrain {them(players)}.",
        "insufficient_evidence": f" {test.forecast(evidence.n_examples)}.",
    }
    outcome = test.at_most()
    message = test.sentence(players, value, confidence, "allowed") + ends[outcome]
    return _finding("max_share", evidence, test, (outcome, message), players, value, confidence, min_examples)


def min_share(
    evidence: Evidence, *, players: Sequence[str], value: float, confidence: float = 0.95, min_examples: int = 2
) -> Finding:
    """Together, these players must carry at least this share of the importance.

    The test is that of `max_share`, with the bounds exchanged.

    Args:
      evidence: of one (slice, output).
      players: names; the set S.
      value: smallest allowed share, 0..1.
      confidence: of each bound.
      min_examples: fewer examples than this are `insufficient_evidence`.

    Raises:
      ConfigError: a player is unknown.
    """
    test = ShareTest.of(evidence, players, value, confidence)
    ends = {
        "pass": f", no less than the {percent(value)} required.",
        "fail": f", less than the {percent(value)} required: find out why the model uses {them(players)} so little.",
        "insufficient_evidence": f" {test.forecast(evidence.n_examples)}.",
    }
    outcome = test.at_least()
    message = test.sentence(players, value, confidence, "required") + ends[outcome]
    return _finding("min_share", evidence, test, (outcome, message), players, value, confidence, min_examples)


def _finding(
    rule: str,
    evidence: Evidence,
    test: ShareTest,
    said: tuple[Outcome, str],
    players: Sequence[str],
    value: float,
    confidence: float,
    min_examples: int,
) -> Finding:
    """A finding about the share of some players; `said` = outcome and sentence where there is something to judge."""
    reason = nothing_to_judge(evidence, min_examples)
    outcome: Outcome = "insufficient_evidence" if reason else said[0]
    message = reason or said[1]
    settings = {"players": list(players), "value": value}
    figures = (test.share, test.low, test.high, value)
    sure_of = None if reason else confidence
    return make_finding(rule, settings, evidence, outcome, figures, message, about=players, confidence=sure_of)


def max_top_share(evidence: Evidence, *, value: float, confidence: float = 0.95, min_examples: int = 2) -> Finding:
    """No single player may carry more than this share of the importance.

    A feature that is known only after the outcome carries nearly everything, whatever its name. Each player's share has
    Fieller's bounds, as for `max_share`.

    Args:
      evidence: of one (slice, output).
      value: largest allowed share of any player, 0..1.
      confidence: of a pass, and of a fail over all players together (Bonferroni).
      min_examples: fewer examples than this are `insufficient_evidence`.
    """
    settings = {"value": value}
    reason = nothing_to_judge(evidence, min_examples)
    if reason:
        return undecided("max_top_share", settings, evidence, value, reason, None)
    shares = evidence.mean_abs / float(np.sum(evidence.mean_abs))
    found = at_most(shares, _share_bounds(evidence), value, confidence)
    player = evidence.players[found.index]
    share, low, high = percents(found.value, found.low, found.high, threshold=value)
    start, with_confidence = f"{player} alone carries {share} of the importance", sure(confidence)
    message = {
        "pass": f"{start} (at most {high} {with_confidence}), within the {percent(value)} allowed of any one player.",
        "fail": f"{start} (at least {low} {with_confidence}), more than the {percent(value)} allowed of any one "
        "player: find out whether it is known before the outcome is.",
        "insufficient_evidence": start
        + too_close(evidence, low, high, f"the {percent(value)} allowed of any one player", with_confidence),
    }[found.outcome]
    return decided("max_top_share", settings, evidence, found, value, message, [player], confidence)


def min_importance(
    evidence: Evidence, *, players: Sequence[str], value: float, confidence: float = 0.95, min_examples: int = 2
) -> Finding:
    """Together, these players must move the output by at least this much, in its own units.

    The sum of their mean |attribution|, with Student's t widened for its skewness. Shares say how players compare with
    each other and stay as they are when all of them fade: a model that has learned nothing is told by its importances
    alone.

    Args:
      evidence: of one (slice, output).
      players: names.
      value: smallest allowed sum, in units of the output.
      confidence: of each bound.
      min_examples: fewer examples than this are `insufficient_evidence`.

    Raises:
      ConfigError: a player is unknown.
    """
    chosen = evidence.index(players)
    settings = {"players": list(players), "value": value}
    reason = nothing_to_judge(evidence, min_examples)
    if reason:
        return undecided("min_importance", settings, evidence, value, reason, players)
    size = np.array([np.sum(np.asarray(evidence.mean_abs, np.float64)[chosen])])
    covariance = np.asarray(evidence.mean_abs_covariance, np.float64)[np.ix_(chosen, chosen)]
    variance, n = np.sum(covariance), evidence.weighed_examples
    skewness = of_sizes(size, [variance], n)
    if evidence.skewness is not None:
        skewness = of_estimated_sum(evidence.skewness[chosen], covariance, n, skewness)
    std_error = np.sqrt(np.maximum([variance], 0.0))
    bounds = t_bounds(size, std_error, evidence.degrees_of_freedom, skewness, least=0.0)
    found = at_least(size, bounds, value, confidence)
    shown, low, high = (f"{figure:.3g}" for figure in (found.value, found.low, found.high))
    move = "moves" if len(players) == 1 else "together move"
    start, with_confidence = f"{joined(players)} {move} the output by {shown} on average", sure(confidence)
    message = {
        "pass": f"{start} (at least {low} {with_confidence}), no less than the {value:g} required.",
        "fail": f"{start} (at most {high} {with_confidence}), less than the {value:g} required: find out whether the "
        f"model has learned anything from {them(players)}.",
        "insufficient_evidence": start + too_close(evidence, low, high, f"the {value:g} required", with_confidence),
    }[found.outcome]
    return decided("min_importance", settings, evidence, found, value, message, players, confidence)


def _share_bounds(evidence: Evidence) -> Bounds:
    """Fieller's bounds of every player's share, widened for skewness."""
    covariance = np.asarray(evidence.mean_abs_covariance, dtype=np.float64)
    figures = (
        np.asarray(evidence.mean_abs, np.float64),
        float(np.sum(evidence.mean_abs)),
        np.diag(covariance),
        covariance.sum(axis=1),
        float(covariance.sum()),
    )
    left, right = of_share(*figures, evidence.weighed_examples)

    def bounds(confidence: float) -> tuple[Array, Array]:
        quantile = t_quantile(confidence, evidence.degrees_of_freedom)
        low, _ = share_interval(*figures, widened(quantile, left))
        _, high = share_interval(*figures, widened(quantile, right))
        return low, high

    return bounds
