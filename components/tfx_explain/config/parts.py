"""Settings of methods that look inside a feature."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Literal, TypeAlias

import regex
from pydantic import Discriminator, Field, GetJsonSchemaHandler, JsonValue, Tag, field_validator, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema
from typing_extensions import Self

from tfx_explain.config.part_limits import GamePartsConfig, PartsConfig
from tfx_explain.regions.patches import Patches
from tfx_explain.regions.series import By, Windows

DELETE, BACKGROUND = "delete", "background"
_DEFAULT_WINDOWS = 10
_DEFAULT_SEGMENTS = 50
_FEWEST_TO_OPEN = 4
# Of float32.
_LARGEST = 3.4e38
Absent = Literal["mean", "zero"] | float
SpanUnit = Literal["word", "sentence", "paragraph", "pattern", "token"]


_TEXT_EXAMPLES: dict[str, JsonValue] = {"examples": [{"unit": "sentence"}, {"unit": "pattern", "pattern": "[A-Z]"}]}
_SERIES_EXAMPLES: dict[str, JsonValue] = {"examples": [{"windows": 5, "by": "both"}, {"window_length": 24}]}
_IMAGE_EXAMPLES: dict[str, JsonValue] = {"examples": [{"segments": 30, "absent": "mean"}, {"masks": "organs"}]}


class SpansConfig(PartsConfig, json_schema_extra=_TEXT_EXAMPLES):
    """How a text is cut into spans, and what absent means; what a path adds in each is known of the model's tokens."""

    unit: SpanUnit = Field(
        "word",
        description="what a span is, with the punctuation and spaces behind it; `token` = what the model's own graph "
        "takes for one, where it makes as many tokens of every text",
        examples=["sentence"],
    )
    pattern: str | None = Field(
        None,
        min_length=1,
        description="with `unit: pattern`, the regular expression whose matches start spans",
        examples=["[A-Z]"],
    )
    absent: str = Field(
        DELETE,
        min_length=1,
        description="what absent spans become: `delete` = nothing, else this token, one for each run of them; where "
        "all are absent, and in the whole background, the text is empty or that token",
        examples=["[MASK]"],
    )

    @model_validator(mode="after")
    def _one_unit(self) -> Self:
        if (self.unit == "pattern") != (self.pattern is not None):
            raise ValueError("`unit: pattern` and `pattern` go together; give both, or neither")
        try:
            regex.compile(self.pattern or "", regex.V1)
        except regex.error as error:
            raise ValueError(
                f"`pattern` is no regular expression ({error}); write one that the package `regex` takes"
            ) from error
        return self

    @property
    def absent_text(self) -> bytes:
        """What the text is where all spans are absent."""
        return b"" if self.absent == DELETE else self.absent.encode()


class TextPartsConfig(SpansConfig, GamePartsConfig, json_schema_extra=_TEXT_EXAMPLES):
    """Shapley values of the spans of a text, through the model's own reading of the whole string."""

    coarse_first: bool = Field(
        True,
        description="of a text of more than `max_parts` spans, sentences (paragraphs, where spans are sentences) are "
        "players first, then what is inside the heaviest of them (Owen values); false = neighbours are taken "
        "together, evenly",
        examples=[False],
    )

    @property
    def opens(self) -> bool:
        """Whether long texts are looked at from the top down; of fewer parts there would be nothing to open."""
        return self.coarse_first and self.max_parts >= _FEWEST_TO_OPEN


class WindowsConfig(PartsConfig, json_schema_extra=_SERIES_EXAMPLES):
    """How a series is cut into windows, channels, or both crossed, and what absent means."""

    windows: int | None = Field(
        None,
        ge=1,
        le=512,
        description="windows of a row, as even as can be, one a step where it has fewer; null = 10 where "
        "`window_length` is null, too, and `by` is not `channel`",
        examples=[5],
    )
    window_length: int | None = Field(
        None,
        ge=1,
        description="instead of `windows`, steps of each window; the last one may have fewer",
        examples=[24],
    )
    by: By = Field(
        "time",
        description="`time` = windows over all channels, `channel` = channels over all time, `both` = both crossed",
        examples=["both"],
    )
    absent: Absent = Field(
        "mean",
        description="what absent values become: the mean of each channel over the steps of the rows that the "
        "background is chosen from (`mean`), 0 (`zero`), or this number; the whole background has it, too",
        examples=["zero", 0.5],
    )
    padding: float | None = Field(
        None,
        description="steps at the end of a row all of whose values are this number are no part; null = every step is",
        examples=[-1.0],
    )
    channels: int | None = Field(
        None,
        ge=1,
        le=512,
        description="values of each step, where the model does not say; null = as it says, else 1",
        examples=[3],
    )

    @field_validator("absent")
    @classmethod
    def _in_range(cls, absent: Absent) -> Absent:
        if isinstance(absent, float) and abs(absent) > _LARGEST:
            raise ValueError("`absent` is no larger than the 3.4e38 that tf.Examples hold")
        return absent

    @model_validator(mode="after")
    def _one_size(self) -> Self:
        if self.windows is not None and self.window_length is not None:
            raise ValueError("`windows` and `window_length` both say how long windows are; remove one of them")
        if self.by == "channel" and (self.windows or self.window_length):
            raise ValueError("`by: channel` has no windows; remove `windows` and `window_length`, or use `by: both`")
        return self

    @property
    def cutter(self) -> Windows:
        """What cuts a series into these parts."""
        n_windows = self.windows if self.windows or self.window_length else _DEFAULT_WINDOWS
        return Windows(self.by, n_windows, self.window_length, self.max_parts)

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """With one of the keys that show that the feature is a series."""
        return with_one_of(handler.resolve_ref_schema(handler(schema)), _SERIES_KEYS)


