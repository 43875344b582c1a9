"""What gradients of all kinds say of pixels, against closed forms."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import image_rows
import pictures
from tfx_explain.config.xrai import XraiConfig
from tfx_explain.methods.path_gradients.rows import AskedSide
from tfx_explain.methods.xrai.crooked import guided, through_blurs
from tfx_explain.methods.xrai.noisy import around, normal_draws
from tfx_explain.methods.xrai.pixels import Pictures, PixelRows, straight
from tfx_explain.models.loading import load_model
from tfx_explain.regions.blurs import blurred

N, N_REFERENCES, SIZE = 4, 2, pictures.SIZE
WEIGHTS = np.random.default_rng(1).normal(size=(SIZE, SIZE, 1))
# Of 32-bit floats, over a picture.
ROUNDING = SIZE**2 * 2.0**-23


def linear(parsed: dict[str, tf.Tensor]) -> tf.Tensor:
    seen = pictures.decoded(parsed["image"])
    return tf.reduce_sum(seen * WEIGHTS.astype(np.float32), [1, 2, 3])[:, None] + 0.5 * parsed["age"][:, None]


def two_outputs(parsed: dict[str, tf.Tensor]) -> tf.Tensor:
    """Two that bend, of opposite signs and different places."""
    seen = pictures.decoded(parsed["image"])
    one = tf.reduce_sum(tf.square(seen[:, :6]), [1, 2, 3])
    other = tf.sin(tf.reduce_mean(seen[:, 6:], [1, 2, 3]) * 3.0) * (1.0 + parsed["age"])
    return tf.stack([one, -other], axis=1)


def made(directory: Path, score: Callable[[dict[str, tf.Tensor]], tf.Tensor]) -> Pictures:
    """N rows and two references, and what the model says of them."""
    model = load_model(pictures.save(directory, score), output_space="raw")
    inputs = model.inputs(image_rows.rows_of(N + N_REFERENCES, 0))
    paths, predicted = model.paths(inputs, image_rows.PLAYERS), model.predict(inputs)
    points, outputs = paths.enter(inputs), np.tile(np.arange(predicted.shape[1]), (N, 1))
    base = np.broadcast_to(predicted[N:].mean(axis=0), outputs.shape)
    asked = AskedSide(outputs, predicted[:N], base, np.full(outputs.shape, 1e-6))
    starts, ends = points.take(np.arange(N, N + N_REFERENCES)), points.take(np.arange(N))
    hashes = np.arange(N, dtype=np.uint64)
    return Pictures(paths, starts, ends, np.full(N_REFERENCES, 0.5), asked, hashes, 1)


@pytest.fixture(scope="module")
def of_linear(tmp_path_factory: pytest.TempPathFactory) -> Pictures:
    return made(tmp_path_factory.mktemp("linear"), linear)


@pytest.fixture(scope="module")
def bent(tmp_path_factory: pytest.TempPathFactory) -> Pictures:
    return made(tmp_path_factory.mktemp("bent"), two_outputs)


def settings(kind: str, **more: object) -> XraiConfig:
    return XraiConfig.model_validate({"feature": "image", "gradients": kind, **more})


def images_of(some: Pictures) -> np.ndarray:
    return some.paths.pictures(some.ends, some.player).astype(np.float64)


def test_guided_paths_of_a_linear_model_add_what_straight_ones_do(of_linear: Pictures) -> None:
    found, expected = (
        guided(of_linear, settings("guided_ig", num_steps=16)),
        straight(of_linear, settings("integrated_gradients")),
    )
    np.testing.assert_allclose(found.pixels, expected.pixels, atol=ROUNDING)
    np.testing.assert_allclose(found.of_players, expected.of_players, atol=ROUNDING)


def product(parsed: dict[str, tf.Tensor]) -> tf.Tensor:
    return linear({**parsed, "age": 0.0 * parsed["age"]}) * (1.0 + parsed["age"])[:, None]


def test_where_all_pixels_go_at_a_time_the_path_is_straight_for_other_features_too(tmp_path: Path) -> None:
    """Of a product of two linear functions both rules are exact on a straight path, whatever the steps."""
    some = made(tmp_path, product)
    found = guided(some, settings("guided_ig", num_steps=16, fraction=1.0)).of_players.mean(axis=1)
    expected = straight(some, settings("integrated_gradients")).of_players.mean(axis=1)
    np.testing.assert_allclose(found, expected, atol=ROUNDING * np.abs(expected).max())


def test_blurs_of_a_linear_model_by_hand(of_linear: Pictures) -> None:
    found = through_blurs(of_linear, settings("blur_ig", num_steps=16, max_sigma=3.0))
    images = images_of(of_linear)
    without = np.stack([blurred(image, 3.0)[0] for image in images])
    expected = (WEIGHTS * (images - without)).reshape(N, 1, -1, 1)
    np.testing.assert_allclose(found.pixels, np.repeat(expected, 2, axis=1), atol=ROUNDING)
    # The age goes from that of the first reference.
    ages = of_linear.paths.columns(0)
    moved = of_linear.ends.moving[:, ages] - of_linear.starts.moving[:1, ages]
    np.testing.assert_allclose(found.of_players[:, :, 0, 0], np.repeat(0.5 * moved, 2, axis=1), atol=ROUNDING)


def test_noise_says_the_gradient_of_a_linear_model(of_linear: Pictures) -> None:
    found = around(of_linear, settings("smooth_grad", num_samples=4), 0)
    expected = np.broadcast_to(np.abs(WEIGHTS).reshape(-1, 1), found.pixels.shape)
    np.testing.assert_allclose(found.pixels, expected, rtol=1e-5)
    assert np.isnan(found.base_value).all()


@pytest.mark.parametrize("kind", ["guided_ig", "blur_ig"])
def test_all_features_add_up_to_the_difference_of_the_outputs(bent: Pictures, kind: str) -> None:
    take = guided if kind == "guided_ig" else through_blurs
    gaps = []
    for steps in (32, 64):
        found = take(bent, settings(kind, num_steps=steps))
        total = found.of_players.mean(axis=1).sum(axis=1)
        gaps.append(np.abs(total - (bent.asked.prediction - found.base_value)).max())
        own = found.of_players[:, :, bent.player]
        np.testing.assert_allclose(found.pixels.sum(axis=2), own, atol=ROUNDING * np.abs(own).max())
    # The trapezoid rule: a quarter with twice the steps, but for what the path itself changes by.
    assert gaps[1] < gaps[0] / 2 < 0.01
    exact = take(bent, settings(kind, max_completeness_gap=1e-3))
    total = exact.of_players.mean(axis=1).sum(axis=1)
    wanted = 1e-3 * (1 + np.abs(bent.asked.prediction)) + 4e-6
    assert exact.is_complete.all()
    assert (np.abs(total - (bent.asked.prediction - exact.base_value)) <= wanted).all()


def test_blurs_are_counted_from_the_blurred_image(bent: Pictures) -> None:
    found = through_blurs(bent, settings("blur_ig", max_sigma=5.0))
    images = np.stack([blurred(image, 5.0)[0] for image in images_of(bent)])
    np.testing.assert_allclose(found.base_value[:, 0], np.square(images[:, :6]).sum(axis=(1, 2, 3)), rtol=1e-5)


def test_noise_is_what_was_asked_for(bent: Pictures) -> None:
    """The gradient of a square is twice the pixel, so its mean over copies is known to the noise of their mean."""
    asked = settings("smooth_grad", num_samples=200, noise=0.1)
    found, images = around(bent, asked, 0), images_of(bent)
    spread = 0.1 * np.ptp(images, axis=(1, 2, 3))[:, None]
    squares = found.pixels[:, :, : 6 * SIZE, 0]
    expected = 2.0 * images[:, :6].reshape(N, -1)
    off = (squares.mean(axis=1) - np.abs(expected)) / (2.0 * spread / np.sqrt(200))
    bright = expected > 4 * 2.0 * spread / np.sqrt(200)
    assert abs(off[bright].mean()) < 4 / np.sqrt(bright.sum())
    # Of k normal numbers, their standard deviation has a relative error of 1 / sqrt(2 k).
    room = 4 / np.sqrt(2 * bright.sum())
    assert abs(off[bright].std() - 1) < room
    # Both halves tell that error.
    told = (
        (squares[:, 0] - squares[:, 1])[bright] / 2 / np.broadcast_to(2.0 * spread / np.sqrt(200), bright.shape)[bright]
    )
    assert abs(told.std() - 1) < room


def test_draws_follow_from_content_sample_and_seed_alone() -> None:
    hashes = np.array([7, 8], np.uint64)
    three = np.full(len(hashes), 3)
    one = normal_draws(hashes, 5_000, three, 0)
    assert np.array_equal(one[1:], normal_draws(hashes[1:], 5_000, three[1:], 0))
    for other in (normal_draws(hashes, 5_000, three + 1, 0), normal_draws(hashes, 5_000, three, 1), one[::-1]):
        assert abs(np.corrcoef(one.ravel(), other.ravel())[0, 1]) < 4 / np.sqrt(one.size)
    assert abs(one.mean()) < 4 / np.sqrt(one.size)
    assert abs(one.std() - 1) < 4 / np.sqrt(2 * one.size)


@pytest.mark.parametrize("kind", ["guided_ig", "blur_ig", "smooth_grad"])
def test_rows_are_the_same_to_the_bit_in_any_company(bent: Pictures, kind: str) -> None:
    def take(some: Pictures) -> PixelRows:
        asked = settings(kind, **({"num_samples": 8} if kind == "smooth_grad" else {"num_steps": 16}))
        return (
            {"guided_ig": guided, "blur_ig": through_blurs}[kind](some, asked)
            if kind != "smooth_grad"
            else around(some, asked, 0)
        )

    def part(rows: np.ndarray) -> Pictures:
        return Pictures(
            bent.paths, bent.starts, bent.ends.take(rows), bent.weights, bent.asked.take(rows), bent.hashes[rows], 1
        )

    whole = take(bent)
    for rows in (np.array([2]), np.array([3, 1, 0])):
        alone = take(part(rows))
        assert np.array_equal(alone.pixels, whole.pixels[rows])
        assert np.array_equal(alone.of_players, whole.of_players[rows])
