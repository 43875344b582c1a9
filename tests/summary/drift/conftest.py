"""Attributions with known drift, and what rules about drift make of them."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tfx_explain.config.drift import DEFAULT_DRIFT_RULES
from tfx_explain.summary import ImportanceAccumulator
from tfx_explain.summary.drift import (
    AttributionSample,
    Comparison,
    DistributionComparison,
    Moments,
    attribution_drift,
    drift,
)


def moments(phi: Any, weights: Any = None) -> Moments:
    """The importance in (n, d) attributions, as the tables of an explanation hold it."""
    phi = np.asarray(phi, float)
    n, d = phi.shape
    accumulator = ImportanceAccumulator(d)
    accumulator.add(phi, np.zeros((n, d)), np.zeros((n, d)), np.zeros(n), np.zeros(n), weights)
    result = accumulator.result()
    return Moments(
        result.n_examples,
        result.n_effective,
        result.mean_abs,
        result.mean_abs_covariance,
        result.mean_signed,
        result.mean_signed_std_error,
    )


def names(d: int) -> tuple[str, ...]:
    return tuple(f"p{i}" for i in range(d))


def compare(ours: Any, theirs: Any) -> Comparison:
    return Comparison(names(np.shape(ours)[1]), moments(ours), moments(theirs))


def outcome(rule: dict[str, Any], ours: Any, theirs: Any, **kwargs: Any) -> Any:
    """The finding of one rule, as in a configuration, on two sets of attributions."""
    ((name, settings),) = rule.items()
    if name == "drift":
        return drift(compare(ours, theirs), **settings, **kwargs)
    samples = [AttributionSample(np.asarray(phi, float), np.ones(len(phi))) for phi in (ours, theirs)]
    return attribution_drift(DistributionComparison(names(np.shape(ours)[1]), *samples), **settings, **kwargs)


@pytest.fixture(scope="session")
def judge_drift() -> Callable[..., Any]:
    return outcome


@pytest.fixture(scope="session")
def default_rules() -> Any:
    return DEFAULT_DRIFT_RULES
