"""Rules about interactions and about slices, in parts of the total importance."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tfx_explain.errors import ConfigError
from tfx_explain.judgement.bounds import Bounds, decide_all
from tfx_explain.judgement.details import Interactions
from tfx_explain.judgement.evidence import ONLY_NOISE, Evidence
from tfx_explain.judgement.intervals import Skewness, part_intervals
from tfx_explain.judgement.rule import TOTAL, Decision, Need, RuleDescription
from tfx_explain.judgement.rules.sentences import Compared
from tfx_explain.judgement.skewness import of_difference, of_sizes
from tfx_explain.judgement.wording import joined, percent, percents
from tfx_explain.summary.ratio import Array


def _max_interaction(
    evidence: Evidence, confidence: float, *, players: Sequence[str] | None = None, value: float
) -> Decision:
    """The interaction of two features may be at most this part of the total importance.

    Mean |interaction| over examples, divided by the sum of all players' mean |attribution|, so that the limit needs no
    knowledge of the output's scale. How the two vary together is not known; the bounds hold whatever it is.

    Args:
      evidence: of one (slice, output).
      confidence: of a pass, and of a fail over all pairs together (Bonferroni).
      players: two names; None = every pair.
      value: largest allowed part, 0 or more.

    Raises:
      ConfigError: the explanation does not have the interaction.
    """
    known = evidence.interactions or Interactions((), np.zeros(0), np.zeros(0))
    wanted = [i for i, pair in enumerate(known.pairs) if players is None or set(pair) == set(players)]
    if not wanted:
        return _no_interaction(evidence, players)
    size, std_error = known.mean_abs[wanted], known.std_error[wanted]
    skewness = of_sizes(size, std_error**2, evidence.weighed_examples)
    total, freedom = (evidence.total, evidence.total_std_error), evidence.degrees_of_freedom
    intervals = part_intervals(size, std_error, *total, freedom, skewness, either_sign=False)
    outcome, bounds, index = decide_all(size / evidence.total, intervals, value, confidence)
    pair = known.pairs[wanted[index]]
    part, low, high = percents(bounds.value, bounds.low, bounds.high, threshold=value)
    start = f"The interaction of {joined(pair)} is {part} of the total importance"
    advice = "constrain the model, or explain the two as one group"
    compared = Compared(start, low, high, f"{percent(value)} allowed", advice)
    message = compared.sentence(outcome, "at most", evidence.n_examples, confidence)
    return Decision(outcome, bounds.named(*pair), message)


def _no_interaction(evidence: Evidence, players: Sequence[str] | None) -> Decision:
    """Of a model that reads fewer than two players, or not both of the named ones."""
    unread = [name for name in players or () if name in evidence.unused]
    if players is not None and not unread:
        raise ConfigError(
            f"rule `max_interaction` names {joined(players)}, whose interaction the explanation does not have; "
            "explain the model again with `interactions: 2` of the method `shapley`."
        )
    why = f"does not read {joined(unread)}" if unread else "reads a single feature"
    message = f"The model {why}, so there is no interaction."
    return Decision("pass", Bounds.exact(0.0, tuple(players or ())), message, is_estimated=False)


def _max_slice_difference(
    evidence: Evidence, confidence: float, *, players: Sequence[str] | None = None, value: float
) -> Decision:
    """A feature's importance in a slice may differ from that in all other rows by at most this part of the total.

    Mean |attribution| in the slice less that outside it, either way, divided by the importance of all players over all
    rows. The error is the larger one of Welch's and Student's, on the degrees of freedom of the smaller side. The
    whole data is no slice: the rule has no finding there.

    Args:
      evidence: of one (slice, output).
      confidence: of a pass, and of a fail over all players together (Bonferroni).
      players: names; None = all.
      value: largest allowed difference, as a part of the total importance.
    """
    contrast, chosen = evidence.contrast, evidence.index(players)
    if contrast is None or np.isnan(contrast.std_error).any():
        return Decision.undecided(_CONTRAST.otherwise, players or ())
    if not contrast.total > 0:
        return Decision.undecided(ONLY_NOISE, players or ())
    difference, std_error = contrast.difference[chosen], contrast.std_error[chosen]
    total, freedom = (contrast.total, contrast.total_std_error), contrast.degrees_of_freedom
    skewness = _difference_skewness(evidence, chosen, difference, std_error)
    intervals = part_intervals(difference, std_error, *total, freedom, skewness, either_sign=True)
    outcome, bounds, index = decide_all(np.abs(difference) / contrast.total, intervals, value, confidence)
    player = evidence.players[chosen[index]]
    part, low, high = percents(bounds.value, bounds.low, bounds.high, threshold=value)
    more = "more" if difference[index] >= 0 else "less"
    start = f"{player} matters {more} in {evidence.slice_key} than elsewhere by {part} of the total importance"
    advice = "find out why the model treats the slice differently"
    compared = Compared(start, low, high, f"{percent(value)} allowed", advice)
    message = compared.sentence(outcome, "at most", evidence.n_examples, confidence)
    return Decision(outcome, bounds.named(player), message)


def _difference_skewness(evidence: Evidence, chosen: Sequence[int], difference: Array, std_error: Array) -> Skewness:
    """Of |difference| between the slice and the rest, to the left and to the right."""
    inside = evidence.mean_abs[chosen], np.diag(evidence.mean_abs_covariance)[chosen], evidence.weighed_examples
    # The rest is seldom the smaller one: taken for as many examples, it has too long a tail to the left.
    outside = inside[0] - difference, np.maximum(std_error**2 - inside[1], 0.0), evidence.weighed_examples
    left, right = of_difference(inside, outside, std_error**2)
    return np.where(difference >= 0, left, right), np.where(difference >= 0, right, left)


_INTERACTIONS = Need(
    "interactions",
    "needs interactions, which the explanation does not have; set `interactions: 2` of the method `shapley` and "
    "explain the model again.",
    is_mistake=True,
)
_CONTRAST = Need("contrast", "The slice or the rest has too few examples to be compared: explain more.")

MAX_INTERACTION = RuleDescription(
    "max_interaction", _max_interaction, Evidence, "fraction", needs=(_INTERACTIONS, TOTAL)
)
MAX_SLICE_DIFFERENCE = RuleDescription(
    "max_slice_difference",
    _max_slice_difference,
    Evidence,
    "fraction",
    needs=(_CONTRAST,),
)
