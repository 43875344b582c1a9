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

    method: str | None = Field(
        None,
        description="method whose attributions are judged; null = the first of the explanation that attributes",
        examples=["shapley"],
    )


class MaxShareRule(AttributionRule, json_schema_extra={"examples": [{"players": ["race"], "value": 0.05}]}):
    """Players may together carry at most this share of the total importance."""

    players: Players = Field(
        min_length=1, description="players whose shares are added up", examples=[["race"], ["race", "sex"]]
    )
    value: float = Field(ge=0, le=1, description="largest share of the total importance, together", examples=[0.05])


class MinShareRule(AttributionRule, json_schema_extra={"examples": [{"players": ["income", "debt"], "value": 0.2}]}):
    """Players must together carry at least this share of the total importance."""

    players: Players = Field(
        min_length=1, description="players whose shares are added up", examples=[["income", "debt"]]
    )
    value: float = Field(ge=0, le=1, description="least share of the total importance, together", examples=[0.2])


class MinImportanceRule(AttributionRule, json_schema_extra={"examples": [{"players": ["income"], "value": 0.1}]}):
    """Players must together move the output by at least this much, in units of the output."""

    players: Players = Field(
        min_length=1, description="players whose importance (mean |attribution|) is added up", examples=[["income"]]
    )
    value: float = Field(ge=0, description="least importance, together, in units of the output", examples=[0.1])


class MaxTopShareRule(AttributionRule, json_schema_extra={"examples": [{"value": 0.6}]}):
    """No single player may carry more than this share of the total importance."""

    value: float = Field(
        ge=0, le=1, description="largest share of the total importance of any one player", examples=[0.6]
    )


class TopKIncludesRule(AttributionRule, json_schema_extra={"examples": [{"k": 3, "players": ["income"]}]}):
    """Each of these players must be among the k most important."""

    k: int = Field(ge=1, description="size of the top, at least the number of `players`", examples=[3])
    players: Players = Field(
        min_length=1, description="players each of which must be among the top", examples=[["income"]]
    )

    @model_validator(mode="after")
    def _they_fit(self) -> Self:
        if len(self.players) > self.k:
            raise ValueError(f"{len(self.players)} players cannot all be among the top {self.k}; raise `k`")
        return self


class CanaryRule(AttributionRule, json_schema_extra={"examples": [{"feature": "noise"}]}):
    """No player may matter less than a random feature that the model was given to read."""

    feature: str = Field(description="the random feature, a player", examples=["noise"])
    players: Players | None = Field(
        None,
        min_length=1,
        description="players that must matter more; null = all others that the model reads",
        examples=[["income", "debt"]],
    )

    @model_validator(mode="after")
    def _not_itself(self) -> Self:
        if self.feature in (self.players or ()):
            raise ValueError(f"the canary `{self.feature}` cannot matter more than itself; take it out of `players`")
        return self


class SignRule(AttributionRule, json_schema_extra={"examples": [{"players": ["debt"], "direction": "negative"}]}):
    """The mean attribution of each of these players must have this sign."""

    players: Players = Field(
        min_length=1, description="players each of whose mean attributions is judged", examples=[["debt"]]
    )
    direction: Literal["positive", "negative"] = Field(
        description="sign that the mean attribution must have: what the player adds compared with the background",
        examples=["negative"],
    )


class MonotonicRule(Part, json_schema_extra={"examples": [{"feature": "income", "direction": "increasing"}]}):
    """The mean curve of a feature must not go against this direction by more than the tolerance at any step."""

    feature: str = Field(description="feature with a curve whose values have an order", examples=["income"])
    direction: Literal["increasing", "decreasing"] = Field(
        description="where the output must go as the feature rises", examples=["increasing"]
    )
    tolerance: float = Field(
        0.0, ge=0, description="how far a step may go against it, in units of the output", examples=[0.02]
    )
    method: Literal["partial_dependence", "accumulated_local_effects"] | None = Field(
        None,
        description="method whose curve is judged; null = `partial_dependence` where it has one, else "
        "`accumulated_local_effects`",
        examples=["accumulated_local_effects"],
    )


class MaxInteractionRule(Part, json_schema_extra={"examples": [{"players": ["age", "income"], "value": 0.1}]}):
    """The interaction of two players may be at most this part of the total importance."""

    players: Players | None = Field(None, description="two players; null = every pair", examples=[["age", "income"]])
    value: float = Field(
        ge=0,
        description="largest mean |interaction|, as part of the total importance; needs `interactions: 2` of `shapley`",
        examples=[0.1],
    )

    @model_validator(mode="after")
    def _two_of_them(self) -> Self:
        if self.players is not None and len(set(self.players)) != 2:
            raise ValueError("`players` of `max_interaction` names two different players, or null for every pair")
        return self


