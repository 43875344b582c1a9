"""Settings of the rows and features that an explanation is about."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator
from typing_extensions import Self

from tfx_explain.config.base import Part


class BackgroundConfig(Part, json_schema_extra={"examples": [{"split": "train", "num_rows": 256}]}):
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
