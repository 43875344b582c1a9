"""Rules about directions: which way a player's attributions point, and which way a profile goes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np

from tfx_explain.errors import ConfigError
from tfx_explain.judgement.bounds import Bounds, Side, decide_all
from tfx_explain.judgement.details import SignedMeans, Steps
from tfx_explain.judgement.evidence import Evidence
from tfx_explain.judgement.finding import Outcome
from tfx_explain.judgement.intervals import Skewness, t_intervals
from tfx_explain.judgement.rule import Decision, Demand, Need, RuleDescription, Settings
from tfx_explain.judgement.rules.sentences import too_close
from tfx_explain.judgement.skewness import UNKNOWN_SIDE, of_estimates, of_sizes
from tfx_explain.judgement.wording import count, sure, with_sign

PROFILE_METHODS = ("partial_dependence", "accumulated_local_effects")
"""Methods whose profiles can be monotonic, in the order in which they are looked for."""


def _sign(
    evidence: Evidence, confidence: float, *, players: Sequence[str], direction: Literal["positive", "negative"]
) -> Decision:
    """The mean attribution of each of these features must have this sign.

    A mean attribution says how a group of examples differs from the background, so it is a rule for slices: over data
    like the background it is near 0 whatever the model does. Which way the output goes with a feature is what
    `monotonic` tests. Student's t on the mean over examples, widened for skewness; what sampled coalitions add, which
    examples share, is part of the error. A mean of exactly 0 has no sign.

    Args:
      evidence: of one (slice, output).
      confidence: of a pass, and of a fail over all players together (Bonferroni).
      players: names.
      direction: `positive` or `negative`.
    """
    if evidence.signed is None:
        return Decision.undecided(_SIGNED_MEANS.otherwise, players)
    chosen = evidence.index(players)
    mean = evidence.signed.mean[chosen]
    std_error = np.hypot(evidence.signed.std_error, evidence.signed.design_std_error)[chosen]
    nothing = (mean == 0) & (std_error == 0)
    if nothing.any():
        player = evidence.players[chosen[int(np.argmax(nothing))]]
        message = (
            f"The mean attribution of {player} is exactly 0, not {direction}: find out why the model does not use it."
        )
        return Decision("fail", Bounds.exact(0.0, (player,)), message)
    skewness = _signed_skewness(evidence, evidence.signed, chosen)
    intervals = t_intervals(mean, std_error, evidence.degrees_of_freedom, skewness)
    side: Side = "at least" if direction == "positive" else "at most"
    outcome, bounds, index = decide_all(mean, intervals, 0.0, confidence, side)
    bounds = bounds.named(evidence.players[chosen[index]])
    return Decision(outcome, bounds, _sign_sentence(outcome, bounds, direction, evidence.n_examples, confidence))


def _signed_skewness(evidence: Evidence, means: SignedMeans, chosen: Sequence[int]) -> Skewness:
    """Of the chosen players' mean attributions; where it is not known, as much as their sizes have, either way."""
    n = evidence.weighed_examples
    unknown = of_sizes(evidence.mean_abs, np.diag(evidence.mean_abs_covariance), n)[1][chosen]
    estimate = np.full(len(evidence.players), np.nan) if means.skewness is None else means.skewness
    return of_estimates(estimate[chosen], n, (unknown, unknown))


def _sign_sentence(outcome: Outcome, bounds: Bounds, direction: str, n_examples: int, confidence: float) -> str:
    (player,), with_confidence = bounds.about, sure(confidence)
    start = f"The mean attribution of {player} is {with_sign(bounds.value)}"
    low, high = with_sign(bounds.low), with_sign(bounds.high)
    if outcome == "insufficient_evidence":
        return start + too_close(low, high, "0", n_examples, confidence)
    bound = f"at least {low}" if bounds.value > 0 else f"at most {high}"
    if outcome == "pass":
        return f"{start} ({bound} {with_confidence}), {direction} as required."
    return f"{start} ({bound} {with_confidence}), not {direction}: find out what the model has learned about {player}."


