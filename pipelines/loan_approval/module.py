"""User code of the loan approval pipeline: features for Transform, the model for Trainer.

`custom_config["sees_race"]` decides whether the candidate reads the applicant's race; where it is false, race is in no
graph: neither the transformation nor the model has an input for it. `sees_outcome` does the same for what the lender
did, a leak of the label, and `permutes_labels` trains on labels that belong to other applications: two candidates that
no policy should let through.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf
import tensorflow_transform as tft
from tfx_bsl.public import tfxio

LABEL = "approve"
RACE = "race"
RACES = 3
LOGARITHMIC = ("income",)
NUMERIC = (
    "income",
    "debt_ratio",
    "loan_to_price",
    "accounts_in_order",
    "late_payments",
    "public_record",
    "unverified_information",
    "industry_unemployment",
    "dependents",
)
OUTCOME = "lender_action"

SEED = 0
HIDDEN_UNITS = (16, 8)
L2 = 0.004
LEARNING_RATE = 0.003
BATCH_SIZE = 128
EPOCHS = 40


def numeric_names(custom_config: Mapping[str, Any]) -> tuple[str, ...]:
    """The raw numbers that a candidate reads."""
    return (*NUMERIC, OUTCOME) if custom_config["sees_outcome"] else NUMERIC


def feature_names(custom_config: Mapping[str, Any]) -> tuple[str, ...]:
    """The raw features that a candidate reads."""
    numbers = numeric_names(custom_config)
    return (*numbers, RACE) if custom_config["sees_race"] else numbers


def preprocessing_fn(inputs: Mapping[str, tf.SparseTensor], custom_config: Mapping[str, Any]) -> dict[str, tf.Tensor]:
    """Scales the numbers, encodes race, and gives missing values a value.

    A missing number becomes the mean; a missing or unknown race belongs to none of the categories.

    Args:
      inputs: the raw features, each sparse with at most one value per example.
      custom_config: `sees_race` and `sees_outcome` as the pipeline was built with.

    Returns:
      Per feature float32 `(batch, 1)`, for race `(batch, RACES)`, and the label int64 `(batch, 1)`.
    """
    outputs = {LABEL: _dense(inputs[LABEL], 0)}
    for name in numeric_names(custom_config):
        values = tf.sparse.map_values(tf.cast, inputs[name], tf.float32)
        if name in LOGARITHMIC:
            values = tf.sparse.map_values(tf.math.log1p, values)
        outputs[name] = _dense(tft.scale_to_z_score(values), 0.0)
    if custom_config["sees_race"]:
        index = tft.compute_and_apply_vocabulary(inputs[RACE], top_k=RACES, vocab_filename=RACE)
        outputs[RACE] = tf.one_hot(tf.squeeze(_dense(index, -1), axis=1), RACES)
    return outputs


def _dense(values: tf.SparseTensor, missing: float) -> tf.Tensor:
    one_column = tf.SparseTensor(values.indices, values.values, [values.dense_shape[0], 1])
    return tf.sparse.to_dense(one_column, default_value=tf.cast(missing, values.dtype))


def run_fn(fn_args: Any) -> None:
    """Trains the model and exports it with the transformation inside.

    Args:
      fn_args: as TFX's Trainer passes it; `custom_config` has `sees_race`, `sees_outcome` and `permutes_labels`.
    """
    transform_output = tft.TFTransformOutput(fn_args.transform_output)
    features, labels = _training_data(fn_args, transform_output)
    if fn_args.custom_config["permutes_labels"]:
        labels = np.random.default_rng(SEED).permutation(labels)
    keras.utils.set_random_seed(SEED)
    model = build_model({name: values.shape[1] for name, values in features.items()})
    model.fit(features, labels, batch_size=BATCH_SIZE, epochs=EPOCHS, verbose=0)
    export(model, transform_output, feature_names(fn_args.custom_config), fn_args.serving_model_dir)


def _training_data(fn_args: Any, transform_output: tft.TFTransformOutput) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """All of the training split: per feature float32 `(n, width)`, and the labels `(n, 1)`."""
    options = tfxio.TensorFlowDatasetOptions(batch_size=4096, num_epochs=1, shuffle=False)
    schema = transform_output.transformed_metadata.schema
    batches = list(fn_args.data_accessor.tf_dataset_factory(fn_args.train_files, options, schema).as_numpy_iterator())
    columns = {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}
    labels = columns.pop(LABEL)
    return columns, labels


def build_model(widths: Mapping[str, int]) -> keras.Model:
    """A small regularised network.

    Args:
      widths: number of values per transformed feature.

    Returns:
      A compiled model from a dictionary of features to the probability of approval, `(batch, 1)`.
    """
    penalty = keras.regularizers.L2(L2)
    inputs = {name: keras.Input((widths[name],), name=name) for name in sorted(widths)}
    hidden = keras.layers.Concatenate()(list(inputs.values()))
    for units in HIDDEN_UNITS:
        hidden = keras.layers.Dense(units, activation="relu", kernel_regularizer=penalty)(hidden)
    logit = keras.layers.Dense(1, kernel_regularizer=penalty, name="logit")(hidden)
    probability = keras.layers.Activation("sigmoid", name="approve_probability")(logit)
    model = keras.Model(inputs, probability)
    model.compile(optimizer=keras.optimizers.Adam(LEARNING_RATE), loss="binary_crossentropy")
    return model


def export(
    model: keras.Model, transform_output: tft.TFTransformOutput, features: tuple[str, ...], model_dir: str
) -> None:
    """Writes a SavedModel whose `serving_default` takes serialized tf.Examples with raw features.

    Args:
      model: the trained model.
      transform_output: the transformation to put before it.
      features: the raw features to parse; nothing else of an example is read.
      model_dir: where to write.
    """
    raw_spec = transform_output.raw_feature_spec()
    parse_spec = {name: raw_spec[name] for name in features}
    transformation = transform_output.transform_features_layer()

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def serve(examples: tf.Tensor) -> dict[str, tf.Tensor]:
        transformed = transformation(tf.io.parse_example(examples, parse_spec))
        return {"approve_probability": model({name: transformed[name] for name in model.input})}

    # Keras 3 cannot save with signatures, and tf.saved_model.save loses the variables for TF1 loaders (BulkInferrer).
    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.track(transformation)
    archive.add_endpoint("serving_default", serve)
    archive.write_out(model_dir)
