"""User code of the reviews pipeline: a network on embedded words behind a graph that finds the words itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
import tensorflow_data_validation as tfdv

import tf_examples

REVIEW = "review"
LABEL = "fresh"
MAX_WORDS = 40
"""Words that the model reads of a review; what comes after them it does not see."""

MIN_COUNT = 3
"""Words seen less often in training are all one unknown word."""

PADDING, UNKNOWN = 0, 1
"""Numbers of what stands behind a short review, and of words that are not in the vocabulary."""

SEED = 0
DIMENSIONS = 16
HIDDEN_UNITS = 16
DROPOUT = 0.5
LEARNING_RATE = 0.002
BATCH_SIZE = 64
EPOCHS = 5


class Words(tf.Module):
    """From texts to the numbers of their words, with TensorFlow's own operations only, so that it can be exported."""

    def __init__(self, vocabulary: Sequence[str]) -> None:
        super().__init__()
        numbers = tf.range(UNKNOWN + 1, UNKNOWN + 1 + len(vocabulary), dtype=tf.int64)
        initializer = tf.lookup.KeyValueTensorInitializer(tf.constant(list(vocabulary), tf.string), numbers)
        self.table = tf.lookup.StaticHashTable(initializer, default_value=UNKNOWN)

    def __call__(self, texts: tf.Tensor) -> tf.Tensor:
        """Numbers of words.

        Args:
          texts: string `(batch,)`.

        Returns:
          int64 `(batch, MAX_WORDS)`, `PADDING` behind the last word.
        """
        numbers = self.table.lookup(split(texts)[:, :MAX_WORDS])
        return numbers.to_tensor(default_value=PADDING, shape=[None, MAX_WORDS])


def split(texts: tf.Tensor) -> tf.RaggedTensor:
    """The words of texts in lower case: letters, digits and apostrophes; the rest separates them."""
    # What is no UTF-8 becomes a sign that separates, too.
    valid = tf.strings.unicode_transcode(texts, "UTF-8", "UTF-8")
    words = tf.strings.regex_replace(valid, r"[^\p{L}\p{N}']+", " ")
    return tf.strings.split(tf.strings.lower(words, encoding="utf-8"))


def find_vocabulary(texts: np.ndarray) -> list[str]:
    """The words that occur often enough, the most frequent first, equally frequent ones in the alphabet's order."""
    counts = Counter(word.decode("utf-8") for word in split(tf.constant(texts)).flat_values.numpy())
    return sorted(
        (word for word, count in counts.items() if count >= MIN_COUNT), key=lambda word: (-counts[word], word)
    )


def run_fn(fn_args: Any) -> None:
    """Trains the network and exports it with the vocabulary inside.

    Args:
      fn_args: as TFX's Trainer passes it.
    """
    schema = tfdv.load_schema_text(fn_args.schema_path)
    train = tf_examples.columns(fn_args, fn_args.train_files, schema)
    model, words = train_model(train[REVIEW], train[LABEL])
    export(model, words, fn_args.serving_model_dir)


def train_model(texts: np.ndarray, labels: np.ndarray) -> tuple[keras.Model, Words]:
    """A trained network, and what finds its words.

    Args:
      texts: UTF-8, `(n,)`.
      labels: 1 for a good verdict, else 0, `(n,)`.
    """
    vocabulary = find_vocabulary(texts)
    words = Words(vocabulary)
    keras.utils.set_random_seed(SEED)
    model = build_model(UNKNOWN + 1 + len(vocabulary))
    model.fit(words(tf.constant(texts)), labels, batch_size=BATCH_SIZE, epochs=EPOCHS, verbose=0)
    return model, words


class PaddingIsZero(keras.constraints.Constraint):
    """Holds the embedding of the padding at zero: what stands behind a review adds nothing, whatever its length."""

    def __call__(self, embeddings: tf.Tensor) -> tf.Tensor:
        """The embeddings `(numbers, DIMENSIONS)` with one row of zeros."""
        is_word = tf.range(tf.shape(embeddings)[0]) != PADDING
        return embeddings * tf.cast(is_word, embeddings.dtype)[:, tf.newaxis]


def build_model(n_numbers: int) -> keras.Model:
    """A compiled network from numbers of words `(batch, MAX_WORDS)` to the probability of a good verdict, `(batch, 1)`.

    Nothing but what is embedded reaches the output, no mask either: all that the model knows of a text has a gradient.
    """
    numbers = keras.Input((MAX_WORDS,), dtype="int64")
    embedding = keras.layers.Embedding(n_numbers, DIMENSIONS, embeddings_constraint=PaddingIsZero(), name="words")
    mean = keras.layers.Dropout(DROPOUT)(keras.layers.GlobalAveragePooling1D()(embedding(numbers)))
    hidden = keras.layers.Dense(HIDDEN_UNITS, activation="relu")(mean)
    probability = keras.layers.Dense(1, activation="sigmoid")(hidden)
    model = keras.Model(numbers, probability)
    model.compile(optimizer=keras.optimizers.Adam(LEARNING_RATE), loss="binary_crossentropy")
    return model


def export(model: keras.Model, words: Words, model_dir: str) -> None:
    """Writes a SavedModel whose `serving_default` takes serialized tf.Examples with texts."""
    spec = {REVIEW: tf.io.FixedLenFeature([], tf.string)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def serve(examples: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"fresh_probability": model(words(tf.io.parse_example(examples, spec)[REVIEW]))}

    # Keras 3 cannot save with signatures, and tf.saved_model.save loses the variables for TF1 loaders (BulkInferrer).
    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.track(words)
    archive.add_endpoint("serving_default", serve)
    archive.write_out(model_dir)
