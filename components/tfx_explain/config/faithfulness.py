"""Settings of the method that checks the attributions of others."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from tfx_explain.config.base import Part

Curve = Literal["deletion", "insertion"]


class FaithfulnessConfig(Part, json_schema_extra={"examples": [{"num_examples": 500, "randomisation": True}]}):
    """Whether attributions tell what the model does: what it says as the parts that they name are taken away."""

    methods: tuple[str, ...] | None = Field(
        None,
        min_length=1,
        description="methods whose attributions are checked; null = all that attribute",
        examples=[["shapley"]],
    )
    curves: tuple[Curve, ...] = Field(
        ("deletion", "insertion"),
        min_length=1,
        description="curves that are drawn: `deletion` takes away what is said to add most first, `insertion` puts it "
        "back first",
        examples=[["deletion"]],
    )
    num_random: int = Field(
        20, ge=2, le=200, description="random orders of the same parts that a row is compared with", examples=[50]
    )
    num_steps: int = Field(10, ge=2, le=100, description="points of a curve, beside its start", examples=[20])
    mu_fidelity: bool = Field(
        True,
        description="whether to correlate what random fifths of the parts are said to add with what the output loses",
        examples=[False],
    )
    num_references: int = Field(
        4,
        ge=1,
        le=64,
        description="background rows that features which are taken away have their values from, per row",
        examples=[8],
    )
    num_examples: int = Field(
        256,
        ge=2,
        le=1_000_000,
        description="about how many rows are checked, drawn from all that are explained",
        examples=[500],
    )
    randomisation: bool | Annotated[int, Field(ge=2, le=64)] = Field(
        False,
        description="whether to compare with attributions of the model with random weights, or of how many such "
        "models; true = 5",
        examples=[True, 10],
    )
    num_randomised_examples: int = Field(
        64,
        ge=2,
        le=1_000_000,
        description="about how many rows are explained with random weights, and for another output by `random_logit`",
        examples=[128],
    )
    random_logit: bool = Field(
        False,
        description="whether to compare with attributions of another output of the model, drawn at random",
        examples=[True],
    )
    boxes: str | None = Field(
        None,
        min_length=1,
        description="feature of the examples, whether models read it or not: boxes that regions of images are to lie "
        "in, four numbers each, ymin, xmin, ymax, xmax, as parts of height and width; null = no pointing game",
        examples=["tumour_boxes"],
    )

    @field_validator("methods", "curves")
    @classmethod
    def _each_once(cls, names: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if names is not None and len(set(names)) < len(names):
            raise ValueError("`methods` and `curves` of `faithfulness` list each name once")
        return names

    @field_validator("randomisation", mode="before")
    @classmethod
    def _no_single_one(cls, randomisation: object) -> object:
        if randomisation is not True and randomisation == 1:
            raise ValueError("`randomisation` is true, false, or a number of models from 2 to 64")
        return randomisation

    @property
    def num_randomised_models(self) -> int:
        """How many models with random weights are explained."""
        return (5 if self.randomisation else 0) if isinstance(self.randomisation, bool) else self.randomisation
