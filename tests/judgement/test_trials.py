"""What ends a simulation early, and what it still finds."""

import numpy as np
import pytest

from trials import often, seldom_wrong


def trials(rate, seed=0, runs=2000):
    """(runs,) of which one is wrong at this rate."""
    return ((("fail",) if wrong else ("pass",)) for wrong in np.random.default_rng(seed).random(runs) < rate)


def test_what_is_wrong_too_often_is_found_as_surely_as_in_all_trials():
    """At the limit of all trials half of the seeds find it; the binomial error of 100 is 5."""
    limit = often(2000) / 2000
    found = refused = 0
    for seed in range(100):
        refused += sum(outcome == ("fail",) for outcome in trials(limit, seed)) > often(2000)
        try:
            seldom_wrong(trials(limit, seed), "fail")
        except AssertionError:
            found += 1
    assert found == refused
    assert 35 <= found <= 65
    with pytest.raises(AssertionError):
        seldom_wrong(trials(0.1), "fail")


def test_what_is_seldom_wrong_takes_few_trials():
    assert seldom_wrong(trials(0.005), "fail").total() <= 400
    assert seldom_wrong(trials(0.05), "fail").total() == 2000


def test_every_mistake_counts_and_what_has_to_happen_is_waited_for():
    with pytest.raises(AssertionError):
        seldom_wrong((("low",) if i % 8 == 0 else () for i in range(2000)), "fail", "low")
    assert seldom_wrong((("fail",) if i == 1500 else () for i in range(2000)), "fail", seen="fail")["fail"] == 1
    with pytest.raises(AssertionError):
        seldom_wrong((() for _ in range(2000)), "fail", seen="fail")
