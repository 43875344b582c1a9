"""Rows far larger than others: calls stay small, values stay right, and small rows are evaluated as ever."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

import worlds
from tfx_explain.attribution import make_design
from tfx_explain.errors import ModelCallError
from tfx_explain.models import call_bytes, graph_mixing, load_model, mixing
from tfx_explain.models import calls as calls_module
from tfx_explain.models import host as host_module
from tfx_explain.models.features import Inputs, Ragged, concat_rows, take_rows

N_VALUES = 3_000
PLAYERS = [["x"], ["tags"], ["words"]]


def score(features):
    """Nothing of it can be done before rows are mixed: each value meets the row's `x`."""
    tags, words = features["tags"], features["words"]
    if isinstance(tags, tf.SparseTensor):
        tags = tf.RaggedTensor.from_sparse(tags)
        words = tf.RaggedTensor.from_sparse(words)
    x = tf.cast(features["x"], tf.float64)
    of_tags = tf.tanh(tf.cast(tags.values, tf.float64) * tf.gather(x, tags.value_rowids()))
    lengths = tf.cast(tf.strings.length(words.values), tf.float64)
    of_words = tf.cos(lengths + tf.gather(x, words.value_rowids()))
    summed = [
        tf.math.unsorted_segment_sum(values, column.value_rowids(), tf.shape(x)[0])
        for values, column in ((of_tags, tags), (of_words, words))
    ]
    return summed[0] + summed[1]


def truth(inputs: Inputs) -> np.ndarray:
    """The same, row by row."""
    found = []
    for row in range(len(inputs)):
        tags, words = (take_rows(inputs.columns[name], np.array([row])).values for name in ("tags", "words"))
        x = np.float64(inputs.columns["x"][row])
        lengths = np.array([len(word) for word in words], float)
        found.append(np.tanh(tags * x).sum() + np.cos(lengths + x).sum())
    return np.array(found)


@pytest.fixture(scope="module", params=["sparse", "ragged", "padded", "python"])
def model(request, tmp_path_factory):
    path = tmp_path_factory.mktemp(request.param) / "model"
    if request.param == "padded":
        module = tf.Module()

        @tf.function(
            input_signature=[
                tf.TensorSpec([None], tf.float32, name="x"),
                tf.TensorSpec([None, None], tf.int64, name="tags"),
                tf.TensorSpec([None, None], tf.string, name="words"),
            ]
        )
        def serve(x, tags, words):
            of_tags = tf.tanh(tf.cast(tags, tf.float64) * tf.cast(x, tf.float64)[:, None])
            lengths = tf.cast(tf.strings.length(words), tf.float64)
            of_words = tf.where(lengths > 0, tf.cos(lengths + tf.cast(x, tf.float64)[:, None]), 0)
            return {"score": tf.reduce_sum(of_tags, axis=1) + tf.reduce_sum(of_words, axis=1)}

        module.serve = serve
        tf.saved_model.save(module, str(path), signatures={"serving_default": serve})
        return load_model(str(path), output_space="raw")
    of_lists = tf.io.RaggedFeature if request.param == "ragged" else tf.io.VarLenFeature
    spec = {
        "x": tf.io.FixedLenFeature([], tf.float32),
        "tags": of_lists(tf.int64),
        "words": of_lists(tf.string),
    }
    loaded = load_model(worlds.save_serving_model(path, score, spec), output_space="raw")
    if request.param == "python":
        loaded._engine = host_module.HostEngine(truth, "the model")
    return loaded