class SeriesPartsConfig(WindowsConfig, GamePartsConfig, json_schema_extra=_SERIES_EXAMPLES):
    """Shapley values of windows of a series, of its channels, or of both crossed."""


class RegionsConfig(PartsConfig, json_schema_extra=_IMAGE_EXAMPLES):
    """How an image, encoded or as numbers of a fixed shape, is cut into regions, and what absent means."""

    segments: int | None = Field(
        None,
        ge=1,
        le=512,
        description="regions of a row, found by its colours, or one a pixel of a smaller image, `max_parts` at most; "
        "null = none of these, but of `shapley` 50 where `masks` is null, too",
        examples=[30],
    )
    masks: str | None = Field(
        None,
        min_length=1,
        description="instead of `segments`, the feature with each row's own regions: a PNG of labels, or whole "
        "numbers, of the size of the image",
        examples=["organs"],
    )
    absent: Literal["blur", "mean", "background", "black", "white"] = Field(
        "blur",
        description="what absent pixels become: those of the image's own blur, its mean colour, the same place of "
        "images of the background, black, or white",
        examples=["mean"],
    )

    @model_validator(mode="after")
    def _one_cut(self) -> Self:
        if self.segments is not None and self.masks is not None:
            raise ValueError("`segments` and `masks` both say what regions are; remove one of them")
        if self.n_segments > self.max_parts:
            raise ValueError(f"`segments: {self.n_segments}` is more than `max_parts: {self.max_parts}`; raise that")
        return self

    @property
    def n_segments(self) -> int:
        """How many regions are looked for; 0 where rows have their own."""
        return 0 if self.masks is not None else self.segments or _DEFAULT_SEGMENTS

    @property
    def patches(self) -> Patches | None:
        """Square windows that are slid over the image; None where regions are of its colours, or its own."""
        return None


class ImagePartsConfig(RegionsConfig, GamePartsConfig, json_schema_extra=_IMAGE_EXAMPLES):
    """Shapley values of the regions of an image."""

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """With one of the keys that show that the feature is an image."""
        return with_one_of(handler.resolve_ref_schema(handler(schema)), _IMAGE_KEYS)


def own_keys(of: type[PartsConfig], *others: type[PartsConfig]) -> tuple[str, ...]:
    """Keys that settings of no other kind have."""
    known = {name for other in others for name in other.model_fields}
    return tuple(name for name in of.model_fields if name not in known)


def with_one_of(mapping: JsonSchemaValue, keys: tuple[str, ...]) -> JsonSchemaValue:
    """The schema of a mapping that has at least one of these keys."""
    mapping["anyOf"] = [{"required": [name]} for name in keys]
    return mapping


_SERIES_KEYS = own_keys(WindowsConfig, SpansConfig)
_IMAGE_KEYS = own_keys(ImagePartsConfig, TextPartsConfig)


def kind_of(
    text: type[PartsConfig],
    series: type[PartsConfig],
    image: type[PartsConfig] | None = None,
    image_keys: tuple[str, ...] = _IMAGE_KEYS,
) -> Callable[[object], str]:
    """What tells the tag of settings: those of a series, or an image, have keys that others have not."""

    def kind(value: object) -> str:
        if isinstance(value, PartsConfig):
            return type(value).__name__
        given = value if isinstance(value, Mapping) else {}
        if image is not None and any(name in given for name in image_keys):
            return image.__name__
        return (series if any(name in given for name in _SERIES_KEYS) else text).__name__

    return kind


SlotParts: TypeAlias = SpansConfig | WindowsConfig
"""Settings of one feature that paths are cut inside of."""

SomeParts: TypeAlias = SlotParts | RegionsConfig
"""Settings of one feature, whatever the method."""

AnyPartsConfig = Annotated[
    Annotated[TextPartsConfig, Tag(TextPartsConfig.__name__)]
    | Annotated[SeriesPartsConfig, Tag(SeriesPartsConfig.__name__)]
    | Annotated[ImagePartsConfig, Tag(ImagePartsConfig.__name__)],
    Discriminator(kind_of(TextPartsConfig, SeriesPartsConfig, ImagePartsConfig)),
]
"""Settings of one feature for Shapley values."""

AnySlotsConfig = Annotated[
    Annotated[SpansConfig, Tag(SpansConfig.__name__)] | Annotated[WindowsConfig, Tag(WindowsConfig.__name__)],
    Discriminator(kind_of(SpansConfig, WindowsConfig)),
]
"""Settings of one feature for gradients along paths."""
