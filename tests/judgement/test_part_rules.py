"""The rule about places inside features, on known figures."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tfx_explain.judgement import Evidence, Finding, apply_rule
from tfx_explain.judgement.details import PartPlace, PartShare
from tfx_explain.summary.ratio import share_interval, t_quantile

BARE = Evidence(("image", "age"), 200, np.ones(2), np.eye(2), 0.0, output="y", method="xrai")


def judged(share: PartShare | None, **settings: object) -> tuple[Finding, list[PartPlace]]:
    asked: list[PartPlace] = []

    def parts(place: PartPlace) -> PartShare | None:
        asked.append(place)
        return share

    return apply_rule("max_part_share", settings, dataclasses.replace(BARE, parts=parts)), asked


def share_of(part: float, error: float = 0.01) -> PartShare:
    covariance = np.array([[error**2, 0.3 * error * 0.05], [0.3 * error * 0.05, 0.05**2]])
    return PartShare(200, 200.0, np.array([part, 1.0]), covariance, 150)


@pytest.mark.parametrize(("part", "outcome"), [(0.02, "pass"), (0.3, "fail"), (0.1, "insufficient_evidence")])
def test_a_place_may_carry_no_more_than_its_share(part: float, outcome: str) -> None:
    found, asked = judged(share_of(part), feature="image", area=(0, 0, 0.25, 0.25), value=0.1)
    assert found.outcome == outcome
    assert asked == [PartPlace("image", area=(0, 0, 0.25, 0.25))]
    assert "0 % to 25 %" in found.message
    narrow = share_interval(part, 1.0, 1e-4, 0.3 * 0.01 * 0.05, 0.05**2, t_quantile(0.95, 199))
    assert found.ci_high >= narrow[1][0] - 1e-12
    assert found.ci_low <= narrow[0][0] + 1e-12


def test_words_are_named() -> None:
    found, asked = judged(share_of(0.3), feature="review", words=["leak", "source"], value=0.1)
    assert "`leak` and `source` carry 30" in found.message
    assert asked == [PartPlace("review", words=("leak", "source"))]
    assert found.about == ("review",)


def test_nothing_inside_decides_nothing() -> None:
    for share in (
        None,
        PartShare(200, 200.0, np.zeros(2), np.zeros((2, 2)), 0),
        PartShare(1, 1.0, np.ones(2), np.eye(2), 1),
    ):
        assert judged(share, feature="image", area=(0, 0, 1, 1), value=0.1)[0].outcome == "insufficient_evidence"


def test_what_never_showed_may_be_in_rows_that_were_not_seen() -> None:
    found, _ = judged(
        PartShare(50, 50.0, np.array([0.0, 1.0]), np.diag([0.0, 0.01]), 0), feature="t", words=["a"], value=0.01
    )
    assert found.outcome == "insufficient_evidence"
    # A word in this part of all rows is missed by 50 of them with a probability of 5 %.
    assert (1 - found.ci_high) ** 50 == pytest.approx(0.05)


def test_a_word_in_few_rows_that_carries_everything_there_passes_as_rarely_as_is_said() -> None:
    rng, n, passed = np.random.default_rng(0), 60, 0
    for _ in range(400):
        # In 2 % of the rows the word is all there is, so that its share is 2 %.
        inside = (rng.uniform(size=n) < 0.02).astype(float)
        pairs = np.stack([inside, np.ones(n)], axis=1)
        share = PartShare(n, float(n), pairs.mean(axis=0), np.cov(pairs.T) / n, int(inside.sum()))
        passed += judged(share, feature="t", words=["a"], value=0.015)[0].outcome == "pass"
    assert passed <= 400 * 0.05 + 3 * np.sqrt(400 * 0.05 * 0.95)
