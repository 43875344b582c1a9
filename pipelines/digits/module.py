"""User code of the digits pipeline: a small convolutional network behind a graph that decodes the pictures itself."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf
import tensorflow_data_validation as tfdv

import tf_examples

IMAGE = "image"
LABEL = "digit"
CLASSES = 10
SIDE = 32

SEED = 0
FILTERS = (8, 16)
HIDDEN_UNITS = 32
LEARNING_RATE = 0.003
BATCH_SIZE = 64
EPOCHS = 10


def run_fn(fn_args: Any) -> None:
    """Trains the network and exports it with the decoding inside.

    Args:
      fn_args: as TFX's Trainer passes it.
    """
    schema = tfdv.load_schema_text(fn_args.schema_path)
    train = tf_examples.columns(fn_args, fn_args.train_files, schema)
    keras.utils.set_random_seed(SEED)
    model = build_model()
    pixels = decode(tf.constant(train[IMAGE]))
    model.fit(pixels, train[LABEL], batch_size=BATCH_SIZE, epochs=EPOCHS, verbose=0)
    export(model, fn_args.serving_model_dir)


def build_model() -> keras.Model:
    """A compiled network from pixels `(batch, SIDE, SIDE, 1)` in [0, 1] to the probability of each digit."""
    pixels = keras.Input((SIDE, SIDE, 1))
    hidden = pixels
    for filters in FILTERS:
        hidden = keras.layers.Conv2D(filters, 3, strides=2, padding="same", activation="relu")(hidden)
    hidden = keras.layers.Dense(HIDDEN_UNITS, activation="relu")(keras.layers.Flatten()(hidden))
    probabilities = keras.layers.Dense(CLASSES, activation="softmax")(hidden)
    model = keras.Model(pixels, probabilities)
    model.compile(optimizer=keras.optimizers.Adam(LEARNING_RATE), loss="sparse_categorical_crossentropy")
    return model


def decode(pictures: tf.Tensor) -> tf.Tensor:
    """Encoded pictures as the network takes them.

    Args:
      pictures: PNG bytes, string `(batch,)`; of any size and number of channels.

    Returns:
      Grey pixels, float32 `(batch, SIDE, SIDE, 1)`, from 0 to 1.
    """
    return tf.map_fn(_decode_one, pictures, fn_output_signature=tf.TensorSpec([SIDE, SIDE, 1], tf.float32))


def _decode_one(picture: tf.Tensor) -> tf.Tensor:
    return tf.image.resize(tf.io.decode_png(picture, channels=1), [SIDE, SIDE]) / 255.0


def export(model: keras.Model, model_dir: str) -> None:
    """Writes a SavedModel whose `serving_default` takes serialized tf.Examples with encoded pictures."""
    spec = {IMAGE: tf.io.FixedLenFeature([], tf.string)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def serve(examples: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"probabilities": model(decode(tf.io.parse_example(examples, spec)[IMAGE]))}

    # Keras 3 cannot save with signatures, and tf.saved_model.save loses the variables for TF1 loaders (BulkInferrer).
    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.add_endpoint("serving_default", serve)
    archive.write_out(model_dir)
