"""Settings of XRAI."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, JsonValue, field_validator, model_validator
from typing_extensions import Self

from tfx_explain.config.base import Part

Steps = Annotated[int, Field(ge=16, le=4_096, multiple_of=16)]
Gradients = Literal["integrated_gradients", "expected_gradients", "guided_ig", "blur_ig", "smooth_grad"]

_ALONG_PATHS = ("num_steps", "max_completeness_gap", "max_steps")
_USED = {
    "integrated_gradients": ("references", *_ALONG_PATHS),
    "expected_gradients": ("num_samples",),
    "guided_ig": ("references", *_ALONG_PATHS, "fraction", "max_distance"),
    "blur_ig": (*_ALONG_PATHS, "max_sigma"),
    "smooth_grad": ("references", "num_samples", "noise"),
}
_ALWAYS = ("feature", "gradients", "masks", "pixel_maps")


_EXAMPLES: dict[str, JsonValue] = {
    "examples": [
        {"feature": "image", "references": ["black"], "num_steps": 64},
        {"feature": "image", "gradients": "blur_ig", "max_sigma": 20},
        {"feature": "image", "gradients": "guided_ig", "fraction": 0.5, "max_distance": 0.05},
        {"feature": "image", "gradients": "smooth_grad", "num_samples": 100, "noise": 0.1},
    ]
}


class XraiConfig(Part, json_schema_extra=_EXAMPLES):
    """Regions of an image, ranked by what gradients say of its pixels."""

    feature: str = Field(
        min_length=1,
        description="the image, a player of its own: encoded files, or floats of a fixed shape",
        examples=["image"],
    )
    gradients: Gradients = Field(
        "integrated_gradients",
        description="what pixels are said to add: gradients on the straight paths from images of one colour, from "
        "images of the background (`expected_gradients`), on paths that take pixels of small gradients first "
        "(`guided_ig`), or on the way through blurred images (`blur_ig`); or how much the output depends on each, "
        "which is no share of it (`smooth_grad`)",
        examples=["blur_ig"],
    )
    references: tuple[Literal["black", "white"], ...] = Field(
        ("black", "white"),
        description="images that paths start from; attributions are the means over them. Of `smooth_grad`, what "
        "`faithfulness` puts in the place of regions",
        examples=[["black"]],
    )
    num_steps: Literal["auto"] | Steps = Field(
        "auto",
        description="gradients of a path, a multiple of 16; auto = as many as `max_completeness_gap` takes",
        examples=[64],
    )
    max_completeness_gap: float = Field(
        0.01,
        gt=0,
        lt=1,
        description="largest gap between prediction less base value and the sum of the attributions, as part of 1 + "
        "|prediction|: `num_steps: auto` takes gradients until it is reached; rows that miss it are kept and counted",
        examples=[0.05],
    )
    max_steps: Steps = Field(
        256, description="gradients of a path at most that `num_steps: auto` takes", examples=[512]
    )
    masks: str | None = Field(
        None,
        min_length=1,
        description="instead of regions found by colours, the feature with each row's own: a PNG of labels, or whole "
        "numbers, of the size of the image",
        examples=["organs"],
    )
    fraction: float = Field(
        0.25,
        gt=0,
        le=1,
        description="of `guided_ig`: part of the pixels that moves at a time, those of the smallest gradients",
        examples=[0.5],
    )
    max_distance: float = Field(
        0.02,
        ge=0,
        le=1,
        description="of `guided_ig`: how far a pixel may be from the straight path, as a part of its way",
        examples=[0.05],
    )
    max_sigma: float = Field(
        50.0,
        gt=0,
        le=10_000,
        description="of `blur_ig`: standard deviation of the strongest blur, in pixels of what the model gets",
        examples=[20],
    )
    num_samples: int = Field(
        50,
        ge=4,
        le=4_096,
        multiple_of=2,
        description="of `smooth_grad`: noisy copies of the image; of `expected_gradients`: gradients per row, 3 or "
        "more from each background row (of fewer, part of these rows serve)",
        examples=[100],
    )
    noise: float = Field(
        0.2,
        gt=0,
        le=1,
        description="of `smooth_grad`: standard deviation of the noise, as a part of the range of the image's values",
        examples=[0.1],
    )
    pixel_maps: int = Field(
        0,
        ge=0,
        le=10_000,
        description="of about how many rows, beside the regions, what is said of each pixel is kept: two bytes or "
        "less for each pixel that the model gets, and output",
        examples=[400],
    )

    @field_validator("references")
    @classmethod
    def _each_once(cls, references: tuple[Literal["black", "white"], ...]) -> tuple[Literal["black", "white"], ...]:
        if not references or len(set(references)) < len(references):
            raise ValueError("`references` lists `black`, `white` or both, each once")
        return references

    @model_validator(mode="after")
    def _of_its_kind(self) -> Self:
        used = (*_ALWAYS, *_USED[self.gradients])
        for name in type(self).model_fields:
            if name in self.model_fields_set and name not in used and self._is_other(name):
                kinds = [kind for kind, names in _USED.items() if name in names]
                raise ValueError(
                    f"`{name}` says nothing where `gradients` is `{self.gradients}`, only where it is "
                    f"{' or '.join(kinds)}; leave it out"
                )
        return self

    def _is_other(self, name: str) -> bool:
        """Whether a setting is not its default, which what was written before may repeat."""
        return bool(getattr(self, name) != type(self).model_fields[name].default)

    @property
    def adds_up(self) -> bool:
        """Whether what pixels are said to add is a share of the output."""
        return self.gradients != "smooth_grad"

    @property
    def first_steps(self) -> int:
        """Gradients of a path that `auto` begins with: a guided path of few steps is nearly straight."""
        first = {"guided_ig": 128, "blur_ig": 32}.get(self.gradients, 16)
        return min(first, self.max_steps) if self.num_steps == "auto" else self.num_steps

    def describe(self) -> dict[str, Any]:
        """The settings that say something, as the manifest has them."""
        names = {*_ALWAYS, *_USED[self.gradients]}
        return {**self.model_dump(mode="json", include=names), "adds_up": self.adds_up}
