"""From an explanation and its baseline to what rules about drift find; knows nothing of TFX."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from tfx_explain.config import Rule, ValidationConfig
from tfx_explain.explanation_validator.baseline import NO_BASELINE, check_comparable
from tfx_explain.explanation_validator.sides import Key, Side, compare, compare_distributions
from tfx_explain.judgement.drift import DRIFT_RULES
from tfx_explain.judgement.evidence import Finding
from tfx_explain.judgement.rules.policy import Judgement
from tfx_explain.reader import ExplanationReader
from tfx_explain.slicing import OVERALL


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
    rules = [(rule, _against(rule, theirs)) for rule in config.rules if rule.name in DRIFT_RULES]
    if baseline is not None and any(kind == "explanation" for _, kind in rules):
        check_comparable(explanation, baseline)
    if baseline is not None:
        baseline.verify()
    skipped = [_skipped(rule, no_baseline) for rule, kind in rules if kind is None]
    keys = [(slice_key, output) for slice_key in slices for output in explanation.outputs]
    pairs = _Pairs(ours, theirs)
    judgements: list[Judgement] = [
        partial(_judgement, rule, pairs.of(rule.name, kind, key), config.min_slice_examples)
        for key in keys
        for rule, kind in rules
        if kind is not None
    ]
    return judgements, skipped


def _against(rule: Rule, there: dict[str, Side]) -> str | None:
    """What a rule compares with: the first that is there and allowed; None where there is nothing."""
    return next((kind for kind in there if rule.settings.against in (None, kind)), None)


def _skipped(rule: Rule, reason: str) -> Finding:
    settings = rule.settings.model_dump(exclude_none=True)
    if rule.settings.against == "model":
        reason = "no baseline model was explained beside the model, as on the first run"
    figures = (math.nan, math.nan, math.nan, float(rule.settings.max))
    return Finding(rule.name, settings, OVERALL, "", "skipped", *figures, f"Nothing was compared: {reason}.")


class _Pairs:
    """What rules compare, each pair made once."""

    def __init__(self, ours: Side, theirs: Mapping[str, Side]) -> None:
        self._ours = ours
        self._theirs = theirs
        self._made: dict[tuple[str, str, Key], Any] = {}

    def of(self, rule: str, kind: str, key: Key) -> Any:
        if (rule, kind, key) not in self._made:
            make: Callable[..., Any] = compare if rule == "drift" else compare_distributions
            self._made[rule, kind, key] = make(self._ours, self._theirs[kind], key)
        return self._made[rule, kind, key]


def _judgement(rule: Rule, pair: Any, min_examples: int, confidence: float) -> Finding:
    settings = rule.settings.model_dump(exclude={"against"})
    finding = DRIFT_RULES[rule.name](pair, **settings, confidence=confidence, min_examples=min_examples)
    estimated = not math.isnan(finding.ci_low + finding.ci_high)
    return dataclasses.replace(finding, confidence=confidence if estimated else None)
