"""What users may ask for: ExplainConfig and ValidationConfig.

Both are frozen, refuse unknown keys, and turn every mistake into one `ConfigError` sentence when they are BUILT, so a
pipeline with a bad configuration never starts. They read and write the same YAML or JSON, and publish a JSON schema
(`ExplainConfig.json_schema()`).
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_serializer, model_validator
from typing_extensions import Self

from tfx_explain.errors import ConfigError

OutputSpace = Literal["logit", "probability", "raw"]
Estimator = Literal["exact", "leverage", "permutation", "auto"]


class _Part(BaseModel):
    """A section of a configuration."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


class _OneOf(_Part):
    """A mapping with exactly one key, which names the alternative: `{max_share: {...}}`."""

    noun: ClassVar[str]

    @model_validator(mode="before")
    @classmethod
    def _bare_name(cls, data: Any) -> Any:
        return {data: {}} if isinstance(data, str) else data

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        given = [name for name in type(self).model_fields if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"each {self.noun} is a mapping with exactly one key, got {given or 'none'}")
        return self

    @model_serializer(mode="wrap")
    def _only_the_one(self, handler: Any) -> dict[str, Any]:
        return {self.name: handler(self)[self.name]}

    @property
    def name(self) -> str:
        """The one key that is set."""
        return next(name for name in type(self).model_fields if getattr(self, name) is not None)

    @property
    def settings(self) -> Any:
        """The settings under that key."""
        return getattr(self, self.name)


class _Config(_Part):
    """A whole configuration: one sentence per mistake, JSON and YAML in and out."""

    def __init__(self, **data: Any) -> None:
        try:
            super().__init__(**data)
        except ValidationError as error:
            raise ConfigError(_sentence(type(self), error)) from None

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Builds the configuration from plain data, as YAML or JSON gives it."""
        if not isinstance(data, Mapping):
            raise ConfigError(f"{cls.__name__} must be a mapping of keys to values, got {type(data).__name__}.")
        return cls(**{str(key): value for key, value in data.items()})

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Reads what `to_json` wrote."""
        try:
            data = json.loads(text)
        except json.JSONDecodeError as error:
            raise ConfigError(f"{cls.__name__} is not valid JSON ({error}); write it with `to_json()`.") from None
        return cls.from_dict(data)

    @classmethod
    def from_file(cls, path: str | Path) -> Self:
        """Reads a YAML or JSON file.

        Raises:
          ConfigError: the file is absent, is neither YAML nor JSON, or holds an unusable configuration.
        """
        try:
            data = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise ConfigError(f"cannot read the configuration {path}: {error.strerror}.") from None
        except yaml.YAMLError as error:
            raise ConfigError(f"{path} is neither YAML nor JSON: {' '.join(str(error).split())}.") from None
        try:
            return cls.from_dict(data if data is not None else {})
        except ConfigError as error:
            raise ConfigError(f"{path}: {error}") from None

    def to_json(self) -> str:
        """The configuration as canonical JSON: equal configurations give equal text."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True)

    @classmethod
    def json_schema(cls) -> dict[str, Any]:
        """The JSON schema, for editors and other programs."""
        return cls.model_json_schema()


def _sentence(model: type[BaseModel], error: ValidationError) -> str:
    """The first mistake of a pydantic error as one sentence: where, what, what to do."""
    # A misspelt key also makes its section lack the right one; only the first of the two helps.
    first = min(error.errors(include_url=False), key=lambda mistake: mistake["type"] != "extra_forbidden")
    path = [str(part) for part in first["loc"]]
    more = f" ({error.error_count() - 1} more after this one.)" if error.error_count() > 1 else ""
    if first["type"] == "extra_forbidden":
        known = _known_keys(model, first["loc"][:-1])
        near = difflib.get_close_matches(path[-1], known, n=1)
        hint = f"did you mean `{near[0]}`?" if near else f"known keys: {', '.join(known)}."
        where = f" under `{'.'.join(path[:-1])}`" if path[:-1] else ""
        return f"unknown key `{path[-1]}`{where} in {model.__name__}; {hint}{more}"
    text = str(first["msg"]).removeprefix("Value error, ").rstrip(".")
    where = f"`{'.'.join(path)}`" if path else "the configuration"
    got = "" if isinstance(first["input"], Mapping | BaseModel) else f", got {first['input']!r}"
    return f"{where} in {model.__name__}: {text[:1].lower()}{text[1:]}{got}.{more}"


def _known_keys(model: type[BaseModel], path: Sequence[str | int]) -> list[str]:
    """The keys that a section of a configuration accepts."""
    for part in path:
        if isinstance(part, int):
            continue
        found = _models_in(model.model_fields[part].annotation)
        if not found:
            break
        model = found[0]
    return list(model.model_fields)


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in get_args(annotation) for model in _models_in(argument)]


# --- what to explain ------------------------------------------------------------------------------------------------


class BackgroundConfig(_Part):
    """Reference rows that stand in for absent features."""

    split: str = Field("train", description="split of `background_examples` (default: of `examples`) to draw from")
    num_rows: int = Field(128, ge=1, le=100_000)
    strategy: Literal["sample", "medoids"] = "sample"


class FeaturesConfig(_Part):
    """Which features are players, and which of them act as one."""

    include: tuple[str, ...] | None = None
    exclude: tuple[str, ...] = ()
    groups: dict[str, tuple[str, ...]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        seen: dict[str, str] = {}
        for group, members in self.groups.items():
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


class ModelConfig(_Part):
    """How the model is called, and in which unit its output is explained."""

    signature: str = "serving_default"
    output_key: str | None = None
    output_space: OutputSpace = "logit"
    classes: tuple[int, ...] | Literal["predicted", "label"] | None = None
    module_file: str | None = None

    @field_validator("classes")
    @classmethod
    def _some_class(cls, classes: Any) -> Any:
        if isinstance(classes, tuple) and (not classes or min(classes) < 0 or len(set(classes)) < len(classes)):
            raise ValueError("`classes` lists different output indices from 0 on; use null for all")
        return classes


class SlicingSpec(_Part):
    """Parts of the data, as in TensorFlow Model Analysis: `{}` is everything, a feature key one part per value."""

    feature_keys: tuple[str, ...] = ()
    feature_values: dict[str, str | int | float] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        named = [*self.feature_keys, *self.feature_values]
        for name in named:
            if named.count(name) > 1:
                raise ValueError(f"a slice names feature `{name}` twice; name it once, as a key or with a value")
        return self

    @property
    def features(self) -> set[str]:
        """The features that the parts differ in; empty for everything."""
        return {*self.feature_keys, *self.feature_values}


class ShapleyConfig(_Part):
    """Interventional Shapley values of the model's output."""

    estimator: Estimator = "auto"
    budget: Literal["auto"] | int = Field(
        "auto", description="coalitions evaluated per background row; model rows per example = budget x background rows"
    )
    max_relative_error: float | None = Field(None, gt=0, lt=1)
    interactions: Literal[0, 2] = 0

    @field_validator("budget")
    @classmethod
    def _positive(cls, budget: Any) -> Any:
        if budget != "auto" and budget < 2:
            raise ValueError("the budget counts coalitions per background row and must be at least 2, or `auto`")
        return budget


