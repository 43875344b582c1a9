"""The rule about the pointing game on known figures."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from pydantic import ValidationError
from scipy import stats

from tfx_explain.config.rules import MinPointingAccuracyRule
from tfx_explain.errors import ConfigError
from tfx_explain.judgement import Evidence, Finding, apply_rule
from tfx_explain.judgement.bounds import decide_all
from tfx_explain.judgement.details import Check, Faithfulness
from tfx_explain.judgement.intervals import share_intervals

BARE = Evidence(("a", "b"), 40, np.ones(2), np.eye(2), 0.0, output="y", method="xrai")
GAME = ("deletion", "pointing_game")


def game(hits: int, n: int = 40, image: str = "image", worth: float | None = None) -> Check:
    share, worth = hits / n, n if worth is None else worth
    error = math.sqrt(share * (1 - share) / worth)
    return Check("pointing_game", image, share, error, worth - 1, n, 7, chance=0.125)


def judged(
    *checks: Check,
    measures: tuple[str, ...] = GAME,
    features: tuple[str, ...] = ("image",),
    images: tuple[str, ...] = ("image",),
    **settings: object,
) -> Finding:
    evidence = dataclasses.replace(BARE, faithfulness=Faithfulness(checks, measures, features, images))
    finding = apply_rule("min_pointing_accuracy", {"value": 0.6, **settings}, evidence)
    assert finding.message.endswith(".")
    return finding


@pytest.mark.parametrize(("hits", "outcome"), [(36, "pass"), (27, "insufficient_evidence"), (12, "fail")])
def test_hits_must_be_frequent_for_sure(hits: int, outcome: str) -> None:
    found = judged(game(hits))
    assert (found.outcome, found.about, found.value) == (outcome, ("image",), hits / 40)
    for side, bound in (("greater", found.ci_low), ("less", found.ci_high)):
        interval = stats.binomtest(hits, 40, alternative=side).proportion_ci(0.95, method="exact")
        assert bound == pytest.approx(interval.low if side == "greater" else interval.high, rel=1e-9)
    assert found.message.startswith("Boxes take up 12.5 % of image, and its strongest region lies in one in ")


@pytest.mark.parametrize("n", [1, 7, 40, 200])
@pytest.mark.parametrize("value", [0.05, 0.5, 0.9, 0.98])
def test_what_is_broken_passes_as_rarely_as_is_said_and_what_holds_fails_as_rarely(n: int, value: float) -> None:
    """By enumeration of all numbers of hits, where the true share is at the limit."""
    outcomes = []
    for hits in range(n + 1):
        share = np.array([hits / n])
        outcomes.append(decide_all(share, share_intervals(share, np.array([n])), value, 0.95, "at least").outcome)
    chances = stats.binom(n, value).pmf(np.arange(n + 1))
    for outcome in ("pass", "fail"):
        assert chances[np.array(outcomes) == outcome].sum() <= 0.05 + 1e-12


def test_all_hits_and_none_have_bounds() -> None:
    every, none = judged(game(40)), judged(game(0))
    assert (every.outcome, every.ci_high) == ("pass", 1.0)
    assert every.ci_low == pytest.approx(0.05 ** (1 / 40))
    assert (none.outcome, none.ci_low) == ("fail", 0.0)
    assert none.ci_high == pytest.approx(1 - 0.05 ** (1 / 40))


def test_weighted_rows_count_as_what_they_are_worth() -> None:
    assert judged(game(32)).outcome == "pass"
    found = judged(game(32, worth=10.0))
    assert found.outcome == "insufficient_evidence"
    assert found.ci_low == pytest.approx(stats.beta(8, 3).ppf(0.05))


def test_every_image_that_the_method_has_regions_of_is_meant_and_nothing_else() -> None:
    two = {"features": ("image", "text", "scan"), "images": ("image", "scan")}
    found = judged(game(36), game(12, image="scan"), **two)
    assert (found.outcome, found.about) == ("fail", ("scan",))
    assert judged(game(36), game(12, image="scan"), feature="image", **two).outcome == "pass"
    found = judged(game(36), **two)
    assert (found.outcome, found.about) == ("insufficient_evidence", ("scan",))
    assert found.message == "No row of this slice that was checked has boxes and regions of scan: check more rows."


def test_what_the_explanation_does_not_have_is_said() -> None:
    with pytest.raises(ConfigError, match="list `faithfulness`"):
        apply_rule("min_pointing_accuracy", {"value": 0.5}, BARE)
    with pytest.raises(ConfigError, match="needs `boxes` of `faithfulness`, which the explanation was made without"):
        judged(measures=("deletion",))
    with pytest.raises(
        ConfigError, match="is about regions of an image, but `xrai` has regions of no image; name anot"
    ):
        judged(images=(), features=("text",))
    with pytest.raises(ConfigError, match="of the image `text`, but `xrai` has regions of `image`; name another `feat"):
        judged(game(36), feature="text")


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_shares_that_always_hold_or_never_are_refused(value: float) -> None:
    with pytest.raises(ValidationError):
        MinPointingAccuracyRule(value=value)
