"""The rule `attribution_drift`: how far the distribution of attributions has moved from the baseline's."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfx_explain.errors import ConfigError, InputError
from tfx_explain.judgement.drift.bounds import Bounds, generator
from tfx_explain.judgement.drift.classifier import classifier_bounds
from tfx_explain.judgement.drift.comparison import player_index
from tfx_explain.judgement.drift.deciding import Wording, decide
from tfx_explain.judgement.drift.histograms import histogram_bounds
from tfx_explain.judgement.drift.paired import disagreement_bounds
from tfx_explain.judgement.evidence import Finding
from tfx_explain.judgement.wording import count
from tfx_explain.summary.moments import WeightedMoments
from tfx_explain.summary.ratio import Array

DISTRIBUTION_MEASURES: Mapping[str, Wording] = {
    "jensen_shannon": Wording("the Jensen-Shannon divergence of a player's attributions is {} bits", is_fraction=False),
    "l_infinity": Wording("{} of a player's attributions moved into one bin or out of it"),
    "wasserstein": Wording("the attributions of a player moved by {} of all importance on average"),
    "disagreement": Wording("{} of the attributions of the same rows differ"),
    "classifier": Wording("a classifier tells attributions from the baseline's with an AUC of {}", is_fraction=False),
}
"""What `attribution_drift: {measure: ...}` may be."""

_LEAST = 10
"""Fewer examples than this, on either side, have no distribution to speak of."""


@dataclasses.dataclass(frozen=True)
class AttributionSample:
    """The attributions of n examples.

    Attributes:
      values: (n, d), in units of the model's output.
      weights: (n,) example weights > 0.
    """

    values: Array
    weights: Array


@dataclasses.dataclass(frozen=True)
class DistributionComparison:
    """A candidate's attributions against a baseline's, in one (slice, output).

    Attributes:
      players: (d,) names, those of both.
      candidate: what is judged.
      baseline: what it is compared with.
      slice_key: the part of the data.
      output: the model output.
      is_paired: whether both are about the same rows, in the same order.
    """

    players: tuple[str, ...]
    candidate: AttributionSample
    baseline: AttributionSample
    slice_key: str = "overall"
    output: str = ""
    is_paired: bool = False

    def __post_init__(self) -> None:
        """Checks that the parts fit.

        Raises:
          InputError: they do not.
        """
        for side in (self.candidate, self.baseline):
            n, d = side.values.shape
            if d != len(self.players) or side.weights.shape != (n,):
                raise InputError(f"attributions {side.values.shape} cannot be of {len(self.players)} players.")


def attribution_drift(
    comparison: DistributionComparison,
    *,
    measure: str,
    max: float,
    players: Sequence[str] | None = None,
    confidence: float = 0.95,
    min_examples: int = 2,
) -> Finding:
    """The distribution of no player's attributions may have moved further from the baseline's than this.

    Measures: `jensen_shannon` (bits, 0..1) and `l_infinity` (largest change of a bin), both on ten bins between
    quantiles of the baseline and one for zero, with bounds for these bins and for those of all rows like them;
    `wasserstein` (mean distance moved, as a fraction of the baseline's total importance); `classifier` (AUC of a
    classifier on the attributions of all players at once, 0.5..1); `disagreement` (part of the attributions on which
    two models differ, row by row, 0..1). All but the last two judge player by player; the finding's figures are those
    of the one that decides. Their lower bound holds for all players together (Bonferroni), the upper one need not,
    since one player alone can break the limit.

    Args:
      comparison: of one (slice, output).
      measure: a key of `DISTRIBUTION_MEASURES`.
      max: largest allowed value of it.
      players: the players that are measured; None = all.
      confidence: of each bound.
      min_examples: fewer examples than this, on either side, are `insufficient_evidence`.

    Raises:
      ConfigError: the measure or a player is unknown, or the measure is of pairs and the rows are different ones.
    """
    if measure not in DISTRIBUTION_MEASURES:
        known = ", ".join(DISTRIBUTION_MEASURES)
        raise ConfigError(f"there is no measure `{measure}` of attribution drift; measures: {known}.")
    chosen = player_index(comparison.players, players)
    settings: dict[str, Any] = {"measure": measure, "max": max}
    settings |= {"players": list(players)} if players is not None else {}
    reason = _too_few(comparison, min_examples)
    bounds = Bounds(math.nan, math.nan, math.nan) if reason else _bounds(comparison, chosen, measure, confidence)
    message = reason or DISTRIBUTION_MEASURES[measure].sentence(bounds, max, confidence)
    figures = (bounds.value, bounds.low, bounds.high, float(max))
    outcome = decide(bounds, max)
    where = comparison.slice_key, comparison.output
    return Finding("attribution_drift", settings, *where, outcome, *figures, message, bounds.about)


def _bounds(comparison: DistributionComparison, chosen: Sequence[int], measure: str, confidence: float) -> Bounds:
    ours, theirs = comparison.candidate.values[:, chosen], comparison.baseline.values[:, chosen]
    if measure == "classifier":
        return classifier_bounds(ours, theirs, confidence)
    if measure == "disagreement":
        if not comparison.is_paired:
            raise ConfigError(
                "`disagreement` compares two models on the same rows; give the rule `against: model` and the Explainer "
                "a `baseline_model`."
            )
        names = [comparison.players[i] for i in chosen]
        return disagreement_bounds(ours, theirs, comparison.candidate.weights, names, confidence)
    return _worst(comparison, chosen, measure, confidence)


def _worst(comparison: DistributionComparison, chosen: Sequence[int], measure: str, confidence: float) -> Bounds:
    """The bounds of the player that moved most, all players considered."""
    ours, theirs = comparison.candidate, comparison.baseline
    total = WeightedMoments.empty(1, full=False)
    total.add(np.abs(theirs.values).sum(axis=1, keepdims=True), theirs.weights)
    found = [
        histogram_bounds(
            (ours.values[:, i], ours.weights),
            (theirs.values[:, i], theirs.weights),
            measure,
            confidence,
            1 - (1 - confidence) / len(chosen),
            scale=float(total.mean[0]),
            scale_std_error=float(np.sqrt(total.covariance_of_mean()[0])),
            rng=generator(measure, comparison.slice_key, comparison.output, comparison.players[i]),
        )
        for i in chosen
    ]
    decisive = max(range(len(found)), key=lambda i: (found[i].low, found[i].value))
    name = comparison.players[chosen[decisive]]
    return Bounds(found[decisive].value, found[decisive].low, max(one.high for one in found), (name,))


def _too_few(comparison: DistributionComparison, min_examples: int) -> str:
    """Why nothing can be compared, as a sentence; empty where something can."""
    least = max(min_examples, _LEAST)
    for name, side in (("The explanation", comparison.candidate), ("Its baseline", comparison.baseline)):
        if len(side.weights) < least:
            return (
                f"{name} has only {count(len(side.weights))} examples here and this rule needs {count(least)}: explain "
                "more or lower `min_slice_examples`."
            )
    return ""