class PartialDependenceConfig(_Part):
    """Mean output with one feature set to each of its values; `features: null` = all that are explained."""

    features: tuple[str, ...] | None = None
    grid_size: int = Field(20, ge=2, le=1_000, description="points per feature: quantiles, or most frequent levels")
    num_ice: int = Field(50, ge=0, le=1_000, description="curves of single examples to keep")


class AccumulatedLocalEffectsConfig(_Part):
    """Mean change of the output along one numeric feature, among examples that are near each of its values."""

    features: tuple[str, ...] | None = None
    num_bins: int = Field(20, ge=1, le=1_000)


class Method(_OneOf):
    """One thing to compute."""

    noun: ClassVar[str] = "method"
    shapley: ShapleyConfig | None = None
    partial_dependence: PartialDependenceConfig | None = None
    accumulated_local_effects: AccumulatedLocalEffectsConfig | None = None


_LATER_METHODS = (
    "permutation_importance",
    "sage",
    "interaction_strength",
    "integrated_gradients",
    "expected_gradients",
    "xrai",
)


class ExplainConfig(_Config):
    """What Explainer computes, on which rows, against which background."""

    splits: tuple[str, ...] = ("eval",)
    max_examples: int | None = Field(10_000, ge=1, description="rows explained per split, chosen by stable hash")
    background: BackgroundConfig = Field(default_factory=BackgroundConfig)
    features: FeaturesConfig = Field(default_factory=FeaturesConfig)
    label_key: str | None = None
    example_weight_key: str | None = Field(None, description="feature with how much each row counts in the tables")
    id_key: str | None = None
    model: ModelConfig = Field(default_factory=ModelConfig)
    slicing_specs: tuple[SlicingSpec, ...] = Field(
        (SlicingSpec(),), description="parts of the data with tables of their own; the whole data always has them"
    )
    min_slice_examples: int = Field(1, ge=1, description="slices with fewer explained rows are left out of the tables")
    max_slices: int = Field(1_000, ge=1, description="the run fails when there are more slices than this")
    methods: tuple[Method, ...] = (Method(shapley=ShapleyConfig()),)
    max_failed_fraction: float = Field(
        0.01, ge=0, le=1, description="the run fails when more of the rows than this fail"
    )
    seed: int = Field(0, ge=0, lt=2**63)

    @model_validator(mode="before")
    @classmethod
    def _refuse_later(cls, data: Any) -> Any:
        methods = data.get("methods", ()) if isinstance(data, Mapping) else ()
        for method in methods if isinstance(methods, list | tuple) else ():
            for name in [method] if isinstance(method, str) else method if isinstance(method, Mapping) else ():
                if name in _LATER_METHODS:
                    raise ValueError(f"method `{name}` is not available in this version; remove it and use `shapley`")
        return data

    @model_validator(mode="after")
    def _usable(self) -> Self:
        if not self.splits or len(set(self.splits)) < len(self.splits):
            raise ValueError("`splits` must name at least one split, each once")
        names = [method.name for method in self.methods]
        if not names or len(set(names)) < len(names):
            raise ValueError("`methods` must list at least one method, each once")
        if self.method("shapley") is None:
            raise ValueError("`methods` must list `shapley`, beside which the others are computed")
        if self.model.classes == "label" and self.label_key is None:
            raise ValueError("`model.classes: label` explains the class in the label; set `label_key`")
        return self

    @property
    def slice_features(self) -> list[str]:
        """The features that `slicing_specs` names, sorted."""
        return sorted({name for spec in self.slicing_specs for name in spec.features})

    @property
    def shapley(self) -> ShapleyConfig:
        """The settings of the Shapley method."""
        settings: ShapleyConfig = self.method("shapley")
        return settings

    def method(self, name: str) -> Any:
        """The settings of the method with this name; None where it was not asked for."""
        return next((method.settings for method in self.methods if method.name == name), None)


