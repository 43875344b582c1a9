"""Rows on which models are tried before a job; what a job does with a model that fails."""

from __future__ import annotations

import pickle

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf

import tfx_explain
from tfx_explain.errors import ConfigError, ModelError
from tfx_explain.job.model_handle import ModelHandle
from tfx_explain.job.request import ExplainRequest
from tfx_explain.job.trust import telling_rows
from worlds import make_rows, save_serving_model, to_example, write_records

SPEC = {"age": tf.io.FixedLenFeature([], tf.float32), "income": tf.io.FixedLenFeature([], tf.float32)}


@pytest.fixture(scope="module")
def examples(tmp_path_factory):
    return write_records(tmp_path_factory.mktemp("data"), [to_example(row) for row in make_rows(40, 0)])


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    return save_serving_model(tmp_path_factory.mktemp("sound"), lambda f: f["age"] - f["income"], SPEC)


@pytest.fixture(scope="module")
def noisy(tmp_path_factory):
    score = lambda f: f["age"] + 0.1 * tf.random.normal(tf.shape(f["age"]))  # noqa: E731
    return save_serving_model(tmp_path_factory.mktemp("noisy"), score, SPEC)


@pytest.mark.parametrize("is_baseline", [False, True])
def test_a_noisy_model_is_refused_before_the_job_whichever_it_is(examples, sound, noisy, tmp_path, is_baseline):
    models = {"model": sound, "baseline_model": noisy} if is_baseline else {"model": noisy}
    with pytest.raises(ModelError, match="draws random numbers") as caught:
        tfx_explain.explain(examples=examples, output_dir=str(tmp_path / "out"), **models)
    assert noisy in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_lists_are_refused_apart_and_taken_together(tmp_path):
    lists = {"ids": tf.io.VarLenFeature(tf.int64), "w": tf.io.VarLenFeature(tf.float32)}

    def score(f):
        product = tf.cast(f["ids"].values, tf.float32) * f["w"].values
        return tf.sparse.reduce_sum(tf.SparseTensor(f["ids"].indices, product, f["ids"].dense_shape), 1)

    rng, rows = np.random.default_rng(0), []
    for _ in range(40):
        k = int(rng.integers(0, 4))
        rows.append({"ids": rng.integers(1, 9, k).tolist(), "w": rng.normal(size=k).tolist()})
    pattern = write_records(tmp_path / "data", [to_example({k: v or None for k, v in row.items()}) for row in rows])
    handle = ModelHandle(
        save_serving_model(tmp_path / "model", score, lists), tfx_explain.ExplainConfig(splits=["eval"]).model
    )

    def build(features):
        return ExplainRequest.build(
            config=tfx_explain.ExplainConfig(features=features),
            models=[handle],
            example_patterns={"eval": pattern},
            background_pattern=pattern,
            explanation_dir=str(tmp_path / "out"),
            attributions_dir=str(tmp_path / "out/attributions"),
        )

    with pytest.raises(ConfigError, match="put `ids` and `w` in one group"):
        build({})
    request = build({"groups": {"ids_w": ["ids", "w"]}})
    assert len(request.loaded) == 1
    sent = pickle.loads(pickle.dumps(request))
    assert sent == request
    assert sent.loaded == ()


def test_rows_are_tried_that_differ_in_the_lengths_of_their_lists():
    lengths = np.ones(200, np.int64)
    lengths[[131, 57]] = 9, 0
    lists = [[1.0] * int(length) for length in lengths]
    column = pa.array(lists, pa.large_list(pa.float32()))
    rows = pa.RecordBatch.from_arrays([column, pa.array([[1.0]] * 200, column.type)], ["s", "a"])
    found = telling_rows(rows, ["a", "s"], 16)
    assert found[:2].tolist() == [131, 57]
    assert len(found) <= 18
    assert {0, 199} <= set(found.tolist())
