"""How far the attributions of one player moved: the distance between two distributions, and its bounds."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import numpy.typing as npt
from scipy import special
from typing_extensions import Self

from tfx_explain.judgement.bounds import Bounds
from tfx_explain.judgement.drift.bootstrap import distance_bounds
from tfx_explain.judgement.drift.values import Levels, Scale, Values
from tfx_explain.judgement.skewness import of_difference, widened
from tfx_explain.summary.moments import WeightedMoments
from tfx_explain.summary.ratio import Array, t_quantile

_MAX_PIECES = 128


@dataclasses.dataclass(frozen=True)
class _Steps:
    """A distribution function on the k pieces between cuts, each the union of neighbouring intervals.

    A draw of it is made of fractions at the first value of each piece and among its other values. Where those others
    lie within the piece is not drawn: they are taken to lie as they do in the sample, which is what is expected of them
    given how many there are.

    Attributes:
      fractions: (2k + 1,) of the weight: at the first value of a piece, at its others, and so on; last, beyond.
      inside: (k,) how much of a piece lies, on average, to the right of one of its other values.
      mean: (k,) the function's mean on each piece.
    """

    fractions: Array
    inside: Array
    mean: Array

    @classmethod
    def of(cls, function: Array, widths: Array, starts: npt.NDArray[np.int64]) -> Self:
        """From the function (n,) at each value, the widths (n - 1,) behind them, and where the pieces start, (k,)."""
        first = function[starts]
        last = function[np.append(starts[1:], len(widths)) - 1]
        length, area = np.add.reduceat(widths, starts), np.add.reduceat(function[:-1] * widths, starts)
        mean, others = area / length, last - first
        inside = np.divide(mean - first, others, out=np.zeros_like(mean), where=others > 0)
        ends = np.append(np.stack([first, last], axis=1).ravel(), 1.0)
        return cls(np.maximum(np.diff(ends, prepend=0.0), 0.0), inside, mean)

    def means(self, drawn: Array) -> Array:
        """(n_draws, k) the means of functions of which fractions (n_draws, 2k + 1) were drawn."""
        first, others = drawn[:, :-1:2], drawn[:, 1::2]
        return np.asarray(np.cumsum(drawn, axis=1)[:, :-1:2] + self.inside * others) if len(first) else first


def wasserstein_bounds(
    ours: Values, theirs: Values, levels: Levels, scale: Scale, n_draws: int, rng: np.random.Generator
) -> Bounds:
    """Bounds of the mean distance moved, the area between both distribution functions, in parts of the scale.

    The figure is exact: that of all values of both samples. Its error is a bootstrap's of the functions' means on at
    most 128 pieces, cut so that each holds an equal part of the area that noise is expected to make: a piece of few
    values in a long tail counts for what it is, however many rows there are. Both sides of it are stretched as much as
    Student's bounds of skewed means are wider than normal ones, since few rows show neither their spread nor their
    tail in full.

    Args:
      ours: the candidate's attributions of one player, (n,).
      theirs: the baseline's, (m,).
      levels: the confidence of either bound.
      scale: what the distance is divided by.
      n_draws: of the bootstrap.
      rng: of the draws.

    Source: S. S. Vallender, "Calculation of the Wasserstein distance between probability distributions on the line",
    Theory Probab. Appl. 18 (1974) 784-786.
    """
    points, where = np.unique(np.concatenate([ours.values, theirs.values]), return_inverse=True)
    if len(points) < 2:
        return Bounds.exact(0.0)
    n, sizes, unit = len(ours.values), (ours.size, theirs.size), scale.value or 1.0
    functions = [_function(at, side.weights, len(points)) for at, side in ((where[:n], ours), (where[n:], theirs))]
    widths = np.diff(points) / unit
    value = float(np.abs(functions[0] - functions[1])[:-1] @ widths)
    starts = _pieces(functions, sizes, widths)
    steps = [_Steps.of(function, widths, starts) for function in functions]
    lengths = np.add.reduceat(widths, starts)
    drawn = [
        each.means(rng.multinomial(size, each.fractions / each.fractions.sum(), n_draws) / size)
        for size, each in zip(sizes, steps, strict=True)
    ]
    apart = steps[0].mean - steps[1].mean
    noise = np.abs(drawn[0] - drawn[1] - apart) @ lengths
    # Within a piece the functions may cross, which their means on it do not show.
    draws = np.abs(drawn[0] - drawn[1]) @ lengths + (value - float(np.abs(apart) @ lengths))
    rescaled = scale.std_error / unit * rng.standard_normal(n_draws)
    noise, draws = noise + value * np.abs(rescaled), draws * np.exp(rescaled)
    largest = math.inf if scale.std_error else float(widths.sum())
    bounds = distance_bounds(value, draws, noise, levels, largest=largest)
    low, high = (_stretch(ours, theirs, level) for level in (levels.lower, levels.upper))
    lower, upper = value - low * (value - bounds.low), value + high * (bounds.high - value)
    return Bounds(value, max(lower, 0.0), min(upper, max(largest, value)))


def _function(where: npt.NDArray[np.intp], weights: Array, n_points: int) -> Array:
    """(n_points,) the fraction of the weight up to each point."""
    below = np.cumsum(np.bincount(where.ravel(), weights, minlength=n_points))
    return np.asarray(below / below[-1])


def _pieces(functions: list[Array], sizes: tuple[int, int], widths: Array) -> npt.NDArray[np.int64]:
    """Where pieces start, so that each has an equal part of the integral of the difference's standard deviation."""
    variance = sum(f[:-1] * (1 - f[:-1]) / size for f, size in zip(functions, sizes, strict=True))
    if len(widths) <= _MAX_PIECES:
        return np.arange(len(widths))
    up_to = np.cumsum(np.sqrt(np.maximum(variance, 0.0)) * widths)
    cuts = np.searchsorted(up_to, up_to[-1] * np.arange(1, _MAX_PIECES) / _MAX_PIECES)
    return np.unique(np.concatenate([[0], cuts, cuts + 1]).clip(0, len(widths) - 1))


def _stretch(ours: Values, theirs: Values, confidence: float) -> float:
    """How many times wider bounds of a difference of skewed means are than normal ones, 1 or more."""
    sides = []
    for values, weights in (ours, theirs):
        moments = WeightedMoments.empty(1, full=False)
        moments.add(np.abs(values)[:, None], weights)
        sides.append((moments.mean, np.nan_to_num(moments.covariance_of_mean()), moments.n_effective))
    left, right = of_difference(sides[0], sides[1], sides[0][1] + sides[1][1])
    quantile = t_quantile(confidence, min(ours.size, theirs.size) - 1)
    return max(float(widened(quantile, np.maximum(left, right)).max() / special.ndtri(confidence)), 1.0)
