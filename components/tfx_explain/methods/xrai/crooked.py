"""What each pixel adds along paths that are not straight: guided ones, and ways through blurred images.

Both are chains of straight pieces. What a piece adds is how far each column moves on it, times the gradient before and
after: each is a rule of its own, their mean is the trapezoid rule, and their difference tells its error, on the safe
side. Sums are the difference of the outputs at both ends, as with a straight path.

Sources: A. Kapishnikov et al., "Guided integrated gradients: an adaptive path method for removing noise", CVPR 2021;
S. Xu, S. Venugopalan and M. Sundararajan, "Attribution in scale and space", CVPR 2020.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from tfx_explain.config.xrai import XraiConfig
from tfx_explain.methods.xrai.pixels import Halves, Pictures, PixelRows, accurate
from tfx_explain.models.path_gradients import Points
from tfx_explain.paths import guided_points
from tfx_explain.regions.blurs import blur_sigmas, blurred

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

# Floats at the cut that are held at a time, of one row: 32 MiB.
_FIGURES = 2**22
_MOST_BLURS = 64


def guided(pictures: Pictures, settings: XraiConfig) -> PixelRows:
    """Weighted means over references, along paths that take pixels of small gradients first; other features go evenly.

    The path is that of the paper, also in its settings. Each output has paths of its own.
    """

    def take(rows: IntArray, n_steps: int) -> Halves:
        return _guided(pictures, rows, n_steps, settings)

    n_paths = len(pictures.weights) * pictures.asked.outputs.shape[1]
    return accurate(pictures, settings, take, pictures.asked, n_paths)


def _guided(pictures: Pictures, rows: IntArray, n_steps: int, settings: XraiConfig) -> Halves:
    n, n_references, n_outputs = len(rows), len(pictures.weights), pictures.asked.outputs.shape[1]
    of_row = np.repeat(rows, n_references * n_outputs)
    outputs = np.repeat(pictures.asked.outputs[rows][:, None], n_references, axis=1).reshape(-1, 1)
    ends = pictures.ends.moving[of_row].astype(np.float64)
    starts = pictures.starts.moving[np.tile(np.repeat(np.arange(n_references), n_outputs), n)].astype(np.float64)
    starts[:, pictures.of_nobody] = ends[:, pictures.of_nobody]
    columns, points = pictures.columns, starts
    own = starts[:, columns], ends[:, columns]
    sums = np.zeros((2, *starts.shape))
    before = pictures.gradients(points, of_row, outputs)[..., 0]
    for step in range(n_steps):
        share = (step + 1) / n_steps
        following = starts + share * (ends - starts) if share < 1 else ends.copy()
        following[:, columns] = guided_points(
            points[:, columns], own, before[:, columns], share, settings.fraction, settings.max_distance
        )
        after = pictures.gradients(following, of_row, outputs)[..., 0]
        move = following - points
        sums[0] += _times(move, before)
        sums[1] += _times(move, after)
        points, before = following, after
    of_reference = sums.reshape(2, n, n_references, n_outputs, -1) * pictures.weights[:, None, None]
    return pictures.summed(of_reference.sum(axis=2).transpose(1, 0, 3, 2))


def through_blurs(pictures: Pictures, settings: XraiConfig) -> PixelRows:
    """From each image at its strongest blur to the image itself; other features go evenly from the reference."""
    starts = blurred_starts(pictures, settings.max_sigma)
    ends, outputs = pictures.ends, pictures.asked.outputs
    base_value = pictures.paths.values(starts, ends, np.zeros((len(ends), 1)), outputs)[:, 0]
    asked = dataclasses.replace(pictures.asked, base_value=base_value)

    def take(rows: IntArray, n_steps: int) -> Halves:
        made = [_through_blurs(pictures, row, starts.moving[row], n_steps, settings.max_sigma) for row in rows]
        return pictures.summed(np.stack(made) if made else np.zeros((0, 2, ends.moving.shape[1], outputs.shape[1])))

    return accurate(pictures, settings, take, asked, 1)


def blurred_starts(pictures: Pictures, max_sigma: float) -> Points:
    """Where the ways through blurred images start: n points, each with its own image."""
    moving = pictures.starts.moving[np.zeros(len(pictures), np.int64)]
    moving[:, pictures.of_nobody] = pictures.ends.moving[:, pictures.of_nobody]
    images = pictures.paths.pictures(pictures.ends, pictures.player)
    # One by one: an image is then the same to the last bit whatever its neighbours.
    for row, image in enumerate(images):
        moving[row, pictures.columns] = blurred(image, max_sigma)[0].ravel()
    return Points(moving, pictures.ends.fixed)


def _through_blurs(pictures: Pictures, row: int, start: FloatArray, n_steps: int, max_sigma: float) -> FloatArray:
    """(2, width, c) of one row, a few blurs at a time."""
    end, asked = pictures.ends.take(np.array([row])), pictures.asked.outputs[row]
    image = pictures.paths.pictures(end, pictures.player)[0]
    sigmas, shares = blur_sigmas(max_sigma, n_steps), np.linspace(0.0, 1.0, n_steps + 1)[:, None]
    sums = np.zeros((2, len(start), len(asked)))
    at_once = int(np.clip(_FIGURES // (len(start) * len(asked)), 1, _MOST_BLURS - 1))
    for first in range(0, n_steps, at_once):
        some = slice(first, min(first + at_once, n_steps) + 1)
        points = start + shares[some] * (end.moving[0].astype(np.float64) - start)
        points[:, pictures.columns] = blurred(image, sigmas[some]).reshape(len(points), -1)
        n = len(points)
        gradients = pictures.gradients(points, np.full(n, row), np.repeat(asked[None], n, axis=0))
        for move, before, after in zip(np.diff(points, axis=0), gradients, gradients[1:], strict=False):
            sums[0] += _times(move[:, None], before)
            sums[1] += _times(move[:, None], after)
    return sums


def _times(move: FloatArray, gradient: FloatArray) -> FloatArray:
    """Where nothing moves, a gradient counts for nothing even if it is no number."""
    return np.where(move == 0.0, 0.0, move * gradient)
