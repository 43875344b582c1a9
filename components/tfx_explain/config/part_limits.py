"""How many parts a feature has at most, and how many model rows they take."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from tfx_explain.config.base import Part


class PartsConfig(Part):
    """How many parts of a feature there are at most."""

    max_parts: int = Field(
        128,
        ge=1,
        le=512,
        description="parts of a row at most: of more, neighbouring spans of a text, or windows of one "
        "`window_length`, are taken together; other settings that ask for more are refused, and so is a row whose "
        "mask has more regions",
        examples=[64],
    )


class GamePartsConfig(PartsConfig):
    """How many parts of a feature there are at most, and how many model rows they take."""

    model_rows: Literal["auto"] | int = Field(
        "auto",
        description="about how many model rows the parts of a row take, from 64 to 65,536 (of long texts: at most); "
        "auto = 32 for each part, and at least 1,024",
        examples=[2_048],
    )
    num_contexts: int = Field(
        16,
        ge=8,
        le=32,
        description="contexts that the parts of a row are looked at in, an even number: in each, some of the other "
        "features are the row's own, the rest those of a background row; of a model that reads this feature alone "
        "only long texts have contexts, in which some of the other sentences are present",
        examples=[32],
    )

    @field_validator("model_rows")
    @classmethod
    def _some_rows(cls, model_rows: Literal["auto"] | int) -> Literal["auto"] | int:
        if model_rows != "auto" and not 64 <= model_rows <= 65_536:
            raise ValueError("`model_rows` of `parts` is between 64 and 65,536, or `auto`")
        return model_rows

    @field_validator("num_contexts")
    @classmethod
    def _in_pairs(cls, num_contexts: int) -> int:
        if num_contexts % 2:
            raise ValueError("`num_contexts` is even: contexts come in pairs, of which one has what the other has not")
        return num_contexts
