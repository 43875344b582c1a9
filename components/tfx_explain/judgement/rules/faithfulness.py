"""Rules about whether attributions tell what the model does, and whether they depend on what it has learned."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tfx_explain.errors import ConfigError
from tfx_explain.judgement.bounds import Bounds, Side, decide_all
from tfx_explain.judgement.details import Check
from tfx_explain.judgement.evidence import Evidence
from tfx_explain.judgement.finding import Outcome
from tfx_explain.judgement.intervals import t_intervals
from tfx_explain.judgement.rule import Decision, Need, RuleDescription
from tfx_explain.judgement.rules.sentences import Compared
from tfx_explain.judgement.wording import count, joined, percent, percents

RANDOMISATION = "randomisation"
_NOT_SKEWED = (0.0, 0.0)
_ABSENT = "needs measures of faithfulness, which the explanation does not have; list `faithfulness` under `methods` of "
_ABSENT += "the ExplainConfig and explain the model again."


def _min_faithfulness(
    evidence: Evidence, confidence: float, *, curve: str = "deletion", value: float, feature: str | None = None
) -> Decision:
    """Attributions must be ahead of random orders of the same parts by at least this much.

    Of `deletion` and `insertion` the figure is the area between both curves, as a part of what the output changes by
    when everything is taken away; of `mu_fidelity` the mean correlation of what parts are said to add and what the
    output loses without them.

    Args:
      evidence: of one (slice, output).
      confidence: of a pass, and of a fail over all features together (Bonferroni).
      curve: `deletion`, `insertion` or `mu_fidelity`.
      value: least allowed figure; 0 = better than chance.
      feature: whose parts are meant; None = of every feature that the method looks into, else of the players.

    Raises:
      ConfigError: the explanation does not have the measure.
    """
    checks = _checks(evidence, "min_faithfulness", curve, feature)
    if isinstance(checks, Decision):
        return checks
    outcome, bounds, index = _decide(checks, value, confidence, "at least")
    check = checks[index]
    if curve == "mu_fidelity":
        part, low, high = _numbers(bounds, value)
        start = f"What {check.parts} are said to add and what the output loses correlate by {part}"
        limit = f"{value:g} required"
    else:
        part, low, high = percents(bounds.value, bounds.low, bounds.high, threshold=value)
        start = f"By {curve}, {check.parts} in the order of their attributions are ahead of random orders by {part} of "
        start, limit = start + "the whole change", f"{percent(value)} required"
    advice = "these attributions do not tell what the model does; use another method, or more samples"
    compared = Compared(start, low, high, limit, advice)
    return _decision(outcome, bounds, compared.sentence(outcome, "at least", check.n_examples, confidence), check)


def _max_randomisation_similarity(
    evidence: Evidence,
    confidence: float,
    *,
    value: float,
    measure: str = RANDOMISATION,
    feature: str | None = None,
) -> Decision:
    """Attributions may be no more like those of models with random weights, or of other outputs, than this.

    Attributions that stay the same whatever the weights show the rows, or the architecture, and nothing that was
    learned; those that stay the same whatever the output say nothing of it. The figure is a mean correlation, and its
    error that over draws of the weights, or over rows.

    Args:
      evidence: of one (slice, output).
      confidence: of a pass, and of a fail over all features together (Bonferroni).
      value: largest allowed mean correlation.
      measure: `randomisation` or `random_logit`.
      feature: whose parts are meant; None = of every feature that the method looks into, else of the players.

    Raises:
      ConfigError: the explanation does not have the measure.

    Sources: Adebayo et al., "Sanity checks for saliency maps", NeurIPS 2018; Sixt, Granz and Landgraf, "When
    explanations lie: why many modified BP attributions fail", ICML 2020.
    """
    checks = _checks(evidence, "max_randomisation_similarity", measure, feature)
    if isinstance(checks, Decision):
        return checks
    outcome, bounds, index = _decide(checks, value, confidence, "at most")
    check, (figure, low, high) = checks[index], _numbers(bounds, value)
    others = "the model with random weights" if measure == RANDOMISATION else "another output"
    start = f"Attributions of {check.parts} and those of {others} have a correlation of {figure}"
    told = "what the model has learned" if measure == RANDOMISATION else "which output they are of"
    advice = f"they hardly depend on {told}"
    compared = Compared(start, low, high, f"{value:g} allowed", advice)
    return _decision(outcome, bounds, compared.sentence(outcome, "at most", check.n_examples, confidence), check)


def _checks(evidence: Evidence, rule: str, measure: str, feature: str | None) -> Sequence[Check] | Decision:
    """The figures that are meant, or why there are none."""
    known = evidence.faithfulness
    if known is None:
        raise ConfigError(f"rule `{rule}` {_ABSENT}")
    if measure not in known.measures:
        raise ConfigError(
            f"rule `{rule}` needs `{measure}` of `faithfulness`, which was not asked for: it has "
            f"{', '.join(known.measures)}; add it and explain the model again."
        )
    if feature is not None and feature not in known.features:
        raise ConfigError(
            f"rule `{rule}` names the parts of `{feature}`, which {evidence.method} does not look into; it looks into "
            f"{', '.join(known.features) or 'no feature'}."
        )
    wanted = [feature] if feature is not None else known.features or ("",)
    found = {check.feature: check for check in known.checks if check.measure == measure}
    unknown = [name for name in wanted if name not in found or not found[name].is_known]
    if unknown:
        what = f"the parts of {joined(unknown)}" if unknown[0] else "the features"
        return Decision.undecided(
            f"`{measure}` of {what} is not known in this slice: rows need at least three of them for a correlation and "
            "two for a curve, and outputs that are finite and change without them; check more rows.",
            [name for name in unknown if name],
        )
    left_out = [found[name] for name in wanted if found[name].is_mostly_left_out]
    if left_out:
        return Decision.undecided(
            f"{count(left_out[0].n_left_out)} rows have no curve of {left_out[0].parts}, since the model's output is "
            f"not finite, or refused, without some of them; only {count(left_out[0].n_examples)} have one.",
            [left_out[0].feature] if left_out[0].feature else [],
        )
    return [found[name] for name in wanted]


def _decide(checks: Sequence[Check], limit: float, confidence: float, side: Side) -> tuple[Outcome, Bounds, int]:
    value, error, freedom = (
        np.array([getattr(check, name) for check in checks]) for name in ("value", "std_error", "degrees_of_freedom")
    )
    return decide_all(value, t_intervals(value, error, freedom, _NOT_SKEWED), limit, confidence, side)


def _decision(outcome: Outcome, bounds: Bounds, message: str, check: Check) -> Decision:
    return Decision(outcome, bounds.named(*([check.feature] if check.feature else [])), message)


def _numbers(bounds: Bounds, limit: float) -> list[str]:
    """Value and bounds with as many digits as tell them from the limit."""
    figures = (bounds.value, bounds.low, bounds.high)
    for digits in range(2, 7):
        shown = [f"{figure:.{digits}f}" for figure in figures]
        if all(text != f"{limit:.{digits}f}" for text in shown):
            break
    return shown


FAITHFULNESS = Need("faithfulness", _ABSENT, is_mistake=True)
"""Of rules about what `faithfulness` measures."""

MIN_FAITHFULNESS = RuleDescription(
    "min_faithfulness", _min_faithfulness, Evidence, "fraction", naming=(), about="feature", needs=(FAITHFULNESS,)
)
MAX_RANDOMISATION_SIMILARITY = RuleDescription(
    "max_randomisation_similarity",
    _max_randomisation_similarity,
    Evidence,
    "ratio",
    naming=(),
    about="feature",
    needs=(FAITHFULNESS,),
)
