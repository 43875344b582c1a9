"""What each pixel adds, along the paths from images of one colour: integrated gradients that are not summed up.

The midpoint rule takes gradients in the middle of equal steps. Its error is told by the difference between every other
step and the rest, each of which is a rule of its own.

Source: Sundararajan, Taly and Yan, "Axiomatic attribution for deep networks", ICML 2017.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tfx_explain.config.xrai import XraiConfig
from tfx_explain.methods.path_gradients.rows import AskedSide
from tfx_explain.models.path_gradients import Paths, Points
from tfx_explain.rows import HashArray

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

# A gap falls with the square of the number of steps where the gradient is smooth, slower at kinks.
_SAFETY = 1.2
_UNITS_OF_GAPS = 4.0


HALVES = np.full(2, 0.5)


class PixelRows(NamedTuple):
    """What n rows come to.

    Attributes:
      of_players: (n, G, d, c) by G estimates whose mean is the best one, as by every other step and by the rest.
      pixels: (n, G, w, c) the same of each column of the image.
      is_complete: (n,) whether they add up as accurately as asked for.
      n_steps: points that gradients were taken at.
      base_value: (n, c) what attributions are counted from; NaN where they are no share of the output.
      shares: (G,) of the estimates in their mean.
      variances: (n, d, c) of players, of the steps and of the references as a sample, where these are known apart.
      design_dof: degrees of freedom of the first of them, or of the spread between estimates.
    """

    of_players: FloatArray
    pixels: FloatArray
    is_complete: BoolArray
    n_steps: int
    base_value: FloatArray
    shares: FloatArray = HALVES
    variances: tuple[FloatArray, FloatArray] | None = None
    design_dof: float = 1.0


def combined(estimates: FloatArray, shares: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Means of independent estimates (G, ...) by their shares (G,), and the errors that the spread between them shows.

    Their variances are taken to be inverse to their shares, as of means over more or fewer references; of halves the
    error is half of their difference.
    """
    mean = weighted(estimates, shares)
    spread = weighted(np.square(estimates - mean), np.square(shares))
    return mean, np.sqrt(spread / (1.0 - np.square(shares).sum()))


def weighted(estimates: FloatArray, shares: FloatArray) -> FloatArray:
    """The sum of estimates (G, ...) by their shares (G,)."""
    total = np.zeros(estimates.shape[1:])
    # One after the other: BLAS adds them up in an order that depends on how many rows come together.
    for estimate, share in zip(estimates, shares, strict=True):
        total += share * estimate
    return total


@dataclasses.dataclass(frozen=True)
class Pictures:
    """n rows whose pixels are looked at.

    Attributes:
      paths: of the model.
      starts: R references.
      ends: the rows.
      weights: (R,) of sum 1.
      asked: what the model says of the rows.
      hashes: (n,) of their contents.
      player: whose columns the image is.
    """

    paths: Paths
    starts: Points
    ends: Points
    weights: FloatArray
    asked: AskedSide
    hashes: HashArray
    player: int

    def __len__(self) -> int:
        return len(self.ends)

    @functools.cached_property
    def columns(self) -> IntArray:
        """(w,) which are the image's."""
        return self.paths.columns(self.player)

    @functools.cached_property
    def of_nobody(self) -> BoolArray:
        """(width,) which columns belong to no player, and stay as they are in the row."""
        owned = [self.paths.columns(player) for player in range(self.paths.n_players)]
        return np.isin(np.arange(self.ends.moving.shape[1]), np.concatenate(owned), invert=True)

    def summed(self, halves: FloatArray) -> tuple[FloatArray, FloatArray]:
        """(n, 2, d, c) by players, and (n, 2, w, c) the image's own, of what all columns add (n, 2, width, c)."""
        of_players = [halves[:, :, self.paths.columns(player)].sum(axis=2) for player in range(self.paths.n_players)]
        return np.stack(of_players, axis=2), halves[:, :, self.columns]

    def gradients(self, moving: FloatArray, rows: IntArray, outputs: IntArray) -> FloatArray:
        """(P, width, c) at points (P, width) on the ways of P of the rows, of outputs (P, c)."""
        points = moving if self.ends.moving.dtype == np.float64 else moving.astype(np.float32)
        return self.paths.gradients(Points(points, self.ends.take(rows).fixed), outputs)


