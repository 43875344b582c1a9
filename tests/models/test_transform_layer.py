"""A TFX trainer's export: Transform's layer with its vocabulary inside, features that may be missing."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_transform as tft
import tensorflow_transform.beam as tft_beam
from tensorflow_transform.tf_metadata import dataset_metadata, schema_utils

from midpoints import midpoint_sums
from tfx_explain.models import load_model

# Transform's layer is a legacy Keras layer, whose initialiser draws a seed from a float.
pytestmark = pytest.mark.filterwarnings("ignore:non-integer arguments to randrange:DeprecationWarning")

SPEC = {
    "income": tf.io.VarLenFeature(tf.float32),
    "race": tf.io.VarLenFeature(tf.string),
    "dependents": tf.io.VarLenFeature(tf.int64),
}
SCHEMA = {"income": ("float", 1, 1, 0.3), "race": ("string", 1, 1, 0.3), "dependents": ("int", 1, 1, 0.3)}
RAW = ("float32", "string", "int64")


def preprocessing_fn(inputs):
    dense = {
        name: tf.squeeze(
            tf.sparse.to_dense(tf.SparseTensor(x.indices, x.values, [x.dense_shape[0], 1]), default), axis=1
        )
        for (name, x), default in zip(sorted(inputs.items()), (0, 0.0, ""), strict=True)
    }
    race = tft.compute_and_apply_vocabulary(dense["race"], num_oov_buckets=1)
    return {
        "income": tft.scale_to_z_score(dense["income"]),
        "dependents": tft.bucketize(dense["dependents"], 3),
        "race": tf.one_hot(race, 6),
    }


@pytest.fixture(scope="module")
def transform_model_dir(tmp_path_factory):
    schema = schema_utils.schema_from_feature_spec(SPEC)
    rows = [
        {"income": [float(i)] if i % 3 else [], "race": [word] if word else [], "dependents": [i % 5]}
        for i, word in enumerate([b"red", b"green", b"blue", b"", b"red", b"green"] * 4)
    ]
    with tft_beam.Context(temp_dir=str(tmp_path_factory.mktemp("tmp")), force_tf_compat_v1=False):
        _, transform_fn = (rows, dataset_metadata.DatasetMetadata(schema)) | tft_beam.AnalyzeAndTransformDataset(
            preprocessing_fn
        )
        path = str(tmp_path_factory.mktemp("transform"))
        _ = transform_fn | tft_beam.WriteTransformFn(path)
    layer = tft.TFTransformOutput(path).transform_features_layer()

    keras.utils.set_random_seed(6)
    widths = {"income": 1, "dependents": 1, "race": 6}
    inputs = {name: keras.Input((width,), name=name) for name, width in widths.items()}
    hidden = keras.layers.Dense(8, "relu")(keras.layers.Concatenate()(list(inputs.values())))
    net = keras.Model(inputs, keras.layers.Dense(1, "sigmoid")(hidden))
    layer(tf.io.parse_example([b""], SPEC))

    def serve(examples):
        x = layer(tf.io.parse_example(examples, SPEC))
        column = lambda name: tf.reshape(tf.cast(x[name], tf.float32), (-1, 1))  # noqa: E731
        return {"p": net({"income": column("income"), "dependents": column("dependents"), "race": x["race"]})}

    archive = keras.export.ExportArchive()
    archive.track(net)
    archive.track(layer)
    signature = [tf.TensorSpec([None], tf.string, name="examples")]
    archive.add_endpoint("serving_default", tf.function(serve, input_signature=signature))
    path = str(tmp_path_factory.mktemp("model"))
    archive.write_out(path, verbose=False)
    return path


def test_transform_layer_with_vocabulary(transform_model_dir, check_model, tools):
    model = load_model(transform_model_dir)
    assert (model.access, model.output_space) == ("parse_cut", "logit")
    assert {spec.name: (spec.dtype, spec.kind) for spec in model.features} == {
        "income": ("float32", "sparse"),
        "race": ("string", "sparse"),
        "dependents": ("int64", "sparse"),
    }
    call = tools.logit(tools.call_on_examples(transform_model_dir, "p"))
    check_model(model, tools.Data(SCHEMA), call, [["income"], ["race"], ["dependents"]])


def test_preprocessing_is_done_before_rows_are_mixed(transform_model_dir, tools):
    model, data = load_model(transform_model_dir), tools.Data(SCHEMA)
    background = model.inputs(data.batch(data.rows(20, 0)))
    players = [["income"], ["race"], ["dependents"]]
    stage, _ = model._engine._stages_for(players, background)
    assert stage.compiles
    assert [port.encoding for port in stage._ports] == ["dense"]
    values = model.block_values(background, background, players, tools.random_blocks(3, 20))
    assert np.isfinite(values).all()


def test_paths_lead_through_what_transform_makes_of_features(transform_model_dir, tools):
    model, data = load_model(transform_model_dir), tools.Data(SCHEMA)
    x, b = (model.inputs(data.batch(data.rows(9, seed))) for seed in (1, 2))
    paths = model.paths(b, [["income"], ["race"], ["dependents"]])
    made = midpoint_sums(paths, paths.enter(b), paths.enter(x), 256, np.zeros((9, 1), np.int64))
    difference = model.predict(x) - model.predict(b)
    np.testing.assert_allclose(made.sum(axis=1), difference, atol=0.01 * abs(difference).max())
    assert (abs(made).max(axis=(0, 2)) > 0).all()
    assert paths.note == ""
