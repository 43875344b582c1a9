"""Tests of each player's importance and mean effect for any change at all."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from scipy import special

from tfx_explain.judgement.drift.comparison import Comparison
from tfx_explain.judgement.skewness import of_difference, reduced
from tfx_explain.summary.ratio import Array
from tfx_explain.summary.slices import false_discovery_q_values


@dataclasses.dataclass(frozen=True)
class ZTests:
    """How many standard errors lie between candidate and baseline, for k players.

    Attributes:
      importance: (k,) of mean |attribution|; infinite where the error is 0 and the difference is not.
      effect: (k,) of the mean attribution.
      q_value: (k,) the smaller one of both tests' false discovery rates (Benjamini and Hochberg, over all 2k tests).
      p_value: (k,) the smaller one of both tests' p-values, times 2 (Bonferroni over the two).
    """

    importance: Array
    effect: Array
    q_value: Array
    p_value: Array

    @classmethod
    def of(cls, comparison: Comparison, chosen: Sequence[int]) -> ZTests:
        """Tests the chosen players.

        Student's t with the smaller one of the degrees of freedom, reduced by what skewness may explain. Mean
        attributions of the same rows are treated as if of different ones: their covariance is not in the tables, and
        its neglect makes the test cautious where both models agree.
        """
        ours, theirs = comparison.candidate, comparison.baseline
        importance = _standardised(ours.mean_abs - theirs.mean_abs, comparison.difference_std_error())
        errors = ours.mean_signed_std_error, theirs.mean_signed_std_error
        effect = _standardised(ours.mean_signed - theirs.mean_signed, np.hypot(*errors))
        left, right = _skewness(comparison)
        importance = _reduced(importance, np.where(importance > 0, left, right))
        effect = _reduced(effect, np.maximum(left, right))
        degrees = min(ours.degrees_of_freedom, theirs.degrees_of_freedom)
        both = np.stack([importance, effect])[:, chosen]
        p_values = 2 * special.stdtr(degrees, -np.abs(both))
        q_values = false_discovery_q_values(p_values.ravel()).reshape(p_values.shape)
        return cls(both[0], both[1], q_values.min(axis=0), np.minimum(2 * p_values.min(axis=0), 1.0))

    def changed(self, false_discovery_rate: float) -> Array:
        """(k,) whether each player changed, where at most this fraction of those named is expected to be wrong."""
        return np.asarray(self.q_value <= false_discovery_rate)

    def surely_changed(self, error: float) -> int:
        """How many players changed at least, with a confidence of 1 - error (Holm).

        Source: S. Holm, "A simple sequentially rejective multiple test procedure", Scand. J. Statist. 6 (1979) 65-70.
        """
        ordered = np.sort(self.p_value)
        rejected = ordered <= error / (len(ordered) - np.arange(len(ordered)))
        return len(ordered) if rejected.all() else int(np.argmin(rejected))


def _skewness(comparison: Comparison) -> tuple[Array, Array]:
    """(d,) and (d,), to the left and to the right, of the difference of mean |attribution|."""
    ours, theirs = (
        (side.mean_abs, np.diag(side.covariance), side.n_effective)
        for side in (comparison.candidate, comparison.baseline)
    )
    return of_difference(ours, theirs, comparison.difference_std_error() ** 2)


def _reduced(statistic: Array, skewness: Array) -> Array:
    return np.asarray(np.sign(statistic) * reduced(np.abs(statistic), skewness))


def _standardised(difference: Array, std_error: Array) -> Array:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(difference == 0, 0.0, difference / std_error))
