"""Settings of the rows and features that an explanation is about."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, JsonValue, model_validator
from typing_extensions import Self

from tfx_explain.config.base import Part


class NearConfig(Part, json_schema_extra={"examples": [{"output": 0.5, "within": 0.1, "unit": "probability"}]}):
    """Which rows of the background split are near a cut-off of the model's output, and so in question."""

    output: float = Field(description="the output at the cut-off", examples=[0.5])
    within: float = Field(
        gt=0,
        description="how far from it the model's output for a row may be, to either side",
        examples=[0.1],
    )
    unit: Literal["output", "probability"] = Field(
        "output",
        description="what both are in: the unit of attributions, as `model.output_space` has it, or `probability`, "
        "where outputs are log-odds; it is the model's own, without the correction of `model.positive_rate`",
        examples=["probability"],
    )
    of: str | None = Field(
        None,
        description="name of the output, of a model with several, whether it is explained or not",
        examples=["score[1]"],
    )
    min_rows: int = Field(
        16,
        ge=1,
        description="the run ends where fewer rows are near, or fewer than `num_rows` where that is less",
        examples=[50],
    )


_NEAR: dict[str, JsonValue] = {"output": 0.5, "within": 0.1, "unit": "probability"}


class BackgroundConfig(
    Part, json_schema_extra={"examples": [{"split": "train", "num_rows": 256}, {"num_rows": 64, "near": _NEAR}]}
):
    """Reference rows that stand in for absent features."""

    split: str = Field(
        "train",
        description="split of `background_examples` (where there are none, of `examples`) that rows are drawn from",
        examples=["train"],
    )
    num_rows: int = Field(
        128,
        ge=1,
        le=100_000,
        description="rows of the background at most: more make the error that it leaves smaller, and take as many "
        "more model rows",
        examples=[256],
    )
    strategy: Literal["sample", "medoids"] = Field(
        "sample",
        description="`sample` draws rows at random, all of one weight; `medoids` takes the most typical of 16 times "
        "as many (4,096 at most, or `num_rows`), each weighted by the rows that it stands for",
        examples=["medoids"],
    )
    near: NearConfig | None = Field(
        None,
        description="draws from the rows near a cut-off alone, also what methods take from the background split; the "
        "model is asked about each row of it; null = from all",
        examples=[_NEAR],
    )


class FeaturesConfig(Part, json_schema_extra={"examples": [{"groups": {"address": ["city", "zip"]}}]}):
    """Which features are players, and which of them act as one; what is left out is one player, `other_features`."""

    include: tuple[str, ...] | None = Field(
        None,
        description="features that are players; null = all that the model reads",
        examples=[["age", "income", "city", "zip"]],
    )
    exclude: tuple[str, ...] = Field((), description="features that are left out", examples=[["gender"]])
    groups: dict[str, tuple[str, ...]] = Field(
        default_factory=dict,
        description="name of a group -> its features, which are present or absent together: one player, which costs "
        "less than several",
        examples=[{"address": ["city", "zip"]}],
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        seen: dict[str, str] = {}
        for group, members in self.groups.items():
            if not group.strip():
                raise ValueError("a group has an empty name; give it one")
            if not members:
                raise ValueError(f"group `{group}` has no features; name at least one or remove the group")
            for member in members:
                if member in seen:
                    where = "twice in" if seen[member] == group else f"in group `{seen[member]}` and in"
                    raise ValueError(f"feature `{member}` is {where} group `{group}`; a feature belongs to one player")
                seen[member] = group
        both = set(self.include or ()) & set(self.exclude)
        if both:
            raise ValueError(f"feature `{min(both)}` is both included and excluded; remove it from one of the lists")
        return self