# --- what to demand -------------------------------------------------------------------------------------------------


class MaxShareRule(_Part):
    """Players may together carry at most this share of the total importance."""

    players: tuple[str, ...] = Field(min_length=1)
    value: float = Field(ge=0, le=1)


class MinShareRule(_Part):
    """Players must together carry at least this share of the total importance."""

    players: tuple[str, ...] = Field(min_length=1)
    value: float = Field(ge=0, le=1)


class TopKIncludesRule(_Part):
    """Each of these players must be among the k most important."""

    k: int = Field(ge=1)
    players: tuple[str, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _they_fit(self) -> Self:
        if len(self.players) > self.k:
            raise ValueError(f"{len(self.players)} players cannot all be among the top {self.k}; raise `k`")
        return self


class MaxCompletenessGapRule(_Part):
    """No example's attributions may miss prediction - base value by more than value * (1 + |prediction|)."""

    value: float = Field(ge=0)


class Rule(_OneOf):
    """One demand on an explanation."""

    noun: ClassVar[str] = "rule"
    max_share: MaxShareRule | None = None
    min_share: MinShareRule | None = None
    top_k_includes: TopKIncludesRule | None = None
    max_completeness_gap: MaxCompletenessGapRule | None = None


_LATER_RULES = ("monotonic", "max_relative_std_error", "drift", "attribution_drift")


class ValidationConfig(_Config):
    """The policy that ExplanationValidator enforces."""

    confidence: float = Field(0.95, gt=0.5, lt=1)
    on_insufficient_evidence: Literal["refuse", "bless"] = "refuse"
    rules: tuple[Rule, ...]
    slicing_specs: tuple[SlicingSpec, ...] = (SlicingSpec(),)
    min_slice_examples: int = Field(50, ge=1)

    @model_validator(mode="before")
    @classmethod
    def _refuse_later(cls, data: Any) -> Any:
        rules = data.get("rules", ()) if isinstance(data, Mapping) else ()
        for rule in rules if isinstance(rules, list | tuple) else ():
            for name in rule if isinstance(rule, Mapping) else ():
                if name in _LATER_RULES:
                    known = ", ".join(Rule.model_fields)
                    raise ValueError(f"rule `{name}` is not available in this version; remove it (available: {known})")
        return data

    @model_validator(mode="after")
    def _usable(self) -> Self:
        if not self.rules:
            raise ValueError("`rules` is empty, so nothing would be checked; list at least one rule")
        if not self.slicing_specs:
            raise ValueError("`slicing_specs` is empty, so nothing would be checked; use [{}] for the whole data")
        return self
