"""What ExplanationValidator demands: ValidationConfig and its rules."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, field_validator, model_validator
from pydantic.json_schema import JsonSchemaValue
from typing_extensions import Self

from tfx_explain.config.base import Config, OneOf, SlicingSpec
from tfx_explain.config.contradictions import find_contradiction
from tfx_explain.config.drift import AttributionDriftRule, DriftRule, expand_default
from tfx_explain.config.rules import (
    CanaryRule,
    MaxCompletenessGapRule,
    MaxInteractionRule,
    MaxPartShareRule,
    MaxRandomisationSimilarityRule,
    MaxRelativeStdErrorRule,
    MaxShareRule,
    MaxSliceDifferenceRule,
    MaxTopShareRule,
    MinExamplesRule,
    MinFaithfulnessRule,
    MinImportanceRule,
    MinPointingAccuracyRule,
    MinShareRule,
    MonotonicRule,
    SignRule,
    TopKIncludesRule,
)
from tfx_explain.judgement import RULES


class Rule(OneOf):
    """One demand on an explanation."""

    noun: ClassVar[str] = "rule"
    max_share: MaxShareRule | None = None
    min_share: MinShareRule | None = None
    max_top_share: MaxTopShareRule | None = None
    min_importance: MinImportanceRule | None = None
    top_k_includes: TopKIncludesRule | None = None
    canary: CanaryRule | None = None
    sign: SignRule | None = None
    monotonic: MonotonicRule | None = None
    max_interaction: MaxInteractionRule | None = None
    max_slice_difference: MaxSliceDifferenceRule | None = None
    max_completeness_gap: MaxCompletenessGapRule | None = None
    max_relative_std_error: MaxRelativeStdErrorRule | None = None
    min_examples: MinExamplesRule | None = None
    max_part_share: MaxPartShareRule | None = None
    min_faithfulness: MinFaithfulnessRule | None = None
    max_randomisation_similarity: MaxRandomisationSimilarityRule | None = None
    min_pointing_accuracy: MinPointingAccuracyRule | None = None
    drift: DriftRule | None = None
    attribution_drift: AttributionDriftRule | None = None


def _with_default_drift(schema: JsonSchemaValue) -> None:
    """`drift: default` among the rules, as `expand_default` takes it."""
    default = {"properties": {"drift": {"const": "default"}}, "required": ["drift"], "additionalProperties": False}
    schema["items"] = {"anyOf": [schema["items"], {"type": "object", **default}]}
    schema["minItems"] = 1


class ValidationConfig(Config):
    """The policy that ExplanationValidator enforces.

    Example:
      >>> share = {"max_share": {"players": ["race"], "value": 0.05}}
      >>> policy = ValidationConfig(rules=[share, {"min_examples": {"value": 500}}])
      >>> [rule.name for rule in policy.rules]
      ['max_share', 'min_examples']
    """

    confidence: float = Field(0.95, gt=0.5, lt=1)
    multiplicity: Literal["holm", "none"] = Field(
        "holm",
        description="`holm`: over the whole policy a `fail` is false with a probability of at most 1 - confidence; "
        "`none`: each finding on its own",
    )
    on_insufficient_evidence: Literal["refuse", "bless"] = "refuse"
    rules: tuple[Rule, ...] = Field(json_schema_extra=_with_default_drift)
    slicing_specs: tuple[SlicingSpec, ...] = (SlicingSpec(),)
    min_slice_examples: int = Field(50, ge=1)

    @field_validator("rules", mode="before")
    @classmethod
    def _default_drift(cls, rules: object) -> object:
        return expand_default(rules)

    @model_validator(mode="after")
    def _usable(self) -> Self:
        if not self.rules:
            raise ValueError("`rules` is empty, so nothing would be checked; list at least one rule")
        if not self.slicing_specs:
            raise ValueError("`slicing_specs` is empty, so nothing would be checked; use [{}] for the whole data")
        named = [(rule.name, rule.settings) for rule in self.rules]
        between_slices = [name for name, _ in named if RULES[name].is_between_slices]
        if between_slices and not any(spec.features for spec in self.slicing_specs):
            raise ValueError(f"`{between_slices[0]}` compares slices with the rest; list some in `slicing_specs`")
        contradiction = find_contradiction(named)
        if contradiction:
            raise ValueError(contradiction)
        return self
