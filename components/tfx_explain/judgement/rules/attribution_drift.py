"""The rule `attribution_drift`: how far the distribution of attributions has moved from the baseline's."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from tfx_explain.errors import ConfigError
from tfx_explain.judgement.bounds import Bounds
from tfx_explain.judgement.drift.bootstrap import generator
from tfx_explain.judgement.drift.classifier import classifier_bounds
from tfx_explain.judgement.drift.distributions import DistributionComparison
from tfx_explain.judgement.drift.histograms import histogram_bounds
from tfx_explain.judgement.drift.measure import AT_MOST_ONE, AUC, UNBOUNDED, Measure
from tfx_explain.judgement.drift.paired import disagreement_bounds
from tfx_explain.judgement.drift.values import Levels, Scale, Values
from tfx_explain.judgement.rule import Decision, RuleDescription, Settings
from tfx_explain.summary.moments import WeightedMoments


def _classifier(comparison: DistributionComparison, chosen: Sequence[int], confidence: float) -> Bounds:
    ours, theirs = comparison.candidate.values[:, chosen], comparison.baseline.values[:, chosen]
    return classifier_bounds(ours, theirs, confidence)


def _disagreement(comparison: DistributionComparison, chosen: Sequence[int], confidence: float) -> Bounds:
    if not comparison.is_paired:
        raise ConfigError(
            "`disagreement` compares two models on the same rows; give the rule `against: model` and the Explainer "
            "a `baseline_model`."
        )
    ours, theirs = comparison.candidate.values[:, chosen], comparison.baseline.values[:, chosen]
    names = [comparison.players[i] for i in chosen]
    return disagreement_bounds(ours, theirs, comparison.candidate.weights, names, confidence)


def _worst_player(measure: str) -> Callable[[DistributionComparison, Sequence[int], float], Bounds]:
    """The bounds of the player that moved most, all players considered."""

    def bounds(comparison: DistributionComparison, chosen: Sequence[int], confidence: float) -> Bounds:
        ours, theirs = comparison.candidate, comparison.baseline
        total = WeightedMoments.empty(1, full=False)
        total.add(np.abs(theirs.values).sum(axis=1, keepdims=True), theirs.weights)
        scale = Scale(float(total.mean[0]), float(np.sqrt(total.covariance_of_mean()[0])))
        levels = Levels(confidence, 1 - (1 - confidence) / len(chosen))
        of_players = [
            histogram_bounds(
                Values(ours.values[:, i], ours.weights),
                Values(theirs.values[:, i], theirs.weights),
                measure,
                levels,
                scale,
                generator(measure, comparison.slice_key, comparison.output, comparison.players[i]),
            )
            for i in chosen
        ]
        decisive = max(range(len(of_players)), key=lambda i: (of_players[i].low, of_players[i].value))
        value, low, name = of_players[decisive].value, of_players[decisive].low, comparison.players[chosen[decisive]]
        return Bounds(value, low, max(each.high for each in of_players), (name,))

    return bounds


DISTRIBUTION_MEASURES: Mapping[str, Measure] = {
    "jensen_shannon": Measure(
        _worst_player("jensen_shannon"),
        "the Jensen-Shannon divergence of a feature's attributions is {} bits",
        AT_MOST_ONE,
        is_percent=False,
    ),
    "l_infinity": Measure(
        _worst_player("l_infinity"), "{} of a feature's attributions moved into one bin or out of it", AT_MOST_ONE
    ),
    "wasserstein": Measure(
        _worst_player("wasserstein"),
        "the attributions of a feature moved by {} of all importance on average",
        UNBOUNDED,
    ),
    "disagreement": Measure(
        _disagreement, "{} of the attributions of the same rows differ", AT_MOST_ONE, is_paired=True
    ),
    "classifier": Measure(
        _classifier, "a classifier tells attributions from the baseline's with an AUC of {}", AUC, is_percent=False
    ),
}
"""What `attribution_drift: {measure: ...}` may be."""


def _attribution_drift(
    comparison: DistributionComparison,
    confidence: float,
    *,
    measure: str,
    max: float,
    players: Sequence[str] | None = None,
) -> Decision:
    """The distribution of no feature's attributions may have moved further from the baseline's than this.

    Measures: `jensen_shannon` (bits, 0..1) and `l_infinity` (largest change of a bin), both on ten bins between
    quantiles of the baseline and one for zero, with bounds for these bins and for those of all rows like them;
    `wasserstein` (mean distance moved, as a fraction of the baseline's total importance); `classifier` (AUC of a
    classifier on the attributions of all players at once, 0.5..1); `disagreement` (part of the attributions on which
    two models differ, row by row, 0..1). All but the last two judge player by player; the finding's figures are those
    of the one that decides. Their lower bound holds for all players together (Bonferroni), the upper one need not,
    since one player alone can break the limit.

    Args:
      comparison: of one (slice, output).
      confidence: of each bound.
      measure: a key of `DISTRIBUTION_MEASURES`.
      max: largest allowed value of it.
      players: the players that are measured; None = all.

    Raises:
      ConfigError: the measure is of pairs and the rows are different ones.
    """
    by = DISTRIBUTION_MEASURES[measure]
    return by.decision(by.bounds(comparison, comparison.index(players), confidence), max, confidence)


def _refuse_unknown(_: DistributionComparison, *, measure: str, **__: object) -> None:
    if measure not in DISTRIBUTION_MEASURES:
        known = ", ".join(DISTRIBUTION_MEASURES)
        raise ConfigError(f"there is no measure `{measure}` of attribution drift; measures: {known}.")


def _shown(settings: Settings) -> Settings:
    """Settings without those that say nothing here."""
    return {name: value for name, value in settings.items() if name != "players" or value is not None}


ATTRIBUTION_DRIFT = RuleDescription(
    "attribution_drift",
    _attribution_drift,
    DistributionComparison,
    "ratio",
    limits=("max",),
    about=None,
    beforehand=_refuse_unknown,
    shown=_shown,
)
