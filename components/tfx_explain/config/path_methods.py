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


class IntegratedGradientsConfig(Part):
    """Gradients along the straight path from a reference row, where nothing is taken to be present, to each row."""

    max_completeness_gap: float = Field(
        0.01,
        gt=0,
        lt=1,
        description="largest gap aimed at, as part of 1 + |prediction| and of what all players together moved",
    )
    max_steps: int = Field(512, ge=3, le=100_000, description="most gradients of a path; only hard paths take so many")
    references: Literal["background", "zero"] | Annotated[dict[str, ReferenceValue], Field(min_length=1)] = Field(
        "background",
        description="rows that paths start from: of the background; one of zeros and empty texts; or of the background "
        "with these values, null = missing",
    )
    parts: dict[str, AnySlotsConfig] = Field(
        default_factory=dict,
        description="texts and series, players of their own -> how they are cut into parts whose attributions add up "
        "to theirs; the references have what absent means in their place",
    )
    num_references: int = Field(1, ge=1, le=100_000, description="rows of the background, the most typical ones")

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


class ExpectedGradientsConfig(Part):
    """The same, averaged over all rows of the background, with random points on the paths."""

    num_samples: int = Field(
        400, ge=3, le=10_000_000, description="gradients per row: as many from each background row, 3 or more"
    )
    max_relative_error: float | None = Field(
        None, gt=0, lt=1, description="rows with a larger standard error are done again with more, up to 64 times"
    )
