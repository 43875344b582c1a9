"""Mixed rows that are the same row are evaluated once, and give what all of them would give."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import tensorflow as tf

from tfx_explain.attribution import make_design
from tfx_explain.models import graph_mixing, load_model, mixing
from tfx_explain.models.features import Inputs, Ragged
from tfx_explain.models.repeats import differing_players, enumerated_masks, is_worth_it

PLAYERS = [["age", "rate"], ["color"], ["codes"], ["notes"], ["price"], ["level"]]


@pytest.fixture
def categorical(tmp_path, tools):
    """A model of lists, strings and numbers that take few values, with what makes its inputs."""
    spec = {
        "color": tf.io.FixedLenFeature([1], tf.string, default_value=[b""]),
        "codes": tf.io.VarLenFeature(tf.int64),
        **{
            name: tf.io.FixedLenFeature([1], tf.float32, default_value=[np.nan])
            for name in ("age", "rate", "price", "level")
        },
    }

    def serve(examples):
        x = tf.io.parse_example(examples, spec)
        level = tf.where(tf.math.is_nan(x["level"]), 3.0, x["level"])[:, 0]
        red = tf.cast(x["color"][:, 0] == b"red", tf.float32)
        codes = tf.cast(tf.sparse.reduce_sum(x["codes"], axis=1), tf.float32)
        return {"p": tf.tanh(x["age"][:, 0] * red + codes * level - x["rate"][:, 0] * x["price"][:, 0])}

    module = tf.Module()
    module.serve = tf.function(serve, input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    tf.saved_model.save(module, str(tmp_path), signatures={"serving_default": module.serve})
    model = load_model(str(tmp_path))

    def make(n, seed):
        rng = np.random.default_rng(seed)
        few = lambda *values: rng.choice(np.array(values), size=(n, 1))  # noqa: E731
        columns = {
            "age": few(1.0, 2.0).astype(np.float32),
            "rate": few(0.5).astype(np.float32),
            "price": rng.normal(size=(n, 1)).astype(np.float32),
            "level": few(1.0, np.nan).astype(np.float32),
            "color": few(b"red", b"blue").astype(object),
            "codes": Ragged.from_lengths(rng.integers(3, size=3 * n), rng.integers(3, size=n)),
        }
        ragged = columns["codes"]
        columns["codes"] = Ragged(ragged.values[: ragged.row_splits[-1]], ragged.row_splits)
        return Inputs(n, columns)

    return model, make


def _exact(n_players: int, n_background: int):
    weights = np.random.default_rng(0).dirichlet(np.ones(n_background))
    return make_design("exact", n_players=n_players, budget=2**n_players, background_weights=weights, seed=0)


def test_values_are_those_of_all_rows_and_rows_are_fewer(categorical, monkeypatch):
    model, make = categorical
    examples, background, blocks = make(9, 1), make(100, 2), _exact(6, 100)
    seen = []
    values = graph_mixing.SelectedGraphRows.values

    def spy(self, piece):
        made = values(self, piece)
        seen.append(made[..., 0].size * piece.index.shape[1])
        return made

    monkeypatch.setattr(graph_mixing.SelectedGraphRows, "values", spy)
    once = model.block_values(examples, background, PLAYERS, blocks)
    n_once = sum(seen)
    seen.clear()
    monkeypatch.setattr(mixing, "is_worth_it", lambda differing, n_players: np.zeros(len(differing), bool))
    every = model.block_values(examples, background, PLAYERS, blocks)
    np.testing.assert_allclose(once, every, atol=1e-6)
    assert n_once * 2 < sum(seen)


def test_values_do_not_depend_on_the_neighbours(categorical):
    model, make = categorical
    examples, background, blocks = make(9, 1), make(100, 2), _exact(6, 100)
    together = model.block_values(examples, background, PLAYERS, blocks)
    for i in range(9):
        alone = model.block_values(examples.take(np.array([i])), background, PLAYERS, blocks)
        np.testing.assert_array_equal(alone[0], together[i])


def test_players_that_differ():
    nan = np.nan
    own = {
        "scalar": np.array([1.0, nan]),
        "text": np.array([b"a", None], object),
        "vector": np.array([[1, 2], [3, 4]]),
        "list": Ragged.from_lengths(np.array([7, 5, 6]), np.array([1, 2])),
        "own_only": np.array([1, 1]),
    }
    other = {
        "scalar": np.array([1.0, nan, 2.0]),
        "text": np.array([None, b"a", b"b"], object),
        "vector": np.array([[1, 2], [1, 4], [3, 4]]),
        "list": Ragged.from_lengths(np.array([7, 5, 6]), np.array([1, 0, 2])),
    }
    names = [*own, "neither"]
    masks = differing_players(Inputs(2, own), Inputs(3, other), [[name] for name in names])
    differ = (masks[..., None] >> np.arange(len(names))) & 1
    expected = {
        "scalar": [[0, 1, 1], [1, 0, 1]],
        "text": [[1, 0, 1], [0, 1, 1]],
        "vector": [[0, 1, 1], [1, 1, 0]],
        "list": [[0, 1, 1], [1, 1, 1]],
        "own_only": [[1, 1, 1], [1, 1, 1]],
        "neither": [[0, 0, 0], [0, 0, 0]],
    }
    for i, name in enumerate(names):
        np.testing.assert_array_equal(differ[..., i], expected[name], err_msg=name)


def test_a_group_differs_where_one_of_its_features_does():
    own = Inputs(1, {"a": np.array([1]), "b": np.array([1])})
    other = Inputs(2, {"a": np.array([1, 1]), "b": np.array([1, 2])})
    np.testing.assert_array_equal(differing_players(own, other, [["a", "b"]]), [[0, 1]])


def test_only_whole_enumerations_are_taken_for_one():
    every = np.array(list(itertools.product([False, True], repeat=3)))[1:-1]
    masks = enumerated_masks(every[None].repeat(2, axis=0))
    assert sorted(masks) == [1, 2, 3, 4, 5, 6]
    assert enumerated_masks(every[None, :4]) is None
    assert enumerated_masks(np.stack([every, every[::-1]])) is None
    assert enumerated_masks(every[None, [0, 0, 1, 2, 3, 4]]) is None


def test_it_is_worth_it_where_half_of_the_rows_are_repeats():
    all_differ, half, none = np.full(1024, 7), np.full(1024, 3), np.zeros(1024, int)
    np.testing.assert_array_equal(is_worth_it(np.stack([all_differ, half, none]), 3), [False, True, True])
    assert not is_worth_it(np.zeros((1, 100), int), 3).any()


def test_it_is_not_worth_it_where_the_values_of_one_example_would_fill_the_memory():
    assert not is_worth_it(np.zeros((1, 1024), int), 14).any()