def inputs(n: int, seed: int, long_list: int | None = None, long_text: int | None = None) -> Inputs:
    """Rows of a number, one to four integers and one or two short texts; two of them may be large."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, 5, n)
    words = [b"a" * size for size in rng.integers(1, 9, n)]
    if long_list is not None:
        lengths[long_list] = N_VALUES
    if long_text is not None:
        words[long_text] = b"b" * (8 * N_VALUES)
    tags = Ragged.from_lengths(rng.integers(-2, 3, lengths.sum()), lengths)
    texts = Ragged.from_lengths(np.array(words, object), np.ones(n, np.int64))
    return Inputs(n, {"x": rng.normal(size=n).astype(np.float32), "tags": tags, "words": texts})


@pytest.fixture
def bound(monkeypatch):
    """Calls may have 96,000 bytes: four times a large row, and as much as thousands of small ones."""
    monkeypatch.setattr(call_bytes, "MAX_CALL_BYTES", 4 * 8 * N_VALUES)
    return 4 * 8 * N_VALUES


@pytest.fixture
def calls(model, monkeypatch):
    """The bytes of lists and strings of each call, filled up where the model wants that; and rows of each."""
    seen, engine = [], model._engine
    fills = model.access == "tensors" or isinstance(engine, host_module.HostEngine)
    if isinstance(engine, host_module.HostEngine):
        call = engine._call
        monkeypatch.setattr(engine, "_call", lambda rows: seen.append(rows) or call(rows))
    else:
        masked, values = graph_mixing.Stage.masked, calls_module.port_values

        def spy(self, compiled, examples, background, piece):
            masks, index, _ = piece.tensors
            made = [_ragged(tensor) for tensor in examples], [_ragged(tensor) for tensor in background]
            n, (g, k, _), r = examples[0].shape[0], masks.shape, index.shape[1]
            own = np.broadcast_to(np.arange(n)[:, None, None, None], (n, g, k, r))
            columns = {}
            for name, owners, first, second in zip("0123", self._owners, *made, strict=False):
                keep = masks.numpy()[None, :, :, None, -1 if owners[0] is None else owners[0]] != 0
                rows = np.where(keep, own, n + index.numpy()[None, :, None, :]).reshape(-1)
                columns[name] = take_rows(concat_rows(first, second), rows)
            seen.append(Inputs(own.size, columns))
            return masked(self, compiled, examples, background, piece)

        def fed(ports, columns):
            seen.append(Inputs(len(next(iter(columns.values()))), columns))
            return values(ports, columns)

        monkeypatch.setattr(graph_mixing.Stage, "masked", spy)
        monkeypatch.setattr(calls_module, "port_values", fed)

    def sizes():
        return [_bytes_of(rows, fills) for rows in seen]

    return SimpleNamespace(sizes=sizes, seen=seen)


def _ragged(tensor):
    if isinstance(tensor, tf.RaggedTensor):
        return Ragged(tensor.values.numpy(), tensor.row_splits.numpy())
    return tensor.numpy()


def _bytes_of(rows: Inputs, fills: bool) -> float:
    """What a call is fed, counted value by value."""
    total = 0
    for column in rows.columns.values():
        if isinstance(column, Ragged):
            is_text = column.values.dtype.kind == "O"
            of_values = sum(map(len, column.values)) if is_text else column.values.nbytes
            filled = len(column) * column.lengths.max() * 8 if fills and not is_text else 0
            total += max(of_values, filled)
    return total


def expected(examples: Inputs, background: Inputs, blocks) -> np.ndarray:
    """Every mixture made by itself."""
    n_blocks, n_coalitions, _ = blocks.coalitions.shape
    out = np.zeros((len(examples), n_blocks, n_coalitions))
    weight = blocks.background_weight / blocks.background_weight.sum(axis=1, keepdims=True)
    for g, c in np.ndindex(n_blocks, n_coalitions):
        for place, row in enumerate(blocks.background_index[g]):
            taken = np.full(len(examples), row)
            columns = {
                name: column if present else take_rows(background.columns[name], taken)
                for (name, column), present in zip(examples.columns.items(), blocks.coalitions[g, c], strict=True)
            }
            out[:, g, c] += weight[g, place] * truth(Inputs(len(examples), columns))
    return out


@pytest.mark.parametrize(("large", "how"), [("examples", "lattice"), ("background", "lattice"), ("both", "listed")])
def test_calls_stay_under_the_bound_and_values_are_those_of_every_mixture(
    model, calls, bound, large, how, tools, monkeypatch
):
    examples = inputs(6, 1, *((2, 5) if large != "background" else ()))
    background = inputs(9, 2, *((3, 8) if large != "examples" else ()))
    blocks = tools.random_blocks(3, 9, n_blocks=3, n_coalitions=4, n_rows=3)
    if how == "listed":
        blocks = make_design("exact", n_players=3, budget=64, background_weights=np.full(9, 1 / 9), seed=0)
        monkeypatch.setattr(mixing, "is_worth_it", lambda differing, n_players: np.ones(len(differing), bool))
    found = model.block_values(examples, background, PLAYERS, blocks)[..., 0]
    np.testing.assert_allclose(found, expected(examples, background, blocks), rtol=1e-9, atol=1e-9)
    assert len(calls.seen) > 4
    # One mixture has two large columns at most.
    assert max(calls.sizes()) <= bound


def test_small_rows_share_calls_and_bits_as_if_there_were_no_large_ones(model, bound, tools):
    examples, background = inputs(40, 1, 20, 39), inputs(9, 2)
    small = np.setdiff1d(np.arange(40), [20, 39])
    blocks = tools.random_blocks(3, 9, n_blocks=3, n_coalitions=4, n_rows=3)
    alone = model.block_values(examples.take(small), background, PLAYERS, blocks)
    np.testing.assert_array_equal(model.block_values(examples, background, PLAYERS, blocks)[small], alone)
    np.testing.assert_array_equal(model.predict(examples)[small], model.predict(examples.take(small)))


@pytest.mark.parametrize("last", [False, True])
def test_predictions_are_made_in_small_calls(model, calls, bound, last):
    """Also of a large row that comes last, and would be repeated to fill up a call."""
    rows = inputs(50, 1, 49 if last else 3, 7)
    found = model.predict(rows)[:, 0]
    assert max(calls.sizes()) <= bound
    np.testing.assert_allclose(found, truth(rows), rtol=1e-9)


def test_a_row_too_large_for_a_call_of_its_own_is_refused_in_a_sentence(model, monkeypatch):
    monkeypatch.setattr(call_bytes, "MAX_CALL_BYTES", 2_000)
    monkeypatch.setattr(call_bytes, "MAX_ROW_BYTES", 20_000)
    rows = inputs(5, 1, 2)
    with pytest.raises(ModelCallError, match=r"for one row, where .* GiB is the most; shorten them"):
        model.predict(rows)
    small = rows.take(np.array([0, 1, 3, 4]))
    np.testing.assert_allclose(model.predict(small)[:, 0], truth(small), rtol=1e-9)
