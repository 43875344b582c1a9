"""Settings of the rules that ValidationConfig lists; what each rule does is said in `tfx_explain.judgement.rules`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator
from typing_extensions import Self

from tfx_explain.config.base import Part
from tfx_explain.regions.spans import spoken

Players = tuple[str, ...]


class AttributionRule(Part):
    """A rule about the attributions of one method, and the importance that they give."""

    method: str | None = Field(None, description="whose attributions; null = the first method that attributes")


class MaxShareRule(AttributionRule):
    """Players may together carry at most this share of the total importance."""

    players: Players = Field(min_length=1)
    value: float = Field(ge=0, le=1)


class MinShareRule(AttributionRule):
    """Players must together carry at least this share of the total importance."""

    players: Players = Field(min_length=1)
    value: float = Field(ge=0, le=1)


class MinImportanceRule(AttributionRule):
    """Players must together move the output by at least this much, in units of the output."""

    players: Players = Field(min_length=1)
    value: float = Field(ge=0)


class MaxTopShareRule(AttributionRule):
    """No single player may carry more than this share of the total importance."""

    value: float = Field(ge=0, le=1)


class TopKIncludesRule(AttributionRule):
    """Each of these players must be among the k most important."""

    k: int = Field(ge=1)
    players: Players = Field(min_length=1)

    @model_validator(mode="after")
    def _they_fit(self) -> Self:
        if len(self.players) > self.k:
            raise ValueError(f"{len(self.players)} players cannot all be among the top {self.k}; raise `k`")
        return self


class CanaryRule(AttributionRule):
    """No player may matter less than this random feature; `players: null` = all that the model reads."""

    feature: str
    players: Players | None = Field(None, min_length=1)

    @model_validator(mode="after")
    def _not_itself(self) -> Self:
        if self.feature in (self.players or ()):
            raise ValueError(f"the canary `{self.feature}` cannot matter more than itself; take it out of `players`")
        return self


class SignRule(AttributionRule):
    """The mean attribution of each of these players must have this sign."""

    players: Players = Field(min_length=1)
    direction: Literal["positive", "negative"]


class MonotonicRule(Part):
    """The mean curve of a feature must not go against this direction by more than the tolerance at any step."""

    feature: str
    direction: Literal["increasing", "decreasing"]
    tolerance: float = Field(0.0, ge=0, description="how far a step may go against it, in units of the output")
    method: Literal["partial_dependence", "accumulated_local_effects"] | None = None


class MaxInteractionRule(Part):
    """The interaction of two players may be at most this part of the total importance; `players: null` = every pair."""

    players: Players | None = None
    value: float = Field(ge=0)

    @model_validator(mode="after")
    def _two_of_them(self) -> Self:
        if self.players is not None and len(set(self.players)) != 2:
            raise ValueError("`players` of `max_interaction` names two different players, or null for every pair")
        return self


class MaxSliceDifferenceRule(AttributionRule):
    """A player's importance in a slice may differ from that elsewhere by at most this part of the total importance."""

    players: Players | None = Field(None, min_length=1)
    value: float = Field(ge=0)


class MaxCompletenessGapRule(AttributionRule):
    """No example's attributions may miss prediction - base value by more than value * (1 + |prediction|)."""

    value: float = Field(ge=0)


class MaxRelativeStdErrorRule(AttributionRule):
    """No player's importance may have a standard error above this part of the largest importance."""

    players: Players | None = Field(None, min_length=1)
    value: float = Field(gt=0)


class MaxPartShareRule(AttributionRule):
    """An area of images, or words of texts, may carry at most this share of what is inside the feature."""

    feature: str = Field(min_length=1)
    words: Players | None = Field(
        None, min_length=1, description="of a text, whatever their case; parts that have one of them count wholly"
    )
    area: tuple[float, float, float, float] | None = Field(
        None, description="of an image: left, top, right and bottom, as parts of its width and height"
    )
    value: float = Field(ge=0, le=1)

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.words is None) == (self.area is None):
            raise ValueError("`max_part_share` names `words` of a text or an `area` of images; give one of the two")
        for word in self.words or ():
            if len(spoken(word.encode()).split()) != 1:
                raise ValueError(f"`words` of `max_part_share` are single words with letters or digits, not {word!r}")
        if self.area is not None:
            left, top, right, bottom = self.area
            if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
                raise ValueError(
                    "`area` of `max_part_share` is left, top, right, bottom from 0 to 1, as parts of width and height"
                )
        return self


class MinFaithfulnessRule(AttributionRule):
    """Attributions must be ahead of random orders of the same parts by at least this much."""

    curve: Literal["deletion", "insertion", "mu_fidelity"] = "deletion"
    value: float = Field(
        ge=-1, le=10, description="part of the whole change of the output; a correlation of mu_fidelity"
    )
    feature: str | None = Field(
        None, description="whose parts; null = of each feature that the method looks into, else the players"
    )


class MaxRandomisationSimilarityRule(AttributionRule):
    """Attributions may be no more like those of models with random weights, or of other outputs, than this."""

    value: float = Field(ge=-1, le=1)
    measure: Literal["randomisation", "random_logit"] = Field(
        "randomisation", description="whether they are held against models with random weights or against other outputs"
    )
    feature: str | None = Field(
        None, description="whose parts; null = of each feature that the method looks into, else the players"
    )


class MinPointingAccuracyRule(AttributionRule):
    """The strongest region must lie in a box in at least this share of the rows that have boxes."""

    value: float = Field(gt=0, lt=1, description="share of these rows; below the part of the image in boxes it is idle")
    feature: str | None = Field(None, description="the image; null = each one that the method finds regions of")


class MinExamplesRule(Part):
    """At least this many (effective) examples must have been explained."""

    value: int = Field(ge=1)
