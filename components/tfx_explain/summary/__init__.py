"""Pure, mergeable summaries of attributions."""

from tfx_explain.summary.curves import Curve, IceCurves
from tfx_explain.summary.grids import Bins, Grid, choose_bins, choose_grid
from tfx_explain.summary.importance import ImportanceAccumulator, Noise
from tfx_explain.summary.importance_summary import ImportanceSummary
from tfx_explain.summary.local_effects import AccumulatedLocalEffectsAccumulator
from tfx_explain.summary.partial_dependence import PartialDependenceAccumulator

__all__ = [
    "AccumulatedLocalEffectsAccumulator",
    "Bins",
    "Curve",
    "Grid",
    "IceCurves",
    "ImportanceAccumulator",
    "ImportanceSummary",
    "Noise",
    "PartialDependenceAccumulator",
    "choose_bins",
    "choose_grid",
]