def _monotonic(
    evidence: Evidence,
    confidence: float,
    *,
    feature: str,
    direction: Literal["increasing", "decreasing"],
    tolerance: float = 0.0,
    method: str | None = None,
) -> Decision:
    """The output must not go against this direction as the feature rises, by more than the tolerance at any step.

    Judged is the mean curve, partial dependence or accumulated local effects, not each example's. Its steps from point
    to point have errors of their own, paired over examples, and bounds widened for how skewed the examples' steps are,
    which is as an exponential where it is not known. It passes where every step is shown to be no more than
    `tolerance` against the direction, and fails where one is shown to be more; the number of steps is accounted for. A
    feature that the model does not read has no curve and goes against nothing.

    Args:
      evidence: of one (slice, output).
      confidence: of a pass, and of a fail over all steps together (Bonferroni).
      feature: its name.
      direction: `increasing` or `decreasing`.
      tolerance: how far a step may go against it, in units of the output.
      method: which curve; None = partial dependence where there is one, else accumulated local effects.

    Raises:
      ConfigError: there is no curve of the feature, or its values have no order.
    """
    steps = _steps(evidence, feature, method)
    if not len(steps.step):
        return Decision.undecided(f"{feature} has a single value in the data, so its profile has no step.", [feature])
    unknown = UNKNOWN_SIDE / np.sqrt(np.maximum(steps.degrees_of_freedom, 1.0))
    estimate = np.full(len(steps.step), np.nan) if steps.skewness is None else steps.skewness
    skewness = of_estimates(estimate, steps.degrees_of_freedom + 1, (unknown, unknown))
    intervals = t_intervals(steps.step, steps.std_error, steps.degrees_of_freedom, skewness)
    side: Side = "at least" if direction == "increasing" else "at most"
    limit = _step_limit({"direction": direction, "tolerance": tolerance})
    outcome, bounds, index = decide_all(steps.step, intervals, limit, confidence, side)
    bounds = bounds.named(feature)
    start, end = (f"{float(point):.4g}" for point in steps.points[index : index + 2])
    step = f"From {feature} = {start} to {end} the output changes by {with_sign(bounds.value)}"
    allowed = f"{direction} within {tolerance:g}" if tolerance else direction
    if outcome == "insufficient_evidence":
        return Decision(outcome, bounds, _unclear_step(step, bounds, allowed, evidence.n_examples, confidence))
    is_rise = (side == "at least") == (outcome == "pass")
    bound = f"at least {with_sign(bounds.low)}" if is_rise else f"at most {with_sign(bounds.high)}"
    step += f" ({bound} {sure(confidence)})"
    message = f"{step}, not {allowed}: constrain the model or look for what confounds {feature}."
    if outcome == "pass":
        message = f"All {count(len(steps.step))} steps are {allowed}; the closest: {step}."
    return Decision(outcome, bounds, message)


def _steps(evidence: Evidence, feature: str, method: str | None) -> Steps:
    known = evidence.steps or {}
    wanted = [name for name in PROFILE_METHODS if method in (None, name) and (name, feature) in known]
    if not wanted:
        with_steps = ", ".join(sorted({name for _, name in known})) or "none"
        by = f" by `{method}`" if method else ""
        raise ConfigError(
            f"rule `monotonic` needs a profile of `{feature}` with ordered values{by}, which the explanation does not "
            f"have (it has: {with_steps}); add the feature to `{method or PROFILE_METHODS[0]}` under `methods` and "
            "explain the model again."
        )
    return known[wanted[0], feature]


def _unclear_step(step: str, bounds: Bounds, allowed: str, n_examples: int, confidence: float) -> str:
    if math.isnan(bounds.low):
        return f"{step} with an unknown error, so it is not known to be {allowed}: explain more or use fewer points."
    low, high = with_sign(bounds.low), with_sign(bounds.high)
    return step + too_close(low, high, f"what is {allowed}", n_examples, confidence)


def _step_limit(settings: Settings) -> float:
    """What a step must be at least, or at most."""
    tolerance: float = settings["tolerance"]
    return -tolerance if settings["direction"] == "increasing" else tolerance


def _without_curve(evidence: Evidence, *, feature: str, direction: str, **_: object) -> Decision | None:
    """What is known of a feature that the model does not read."""
    if feature not in evidence.unused:
        return None
    message = f"The model does not read {feature}, so its output cannot go against {direction}."
    return Decision("pass", Bounds.exact(0.0, (feature,)), message, is_estimated=False)


_SIGNED_MEANS = Need("signed", "The mean attributions are not known: explain the model again.")
_CURVES = Need(
    "steps",
    "needs profiles, which the explanation does not have; list `partial_dependence` or `accumulated_local_effects` "
    "under `methods` and explain the model again.",
    is_mistake=True,
)

SIGN = RuleDescription(
    "sign",
    _sign,
    Evidence,
    "output",
    limits=(),
    demand=Demand.DIRECTION,
    directions=("positive", "negative"),
    needs=(_SIGNED_MEANS,),
)
MONOTONIC = RuleDescription(
    "monotonic",
    _monotonic,
    Evidence,
    "output",
    limits=("tolerance",),
    demand=Demand.DIRECTION,
    directions=("increasing", "decreasing"),
    naming=(),
    about="feature",
    needs=(_CURVES,),
    beforehand=_without_curve,
    threshold=_step_limit,
)
