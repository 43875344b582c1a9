"""Settings of occlusion."""

from __future__ import annotations

from typing import Annotated

from pydantic import Discriminator, Field, GetJsonSchemaHandler, JsonValue, Tag, field_validator, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema
from typing_extensions import Self

from tfx_explain.config.base import Part
from tfx_explain.config.parts import (
    BACKGROUND,
    RegionsConfig,
    SpansConfig,
    WindowsConfig,
    kind_of,
    own_keys,
    with_one_of,
)
from tfx_explain.regions.patches import Patches

Length = float | None
_OF_LENGTHS = "pixels of what the model gets, of the file where its graph makes no picture of a fixed shape of it; "


_EXAMPLES: dict[str, JsonValue] = {
    "examples": [
        {"size": 16, "stride": 8},
        {"segments": 30, "absent": "mean"},
        {"masks": "organs"},
        {"size": 0.25, "absent": "background", "num_references": 16},
    ]
}


class OccludedImageConfig(RegionsConfig, json_schema_extra=_EXAMPLES):
    """What is hidden of an image: a square that is slid over it, or regions."""

    max_parts: int = Field(
        1_024,
        ge=1,
        le=4_096,
        description="parts of a row at most, cells of the grid that squares move on, or regions: a row whose image "
        "has more is not explained",
        examples=[2_048],
    )
    size: Length = Field(
        None,
        gt=0,
        description=f"side of a square that is slid over the image: {_OF_LENGTHS}below 1 the part of the shorter side; "
        "one of `size`, `segments` and `masks` is needed",
        examples=[32],
    )
    stride: Length = Field(
        None,
        gt=0,
        description="from each square to the next, in the unit of `size`, which is a multiple of it; null = `size`",
        examples=[8],
    )
    num_references: int = Field(
        8,
        ge=2,
        le=128,
        description="of `absent: background`: images of the background that stand in, for each row",
        examples=[16],
    )

    @field_validator("size", "stride")
    @classmethod
    def _whole_or_share(cls, length: Length) -> Length:
        if length is not None and length >= 1 and length != int(length):
            raise ValueError("a length is a whole number of pixels, or below 1 a part of the shorter side")
        return length

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        given = [name for name in ("size", "segments", "masks") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(
                f"`size`, `segments` and `masks` each say what is hidden of an image; give one of them, not "
                f"{' and '.join(given) or 'none'}"
            )
        if self.absent != BACKGROUND and self.num_references != type(self).model_fields["num_references"].default:
            raise ValueError(
                f"`num_references` says how many images of the background stand in, but `absent` is `{self.absent}`; "
                "set `absent: background`, or remove it"
            )
        if self.size is None:
            if self.stride is not None:
                raise ValueError("`stride` says how far the square of `size` is slid; give `size`, or remove it")
            return self
        stride = self.size if self.stride is None else self.stride
        if (stride < 1) != (self.size < 1):
            raise ValueError("`size` and `stride` are both in pixels, or both parts of the shorter side")
        if not Patches(self.size, stride).n_strides:
            raise ValueError(f"`size: {self.size:g}` is no multiple of `stride: {stride:g}`; make it one")
        return self

    @property
    def n_segments(self) -> int:
        """How many regions are looked for; 0 where there are others."""
        return self.segments or 0

    @property
    def patches(self) -> Patches | None:
        """The squares; None where regions are hidden."""
        return None if self.size is None else Patches(self.size, self.size if self.stride is None else self.stride)

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """With one of the keys that say what is hidden."""
        return with_one_of(handler.resolve_ref_schema(handler(schema)), ("size", "segments", "masks"))


AnyOccludedConfig = Annotated[
    Annotated[SpansConfig, Tag(SpansConfig.__name__)]
    | Annotated[WindowsConfig, Tag(WindowsConfig.__name__)]
    | Annotated[OccludedImageConfig, Tag(OccludedImageConfig.__name__)],
    Discriminator(
        kind_of(
            SpansConfig, WindowsConfig, OccludedImageConfig, own_keys(OccludedImageConfig, SpansConfig, WindowsConfig)
        )
    ),
]
"""Settings of one feature."""


class OcclusionConfig(Part, json_schema_extra={"examples": [{"parts": {"image": {"size": 16, "stride": 8}}}]}):
    """What the output is without each feature, and without each part of some: one at a time, all else as it is."""

    parts: dict[str, AnyOccludedConfig] = Field(
        default_factory=dict,
        description="features that are images, texts or series -> what is hidden of them: a square of `size`, or "
        "`segments` or `masks`, of an image; windows of a series, which one of `windows`, `window_length`, `by`, "
        "`padding` and `channels` says that it is; of any other, spans of a text, words where nothing is said",
        examples=[{"image": {"size": 16, "stride": 8}, "review": {"unit": "word"}, "series": {"windows": 5}}],
    )
