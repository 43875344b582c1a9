"""Settings of methods that follow the gradient along paths from reference rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator
from typing_extensions import Self

from tfx_explain.config.base import Part
from tfx_explain.config.parts import AnySlotsConfig

Single = str | int | float
ReferenceValue = Single | tuple[Single, ...] | None
"""One value of a feature, several of a list; None where it is missing."""


class IntegratedGradientsConfig(
    Part, json_schema_extra={"examples": [{"references": {"income": 0, "city": None}}, {"num_references": 3}]}
):
    """Gradients along the straight path from a reference row, where nothing is taken to be present, to each row."""

    max_completeness_gap: float = Field(
        0.01,
        gt=0,
        lt=1,
        description="largest gap aimed at between prediction less base value and the sum of the attributions, as part "
        "of 1 + |prediction| or of the sum of the attributions' sizes, the smaller of the two; rows that miss it are "
        "kept and counted",
        examples=[0.05],
    )
    max_steps: int = Field(
        512, ge=3, le=100_000, description="gradients of a path at most; only hard paths take so many", examples=[1_024]
    )
    references: Literal["background", "zero"] | Annotated[dict[str, ReferenceValue], Field(min_length=1)] = Field(
        "background",
        description="rows that paths start from: of the background; one of zeros and empty texts; or of the "
        "background with these values, a single one for all places of a list of fixed length, null = missing",
        examples=["zero", {"income": 0, "city": None}],
    )
    parts: dict[str, AnySlotsConfig] = Field(
        default_factory=dict,
        description="texts and series, players of their own -> how they are cut into parts whose attributions add up "
        "to theirs; the references have what absent means in their place; one of `windows`, `window_length`, `by`, "
        "`padding` and `channels` says that a feature is a series",
        examples=[{"review": {"unit": "sentence"}, "series": {"windows": 5}}],
    )
    num_references: int = Field(
        1,
        ge=1,
        le=100_000,
        description="rows of the background that paths start from, the most typical ones; each takes paths of its own",
        examples=[3],
    )

    @field_validator("references", mode="before")
    @classmethod
    def _some_rows(cls, references: object) -> object:
        if references not in ("background", "zero") and not (isinstance(references, Mapping) and references):
            raise ValueError("`references` is `background`, `zero`, or a mapping of features to their values")
        return references

    @model_validator(mode="after")
    def _one_zero(self) -> Self:
        if self.references == "zero" and self.num_references > 1:
            raise ValueError("`references: zero` is a single row; leave out `num_references`")
        return self

    @model_validator(mode="after")
    def _one_absence(self) -> Self:
        twice = sorted(set(self.parts).intersection(self.references if isinstance(self.references, dict) else ()))
        if twice:
            raise ValueError(
                f"`references` sets `{twice[0]}`, which `parts` looks inside, whose `absent` says what it is in them; "
                "take it out of one of the two"
            )
        return self


class ExpectedGradientsConfig(Part, json_schema_extra={"examples": [{"num_samples": 800, "max_relative_error": 0.1}]}):
    """Gradients along straight paths from all rows of the background, at random points, averaged over these rows."""

    num_samples: int = Field(
        400,
        ge=3,
        le=10_000_000,
        description="gradients per row, 3 or more from each background row; of fewer, part of these rows serve",
        examples=[800],
    )
    max_relative_error: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="rows in which the random points leave a larger error than this part of their attributions (both "
        "are roots of sums of squares) are done again with twice the gradients, and so on up to 64 times as many; "
        "null = never",
        examples=[0.1],
    )
