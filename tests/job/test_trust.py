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
from tfx_explain.job.trust import LaterLists, check_models, even_lists, telling_rows
from tfx_explain.models import load_model
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


LISTS = {name: tf.io.VarLenFeature(tf.float32) for name in ("ids", "weights")}


def paired_lists(features):
    """Lists multiplied as flat arrays."""
    ids, weights = features["ids"], features["weights"]
    return tf.sparse.reduce_sum(tf.SparseTensor(ids.indices, ids.values * weights.values, ids.dense_shape), 1)


def lists(lengths):
    numbers = np.random.default_rng(0).normal(size=(2, len(lengths), 3)).astype(np.float32).tolist()
    return [
        {"ids": numbers[0][row][:length], "weights": numbers[1][row][:length]} for row, length in enumerate(lengths)
    ]


def batch_of(lengths):
    rows = lists(lengths)
    columns = [pa.array([row[name] for row in rows], pa.large_list(pa.float32())) for name in LISTS]
    return pa.RecordBatch.from_arrays(columns, names=list(LISTS))


@pytest.mark.parametrize("first", [0, 2])
def test_lists_that_are_paired_up_are_found_where_only_late_rows_show_it(tmp_path, first):
    model = save_serving_model(tmp_path / "model", paired_lists, LISTS)
    rows = lists([first] * 1_040 + [1])
    examples = write_records(tmp_path / "data", [to_example({**row, "n": n}) for n, row in enumerate(rows)])
    with pytest.raises(ConfigError, match="put `ids` and `weights` in one group"):
        tfx_explain.explain(
            model=model,
            examples=examples,
            output_dir=str(tmp_path / "out"),
            config={"max_examples": None, "background": {"num_rows": 8}},
        )


def test_models_are_tried_on_later_lists_once_and_only_where_their_lengths_vary(tmp_path, monkeypatch):
    sums = lambda f: tf.sparse.reduce_sum(f["ids"], 1) * tf.sparse.reduce_sum(f["weights"], 1)  # noqa: E731
    model = load_model(save_serving_model(tmp_path / "model", sums, LISTS))
    even, players = even_lists([model], [batch_of([2] * 5)]), {name: (name,) for name in LISTS}
    assert even == set(LISTS)
    assert even_lists([model], [batch_of([2, 2, 1])]) == set()
    tried = []
    checked = check_models
    monkeypatch.setattr("tfx_explain.job.trust.check_models", lambda *args: (tried.append(args), checked(*args)))
    later = LaterLists([model], players, even)
    for lengths in ([2] * 4, [2, 1, 2, 3], [1, 2, 3, 0]):
        later.check(batch_of(lengths), batch_of([2] * 8))
    assert [args[1][0].num_rows for args in tried] == [2]