class MaxSliceDifferenceRule(AttributionRule, json_schema_extra={"examples": [{"value": 0.05}]}):
    """A player's importance in a slice may differ from that elsewhere by at most this part of the total importance."""

    players: Players | None = Field(
        None, min_length=1, description="players that are compared; null = all", examples=[["income"]]
    )
    value: float = Field(
        ge=0,
        description="largest difference, either way, between a player's importance in a slice and in all other rows, "
        "as part of the total importance",
        examples=[0.05],
    )


class MaxCompletenessGapRule(AttributionRule, json_schema_extra={"examples": [{"value": 0.01}]}):
    """No example's attributions may miss prediction - base value by more than value * (1 + |prediction|)."""

    value: float = Field(
        ge=0,
        description="largest difference of any example between prediction less base value and the sum of its "
        "attributions, as part of 1 + |prediction|",
        examples=[0.01],
    )


class MaxRelativeStdErrorRule(AttributionRule, json_schema_extra={"examples": [{"value": 0.1}]}):
    """No player's importance may have a standard error above this part of the largest importance."""

    players: Players | None = Field(
        None, min_length=1, description="players whose errors are judged; null = all", examples=[["income"]]
    )
    value: float = Field(
        gt=0,
        description="largest standard error of a player's importance (over examples, and of sampled coalitions), as "
        "part of the largest importance of any player",
        examples=[0.1],
    )


class MaxPartShareRule(
    AttributionRule,
    json_schema_extra={
        "examples": [
            {"feature": "review", "words": ["imdb"], "value": 0.05},
            {"feature": "image", "area": [0, 0, 0.2, 0.1], "value": 0.05},
        ]
    },
):
    """An area of images, or words of texts, may carry at most this share of what is inside the feature."""

    feature: str = Field(min_length=1, description="text or image that the method looks into", examples=["review"])
    words: Players | None = Field(
        None,
        min_length=1,
        description="single words of a text, whatever their case; parts that have one of them count wholly",
        examples=[["imdb"]],
    )
    area: tuple[float, float, float, float] | None = Field(
        None,
        description="of an image as the model gets it: left, top, right and bottom, from 0 to 1, as parts of its "
        "width and height; regions count by their pixels in it",
        examples=[[0, 0, 0.2, 0.1]],
    )
    value: float = Field(
        ge=0,
        le=1,
        description="largest share of the sizes of all parts' attributions",
        examples=[0.05],
    )

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


class MinFaithfulnessRule(AttributionRule, json_schema_extra={"examples": [{"method": "xrai", "value": 0.1}]}):
    """Attributions must be ahead of random orders of the same parts by at least this much."""

    curve: Literal["deletion", "insertion", "mu_fidelity"] = Field(
        "deletion", description="measure of `faithfulness` that is judged", examples=["insertion"]
    )
    value: float = Field(
        ge=-1,
        le=10,
        description="least area between the curve and that of random orders, as part of the whole change of the "
        "output; of `mu_fidelity` the least correlation; 0 is chance",
        examples=[0.1],
    )
    feature: str | None = Field(
        None,
        description="feature whose parts are meant; null = each that the method looks into, or where there is none, "
        "the players",
        examples=["image"],
    )


class MaxRandomisationSimilarityRule(AttributionRule, json_schema_extra={"examples": [{"value": 0.3}]}):
    """Attributions may be no more like those of models with random weights, or of other outputs, than this."""

    value: float = Field(ge=-1, le=1, description="largest mean correlation of the two", examples=[0.3])
    measure: Literal["randomisation", "random_logit"] = Field(
        "randomisation",
        description="what attributions are compared with, as `faithfulness` was asked to: those of models with random "
        "weights (`randomisation`), or of other outputs (`random_logit`)",
        examples=["random_logit"],
    )
    feature: str | None = Field(
        None,
        description="feature whose parts are meant; null = each that the method looks into, or where there is none, "
        "the players",
        examples=["image"],
    )


class MinPointingAccuracyRule(AttributionRule, json_schema_extra={"examples": [{"method": "xrai", "value": 0.6}]}):
    """The strongest region must lie in a box in at least this share of the rows that have boxes."""

    value: float = Field(
        gt=0,
        lt=1,
        description="least share of these rows; at or below the part of the image that boxes take up it demands "
        "nothing",
        examples=[0.6],
    )
    feature: str | None = Field(
        None, description="the image; null = each one that the method finds regions of", examples=["image"]
    )


class MinExamplesRule(Part, json_schema_extra={"examples": [{"value": 500}]}):
    """At least this many (effective) examples must have been explained."""

    value: int = Field(
        ge=1,
        description="least number of explained examples; weighted ones count as (sum of weights)^2 / sum of squares",
        examples=[500],
    )
