"""Expected gradients of each pixel: straight paths from images of the background, with steps at random places.

Places of steps, values and errors of players are those of the method `expected_gradients`. What is told of regions is
the spread between groups of references, which holds the noise of the steps and that of the references as a sample.

Source: Erion, Janizek, Sturmfels, Lundberg and Lee, "Improving performance of deep learning models with axiomatic
attribution priors and expected gradients", Nature Machine Intelligence 2021.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tfx_explain.config.xrai import XraiConfig
from tfx_explain.methods.path_gradients.draws import stratified_alphas
from tfx_explain.methods.xrai.pixels import Pictures, PixelRows
from tfx_explain.models.path_sums import ReferenceSums
from tfx_explain.paths import choose_strata, second_difference_dof

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

MOST_GROUPS = 8
"""Of references, whose sums are held for each pixel."""
# Floats at the cut that are held at a time: 32 MiB.
_FIGURES = 2**22


def over_background(pictures: Pictures, settings: XraiConfig, numbers: IntArray, seed: int) -> PixelRows:
    """Means over references of these numbers (R,), which the places of steps follow from, and over their steps."""
    n, n_references, outputs = len(pictures), len(pictures.weights), pictures.asked.outputs
    n_steps = choose_strata(settings.num_samples, pictures.weights).n_strata
    alphas = stratified_alphas(pictures.hashes, numbers, n_steps, seed)
    n_groups, n_players, n_outputs = min(n_references, MOST_GROUPS), pictures.paths.n_players, outputs.shape[1]
    group = np.arange(n_references) % n_groups
    shares = np.asarray(np.bincount(group, pictures.weights), np.float64)
    pixels = np.zeros((n, n_groups, len(pictures.columns), n_outputs))
    by_step = np.zeros((n, n_references, n_steps, n_players, n_outputs))
    at_once = max(_FIGURES // max(n_steps * pictures.ends.moving.shape[1] * n_outputs, 1), 1)
    pairs = np.arange(n * n_references)
    for some in np.split(pairs, range(at_once, len(pairs), at_once)) if n else []:
        reference, row = np.divmod(some, n)
        added = _added(pictures, reference, row, alphas[row, reference])
        by_step[row, reference] = np.stack(
            [added[:, :, pictures.paths.columns(player)].sum(axis=2) for player in range(n_players)], axis=2
        )
        of_pixels = added[:, :, pictures.columns].mean(axis=1)
        # One by one: of a row they are added up in the same order whatever rows come together.
        for number in range(reference[0], reference[-1] + 1):
            own = reference == number
            share = pictures.weights[number] / shares[group[number]]
            pixels[row[own], group[number]] += share * of_pixels[own]
    found = _sums(by_step, alphas, pictures.weights).estimates()
    return PixelRows(
        of_players=np.broadcast_to(found.values[:, None], (n, n_groups, *found.values.shape[1:])),
        pixels=pixels,
        is_complete=np.ones(n, np.bool_),
        n_steps=n * n_references * n_steps,
        base_value=pictures.asked.base_value,
        shares=shares,
        variances=(found.design_variance, np.maximum(found.background_variance - found.design_variance, 0.0)),
        design_dof=second_difference_dof(1 / float(np.square(pictures.weights).sum()), n_steps),
    )


def _sums(by_step: FloatArray, alphas: FloatArray, weights: FloatArray) -> ReferenceSums:
    """Of contributions (n, R, S, n_players, c), some rows at a time: several tables of that shape are made of them."""
    n, at_once = len(by_step), max(_FIGURES // max(int(np.prod(by_step.shape[1:])), 1), 1)
    parts = [
        ReferenceSums.of_steps(by_step[first : first + at_once], alphas[first : first + at_once], weights).sums
        for first in range(0, max(n, 1), at_once)
    ]
    return ReferenceSums(np.concatenate(parts, axis=1), weights)


def _added(pictures: Pictures, reference: IntArray, row: IntArray, alphas: FloatArray) -> FloatArray:
    """(p, S, width, c) gradient x way at the steps (p, S) from references (p,) to rows (p,)."""
    n_steps = alphas.shape[1]
    ends = pictures.ends.moving[row].astype(np.float64)
    starts = pictures.starts.moving[reference].astype(np.float64)
    starts[:, pictures.of_nobody] = ends[:, pictures.of_nobody]
    way = ends - starts
    points = starts[:, None] + alphas[:, :, None] * way[:, None]
    rows = np.repeat(row, n_steps)
    made = pictures.gradients(points.reshape(len(rows), -1), rows, pictures.asked.outputs[rows])
    made = made.reshape(*alphas.shape, *made.shape[1:])
    # Where nothing moves, a gradient counts for nothing even if it is no number.
    return np.where(way[:, None, :, None] == 0.0, 0.0, way[:, None, :, None] * made)
