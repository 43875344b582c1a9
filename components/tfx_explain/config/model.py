"""Settings of the model, and of what of its output is explained."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, JsonValue, field_validator, model_validator
from typing_extensions import Self

from tfx_explain.config.base import Part

OutputSpace = Literal["logit", "probability", "raw"]
Classes = tuple[int, ...] | Literal["predicted", "label"] | None


class PositiveRateConfig(Part, json_schema_extra={"examples": [{"trained": 0.5, "actual": 0.02}]}):
    """How common the positive class is, where a model was trained on data in which one class was down-sampled.

    Probabilities that stand beside log-odds in the report are corrected for it (Elkan, "The foundations of
    cost-sensitive learning", IJCAI 2001). Log-odds stay the model's own: the correction moves all of them alike, and no
    attribution.
    """

    trained: float = Field(gt=0, lt=1, description="share of positive rows in the training data", examples=[0.5])
    actual: float = Field(gt=0, lt=1, description="share of positive rows where the model is used", examples=[0.02])


_EXAMPLES: list[JsonValue] = [
    {"output_space": "probability", "classes": [1]},
    {"positive_rate": {"trained": 0.5, "actual": 0.02}},
]


class ModelConfig(Part, json_schema_extra={"examples": _EXAMPLES}):
    """How the model is called, and in which unit its output is explained."""

    signature: str = Field(
        "serving_default", description="signature of the SavedModel that is called", examples=["serving_default"]
    )
    output_key: str | None = Field(
        None,
        description="output of the signature that is explained; null = the only one of floating-point numbers",
        examples=["probabilities"],
    )
    output_space: OutputSpace = Field(
        "logit",
        description="unit of all attributions: `logit` (log-odds, where a sigmoid or softmax is seen at the end of "
        "the graph; else the output as it is, which the manifest says), `probability` (of an output that is seen or "
        "said to be one), or `raw` (the output as it is)",
        examples=["probability", "raw"],
    )
    output_is: Literal["logits", "probabilities"] | None = Field(
        None,
        description="what the model's output is, where its last operations do not show it; null = as they show it",
        examples=["probabilities"],
    )
    classes: Classes = Field(
        None,
        description="outputs of a model of several that are explained: their numbers from 0 on, of each row the "
        "largest one (`predicted`), or the one that its label names (`label`, which needs `label_key`); null = all",
        examples=[[1], "predicted"],
    )
    positive_rate: PositiveRateConfig | None = Field(
        None,
        description="of a model with one output of log-odds that was trained on down-sampled data, the share of "
        "positive rows there and where it is used; null = the same",
        examples=[{"trained": 0.5, "actual": 0.02}],
    )
    module_file: str | None = Field(
        None,
        description="path or URI of a Python file with `FEATURES` and `load_model`, which loads a model that is no "
        "SavedModel",
        examples=["models/forest.py"],
    )
    takes: Literal["raw", "transformed"] | None = Field(
        None,
        description="with a transform graph, whether the model takes what goes into it or what comes out; null = as "
        "the model's features and graph tell",
        examples=["transformed"],
    )

    @field_validator("classes")
    @classmethod
    def _some_class(cls, classes: Classes) -> Classes:
        if isinstance(classes, tuple) and (not classes or min(classes) < 0 or len(set(classes)) < len(classes)):
            raise ValueError("`classes` lists different output indices from 0 on; use null for all")
        return classes

    @model_validator(mode="after")
    def _one_space(self) -> Self:
        if self.output_is is not None and self.output_space == "raw":
            raise ValueError(
                "`output_space: raw` explains the output as neither log-odds nor probability, whatever "
                "`output_is` says; remove one of the two"
            )
        if self.positive_rate is not None and self.output_space != "logit":
            raise ValueError(
                "`positive_rate` corrects probabilities beside log-odds; explain them with `output_space: logit`, or "
                "remove it"
            )
        if self.output_is == "logits" and self.output_space == "probability":
            raise ValueError("an output that is `logits` is explained as such; remove `output_space: probability`")
        return self
