"""Rules about interactions and about slices, in parts of the total importance."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from tfx_explain.errors import ConfigError
from tfx_explain.judgement.evidence import Evidence, Finding
from tfx_explain.judgement.rules.bounds import Decision, at_most, part_bounds
from tfx_explain.judgement.rules.sentences import decided, make_finding, nothing_to_judge, too_close, undecided
from tfx_explain.judgement.skewness import of_difference, of_sizes
from tfx_explain.judgement.wording import joined, percent, percents, sure
from tfx_explain.summary.ratio import Array


def max_interaction(
    evidence: Evidence,
    *,
    value: float,
    players: Sequence[str] | None = None,
    confidence: float = 0.95,
    min_examples: int = 2,
) -> Finding:
    """The interaction of two players may be at most this part of the total importance.

    Mean |interaction| over examples, divided by the sum of all players' mean |attribution|, so that the limit needs no
    knowledge of the output's scale. How the two vary together is not known; the bounds hold whatever it is.

    Args:
      evidence: of one (slice, output).
      value: largest allowed part, 0 or more.
      players: two names; None = every pair.
      confidence: of a pass, and of a fail over all pairs together (Bonferroni).
      min_examples: fewer examples than this are `insufficient_evidence`.

    Raises:
      ConfigError: a player is unknown, or the explanation has no interactions.
    """
    evidence.index(players or ())
    settings = {"players": None if players is None else list(players), "value": value}
    found_pairs = evidence.interactions
    if found_pairs is None:
        raise ConfigError(
            "rule `max_interaction` needs interactions, which the explanation does not have; set `interactions: 2` of "
            "the method `shapley` and explain the model again."
        )
    reason = nothing_to_judge(evidence, min_examples)
    wanted = [i for i, pair in enumerate(found_pairs.pairs) if players is None or set(pair) == set(players)]
    if reason:
        return undecided("max_interaction", settings, evidence, value, reason, players)
    if not wanted:
        return _no_interaction(evidence, players, settings, value)
    total, total_std_error = _total(evidence)
    size, std_error = found_pairs.mean_abs[wanted], found_pairs.std_error[wanted]
    skewness = of_sizes(size, std_error**2, evidence.weighed_examples)
    freedom = evidence.degrees_of_freedom
    bounds = part_bounds(size, std_error, total, total_std_error, freedom, skewness, either_sign=False)
    found = at_most(size / total, bounds, value, confidence)
    pair = found_pairs.pairs[wanted[found.index]]
    part, low, high = percents(found.value, found.low, found.high, threshold=value)
    start, with_confidence = f"The interaction of {joined(pair)} is {part} of the total importance", sure(confidence)
    message = {
        "pass": f"{start} (at most {high} {with_confidence}), within the {percent(value)} allowed.",
        "fail": f"{start} (at least {low} {with_confidence}), more than the {percent(value)} allowed: constrain the "
        "model, or explain the two as one group.",
        "insufficient_evidence": start
        + too_close(evidence, low, high, f"the {percent(value)} allowed", with_confidence),
    }[found.outcome]
    return decided("max_interaction", settings, evidence, found, value, message, pair, confidence)


def _no_interaction(
    evidence: Evidence, players: Sequence[str] | None, settings: Mapping[str, object], value: float
) -> Finding:
    """Of a model that reads fewer than two players, or not both of the named ones."""
    unread = [name for name in players or () if name in evidence.unused]
    if players is not None and not unread:
        raise ConfigError(
            f"rule `max_interaction` names {joined(players)}, whose interaction the explanation does not have; "
            "explain the model again with `interactions: 2` of the method `shapley`."
        )
    why = f"does not read {joined(unread)}" if unread else "reads a single player"
    message = f"The model {why}, so there is no interaction."
    figures, about = (0.0, 0.0, 0.0, value), players or ()
    return make_finding("max_interaction", settings, evidence, "pass", figures, message, about=about)


def max_slice_difference(
    evidence: Evidence,
    *,
    value: float,
    players: Sequence[str] | None = None,
    confidence: float = 0.95,
    min_examples: int = 2,
) -> Finding:
    """A player's importance in a slice may differ from that in all other rows by at most this part of the total.

    Mean |attribution| in the slice less that outside it, either way, divided by the importance of all players over all
    rows. The error is the larger one of Welch's and Student's, on the degrees of freedom of the smaller side. The
    whole data is no slice: the rule has no finding there.

    Args:
      evidence: of one (slice, output).
      value: largest allowed difference, as a part of the total importance.
      players: names; None = all.
      confidence: of a pass, and of a fail over all players together (Bonferroni).
      min_examples: fewer examples than this are `insufficient_evidence`.

    Raises:
      ConfigError: a player is unknown.
    """
    chosen = evidence.index(evidence.players if players is None else players)
    settings = {"players": None if players is None else list(players), "value": value}
    reason = nothing_to_judge(evidence, min_examples)
    contrast = evidence.contrast
    if not reason and (contrast is None or np.isnan(contrast.std_error).any()):
        reason = "The slice or the rest has too few examples to be compared: explain more."
    if reason or contrast is None:
        return undecided("max_slice_difference", settings, evidence, value, reason, players)
    difference, std_error = contrast.difference[chosen], contrast.std_error[chosen]
    total, freedom = (contrast.total, contrast.total_std_error), contrast.degrees_of_freedom
    skewness = _difference_skewness(evidence, chosen, difference, std_error)
    bounds = part_bounds(difference, std_error, *total, freedom, skewness, either_sign=True)
    found = at_most(np.abs(difference) / contrast.total, bounds, value, confidence)
    player = evidence.players[chosen[found.index]]
    message = _difference_sentence(evidence, found, player, difference[found.index], value, sure(confidence))
    return decided("max_slice_difference", settings, evidence, found, value, message, [player], confidence)


def _difference_skewness(
    evidence: Evidence, chosen: Sequence[int], difference: Array, std_error: Array
) -> tuple[Array, Array]:
    """Of |difference| between the slice and the rest, to the left and to the right."""
    inside = evidence.mean_abs[chosen], np.diag(evidence.mean_abs_covariance)[chosen], evidence.weighed_examples
    # The rest is seldom the smaller one: taken for as many examples, it has too long a tail to the left.
    outside = inside[0] - difference, np.maximum(std_error**2 - inside[1], 0.0), evidence.weighed_examples
    left, right = of_difference(inside, outside, std_error**2)
    return np.where(difference >= 0, left, right), np.where(difference >= 0, right, left)


def _difference_sentence(
    evidence: Evidence, found: Decision, player: str, difference: float, value: float, with_confidence: str
) -> str:
    part, low, high = percents(found.value, found.low, found.high, threshold=value)
    more = "more" if difference >= 0 else "less"
    start = f"{player} matters {more} in {evidence.slice_key} than elsewhere by {part} of the total importance"
    if found.outcome == "pass":
        return f"{start} (at most {high} {with_confidence}), within the {percent(value)} allowed."
    if found.outcome == "fail":
        return (
            f"{start} (at least {low} {with_confidence}), more than the {percent(value)} allowed: find out why the "
            "model treats the slice differently."
        )
    return start + too_close(evidence, low, high, f"the {percent(value)} allowed", with_confidence)


def _total(evidence: Evidence) -> tuple[float, float]:
    """The importance of all players together, and its standard error over examples."""
    variance = float(np.sum(np.asarray(evidence.mean_abs_covariance, np.float64)))
    return float(np.sum(evidence.mean_abs)), math.sqrt(max(variance, 0.0))
