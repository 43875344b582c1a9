"""SmoothGrad: how much the output depends on each pixel, around the image.

The gradient is the mean over noisy copies of the image. What is told of a pixel is its size, added up over channels:
units of the output per unit of the pixel's value, whichever way it changes. That is no share of the output, and sums of
it are none.

Source: D. Smilkov et al., "SmoothGrad: removing noise by adding noise", 2017.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import special

from tfx_explain.config.xrai import XraiConfig
from tfx_explain.content_sample import copy_keys, stream_of, uniform_of
from tfx_explain.methods.xrai.pixels import Pictures, PixelRows
from tfx_explain.rows import HashArray

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

# Floats at the cut that are held at a time: 32 MiB.
_FIGURES = 2**22


def around(pictures: Pictures, settings: XraiConfig, seed: int) -> PixelRows:
    """Sizes of mean gradients, by half of the copies and by the rest, with the sign that all copies together have."""
    outputs, n_samples = pictures.asked.outputs, settings.num_samples
    n, n_columns, n_outputs = len(pictures), len(pictures.columns), outputs.shape[1]
    images = pictures.ends.moving[:, pictures.columns].astype(np.float64)
    spread = settings.noise * (images.max(axis=1) - images.min(axis=1))
    sums = np.zeros((n, 2, n_columns, n_outputs))
    at_once = max(_FIGURES // max(pictures.ends.moving.shape[1] * n_outputs, 1), 1)
    copies = np.arange(n * n_samples)
    for some in np.split(copies, range(at_once, len(copies), at_once)) if n else []:
        sample, row = np.divmod(some, n)
        points = pictures.ends.moving[row].astype(np.float64)
        noise = normal_draws(pictures.hashes[row], n_columns, sample, seed)
        points[:, pictures.columns] += spread[row, None] * noise
        made = pictures.gradients(points, row, outputs[row])[:, pictures.columns]
        # One by one: of a row they are added up in the same order whatever rows come together.
        for number in range(sample[0], sample[-1] + 1):
            own = sample == number
            sums[row[own], number % 2] += made[own]
    halves = sums / (n_samples // 2)
    halves *= np.sign(halves.mean(axis=1, keepdims=True))
    return PixelRows(
        of_players=halves.sum(axis=2, keepdims=True),
        pixels=halves,
        is_complete=np.ones(n, np.bool_),
        n_steps=n * n_samples,
        base_value=np.full((n, n_outputs), np.nan),
    )


def normal_draws(hashes: HashArray, width: int, samples: IntArray, seed: int) -> FloatArray:
    """(n, width) standard normal numbers, which follow from seed, sample (n,) and the contents of rows (n,) alone."""
    counters = samples[:, None] * width + np.arange(width)
    keys = copy_keys(hashes[:, None], counters, stream_of(seed, "smooth_grad"))
    return np.asarray(special.ndtri(uniform_of(keys) + 2.0**-54))
