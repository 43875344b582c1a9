"""From an explanation and its baseline to what rules about drift find; knows nothing of TFX."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from typing_extensions import Self

from tfx_explain.config import ValidationConfig
from tfx_explain.config.base import Part
from tfx_explain.config.drift import AttributionDriftRule, DriftRule
from tfx_explain.config.rules import AttributionRule
from tfx_explain.errors import ConfigError
from tfx_explain.explanation_validator.baseline import NO_BASELINE, check_comparable
from tfx_explain.explanation_validator.sides import Key, Side, compare, compare_distributions
from tfx_explain.judgement import RULES, Finding, Judgement, RuleDescription, judgement_of, skip_rule
from tfx_explain.judgement.drift.comparison import Comparison
from tfx_explain.judgement.drift.distributions import DistributionComparison
from tfx_explain.judgement.rule import Grounds
from tfx_explain.reader import ExplanationReader
from tfx_explain.slicing import OVERALL
from tfx_explain.tables import SHAPLEY

_COMPARED: Mapping[type[Grounds], Callable[[Side, Side, Key], Grounds]] = {
    Comparison: compare,
    DistributionComparison: compare_distributions,
}
"""What rules judge that compare with a baseline -> how it is made."""

DriftSettings = DriftRule | AttributionDriftRule


def drift_judgements(
    explanation: ExplanationReader,
    config: ValidationConfig,
    slices: Sequence[str],
    baseline: ExplanationReader | None = None,
    no_baseline: str = NO_BASELINE,
) -> tuple[list[Judgement], list[Finding]]:
    """Every rule about drift for every output, in every slice, to be judged; and findings on those that are skipped.

    Rules compare with the baseline explanation where there is one, else with the baseline model that was explained
    beside the model; a rule's `against` demands one of the two. Without it the rule is skipped, as Evaluator skips
    change thresholds: the first model has nothing to be compared with.

    Args:
      explanation: what is judged.
      config: the policy.
      slices: the names of the slices that it asks for.
      baseline: another explanation.
      no_baseline: why there is none, for people.

    Raises:
      InputError: the two cannot be compared, the baseline is not what was written, or records of attributions are
        gone.
      ConfigError: a rule names an unknown player.
    """
    there = ["explanation"] if baseline is not None else []
    there += ["model"] if explanation.manifest["baseline_model"] is not None else []
    compared = [(RULES[rule.name], rule.settings) for rule in config.rules if RULES[rule.name].needs_baseline]
    rules = [(rule, settings, _against(settings, there)) for rule, settings in compared]
    methods = {settings.method: method_of(explanation, rule, settings) for rule, settings in compared}
    if baseline is not None:
        of_baseline = {methods[settings.method] for _, settings, kind in rules if kind == "explanation"}
        if of_baseline:
            check_comparable(explanation, baseline, sorted(of_baseline))
        baseline.verify()
    skipped = [_skipped(rule, settings, no_baseline) for rule, settings, kind in rules if kind is None]
    keys = [(slice_key, output) for slice_key in slices for output in explanation.outputs]
    pairs = {method: _Pairs.of_method(method, explanation, baseline, config) for method in set(methods.values())}
    judgements = [
        judgement_of(
            rule,
            settings.model_dump(exclude={"against", "method"}),
            pairs[methods[settings.method]].of(rule.evidence, kind, key),
            config.min_slice_examples,
            chosen_by=settings.model_dump(include={"against", "method"}, exclude_none=True),
        )
        for key in keys
        for rule, settings, kind in rules
        if kind is not None
    ]
    return judgements, skipped


def method_of(explanation: ExplanationReader, rule: RuleDescription, settings: Part) -> str:
    """Whose attributions a rule is about; "" where no method attributes and the rule needs none.

    Raises:
      ConfigError: it names a method that does not attribute, or needs one where none does.
    """
    methods = explanation.methods
    if any(need.detail == "interactions" for need in rule.needs) and SHAPLEY in methods:
        return SHAPLEY
    named = settings.method if isinstance(settings, AttributionRule) else None
    if named is None and (methods or not isinstance(settings, AttributionRule)):
        return next(iter(methods), "")
    if named in methods:
        return str(named)
    there = f"there are those by {', '.join(methods)}" if methods else "no method of the run makes any"
    raise ConfigError(
        f"rule `{rule.name}` needs attributions{f' by `{named}`' if named else ''}, but in {explanation.uri} {there}; "
        "list such a method under `methods` of the ExplainConfig and explain the model again, or leave the rule out."
    )


def _against(settings: DriftSettings, theirs: Sequence[str]) -> str | None:
    """What a rule compares with: the first that is there and allowed; None where there is nothing."""
    return next((kind for kind in theirs if settings.against in (None, kind)), None)


def _skipped(rule: RuleDescription, settings: DriftSettings, reason: str) -> Finding:
    if settings.against == "model":
        reason = "no baseline model was explained beside the model, as on the first run"
    return skip_rule(rule, settings.model_dump(exclude_none=True), OVERALL, reason)


class _Pairs:
    """What rules about one method compare, each pair made once."""

    def __init__(self, ours: Side, theirs: Mapping[str, Side]) -> None:
        self._ours = ours
        self._theirs = theirs
        self._made: dict[tuple[type[Grounds], str, Key], Grounds] = {}

    @classmethod
    def of_method(
        cls, method: str, explanation: ExplanationReader, baseline: ExplanationReader | None, config: ValidationConfig
    ) -> Self:
        """The explanation and all that there is to compare it with."""
        specs, theirs = config.slicing_specs, {}
        if baseline is not None:
            theirs["explanation"] = Side(baseline, specs, method=method)
        if explanation.manifest["baseline_model"] is not None:
            theirs["model"] = Side(explanation, specs, of_baseline_model=True, method=method)
        return cls(Side(explanation, specs, method=method), theirs)

    def of(self, evidence: type[Grounds], kind: str, key: Key) -> Grounds:
        if (evidence, kind, key) not in self._made:
            self._made[evidence, kind, key] = _COMPARED[evidence](self._ours, self._theirs[kind], key)
        return self._made[evidence, kind, key]
