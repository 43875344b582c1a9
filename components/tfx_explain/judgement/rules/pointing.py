"""The rule about whether what attributions call strongest lies in boxes that somebody drew."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tfx_explain.errors import ConfigError
from tfx_explain.judgement.bounds import decide_all
from tfx_explain.judgement.details import Check, Faithfulness
from tfx_explain.judgement.evidence import Evidence
from tfx_explain.judgement.intervals import share_intervals
from tfx_explain.judgement.rule import Decision, RuleDescription
from tfx_explain.judgement.rules.faithfulness import FAITHFULNESS
from tfx_explain.judgement.rules.sentences import Compared
from tfx_explain.judgement.wording import joined, percent, percents

_NAME = "min_pointing_accuracy"
_GAME = "pointing_game"


def _min_pointing_accuracy(
    evidence: Evidence, confidence: float, *, value: float, feature: str | None = None
) -> Decision:
    """The strongest region must lie in a box in at least this share of the rows that have boxes.

    One pixel of the strongest region is looked up for each row, so hits are a share of independent rows, and its
    bounds are Clopper and Pearson's: those of Wilson, which the table has, pass a share near 1 too often. Maps that
    know nothing hit by the area of the boxes; a value below that demands nothing.

    Args:
      evidence: of one (slice, output).
      confidence: of a pass, and of a fail over all images together (Bonferroni).
      value: least allowed share of hits, above 0 and below 1.
      feature: the image that is meant; None = each one that the method finds regions of.

    Raises:
      ConfigError: the explanation does not have the pointing game, or the method no regions of the feature.

    Source: J. Zhang et al., "Top-down neural attention by excitation backprop", ECCV 2016.
    """
    if evidence.faithfulness is None:
        raise ConfigError(f"rule `{_NAME}` {FAITHFULNESS.otherwise}")
    checks = _checks(evidence.faithfulness, evidence.method, feature)
    if isinstance(checks, Decision):
        return checks
    share = np.array([check.value for check in checks], np.float64)
    n = np.array([check.degrees_of_freedom + 1 for check in checks], np.float64)
    outcome, bounds, index = decide_all(share, share_intervals(share, n), value, confidence, "at least")
    check = checks[index]
    part, low, high = percents(bounds.value, bounds.low, bounds.high, threshold=value)
    (chance,) = percents(check.chance, threshold=math.nan)
    start = f"Boxes take up {chance} of {check.feature}, and its strongest region lies in one in {part} of the rows"
    advice = "find out whether the model looks elsewhere, or the method does not tell where it looks"
    compared = Compared(start, low, high, f"{percent(value)} required", advice)
    message = compared.sentence(outcome, "at least", check.n_examples, confidence)
    return Decision(outcome, bounds.named(check.feature), message)


def _checks(known: Faithfulness, method: str, feature: str | None) -> Sequence[Check] | Decision:
    """The games that are meant, or why there are none."""
    if _GAME not in known.measures:
        raise ConfigError(
            f"rule `{_NAME}` needs `boxes` of `faithfulness`, which the explanation was made without; name the feature "
            "that holds boxes there and explain the model again."
        )
    if not known.images or feature not in (None, *known.images):
        what = f"the image `{feature}`" if feature is not None else "an image"
        there = ", ".join(f"`{image}`" for image in known.images) or "no image"
        raise ConfigError(
            f"rule `{_NAME}` is about regions of {what}, but `{method}` has regions of {there}; name another "
            f"{'`feature`' if known.images else '`method`'}."
        )
    wanted = known.images if feature is None else (feature,)
    found = {check.feature: check for check in known.checks if check.measure == _GAME and check.is_known}
    absent = [image for image in wanted if image not in found]
    if absent:
        reason = f"No row of this slice that was checked has boxes and regions of {joined(absent)}: check more rows."
        return Decision.undecided(reason, absent)
    return [found[image] for image in wanted]


MIN_POINTING_ACCURACY = RuleDescription(
    _NAME, _min_pointing_accuracy, Evidence, "fraction", naming=(), about="feature", needs=(FAITHFULNESS,)
)
