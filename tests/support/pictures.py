"""Small pictures as PNG bytes, and models that read them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

import worlds

SIZE = 12
SQUARE = (slice(2, 6), slice(3, 8))
"""Rows and columns that the planted model looks at."""

SPEC = {"image": tf.io.FixedLenFeature([], tf.string), "age": tf.io.FixedLenFeature([], tf.float32)}


def pixels_of(n: int, seed: int, size: int = SIZE) -> npt.NDArray[np.uint8]:
    """(n, size, size, 1) pictures of smooth spots."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (n, size // 3, size // 3, 1))
    return np.repeat(np.repeat(coarse, 3, axis=1), 3, axis=2).astype(np.uint8)


def png(pixels: npt.NDArray[np.uint8]) -> bytes:
    """(height, width, channels) as a file."""
    return bytes(tf.io.encode_png(pixels).numpy())


def make_rows(n: int, seed: int) -> list[dict[str, Any]]:
    """Rows with a picture and an age."""
    ages = np.random.default_rng(seed + 1).normal(size=n).round(2)
    return [
        {"image": png(pixels), "age": float(age), "half": i % 2}
        for i, (pixels, age) in enumerate(zip(pixels_of(n, seed), ages, strict=True))
    ]


def decoded(files: tf.Tensor, size: int = SIZE, channels: int = 1) -> tf.Tensor:
    """(n, size, size, channels) floats between 0 and 1, as a serving graph makes them."""
    spec = tf.TensorSpec([size, size, channels], tf.float32)

    def one(file: tf.Tensor) -> tf.Tensor:
        return tf.ensure_shape(tf.cast(tf.io.decode_png(file, channels=channels), tf.float32), spec.shape) / 255.0

    return tf.map_fn(one, files, fn_output_signature=spec)


def planted(parsed: dict[str, tf.Tensor]) -> tf.Tensor:
    """A model that looks at one square only, and at nobody's age."""
    inside = decoded(parsed["image"])[:, SQUARE[0], SQUARE[1], 0]
    return tf.reduce_mean(tf.square(inside), axis=[1, 2])[:, None] * 4.0 + 0.0 * parsed["age"][:, None]


def with_age(parsed: dict[str, tf.Tensor]) -> tf.Tensor:
    """The same, times what the age says."""
    return planted(parsed) * tf.sigmoid(parsed["age"][:, None]) + parsed["age"][:, None]


def save(directory: Path, score: Callable[[dict[str, tf.Tensor]], tf.Tensor]) -> str:
    """A SavedModel of such a function."""
    return worlds.save_serving_model(directory, score, SPEC)
