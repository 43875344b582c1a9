"""Images blurred more and more: Gaussian blurs as diffusion between pixels, without loss at the edges.

What diffuses stays between the smallest and the largest value of the image, and its mean stays the same: at the edges
the image goes on as its mirror image. A blur of sigma s and one of t are one of the root of s^2 + t^2.

Source: T. Lindeberg, "Scale-space for discrete signals", IEEE Transactions on Pattern Analysis and Machine Intelligence
12 (1990) 234-254, for blurs of pixels in place of sampled Gaussians.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import fft

FloatArray = npt.NDArray[np.float64]


def blur_sigmas(max_sigma: float, n_steps: int) -> FloatArray:
    """(n_steps + 1,) from the strongest blur to none, the closer the weaker: that is where an image changes most."""
    return np.asarray(max_sigma * np.square(np.linspace(1.0, 0.0, n_steps + 1)))


def blurred(image: npt.ArrayLike, sigmas: npt.ArrayLike) -> FloatArray:
    """(s, H, W) or (s, H, W, C) an image (H, W) or (H, W, C), blurred by each sigma, in pixels.

    Channels are blurred one by one.
    """
    pixels, widths = np.asarray(image, np.float64), np.atleast_1d(np.asarray(sigmas, np.float64))
    if not np.isfinite(pixels).all():
        return np.full((len(widths), *pixels.shape), np.nan)
    spectrum = fft.dctn(pixels, axes=(0, 1), norm="ortho")
    kept = np.ones((len(widths), *pixels.shape[:2]))
    for axis, length in enumerate(pixels.shape[:2], 1):
        # Diffusion: d image / d (sigma^2 / 2) is the second difference, whose eigenvectors these cosines are.
        decay = np.exp(-np.square(widths)[:, None] * (1.0 - np.cos(np.pi * np.arange(length) / length)))
        kept *= np.expand_dims(decay, 3 - axis)
    kept = kept.reshape(*kept.shape, *[1] * (pixels.ndim - 2))
    made = np.asarray(fft.idctn(spectrum * kept, axes=(1, 2), norm="ortho"), np.float64)
    made[widths == 0.0] = pixels
    return made
