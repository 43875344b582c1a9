"""Attributions whose drift is known, and what the rules make of them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from tfx_explain.judgement import Finding, apply_rule
from tfx_explain.judgement.drift.comparison import Comparison, Moments
from tfx_explain.judgement.drift.distributions import AttributionSample, DistributionComparison
from tfx_explain.summary import ImportanceAccumulator

Rule = Mapping[str, Mapping[str, Any]]


def _sample(
    shares: Sequence[float], n: int, rng: np.random.Generator, signs: Sequence[float] | None = None, size: float = 1.0
) -> np.ndarray:
    """(n, d) attributions with mean |phi| = size * shares, dependent across players, each of one sign."""
    spread = np.abs(0.4 * rng.normal(size=(n, 1)) + 0.9 * rng.normal(size=(n, len(shares)))) + 0.3
    mean = np.sqrt(2 / np.pi) * np.hypot(0.4, 0.9) + 0.3
    return size * np.asarray(shares) * spread / mean * (1.0 if signs is None else np.asarray(signs))


def _moments(phi: np.ndarray, weights: np.ndarray | None = None) -> Moments:
    """The importance in (n, d) attributions, as the tables of an explanation hold it."""
    n, d = phi.shape
    accumulator = ImportanceAccumulator(d)
    accumulator.add(phi, np.zeros((n, d)), np.zeros((n, d)), np.zeros(n), np.zeros(n), weights)
    result = accumulator.result()
    signed = result.mean_signed, result.mean_signed_std_error
    of_sizes = result.mean_abs, result.mean_abs_covariance
    return Moments(result.n_examples, result.n_effective, *of_sizes, *signed, cut_off=result.cut_off)


def _judge(rule: Rule, ours: np.ndarray, theirs: np.ndarray, **kwargs: Any) -> Finding:
    """What one rule, written as in a configuration, finds between two sets of attributions."""
    (finding,) = _judge_all([rule], ours, theirs, **kwargs)
    return finding


def _judge_all(rules: Iterable[Rule], ours: np.ndarray, theirs: np.ndarray, **kwargs: Any) -> list[Finding]:
    """What each rule finds."""
    named = [item for rule in rules for item in rule.items()]
    players = tuple(f"p{i}" for i in range(ours.shape[1]))
    samples = [AttributionSample(phi, np.ones(len(phi))) for phi in (ours, theirs)]
    compared: dict[str, Any] = {"attribution_drift": DistributionComparison(players, *samples)}
    if any(name == "drift" for name, _ in named):
        compared["drift"] = Comparison(players, _moments(ours), _moments(theirs))
    return [apply_rule(name, settings, compared[name], **kwargs) for name, settings in named]


@pytest.fixture(scope="session")
def sample() -> Callable[..., np.ndarray]:
    return _sample


@pytest.fixture(scope="session")
def moments() -> Callable[..., Moments]:
    return _moments


@pytest.fixture(scope="session")
def judge() -> Callable[..., Finding]:
    return _judge


@pytest.fixture(scope="session")
def judge_all() -> Callable[..., list[Finding]]:
    return _judge_all
