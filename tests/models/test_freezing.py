"""Large weights are held once, whatever is made of a graph, and change no result."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tfx_explain.models import freezing, load_model
from tfx_explain.models.graph import FrozenGraph

PLAYERS = [["age", "rate"], ["color"], ["codes"], ["notes"]]
N_WORDS, WIDTH = 50, 8


@pytest.fixture
def any_size_is_large(monkeypatch):
    """All but scalars and short vectors are captured."""
    monkeypatch.setattr(freezing, "_MOST_CONSTANTS", 0)
    monkeypatch.setattr(freezing, "_LARGE", 64)


class Tables(tf.Module):
    """Scores an id by everything that reads weights: picks of rows, a product, a branch, and a table of constants."""

    def __init__(self, n_words=N_WORDS):
        super().__init__()
        draw = tf.random.Generator.from_seed(0).normal
        self.picked, self.in_batches = tf.Variable(draw([n_words, WIDTH])), tf.Variable(draw([1, N_WORDS]))
        self.kernel, self.branch = tf.Variable(draw([WIDTH, WIDTH])), tf.Variable(draw([WIDTH, 1]))
        self.constants = np.random.default_rng(1).normal(size=(N_WORDS, WIDTH)).astype(np.float32)

    def __call__(self, word):
        """(n,) scores of (n,) ids."""
        rows = tf.nn.embedding_lookup(self.picked, word) + tf.gather(tf.constant(self.constants), word)
        every = tf.tile(self.in_batches, [tf.shape(word)[0], 1])
        hidden = tf.tanh(rows @ self.kernel) + tf.gather(every, word[:, None], batch_dims=1)
        return tf.cond(tf.size(word) > 0, lambda: hidden @ self.branch, lambda: hidden[:, :1])[:, 0]


@pytest.fixture(scope="module")
def tables_dir(tmp_path_factory):
    return save(Tables(), tmp_path_factory.mktemp("tables"))


def save(module, directory):
    spec = {
        "word": tf.io.FixedLenFeature([], tf.int64),
        "other": tf.io.FixedLenFeature([], tf.int64),
    }

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def serve(examples):
        parsed = tf.io.parse_example(examples, spec)
        return {"p": module(parsed["word"]) * module(parsed["other"])}

    module.serve = serve
    tf.saved_model.save(module, str(directory), signatures=serve)
    return str(directory)


def graph_of(model) -> FrozenGraph:
    return model._engine._graph


def test_no_result_depends_on_it(mixed_model_dir, mixed_data, check_model, tools, any_size_is_large):
    model = load_model(mixed_model_dir, output_space="raw")
    assert any(value.dtype.is_floating for value in graph_of(model).captures.values())
    check_model(model, mixed_data, tools.call_on_examples(mixed_model_dir, "p"), PLAYERS)


def test_whatever_reads_a_weight(tables_dir, check_model, tools, any_size_is_large):
    data = tools.Data({"word": ("int", 1, 1, 0), "other": ("int", 1, 1, 0)})
    model = load_model(tables_dir, output_space="raw")
    check_model(model, data, tools.call_on_examples(tables_dir, "p"), [["word"], ["other"]])
    left = [node for node in graph_of(model).graph_def.node if node.op == "Const"]
    assert max(node.attr["value"].tensor.ByteSize() for node in left) < 64 + 32  # the shape is beside the values


def test_graphs_of_large_tables_are_small(tmp_path):
    n_words = freezing._MOST_CONSTANTS // (4 * WIDTH) + 1
    model = load_model(save(Tables(n_words), tmp_path), output_space="raw")
    assert graph_of(model).graph_def.ByteSize() < 2**17
    captured = [value for value in graph_of(model).captures.values() if value.dtype.is_floating]
    assert {tuple(value.shape) for value in captured} == {(n_words, WIDTH)}


def test_small_models_have_none(tables_dir):
    captures = graph_of(load_model(tables_dir, output_space="raw")).captures
    assert not any(value.dtype.is_floating for value in captures.values())


def test_the_largest_are_captured_first():
    sizes = {"small": 2**10, "large": 2**24, "larger": 2**25, "medium": 2**20}
    assert freezing._largest(sizes) == {"larger", "large"}
    assert freezing._largest(dict.fromkeys(map(str, range(2**10)), 2**16 - 1)) == set()


def test_tables_that_rows_are_picked_from_are_no_work(tables_dir):
    graph = graph_of(load_model(tables_dir, output_space="raw"))
    of_each_id = WIDTH * WIDTH + N_WORDS + WIDTH
    assert of_each_id <= graph.n_weights() <= 2 * of_each_id + 8  # and what becomes of shapes


class Loops(tf.Module):
    """Scores an id by a loop that picks a row of a table, and multiplies it, and by a branch that picks as well."""

    def __init__(self):
        super().__init__()
        draw = tf.random.Generator.from_seed(0).normal
        self.picked, self.kernel = tf.Variable(draw([N_WORDS, WIDTH])), tf.Variable(draw([WIDTH, WIDTH]))

    def __call__(self, word):
        """(n,) scores of (n,) ids."""

        def step(i, state):
            return i + 1, tf.tanh(tf.nn.embedding_lookup(self.picked, word) + state @ self.kernel)

        start = (tf.constant(0), tf.zeros([tf.shape(word)[0], WIDTH]))
        shapes = (tf.TensorShape([]), tf.TensorShape([None, WIDTH]))
        _, state = tf.while_loop(lambda i, state: i < 3, step, start, shapes)
        row = tf.cond(tf.size(word) > 0, lambda: tf.gather(self.picked, word), lambda: state)
        return tf.reduce_sum(state * row, axis=1)


@pytest.fixture(scope="module")
def loops_dir(tmp_path_factory):
    return save(Loops(), tmp_path_factory.mktemp("loops"))


@pytest.mark.parametrize("most_constants", [0, freezing._MOST_CONSTANTS])
def test_rows_picked_within_loops_and_branches(
    loops_dir, check_model, tools, monkeypatch, any_size_is_large, most_constants
):
    monkeypatch.setattr(freezing, "_MOST_CONSTANTS", most_constants)
    data = tools.Data({"word": ("int", 1, 1, 0), "other": ("int", 1, 1, 0)})
    model = load_model(loops_dir, output_space="raw")
    check_model(model, data, tools.call_on_examples(loops_dir, "p"), [["word"], ["other"]])


def test_weights_that_loops_read_are_work_wherever_they_are_held(loops_dir, any_size_is_large):
    assert graph_of(load_model(loops_dir, output_space="raw")).n_weights() >= WIDTH * WIDTH
