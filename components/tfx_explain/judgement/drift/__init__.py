"""Drift: how far an explanation has moved from a baseline, with bounds, and the rules that judge it."""

from collections.abc import Callable, Mapping

from tfx_explain.judgement.drift.comparison import Comparison, Moments
from tfx_explain.judgement.drift.distribution_rule import (
    DISTRIBUTION_MEASURES,
    AttributionSample,
    DistributionComparison,
    attribution_drift,
)
from tfx_explain.judgement.drift.rule import MEASURES, drift
from tfx_explain.judgement.evidence import Finding

DRIFT_RULES: Mapping[str, Callable[..., Finding]] = {"drift": drift, "attribution_drift": attribution_drift}
"""The rules that need a baseline, by their names in the configuration."""

__all__ = [
    "DISTRIBUTION_MEASURES",
    "DRIFT_RULES",
    "MEASURES",
    "AttributionSample",
    "Comparison",
    "DistributionComparison",
    "Moments",
    "attribution_drift",
    "drift",
]
