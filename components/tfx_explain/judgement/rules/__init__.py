"""All rules, by their names in the configuration."""

from __future__ import annotations

from collections.abc import Mapping

from tfx_explain.judgement.rule import RuleDescription
from tfx_explain.judgement.rules.attribution_drift import ATTRIBUTION_DRIFT
from tfx_explain.judgement.rules.contrasts import MAX_INTERACTION, MAX_SLICE_DIFFERENCE
from tfx_explain.judgement.rules.directions import MONOTONIC, SIGN
from tfx_explain.judgement.rules.drift import DRIFT
from tfx_explain.judgement.rules.faithfulness import MAX_RANDOMISATION_SIMILARITY, MIN_FAITHFULNESS
from tfx_explain.judgement.rules.parts import MAX_PART_SHARE
from tfx_explain.judgement.rules.pointing import MIN_POINTING_ACCURACY
from tfx_explain.judgement.rules.quality import MAX_COMPLETENESS_GAP, MAX_RELATIVE_STD_ERROR, MIN_EXAMPLES
from tfx_explain.judgement.rules.ranking import CANARY, TOP_K_INCLUDES
from tfx_explain.judgement.rules.shares import MAX_SHARE, MAX_TOP_SHARE, MIN_IMPORTANCE, MIN_SHARE

_ALL: tuple[RuleDescription, ...] = (
    MAX_SHARE,
    MIN_SHARE,
    MAX_TOP_SHARE,
    MIN_IMPORTANCE,
    TOP_K_INCLUDES,
    CANARY,
    SIGN,
    MONOTONIC,
    MAX_INTERACTION,
    MAX_SLICE_DIFFERENCE,
    MAX_COMPLETENESS_GAP,
    MAX_RELATIVE_STD_ERROR,
    MIN_EXAMPLES,
    MAX_PART_SHARE,
    MIN_FAITHFULNESS,
    MAX_RANDOMISATION_SIMILARITY,
    MIN_POINTING_ACCURACY,
    DRIFT,
    ATTRIBUTION_DRIFT,
)

RULES: Mapping[str, RuleDescription] = {rule.name: rule for rule in _ALL}


def describe(name: str) -> str:
    """A rule's text in reports; the name itself for a rule that is not known here."""
    return RULES[name].text if name in RULES else name


__all__ = ["RULES", "describe"]
