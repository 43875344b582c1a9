"""Rules about directions: which way a player's attributions point, and which way a profile goes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np

from tfx_explain.errors import ConfigError
from tfx_explain.judgement.details import Steps
from tfx_explain.judgement.evidence import Evidence, Finding
from tfx_explain.judgement.rules.bounds import Decision, at_least, at_most, t_bounds
from tfx_explain.judgement.rules.sentences import decided, make_finding, nothing_to_judge, too_close, undecided
from tfx_explain.judgement.skewness import UNKNOWN_SIDE, of_estimates, of_sizes
from tfx_explain.judgement.wording import count, signed, sure

PROFILE_METHODS = ("partial_dependence", "accumulated_local_effects")
"""Methods whose profiles can be monotonic, in the order in which they are looked for."""


def sign(
    evidence: Evidence,
    *,
    players: Sequence[str],
    direction: Literal["positive", "negative"],
    confidence: float = 0.95,
    min_examples: int = 2,
) -> Finding:
    """The mean attribution of each of these players must have this sign.

    A mean attribution says how a group of examples differs from the background, so it is a rule for slices: over data
    like the background it is near 0 whatever the model does. Which way the output goes with a feature is what
    `monotonic` tests. Student's t on the mean over examples, widened for skewness; what sampled coalitions add, which
    examples share, is part of the error. A mean of exactly 0 has no sign.

    Args:
      evidence: of one (slice, output).
      players: names.
      direction: `positive` or `negative`.
      confidence: of a pass, and of a fail over all players together (Bonferroni).
      min_examples: fewer examples than this are `insufficient_evidence`.

    Raises:
      ConfigError: a player is unknown.
    """
    chosen = evidence.index(players)
    settings = {"players": list(players), "direction": direction}
    reason = nothing_to_judge(evidence, min_examples)
    if not reason and evidence.signed is None:
        reason = "The mean attributions are not known: explain the model again."
    if reason or evidence.signed is None:
        return undecided("sign", settings, evidence, 0.0, reason, players)
    mean = evidence.signed.mean[chosen]
    std_error = np.hypot(evidence.signed.std_error, evidence.signed.design_std_error)[chosen]
    n = evidence.weighed_examples
    # Where it is not known how skewed attributions are: as much as their sizes are, towards either side.
    unknown = of_sizes(evidence.mean_abs, np.diag(evidence.mean_abs_covariance), n)[1][chosen]
    estimate = np.full(len(evidence.players), np.nan) if evidence.signed.skewness is None else evidence.signed.skewness
    skewness = of_estimates(estimate[chosen], n, (unknown, unknown))
    bounds = t_bounds(mean, std_error, evidence.degrees_of_freedom, skewness)
    nothing = (mean == 0) & (std_error == 0)
    found = (at_least if direction == "positive" else at_most)(mean, bounds, 0.0, confidence)
    if nothing.any():
        found = Decision("fail", int(np.argmax(nothing)), 0.0, 0.0, 0.0)
    player = evidence.players[chosen[found.index]]
    message = _sign_sentence(evidence, found, player, direction, sure(confidence))
    return decided("sign", settings, evidence, found, 0.0, message, [player], confidence)


def _sign_sentence(evidence: Evidence, found: Decision, player: str, direction: str, with_confidence: str) -> str:
    if found.low == found.high == 0:
        return (
            f"The mean attribution of {player} is exactly 0, not {direction}: find out why the model does not use it."
        )
    start = f"The mean attribution of {player} is {signed(found.value)}"
    low, high = signed(found.low), signed(found.high)
    if found.outcome == "insufficient_evidence":
        return start + too_close(evidence, low, high, "0", with_confidence)
    bound = f"at least {low}" if found.value > 0 else f"at most {high}"
    if found.outcome == "pass":
        return f"{start} ({bound} {with_confidence}), {direction} as required."
    return f"{start} ({bound} {with_confidence}), not {direction}: find out what the model has learned about {player}."


def monotonic(
    evidence: Evidence,
    *,
    feature: str,
    direction: Literal["increasing", "decreasing"],
    tolerance: float = 0.0,
    method: str | None = None,
    confidence: float = 0.95,
    min_examples: int = 2,
) -> Finding:
    """The output must not go against this direction as the feature rises, by more than the tolerance at any step.

    Judged is the mean curve, partial dependence or accumulated local effects, not each example's. Its steps from point
    to point have errors of their own, paired over examples, and bounds widened for how skewed the examples' steps are,
    which is as an exponential where it is not known. It passes where every step is shown to be no more than
    `tolerance` against the direction, and fails where one is shown to be more; the number of steps is accounted for. A
    feature that the model does not read has no curve and goes against nothing.

    Args:
      evidence: of one (slice, output).
      feature: its name.
      direction: `increasing` or `decreasing`.
      tolerance: how far a step may go against it, in units of the output.
      method: which curve; None = partial dependence where there is one, else accumulated local effects.
      confidence: of a pass, and of a fail over all steps together (Bonferroni).
      min_examples: fewer examples than this are `insufficient_evidence`.

    Raises:
      ConfigError: there is no curve of the feature, or its values have no order.
    """
    settings = {"feature": feature, "direction": direction, "tolerance": tolerance, "method": method}
    limit = -tolerance if direction == "increasing" else tolerance
    if feature in evidence.unused:
        message = f"The model does not read {feature}, so its output cannot go against {direction}."
        return make_finding("monotonic", settings, evidence, "pass", (0.0, 0.0, 0.0, limit), message, about=[feature])
    if evidence.steps is None:
        raise ConfigError(
            "rule `monotonic` needs profiles, which the explanation does not have; list `partial_dependence` or "
            "`accumulated_local_effects` under `methods` and explain the model again."
        )
    reason = nothing_to_judge(evidence, min_examples)
    steps = None if reason else _steps(evidence, feature, method)
    if steps is not None and not len(steps.step):
        reason = f"{feature} has a single value in the data, so its profile has no step."
    if steps is None or reason:
        return undecided("monotonic", settings, evidence, limit, reason, [feature])
    unknown = UNKNOWN_SIDE / np.sqrt(np.maximum(steps.degrees_of_freedom, 1.0))
    estimate = np.full(len(steps.step), np.nan) if steps.skewness is None else steps.skewness
    skewness = of_estimates(estimate, steps.degrees_of_freedom + 1, (unknown, unknown))
    bounds = t_bounds(steps.step, steps.std_error, steps.degrees_of_freedom, skewness)
    found = (at_least if direction == "increasing" else at_most)(steps.step, bounds, limit, confidence)
    message = _step_sentence(evidence, found, steps, settings, sure(confidence))
    return decided("monotonic", settings, evidence, found, limit, message, [feature], confidence)


def _steps(evidence: Evidence, feature: str, method: str | None) -> Steps:
    known = evidence.steps or {}
    wanted = [name for name in PROFILE_METHODS if method in (None, name) and (name, feature) in known]
    if not wanted:
        there = ", ".join(sorted({name for _, name in known})) or "none"
        by = f" by `{method}`" if method else ""
        raise ConfigError(
            f"rule `monotonic` needs a profile of `{feature}` with ordered values{by}, which the explanation does not "
            f"have (it has: {there}); add the feature to `{method or PROFILE_METHODS[0]}` under `methods` and explain "
            "the model again."
        )
    return known[wanted[0], feature]


def _step_sentence(
    evidence: Evidence, found: Decision, steps: Steps, settings: dict[str, object], with_confidence: str
) -> str:
    feature, direction, tolerance = settings["feature"], settings["direction"], settings["tolerance"]
    start, end = (f"{float(point):.4g}" for point in steps.points[found.index : found.index + 2])
    step = f"From {feature} = {start} to {end} the output changes by {signed(found.value)}"
    allowed = f"{direction} within {tolerance:g}" if tolerance else str(direction)
    if found.outcome == "insufficient_evidence":
        if math.isnan(found.low):
            return (
                f"{step} with an unknown error, so it is not known to be {allowed}: explain more or use fewer points."
            )
        return step + too_close(evidence, signed(found.low), signed(found.high), f"what is {allowed}", with_confidence)
    bound = (
        f"at least {signed(found.low)}"
        if (direction == "increasing") == (found.outcome == "pass")
        else (f"at most {signed(found.high)}")
    )
    if found.outcome == "pass":
        return f"All {count(len(steps.step))} steps are {allowed}; the closest: {step} ({bound} {with_confidence})."
    return (
        f"{step} ({bound} {with_confidence}), not {allowed}: constrain the model or look for what confounds {feature}."
    )
