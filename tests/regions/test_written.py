"""Pictures as PNG files, what stands in for them, and masks of regions."""

import io
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from tfx_explain.errors import InputError
from tfx_explain.regions import encode_labels
from tfx_explain.regions.absent import absent_picture
from tfx_explain.regions.masks import read_mask
from tfx_explain.regions.written import png_file

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("level", [0, 6])
def test_files_hold_the_pixels(channels: int, level: int) -> None:
    pixels = RNG.integers(0, 256, (5, 7, channels)).astype(np.uint8)
    with Image.open(io.BytesIO(png_file(pixels, level=level))) as read:
        assert read.mode == ["L", "LA", "RGB", "RGBA"][channels - 1]
        assert np.array_equal(np.asarray(read).reshape(pixels.shape), pixels)


def test_files_hold_pixels_of_16_bits() -> None:
    pixels = RNG.integers(0, 2**16, (5, 7, 1)).astype(np.uint16)
    with Image.open(io.BytesIO(png_file(pixels))) as read:
        assert np.array_equal(np.asarray(read), pixels[..., 0])


@pytest.mark.parametrize("pixels", [np.zeros((2, 2, 5), np.uint8), np.zeros((2, 2, 3)), np.zeros((0, 2, 3), np.uint8)])
def test_other_arrays_are_no_pictures(pixels: npt.NDArray[Any]) -> None:
    with pytest.raises(InputError):
        png_file(pixels)


def test_the_mean_of_a_blur_stays_and_little_else_does() -> None:
    half = np.zeros((64, 64, 2))
    half[:, 32:, 0] = 1.0
    fine = RNG.random((64, 64, 1))
    blur = absent_picture(np.concatenate([half, fine], axis=2), "blur")
    assert blur[..., 0].mean() == pytest.approx(0.5, abs=0.01)
    assert (np.diff(blur[32, :, 0]) >= 0).all()
    assert (blur[..., 1] == 0).all()
    # A Gauss leaves 1 / (2 sqrt(pi) sigma) of the spread of noise, 2 % here; twice as much at each side of the image.
    assert blur[..., 2].std() < 0.08 * fine.std()


def test_what_is_blurred_small_is_what_is_blurred_large() -> None:
    smooth = np.add.outer(np.sin(np.arange(448) / 80), np.cos(np.arange(448) / 60))[..., None]
    small = absent_picture(smooth.reshape(224, 2, 224, 2).mean(axis=(1, 3))[..., None], "blur")
    large = absent_picture(smooth, "blur")
    np.testing.assert_allclose(large.reshape(224, 2, 224, 2).mean(axis=(1, 3)), small[..., 0], atol=0.01)


def test_absent_pictures_keep_type_and_shape() -> None:
    deep = RNG.integers(0, 2**16, (3, 4, 4)).astype(np.uint16)
    assert (absent_picture(deep, "white") == 2**16 - 1).all()
    black = absent_picture(deep, "black")
    assert (black[..., :3] == 0).all()
    assert (black[..., 3] == 2**16 - 1).all()
    mean = absent_picture(deep, "mean")
    assert mean.dtype == np.uint16
    assert np.abs(mean[0, 0] - deep.mean(axis=(0, 1))).max() <= 0.5
    assert absent_picture(np.array([[[0], [1], [1]]], np.uint8), "mean").ravel().tolist() == [1, 1, 1]
    assert absent_picture(np.full((1, 1, 3), 255, np.uint8), "blur").tolist() == [[[255, 255, 255]]]


def file_of(labels: npt.NDArray[Any], mode: str) -> bytes:
    written = io.BytesIO()
    Image.fromarray(labels).convert(mode).save(written, "PNG")
    return written.getvalue()


LABELS = np.array([[0, 255, 0], [9, 9, 255]], np.uint8)


@pytest.mark.parametrize(
    "values",
    [
        [file_of(LABELS, "L")],
        [encode_labels(LABELS.astype(np.int64) * 200)],
        LABELS.ravel().tolist(),
        (LABELS.astype(np.int64) - 500).ravel().tolist(),
    ],
)
def test_masks_are_read(values: list[Any]) -> None:
    found = read_mask(values, (2, 3))
    assert found.shape == (2, 3)
    assert np.array_equal(found[:, :, None, None] == found, LABELS[:, :, None, None] == LABELS)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([], "there is none"),
        ([1, 2, 3], "3 values, where the image has 2 x 3"),
        ([0.5] * 6, "each with a whole number"),
        ([b"x"], "its 1 bytes are no PNG: the first ones are b'x'"),
        ([file_of(LABELS, "L")[:45]], "its 45 bytes are no whole PNG"),
        ([b"x", b"y"], "2 files"),
        ([file_of(LABELS, "RGB")], "mode RGB"),
        ([file_of(LABELS.T, "L")], "3 x 2, where the image is 2 x 3"),
    ],
)
def test_other_masks_are_refused(values: list[Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_mask(values, (2, 3))
