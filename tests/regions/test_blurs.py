"""Blurred images."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage, special

from tfx_explain.regions.blurs import blur_sigmas, blurred

RNG = np.random.default_rng(0)
IMAGE = RNG.random((16, 12, 3))


def test_blurs_are_those_of_the_discrete_kernel() -> None:
    """Lindeberg's: exp(-t) I_n(t), of t = sigma squared, applied to the image and its mirror images."""
    reach = np.arange(-60, 61)
    for sigma in (0.3, 1.0, 3.0):
        kernel = special.ive(np.abs(reach), sigma**2)
        expected = ndimage.convolve1d(ndimage.convolve1d(IMAGE, kernel, 0, mode="reflect"), kernel, 1, mode="reflect")
        np.testing.assert_allclose(blurred(IMAGE, sigma)[0], expected, atol=1e-12)


def test_wide_ones_are_gaussian() -> None:
    image = RNG.random((64, 64))
    expected = ndimage.gaussian_filter(image, 4.0, mode="reflect", truncate=8.0)
    # The kernels are apart by the fourth order: kurtosis 1 / sigma^2 of 3.
    np.testing.assert_allclose(blurred(image, 4.0)[0], expected, atol=image.std() / 4.0**2)
    assert np.abs(blurred(image, 4.0)[0] - expected).max() < 0.01 * np.ptp(expected)


def test_nothing_is_lost_and_nothing_overshoots() -> None:
    made = blurred(IMAGE, [50.0, 5.0, 0.2, 0.0])
    np.testing.assert_allclose(made.mean(axis=(1, 2)), np.tile(IMAGE.mean(axis=(0, 1)), (4, 1)), rtol=1e-12)
    assert made.min() >= IMAGE.min() - 1e-12
    assert made.max() <= IMAGE.max() + 1e-12
    assert np.array_equal(made[3], IMAGE)
    # Of the slowest wave along 16 pixels exp(-50^2 (1 - cos(pi / 16))) = 1e-21 is left: only rounding.
    np.testing.assert_allclose(made[0], np.broadcast_to(IMAGE.mean(axis=(0, 1)), IMAGE.shape), rtol=1e-13)


def test_blurs_one_after_the_other_are_one() -> None:
    np.testing.assert_allclose(blurred(blurred(IMAGE, 3.0)[0], 4.0)[0], blurred(IMAGE, 5.0)[0], atol=1e-12)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_images_that_are_no_numbers_give_none(value: float) -> None:
    image = IMAGE.copy()
    image[0, 0, 0] = value
    assert np.isnan(blurred(image, [1.0, 0.0])).all()


def test_sigmas_go_from_the_strongest_to_none() -> None:
    sigmas = blur_sigmas(50.0, 16)
    assert (sigmas[0], sigmas[-1], len(sigmas)) == (50.0, 0.0, 17)
    assert (np.diff(sigmas) < 0).all()
    assert (np.diff(sigmas, 2) > 0).all()
