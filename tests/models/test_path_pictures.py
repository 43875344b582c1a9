"""Paths in the pixels of a picture."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import pictures
from image_rows import PLAYERS, rows_of
from midpoints import midpoint_sums
from tfx_explain.models import Model
from tfx_explain.models.loading import load_model

STEPS = (np.arange(32) + 0.5) / 32


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return load_model(pictures.save(tmp_path_factory.mktemp("model"), pictures.with_age), output_space="raw")


def test_columns_are_the_pixels(model: Model) -> None:
    paths = model.paths(model.inputs(rows_of(8, 0)), PLAYERS)
    assert paths.picture(0) is None
    assert paths.picture(1) == (pictures.SIZE, pictures.SIZE, 1)


def test_what_is_inside_adds_up_and_lies_where_the_model_looks(model: Model) -> None:
    inputs = model.inputs(rows_of(8, 0))
    paths = model.paths(inputs, PLAYERS)
    points = paths.enter(inputs)
    starts, ends = points.take(np.array([0, 1, 2])), points.take(np.array([3, 4, 5]))
    outputs = np.zeros((3, 1), np.int64)
    alphas = np.tile(STEPS, (3, 1))
    of_players, pixels = paths.inside(starts, ends, alphas, outputs, 1)
    assert of_players.shape == (3, 2, 2, 1)
    whole = midpoint_sums(paths, starts, ends, 32, outputs)
    np.testing.assert_allclose(of_players.mean(axis=1), whole, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(pixels.sum(axis=2), of_players[:, :, 1], rtol=1e-5, atol=1e-6)
    maps = pixels.mean(axis=1).reshape(3, pictures.SIZE, pictures.SIZE)
    looked_at = np.zeros(maps.shape[1:], bool)
    looked_at[pictures.SQUARE] = True
    assert (maps[:, ~looked_at] == 0).all()
    assert (np.abs(maps[:, looked_at]).sum(axis=1) > 0.1).all()


def test_halves_are_those_of_every_other_step(model: Model) -> None:
    inputs = model.inputs(rows_of(4, 1))
    paths = model.paths(inputs, PLAYERS)
    points = paths.enter(inputs)
    starts, ends, outputs = points.take(np.array([0])), points.take(np.array([1])), np.zeros((1, 1), np.int64)
    _, pixels = paths.inside(starts, ends, STEPS[None], outputs, 1)
    for half in range(2):
        own = np.repeat(STEPS[half::2], 2)[None]
        _, alone = paths.inside(starts, ends, own, outputs, 1)
        np.testing.assert_allclose(alone.mean(axis=1)[0], pixels[0, half], rtol=1e-4, atol=1e-7)


def in_two_ways(parsed: dict[str, tf.Tensor]) -> tf.Tensor:
    """A model that reads a picture as it is, and laid flat at another scale."""
    seen = pictures.decoded(parsed["image"])
    flat = tf.reshape(seen * 2.0 - 1.0, [-1, pictures.SIZE**2])
    return tf.reduce_mean(seen**2, [1, 2]) + tf.reduce_mean(flat**2, 1, keepdims=True) + parsed["age"][:, None]


def as_colours(parsed: dict[str, tf.Tensor]) -> tf.Tensor:
    """A model that makes three channels of a grey one, each with a mean of its own."""
    seen = pictures.decoded(parsed["image"]) - tf.constant([0.4, 0.5, 0.6])
    return tf.reduce_mean(seen**2, [1, 2, 3])[:, None] + parsed["age"][:, None]


@pytest.mark.parametrize("score", [in_two_ways, as_colours])
def test_columns_are_the_pixels_whatever_is_made_of_them(
    tmp_path: Path, score: Callable[[dict[str, tf.Tensor]], tf.Tensor]
) -> None:
    model = load_model(pictures.save(tmp_path, score), output_space="raw")
    inputs = model.inputs(rows_of(4, 0))
    paths = model.paths(inputs, PLAYERS)
    points = paths.enter(inputs)
    made = paths.pictures(points, 1)
    assert paths.picture(1) == made.shape[1:] == (pictures.SIZE, pictures.SIZE, 1)
    np.testing.assert_allclose(made, pictures.pixels_of(4, 0) / np.float32(255.0), rtol=1e-6)
    outputs, ends = np.zeros((1, 1), np.int64), np.array([[0.0, 1.0]])
    of_players, pixels = paths.inside(points.take(np.array([0])), points.take(np.array([1])), STEPS[None], outputs, 1)
    assert pixels.shape == (1, 2, pictures.SIZE**2, 1)
    first, last = paths.values(points.take(np.array([0])), points.take(np.array([1])), ends, outputs)[0, :, 0]
    # Of a quadratic, the midpoint rule with even and odd steps together is exact.
    np.testing.assert_allclose(of_players.mean(axis=1).sum(), last - first, rtol=1e-4, atol=1e-5)
