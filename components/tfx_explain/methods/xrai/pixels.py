"""What each pixel adds, along the paths from images of one colour: integrated gradients that are not summed up.

The midpoint rule takes gradients in the middle of equal steps. Its error is told by the difference between every other
step and the rest, each of which is a rule of its own.

Source: Sundararajan, Taly and Yan, "Axiomatic attribution for deep networks", ICML 2017.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tfx_explain.config.xrai import XraiConfig
from tfx_explain.methods.path_gradients.rows import AskedSide
from tfx_explain.models.path_gradients import Paths, Points

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

_FIRST_STEPS = 16
# A gap falls with the square of the number of steps where the gradient is smooth, slower at kinks.
_SAFETY = 1.2
_UNITS_OF_GAPS = 4.0


class PixelRows(NamedTuple):
    """What n rows come to.

    Attributes:
      of_players: (n, 2, d, c) by every other step and by the rest.
      pixels: (n, 2, w, c) the same of each column of the image.
      is_complete: (n,) whether they add up as accurately as asked for.
      n_steps: points that gradients were taken at.
    """

    of_players: FloatArray
    pixels: FloatArray
    is_complete: BoolArray
    n_steps: int


def pixel_rows(
    paths: Paths, starts: Points, ends: Points, weights: FloatArray, asked: AskedSide, settings: XraiConfig, player: int
) -> PixelRows:
    """Weighted means over references.

    Args:
      paths: of the model.
      starts: R references.
      ends: n rows.
      weights: (R,) of sum 1.
      asked: what the model says of the rows.
      settings: how many steps.
      player: whose columns the image is.
    """
    first = _FIRST_STEPS if settings.num_steps == "auto" else settings.num_steps
    n = len(ends)
    of_players, pixels = _midpoints(paths, starts, ends, weights, asked.outputs, player, first)
    n_steps = n * len(weights) * first
    relative = _relative_gaps(of_players, asked, settings)
    if settings.num_steps == "auto":
        steps = np.full(n, first)
        while len(again := np.flatnonzero((relative > 1) & (steps < settings.max_steps))):
            steps[again] = _needed(steps[again], relative[again], settings.max_steps)
            for size in np.unique(steps[again]).tolist():
                rows = again[steps[again] == size]
                part = asked.take(rows)
                found = _midpoints(paths, starts, ends.take(rows), weights, part.outputs, player, size)
                of_players[rows], pixels[rows] = found
                relative[rows] = _relative_gaps(of_players[rows], part, settings)
                n_steps += len(rows) * len(weights) * size
    return PixelRows(of_players, pixels, relative <= 1, n_steps)


def _needed(steps: IntArray, relative: FloatArray, most: int) -> IntArray:
    """Steps that are forecast to close the gaps: powers of two times what was taken, so that few sizes serve all."""
    doublings = np.clip(np.ceil(np.log2(_SAFETY * relative) / 2), 1, None)
    return np.minimum(steps * 2 ** doublings.astype(np.int64), most)


def _midpoints(
    paths: Paths, starts: Points, ends: Points, weights: FloatArray, outputs: IntArray, player: int, n_steps: int
) -> tuple[FloatArray, FloatArray]:
    """By players (n, 2, d, c) and by columns (n, 2, w, c)."""
    n, n_references = len(ends), len(weights)
    rows = np.repeat(np.arange(n), n_references)
    alphas = np.tile((np.arange(n_steps) + 0.5) / n_steps, (n * n_references, 1))
    from_each = starts.take(np.tile(np.arange(n_references), n))
    made = paths.inside(from_each, ends.take(rows), alphas, outputs[rows], player)
    shares = weights[:, None, None, None]
    first, second = ((part.reshape(n, n_references, *part.shape[1:]) * shares).sum(axis=1) for part in made)
    return first, second


def _relative_gaps(of_players: FloatArray, asked: AskedSide, settings: XraiConfig) -> FloatArray:
    """(n,) gaps in units of the largest that is wanted, of the worst output; infinite where they are no numbers."""
    gap = np.abs(of_players.mean(axis=1).sum(axis=1) - (asked.prediction - asked.base_value))
    wanted = settings.max_completeness_gap * (1 + np.abs(asked.prediction)) + _UNITS_OF_GAPS * asked.floor
    return np.asarray(np.nan_to_num(gap / wanted, nan=0.0, posinf=0.0).max(axis=1, initial=0.0))
