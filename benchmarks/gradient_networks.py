"""Networks whose gradients `path_gradients.py` takes: that of all benchmarks, and larger ones of other kinds.

The larger ones have random weights: how fast they are does not depend on what they have learnt.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import network
import numpy as np
import pyarrow as pa
import tensorflow as tf


@dataclass(frozen=True)
class Network:
    """A saved network, what it takes, and its bare gradient.

    Attributes:
      label: what it is.
      model_dir: where it is saved, with a signature `raw` of its features.
      shapes: feature -> its shape.
      gradient: (n, width) gradients at (n, width), the features side by side.
      rows: (n, width) to explain.
      background: (B, width).
    """

    label: str
    model_dir: str
    shapes: dict[str, tuple[int, ...]]
    gradient: Callable[[tf.Tensor], tf.Tensor]
    rows: np.ndarray
    background: np.ndarray

    def to_batch(self, x: np.ndarray) -> pa.RecordBatch:
        """Rows as the reader would decode them."""
        arrays, place = [], 0
        for shape in self.shapes.values():
            width = int(np.prod(shape))
            columns = np.ascontiguousarray(x[:, place : place + width])
            splits = pa.array(np.arange(len(x) + 1) * width, pa.int64())
            arrays.append(pa.LargeListArray.from_arrays(splits, pa.array(columns.ravel(), pa.float32())))
            place += width
        return pa.RecordBatch.from_arrays(arrays, names=list(self.shapes))


def _gradient_of(score: Callable[[tf.Tensor], tf.Tensor]) -> Callable[[tf.Tensor], tf.Tensor]:
    def gradient(x: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = score(x)
        return tape.gradient(y, x)

    return gradient


def trained(directory: Path, n_rows: int, n_background: int) -> Network:
    """The network of all benchmarks: 30 features, 64-32-1."""
    network.train_and_save(directory)
    weights = [tf.constant(weight) for weight in np.load(directory / "weights.npz").values()]
    w1, b1, w2, b2, w3, b3 = weights
    return Network(
        "30 features, 64-32, trained",
        str(directory),
        dict.fromkeys(network.NAMES, ()),
        _gradient_of(lambda x: tf.nn.relu(tf.nn.relu(x @ w1 + b1) @ w2 + b2) @ w3 + b3),
        network.noisy_rows(n_rows, seed=2),
        network.features()[:n_background],
    )


def wide(directory: Path, n_rows: int, n_background: int) -> Network:
    """30 features, 512-512-1."""
    layers = [tf.keras.layers.Dense(512, "relu"), tf.keras.layers.Dense(512, "relu"), tf.keras.layers.Dense(1)]
    return _saved("30 features, 512-512", directory, (30,), layers, n_rows, n_background)


def recurrent(directory: Path, n_rows: int, n_background: int) -> Network:
    """A series of 32 times 8 floats, an LSTM of 64 units."""
    layers = [tf.keras.layers.LSTM(64), tf.keras.layers.Dense(1)]
    return _saved("series 32 x 8, LSTM of 64", directory, (32, 8), layers, n_rows, n_background)


def convolutional(directory: Path, n_rows: int, n_background: int) -> Network:
    """An image of 32 x 32 x 3, two convolutions."""
    layers = [
        tf.keras.layers.Conv2D(32, 3, activation="relu"),
        tf.keras.layers.Conv2D(64, 3, strides=2, activation="relu"),
        tf.keras.layers.GlobalAveragePooling2D(),
        tf.keras.layers.Dense(1),
    ]
    return _saved("image 32 x 32 x 3, 2 convolutions", directory, (32, 32, 3), layers, n_rows, n_background)


def _saved(
    label: str, directory: Path, shape: tuple[int, ...], layers: list[tf.keras.layers.Layer], n_rows: int, n_back: int
) -> Network:
    tf.keras.utils.set_random_seed(0)
    model = tf.keras.Sequential([tf.keras.Input(shape), *layers])
    width = int(np.prod(shape))

    def score(x: tf.Tensor) -> tf.Tensor:
        return model(tf.reshape(x, [-1, *shape]))

    module = tf.Module()
    module.model = model
    signature = tf.TensorSpec([None, *shape], tf.float32, name="x")
    module.raw = tf.function(lambda x: {"score": model(x)}).get_concrete_function(x=signature)
    tf.saved_model.save(module, str(directory), signatures={"raw": module.raw})
    rng = np.random.default_rng(0)
    rows, background = (rng.normal(size=(n, width)).astype(np.float32) for n in (n_rows, n_back))
    return Network(label, str(directory), {"x": shape}, _gradient_of(score), rows, background)
