"""Confidence bounds of distances between two explanations from draws of them, one-sided each."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence

import numpy as np
from scipy import special

from tfx_explain.judgement.bounds import Bounds
from tfx_explain.judgement.drift.comparison import Comparison
from tfx_explain.judgement.drift.values import Levels
from tfx_explain.summary.ratio import Array

N_DRAWS = 2_000


def distance_bounds(
    value: float, draws: Array, noise: Array | None, levels: Levels, *, largest: float = math.inf
) -> Bounds:
    """Bounds of a distance >= 0 from draws of it: the wider of the percentile and the basic bootstrap.

    A distance is biased upwards by noise. Drawn about estimates it is so twice, which makes the percentile's upper
    bound safe and its lower one not; for the basic bootstrap, which subtracts the bias, it is the other way round.
    Where many parts did not change at all even that is not enough: such a part adds to the estimate, but no longer to
    the bias about it. A norm is then bounded from below by the triangle inequality, which is the widest of the three:
    the estimate is at most the true figure plus the norm of the noise.

    Args:
      value: the estimate.
      draws: (n_draws,) of the same figure.
      noise: (n_draws,) norms of what was added to the estimates, where the figure is a norm; else None.
      levels: the confidence of either bound.
      largest: what the figure cannot exceed.

    Source: A. C. Davison, D. V. Hinkley, "Bootstrap Methods and their Application" (1997), sections 5.2 and 5.3.
    """

    def reach(level: float) -> float:
        """How far below the estimate the true figure may lie, one standard error of the draws on the safe side."""
        level += math.sqrt(level * (1 - level) / len(draws))
        if noise is not None:
            return float(np.quantile(noise, level))
        low, high = np.quantile(draws, [1 - level, level])
        return float(max(value - low, high - value, 0.0))

    lower = value - in_the_tail(reach, levels.lower)
    upper = max(np.quantile(draws, levels.upper), 2 * value - np.quantile(draws, 1 - levels.upper))
    return Bounds(value, float(np.clip(lower, 0, value)), float(np.clip(upper, value, max(largest, value))))


_FAR = 0.99


def in_the_tail(quantile: Callable[[float], float], confidence: float) -> float:
    """A quantile of noise >= 0, also where the draws are too few to reach it.

    Beyond the 99 % it is taken to grow in proportion to that of a normal variable, which the norm of a normal vector
    does not exceed.

    Source: M. Ledoux, M. Talagrand, "Probability in Banach Spaces" (1991), section 3.1: the norm's normal scores are a
    concave function of its values, so that in the tail it grows by at most its largest standard deviation each.
    """
    if confidence <= _FAR:
        return quantile(confidence)
    return quantile(_FAR) * float(special.ndtri(confidence) / special.ndtri(_FAR))


def share_bounds(
    comparison: Comparison, chosen: Sequence[int], measure: Callable[[Array, Array], Array], confidence: float
) -> Bounds:
    """Bounds of a norm of the change of shares, by a parametric bootstrap of both importances.

    Args:
      comparison: the importances.
      chosen: positions of the players that are measured; shares are of the total of all.
      measure: of `measures`, a norm of the difference.
      confidence: of each bound.
    """
    rng = generator("drift", comparison.slice_key, comparison.output)
    ours, theirs = (side.shares()[chosen] for side in (comparison.candidate, comparison.baseline))
    drawn = [shares[:, chosen] for shares in comparison.drawn_shares(N_DRAWS, rng)]
    noise = measure(drawn[0] - ours, drawn[1] - theirs)
    value, levels = float(measure(ours, theirs)), Levels(confidence, confidence)
    return distance_bounds(value, measure(*drawn), noise, levels, largest=1.0)


def generator(*key: str) -> np.random.Generator:
    """A generator that depends on nothing but the key, so that the same explanations give the same verdict."""
    digest = hashlib.sha256("\0".join(key).encode()).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest[:16], "little")))
