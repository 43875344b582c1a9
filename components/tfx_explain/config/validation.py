"""What ExplanationValidator demands: ValidationConfig and its rules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator
from typing_extensions import Self

from tfx_explain.config.base import Config, OneOf, Part, SlicingSpec
from tfx_explain.config.drift import AttributionDriftRule, DriftRule, expand_default


class MaxShareRule(Part):
    """Players may together carry at most this share of the total importance."""

    players: tuple[str, ...] = Field(min_length=1)
    value: float = Field(ge=0, le=1)


class MinShareRule(Part):
    """Players must together carry at least this share of the total importance."""

    players: tuple[str, ...] = Field(min_length=1)
    value: float = Field(ge=0, le=1)


class TopKIncludesRule(Part):
    """Each of these players must be among the k most important."""

    k: int = Field(ge=1)
    players: tuple[str, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _they_fit(self) -> Self:
        if len(self.players) > self.k:
            raise ValueError(f"{len(self.players)} players cannot all be among the top {self.k}; raise `k`")
        return self


class MaxCompletenessGapRule(Part):
    """No example's attributions may miss prediction - base value by more than value * (1 + |prediction|)."""

    value: float = Field(ge=0)


class Rule(OneOf):
    """One demand on an explanation."""

    noun: ClassVar[str] = "rule"
    max_share: MaxShareRule | None = None
    min_share: MinShareRule | None = None
    top_k_includes: TopKIncludesRule | None = None
    max_completeness_gap: MaxCompletenessGapRule | None = None
    drift: DriftRule | None = None
    attribution_drift: AttributionDriftRule | None = None


_LATER_RULES = ("monotonic", "max_relative_std_error")


class ValidationConfig(Config):
    """The policy that ExplanationValidator enforces."""

    confidence: float = Field(0.95, gt=0.5, lt=1)
    on_insufficient_evidence: Literal["refuse", "bless"] = "refuse"
    rules: tuple[Rule, ...]
    slicing_specs: tuple[SlicingSpec, ...] = (SlicingSpec(),)
    min_slice_examples: int = Field(50, ge=1)

    @field_validator("rules", mode="before")
    @classmethod
    def _default_drift(cls, rules: Any) -> Any:
        return expand_default(rules)

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