Halves = tuple[FloatArray, FloatArray]
"""(k, 2, d, c) by players and (k, 2, w, c) by columns of the image, as in `PixelRows`."""


def straight(pictures: Pictures, settings: XraiConfig) -> PixelRows:
    """Weighted means over references, along straight paths."""

    def take(rows: IntArray, n_steps: int) -> Halves:
        return _midpoints(pictures, rows, n_steps)

    return accurate(pictures, settings, take, pictures.asked, len(pictures.weights))


def accurate(
    pictures: Pictures, settings: XraiConfig, take: Callable[[IntArray, int], Halves], asked: AskedSide, n_paths: int
) -> PixelRows:
    """What paths of as many steps come to as the gap of each row asks for.

    Args:
      pictures: n rows.
      settings: how many steps.
      take: integrates along the paths of some rows (k,) with so many steps.
      asked: what the model says of the rows, and of where their paths start.
      n_paths: of each row.
    """
    n, first = len(pictures), settings.first_steps
    of_players, pixels = take(np.arange(n), first)
    n_steps = n * n_paths * first
    relative = _relative_gaps(of_players, asked, settings)
    if settings.num_steps == "auto":
        steps = np.full(n, first)
        while len(again := np.flatnonzero((relative > 1) & (steps < settings.max_steps))):
            steps[again] = _needed(steps[again], relative[again], settings.max_steps)
            for size in np.unique(steps[again]).tolist():
                rows = again[steps[again] == size]
                of_players[rows], pixels[rows] = take(rows, size)
                relative[rows] = _relative_gaps(of_players[rows], asked.take(rows), settings)
                n_steps += len(rows) * n_paths * size
    return PixelRows(of_players, pixels, relative <= 1, n_steps, asked.base_value)


def _needed(steps: IntArray, relative: FloatArray, most: int) -> IntArray:
    """Steps that are forecast to close the gaps: powers of two times what was taken, so that few sizes serve all."""
    doublings = np.clip(np.ceil(np.log2(_SAFETY * relative) / 2), 1, None)
    return np.minimum(steps * 2 ** doublings.astype(np.int64), most)


def _midpoints(pictures: Pictures, rows: IntArray, n_steps: int) -> Halves:
    """By players (k, 2, d, c) and by columns (k, 2, w, c) of some rows (k,)."""
    n, n_references, outputs = len(rows), len(pictures.weights), pictures.asked.outputs[rows]
    each = np.repeat(np.arange(n), n_references)
    alphas = np.tile((np.arange(n_steps) + 0.5) / n_steps, (n * n_references, 1))
    from_each = pictures.starts.take(np.tile(np.arange(n_references), n))
    ends = pictures.ends.take(rows[each])
    made = pictures.paths.inside(from_each, ends, alphas, outputs[each], pictures.player)
    shares = pictures.weights[:, None, None, None]
    first, second = ((part.reshape(n, n_references, *part.shape[1:]) * shares).sum(axis=1) for part in made)
    return first, second


def _relative_gaps(of_players: FloatArray, asked: AskedSide, settings: XraiConfig) -> FloatArray:
    """(n,) gaps in units of the largest that is wanted, of the worst output; infinite where they are no numbers."""
    gap = np.abs(of_players.mean(axis=1).sum(axis=1) - (asked.prediction - asked.base_value))
    wanted = settings.max_completeness_gap * (1 + np.abs(asked.prediction)) + _UNITS_OF_GAPS * asked.floor
    return np.asarray(np.nan_to_num(gap / wanted, nan=0.0, posinf=0.0).max(axis=1, initial=0.0))
