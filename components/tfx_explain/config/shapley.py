"""Settings of Shapley values."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from tfx_explain.config.base import Part
from tfx_explain.config.parts import AnyPartsConfig

Estimator = Literal["exact", "leverage", "permutation", "surrogate", "auto"]


class ShapleyConfig(Part, json_schema_extra={"examples": [{"estimator": "leverage", "max_relative_error": 0.05}]}):
    """Interventional Shapley values of the model's output."""

    estimator: Estimator = Field(
        "auto",
        description="how coalitions are drawn: `exact` = all of them; `leverage`, `permutation` = as many as `budget` "
        "says; `surrogate` = few, the rest learned once from the background; `auto` = `exact` up to 10 players, then "
        "by the number of players and `budget`",
        examples=["leverage"],
    )
    budget: Literal["auto"] | int = Field(
        "auto",
        description="coalitions evaluated per background row, 2 or more; model rows per example = budget x background "
        "rows; auto = what the estimator needs at least, of `leverage` and `permutation` about 4 to 64 for each "
        "player, the more the fewer background rows there are",
        examples=[200],
    )
    max_relative_error: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="error that sampling coalitions may leave in a row, as part of the size of its attributions (both "
        "are roots of sums of squares): a pilot and the rows themselves raise `budget` until it is reached, or no "
        "more can be had; null = `budget` alone counts",
        examples=[0.05],
    )
    interactions: Literal[0, 2] = Field(
        0,
        description="2 = what each pair of players adds together, too, which takes more coalitions; 0 = none",
        examples=[2],
    )
    parts: dict[str, AnyPartsConfig] = Field(
        default_factory=dict,
        description="features that are texts, series or images -> how their words or other spans, their windows or "
        "their regions are explained; one of `windows`, `window_length`, `by`, `padding` and `channels` says that a "
        "feature is a series, `segments` or `masks` that it is an image",
        examples=[{"review": {"unit": "sentence"}, "series": {"windows": 5}, "image": {"segments": 30}}],
    )

    @field_validator("budget")
    @classmethod
    def _positive(cls, budget: Literal["auto"] | int) -> Literal["auto"] | int:
        if budget != "auto" and budget < 2:
            raise ValueError("the budget counts coalitions per background row and must be at least 2, or `auto`")
        return budget
