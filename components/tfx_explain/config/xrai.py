"""Settings of XRAI."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from tfx_explain.config.base import Part

Steps = Annotated[int, Field(ge=16, le=4_096, multiple_of=16)]


class XraiConfig(Part):
    """Regions of an image, ranked by gradients on the paths to it from images of one colour."""

    feature: str = Field(min_length=1, description="the image: encoded files, or floats of a fixed shape")
    references: tuple[Literal["black", "white"], ...] = Field(
        ("black", "white"), description="images that paths start from; attributions are the means over them"
    )
    num_steps: Literal["auto"] | Steps = Field(
        "auto", description="gradients of a path, a multiple of 16; auto = as many as `max_completeness_gap` takes"
    )
    max_completeness_gap: float = Field(
        0.01, gt=0, lt=1, description="largest gap aimed at, as part of 1 + |prediction|"
    )
    max_steps: Steps = Field(256, description="most gradients of a path that `auto` takes")
    masks: str | None = Field(
        None,
        min_length=1,
        description="instead of regions found by colours, the feature with each row's own: a PNG of labels, or whole "
        "numbers, of the size of the image",
    )

    @field_validator("references")
    @classmethod
    def _each_once(cls, references: tuple[Literal["black", "white"], ...]) -> tuple[Literal["black", "white"], ...]:
        if not references or len(set(references)) < len(references):
            raise ValueError("`references` lists `black`, `white` or both, each once")
        return references
