"""From an explanation and its baseline to what rules about drift find; knows nothing of TFX."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from tfx_explain.config import ValidationConfig
from tfx_explain.config.drift import AttributionDriftRule, DriftRule
from tfx_explain.explanation_validator.baseline import NO_BASELINE, check_comparable
from tfx_explain.explanation_validator.sides import Key, Side, compare, compare_distributions
from tfx_explain.judgement import RULES, Finding, Judgement, RuleDescription, judgement_of, skip_rule
from tfx_explain.judgement.drift.comparison import Comparison
from tfx_explain.judgement.drift.distributions import DistributionComparison
from tfx_explain.judgement.rule import Grounds
from tfx_explain.reader import ExplanationReader
from tfx_explain.slicing import OVERALL

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
    ours = Side(explanation, config.slicing_specs)
    theirs: dict[str, Side] = {}
    if baseline is not None:
        theirs["explanation"] = Side(baseline, config.slicing_specs)
    if explanation.manifest["baseline_model"] is not None:
        theirs["model"] = Side(explanation, config.slicing_specs, of_baseline_model=True)
    compared = [(RULES[rule.name], rule.settings) for rule in config.rules if RULES[rule.name].needs_baseline]
    rules = [(rule, settings, _against(settings, theirs)) for rule, settings in compared]
    if baseline is not None and any(kind == "explanation" for *_, kind in rules):
        check_comparable(explanation, baseline)
    if baseline is not None:
        baseline.verify()
    skipped = [_skipped(rule, settings, no_baseline) for rule, settings, kind in rules if kind is None]
    keys = [(slice_key, output) for slice_key in slices for output in explanation.outputs]
    pairs = _Pairs(ours, theirs)
    judgements = [
        judgement_of(
            rule,
            settings.model_dump(exclude={"against"}),
            pairs.of(rule.evidence, kind, key),
            config.min_slice_examples,
        )
        for key in keys
        for rule, settings, kind in rules
        if kind is not None
    ]
    return judgements, skipped


def _against(settings: DriftSettings, theirs: Mapping[str, Side]) -> str | None:
    """What a rule compares with: the first that is there and allowed; None where there is nothing."""
    return next((kind for kind in theirs if settings.against in (None, kind)), None)


def _skipped(rule: RuleDescription, settings: DriftSettings, reason: str) -> Finding:
    if settings.against == "model":
        reason = "no baseline model was explained beside the model, as on the first run"
    return skip_rule(rule, settings.model_dump(exclude_none=True), OVERALL, reason)


class _Pairs:
    """What rules compare, each pair made once."""

    def __init__(self, ours: Side, theirs: Mapping[str, Side]) -> None:
        self._ours = ours
        self._theirs = theirs
        self._made: dict[tuple[type[Grounds], str, Key], Grounds] = {}

    def of(self, evidence: type[Grounds], kind: str, key: Key) -> Grounds:
        if (evidence, kind, key) not in self._made:
            self._made[evidence, kind, key] = _COMPARED[evidence](self._ours, self._theirs[kind], key)
        return self._made[evidence, kind, key]
