"""What ExplanationValidator demands: ValidationConfig and its rules."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, JsonValue, field_validator, model_validator
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


_EXAMPLE: dict[str, JsonValue] = {
    "confidence": 0.95,
    "slicing_specs": [{}, {"feature_keys": ["sex"]}],
    "rules": [{"max_share": {"players": ["race"], "value": 0.05}}, {"min_examples": {"value": 500}}],
}


class ValidationConfig(Config, json_schema_extra={"examples": [_EXAMPLE]}):
    """The policy that ExplanationValidator enforces.

    Example:
      >>> share = {"max_share": {"players": ["race"], "value": 0.05}}
      >>> policy = ValidationConfig(rules=[share, {"min_examples": {"value": 500}}])
      >>> [rule.name for rule in policy.rules]
      ['max_share', 'min_examples']
    """

    confidence: float = Field(
        0.95,
        gt=0.5,
        lt=1,
        description="probability, at least, that a rule which the model breaks does not pass; with `multiplicity: "
        "holm` also that no `fail` of the whole policy is false",
        examples=[0.99],
    )
    multiplicity: Literal["holm", "none"] = Field(
        "holm",
        description="`holm`: over the whole policy a `fail` is false with a probability of at most 1 - confidence; "
        "`none`: each finding on its own",
        examples=["none"],
    )
    on_insufficient_evidence: Literal["refuse", "bless"] = Field(
        "refuse",
        description="whether findings that are neither a `pass` nor a `fail`, for want of evidence, stand in the way "
        "of the blessing",
        examples=["bless"],
    )
    rules: tuple[Rule, ...] = Field(
        description="demands, each judged in every slice and for every output; `drift: default` stands for five rules "
        "about drift",
        examples=[[{"max_share": {"players": ["race"], "value": 0.05}}, {"drift": "default"}]],
        json_schema_extra=_with_default_drift,
    )
    slicing_specs: tuple[SlicingSpec, ...] = Field(
        (SlicingSpec(),),
        description="parts of the data in which rules are judged, of those that were explained; `{}` is the whole data",
        examples=[[{}, {"feature_keys": ["sex"]}]],
    )
    min_slice_examples: int = Field(
        50,
        ge=1,
        description="with fewer explained examples (of the whole data, too), rules about importance find "
        "`insufficient_evidence`",
        examples=[100],
    )

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
