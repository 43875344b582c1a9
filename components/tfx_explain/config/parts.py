"""Settings of methods that look inside a feature."""

from __future__ import annotations

from typing import Any, Literal

import regex
from pydantic import Field, field_validator, model_validator
from typing_extensions import Self

from tfx_explain.config.base import Part
from tfx_explain.regions.spans import Unit

DELETE = "delete"


class PartsConfig(Part):
    """How many parts of a feature there are at most, and how many model rows they take."""

    max_parts: int = Field(128, ge=1, le=512, description="neighbours of a feature of more parts are taken together")
    model_rows: Literal["auto"] | int = Field(
        "auto",
        description="about how many model rows the parts of a row take: 32 per part and at least 1,024, or this many",
    )
    num_contexts: int = Field(
        16,
        ge=8,
        le=32,
        description="of the other features, in which the parts of a row are looked at: so many of them present, the "
        "others from a row of the background; without effect on a model that reads this feature alone",
    )

    @field_validator("model_rows")
    @classmethod
    def _some_rows(cls, model_rows: Any) -> Any:
        if model_rows != "auto" and not 64 <= model_rows <= 65_536:
            raise ValueError("`model_rows` of `parts` is between 64 and 65,536, or `auto`")
        return model_rows

    @field_validator("num_contexts")
    @classmethod
    def _in_pairs(cls, num_contexts: int) -> int:
        if num_contexts % 2:
            raise ValueError("`num_contexts` is even: contexts come in pairs, of which one has what the other has not")
        return num_contexts


class TextPartsConfig(PartsConfig):
    """Shapley values of the spans of a text, through the model's own reading of the whole string."""

    unit: Unit = Field("word", description="what a span starts with; punctuation and spaces behind it belong to it")
    pattern: str | None = Field(
        None, min_length=1, description="with `unit: pattern`, the regular expression whose matches start spans"
    )
    absent: str = Field(
        DELETE,
        min_length=1,
        description="`delete`, or the token that runs of absent spans become; where all are absent, and in the whole "
        "background, the text is empty or that token",
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
