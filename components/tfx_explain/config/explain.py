"""What Explainer computes: ExplainConfig and its sections."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, JsonValue, model_validator
from typing_extensions import Self

from tfx_explain.config.agreement import check_agreement
from tfx_explain.config.base import Config, SlicingSpec
from tfx_explain.config.data import BackgroundConfig, FeaturesConfig
from tfx_explain.config.methods import ATTRIBUTION_METHODS, LOSS_METHODS, Method
from tfx_explain.config.model import ModelConfig
from tfx_explain.config.parts import RegionsConfig, SomeParts
from tfx_explain.config.reasons import ReasonsConfig
from tfx_explain.config.shapley import ShapleyConfig
from tfx_explain.config.xrai import XraiConfig

_EXAMPLE: dict[str, JsonValue] = {
    "splits": ["eval"],
    "max_examples": 2_000,
    "background": {"split": "train", "num_rows": 256},
    "label_key": "approved",
    "slicing_specs": [{"feature_keys": ["sex"]}],
    "methods": [{"shapley": {"estimator": "auto"}}, {"partial_dependence": {"grid_size": 10}}, "sage"],
}


class ExplainConfig(Config, json_schema_extra={"examples": [_EXAMPLE]}):
    """What Explainer computes, on which rows, against which background.

    Example:
      >>> config = ExplainConfig(max_examples=1_000, methods=["shapley", {"partial_dependence": {"grid_size": 10}}])
      >>> [method.name for method in config.methods]
      ['shapley', 'partial_dependence']
      >>> ExplainConfig.from_json(config.to_json()) == config
      True
    """

    splits: tuple[str, ...] = Field(("eval",), description="splits of the examples to explain", examples=[["eval"]])
    max_examples: int | None = Field(
        10_000,
        ge=1,
        description="rows explained per split, drawn by their content, so the same for any order and sharding; null = "
        "all",
        examples=[2_000],
    )
    background: BackgroundConfig = Field(
        default_factory=BackgroundConfig,
        description="reference rows that stand in for absent features",
        examples=[{"num_rows": 256, "strategy": "medoids"}],
    )
    features: FeaturesConfig = Field(
        default_factory=FeaturesConfig,
        description="which features are players, and which of them act as one",
        examples=[{"exclude": ["gender"]}],
    )
    label_key: str | None = Field(
        None,
        description="feature with the label, for `classes: label` and methods that compare outputs with labels: a "
        "number, or text as `class_names` says",
        examples=["approved"],
    )
    examples_are: Literal["raw", "transformed"] | None = Field(
        None,
        description="with a transform graph, whether the examples are what goes into it or what comes out; null = as "
        "their features tell",
        examples=["transformed"],
    )
    label_from: Literal["examples", "transform"] | None = Field(
        None,
        description="whether `label_key` names a feature of the examples or a column that the transform graph makes "
        "of them; null = of the examples where they have it",
        examples=["transform"],
    )
    class_names: tuple[str, ...] | str | None = Field(
        None,
        description="what the classes are called, in the report and where labels are text, in the order of the model's "
        "outputs: a list, the path or URI of a vocabulary, or the name of one of the transform graph's",
        examples=[["refused", "approved"], "classes.txt"],
    )
    feature_names: dict[str, str] = Field(
        default_factory=dict,
        description="feature or group -> what the report calls it; tables, records and rules keep its own name",
        examples=[{"emp_len": "Years in this job"}],
    )
    example_weight_key: str | None = Field(
        None,
        description="feature with how much each row counts in the tables, a number of 0 or more; null = all alike",
        examples=["weight"],
    )
    id_key: str | None = Field(
        None,
        description="feature with the name of each row, by which records and report call it; a row without exactly one "
        "value fails; null = names made of the rows' content",
        examples=["application_id"],
    )
    model: ModelConfig = Field(
        default_factory=ModelConfig,
        description="how the model is called, and in which unit its output is explained",
        examples=[{"classes": "predicted"}],
    )
    slicing_specs: tuple[SlicingSpec, ...] = Field(
        (SlicingSpec(),),
        description="parts of the data with tables of their own; the whole data always has them",
        examples=[[{"feature_keys": ["sex"]}]],
    )
    min_slice_examples: int = Field(
        1, ge=1, description="slices with fewer explained rows are left out of the tables", examples=[50]
    )
    min_word_examples: int = Field(
        10,
        ge=1,
        description="words of texts that fewer explained rows of a slice have are left out of the tables",
        examples=[20],
    )
    max_slices: int = Field(
        1_000, ge=1, description="the run fails when there are more slices than this", examples=[100]
    )
    methods: tuple[Method, ...] = Field(
        (Method(shapley=ShapleyConfig()),),
        description="what is computed, each method once; records, report and rules are about the first that attributes",
        examples=[["shapley", {"permutation_importance": {"num_donors": 8}}]],
    )
    store_features: Literal["all", "explained", "none"] = Field(
        "all",
        description="features of single rows that files and report hold: `all` of the examples, `explained` (those of "
        "players, but for what `features` leaves out), or `none`; rows keep their names",
        examples=["explained"],
    )
    reasons: ReasonsConfig | None = Field(
        None,
        description="what each row is told of why its output is adverse, in `reasons.parquet`; null = nothing",
        examples=[{"adverse": "low"}],
    )
    max_failed_fraction: float = Field(
        0.01,
        ge=0,
        le=1,
        description="the run fails when a larger part of a split's rows, or of its bytes, cannot be read or explained",
        examples=[0.05],
    )
    max_model_rows: int | None = Field(
        None,
        ge=1,
        description="rows that the models may evaluate at most, those of trials aside: jobs on few rows are tried "
        "first, then `shapley` takes the largest `budget` that fits, and where none does fewer rows are explained; the "
        "manifest's `limits` says what was cut",
        examples=[50_000_000],
    )
    max_seconds: float | None = Field(
        None,
        gt=0,
        description="the same of the time that a run may take, trials among it; what fits depends on the machine, and "
        "so do then the attributions, within their errors",
        examples=[600],
    )
    seed: int = Field(
        0,
        ge=0,
        lt=2**63,
        description="what is drawn at random (rows, coalitions, noise) follows from this number and the rows' content",
        examples=[7],
    )

    @model_validator(mode="after")
    def _usable(self) -> Self:
        if not self.splits or len(set(self.splits)) < len(self.splits):
            raise ValueError("`splits` must name at least one split, each once")
        names = [method.name for method in self.methods]
        if not names or len(set(names)) < len(names):
            raise ValueError("`methods` must list at least one method, each once")
        strength = self.method("interaction_strength")
        if strength is not None and strength.players is None and not self._attributes:
            raise ValueError(
                "method `interaction_strength` takes the most important players of a method that attributes; list "
                "`shapley` too, or name `players`"
            )
        return self

    @model_validator(mode="after")
    def _agreeing(self) -> Self:
        check_agreement(self)
        return self

    @model_validator(mode="after")
    def _told_apart(self) -> Self:
        shown = list(self.feature_names.values())
        for name in shown:
            if not name.strip() or shown.count(name) > 1:
                raise ValueError(
                    f"`feature_names` calls {shown.count(name)} features `{name}`; give each a name of its own"
                )
        return self

    @model_validator(mode="after")
    def _labelled(self) -> Self:
        names = self.class_names
        if names is not None and (not names or (isinstance(names, tuple) and len(set(names)) < len(names))):
            raise ValueError("`class_names` lists the name of each class once, or is the path of a vocabulary")
        if self.label_key is not None:
            return self
        if self.label_from is not None:
            raise ValueError("`label_from` says where the label comes from; set `label_key`, or remove it")
        if self.model.classes == "label":
            raise ValueError("`model.classes: label` explains the class in the label; set `label_key`")
        for name in LOSS_METHODS:
            if self.method(name) is not None:
                raise ValueError(f"method `{name}` compares outputs with labels; set `label_key`")
        return self

    @property
    def slice_features(self) -> list[str]:
        """The features that `slicing_specs` names, sorted."""
        return sorted({name for spec in self.slicing_specs for name in spec.features})

    @property
    def mask_features(self) -> list[str]:
        """The features that hold regions of images, sorted: they are no players."""
        xrai: XraiConfig | None = self.method("xrai")
        masks = [settings.masks for settings in self.parts.values() if isinstance(settings, RegionsConfig)]
        return sorted({name for name in (*masks, xrai.masks if xrai else None) if name is not None})

    @property
    def parts(self) -> dict[tuple[str, str], SomeParts]:
        """(method, feature) -> how the method looks inside it."""
        found = {name: self.method(name) for name in ("shapley", "integrated_gradients", "occlusion")}
        return {
            (name, feature): of
            for name, of_method in found.items()
            if of_method
            for feature, of in of_method.parts.items()
        }

    @property
    def _attributes(self) -> bool:
        """Whether a method attributes."""
        return any(self.method(name) is not None for name in ATTRIBUTION_METHODS)

    @property
    def shapley(self) -> ShapleyConfig:
        """The settings of the Shapley method; its defaults where it was not asked for."""
        settings: ShapleyConfig | None = self.method("shapley")
        return settings or ShapleyConfig()

    def method(self, name: str) -> Any:
        """The settings of the method with this name; None where it was not asked for."""
        return next((method.settings for method in self.methods if method.name == name), None)
