"""Rules about what is inside features: areas of images, words of texts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tfx_explain.judgement.bounds import decide_all
from tfx_explain.judgement.details import PartPlace, PartShare
from tfx_explain.judgement.evidence import Evidence
from tfx_explain.judgement.rule import Decision, RuleDescription
from tfx_explain.judgement.rules.sentences import Compared
from tfx_explain.judgement.skewness import of_share, widened
from tfx_explain.judgement.wording import joined, percent, percents
from tfx_explain.summary.ratio import Array, parts_of, share_interval, t_quantile

# From so many rows on that have something in a place, their spread tells how much it may be.
_ENOUGH = 10


def _max_part_share(
    evidence: Evidence,
    confidence: float,
    *,
    feature: str,
    value: float,
    words: Sequence[str] | None = None,
    area: Sequence[float] | None = None,
) -> Decision:
    """An area of images, or words of texts, may carry at most this share of what is inside the feature.

    A watermark in a corner or a source's name in a text may predict the label without being what the model is for. The
    figure is the mean size of the attributions of the parts that lie there, over that of all parts of the feature;
    regions that lie partly in an area count by their pixels, so that a mark which no region is about weighs little. Its
    bounds are Fieller's, and the upper one allows for rows that were not seen.

    Args:
      evidence: of one (slice, output).
      confidence: of each bound.
      feature: that the method looks into.
      value: largest allowed share, 0..1.
      words: of a text, whatever their case.
      area: of an image, (left, top, right, bottom) as parts of its width and height.

    Raises:
      ConfigError: the method does not look into the feature, or it has no such place.
    """
    place = place_of(feature, words, area)
    found = None if evidence.parts is None else evidence.parts(place)
    if found is None or not found.n_effective > 1 or not found.means[1] > 0:
        return Decision.undecided(f"No part of {feature} is known to add anything: explain more examples.", [feature])
    share = np.asarray(parts_of(found.means[:1], found.means[1]))
    outcome, bounds, _ = decide_all(share, _Intervals(found), value, confidence)
    shown, low, high = percents(bounds.value, bounds.low, bounds.high, threshold=value)
    what = joined([f"`{word}`" for word in words]) if words is not None else _named(place)
    verb = "carry" if words is not None and len(words) > 1 else "carries"
    start = f"{what} {verb} {shown} of what is inside {feature}"
    compared = Compared(start, low, high, f"{percent(value)} allowed", "find out why the model looks there")
    message = compared.sentence(outcome, "at most", found.n_examples, confidence)
    return Decision(outcome, bounds.named(feature), message)


def place_of(feature: str, words: Sequence[str] | None = None, area: Sequence[float] | None = None) -> PartPlace:
    """The place that a rule's settings name."""
    return PartPlace(feature, None if words is None else tuple(words), None if area is None else _corners(area))


class _Intervals:
    """Fieller's of one share, widened for skewness."""

    def __init__(self, found: PartShare) -> None:
        covariance = found.covariance
        variance, with_total = covariance[:1, 0], covariance[:1, 1]
        self._figures = (found.means[:1], float(found.means[1]), variance, with_total, float(covariance[1, 1]))
        self._n_showing = found.n_showing
        self._freedom = found.n_effective - 1
        self._left, self._right = of_share(*self._figures, found.n_effective)

    def __call__(self, confidence: float) -> tuple[Array, Array]:
        quantile = t_quantile(confidence, self._freedom)
        low, _ = share_interval(*self._figures, widened(quantile, self._left))
        _, high = share_interval(*self._figures, widened(quantile, self._right))
        if self._n_showing >= _ENOUGH:
            return low, high
        # What hardly any row shows may be in this part of all rows, and carry everything there.
        unseen = 1 - (1 - confidence) ** (1 / (self._freedom + 1))
        return low, np.maximum(high, unseen)


def _corners(area: Sequence[float]) -> tuple[float, float, float, float]:
    left, top, right, bottom = area
    return left, top, right, bottom


def _named(place: PartPlace) -> str:
    left, top, right, bottom = place.area or (0.0, 0.0, 1.0, 1.0)
    return (
        f"The area from {percent(left)} to {percent(right)} of the width and from {percent(top)} to {percent(bottom)} "
        "of the height"
    )


MAX_PART_SHARE = RuleDescription("max_part_share", _max_part_share, Evidence, "fraction", naming=(), about="feature")
