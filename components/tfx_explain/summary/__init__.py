"""Pure, mergeable summaries of attributions, and the rules that judge them."""

from tfx_explain.summary.evidence import Evidence, Finding, Outcome
from tfx_explain.summary.grids import Bins, Grid, choose_bins, choose_grid
from tfx_explain.summary.importance import ImportanceAccumulator, ImportanceSummary
from tfx_explain.summary.profiles import (
    AccumulatedLocalEffectsAccumulator,
    Curve,
    IceCurves,
    PartialDependenceAccumulator,
)
from tfx_explain.summary.rules import (
    RULES,
    apply_rule,
    canary,
    describe,
    findings_of,
    is_blessed,
    max_completeness_gap,
    max_interaction,
    max_relative_std_error,
    max_share,
    max_slice_difference,
    max_top_share,
    min_examples,
    min_share,
    monotonic,
    sign,
    top_k_includes,
)

__all__ = [
    "RULES",
    "AccumulatedLocalEffectsAccumulator",
    "Bins",
    "Curve",
    "Evidence",
    "Finding",
    "Grid",
    "IceCurves",
    "ImportanceAccumulator",
    "ImportanceSummary",
    "Outcome",
    "PartialDependenceAccumulator",
    "apply_rule",
    "canary",
    "choose_bins",
    "choose_grid",
    "describe",
    "findings_of",
    "is_blessed",
    "max_completeness_gap",
    "max_interaction",
    "max_relative_std_error",
    "max_share",
    "max_slice_difference",
    "max_top_share",
    "min_examples",
    "min_share",
    "monotonic",
    "sign",
    "top_k_includes",
]
