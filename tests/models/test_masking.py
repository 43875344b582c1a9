"""What does not depend on the make of the model: chunks, bits, threads, the place where rows are mixed."""

from __future__ import annotations

import functools
import gc
import threading
import weakref
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfx_explain.attribution import make_design
from tfx_explain.attribution.prefixes import PrefixCoalitions
from tfx_explain.errors import InputError
from tfx_explain.models import chunks as chunks_module
from tfx_explain.models import graph_engine, graph_mixing, lattice, load_model, load_module_model, pieces
from tfx_explain.models import host as host_module
from tfx_explain.models.features import Ragged
from tfx_explain.models.hoist import hoist, unhoisted
from tfx_explain.models.pieces import Piece

PLAYERS = [["age", "rate"], ["color"], ["codes"], ["notes"]]


@pytest.fixture(scope="module")
def mixed(mixed_model_dir, mixed_data):
    model = load_model(mixed_model_dir, output_space="raw")
    make = lambda n, seed: model.inputs(mixed_data.batch(mixed_data.rows(n, seed)))  # noqa: E731
    return model, make


@pytest.fixture(scope="module")
def dense_dir(tmp_path_factory):

    keras.utils.set_random_seed(5)
    inputs = {f"f{i}": keras.Input((1,), name=f"f{i}") for i in range(6)}
    hidden = keras.layers.Normalization(mean=[0.1] * 6, variance=[2.0] * 6)(
        keras.layers.Concatenate()(list(inputs.values()))
    )
    net = keras.Model(inputs, keras.layers.Dense(1, "sigmoid")(keras.layers.Dense(64, "relu")(hidden)))
    path = str(tmp_path_factory.mktemp("dense"))
    net.export(path, verbose=False)
    return path


@pytest.fixture(scope="module")
def dense(dense_dir, tools):
    model = load_model(dense_dir)
    data = tools.Data({f"f{i}": ("float", 1, 1, 0.0) for i in range(6)})
    return model, lambda n, seed: model.inputs(data.batch(data.rows(n, seed)))


DENSE_PLAYERS = [[f"f{i}"] for i in range(6)]


@pytest.mark.parametrize("max_rows", [1, 7, 24, 10_000])
@pytest.mark.parametrize("kind", ["mixed", "dense"])
def test_chunks_change_nothing(request, kind, max_rows, tools, monkeypatch):
    model, make = request.getfixturevalue(kind)
    players = PLAYERS if kind == "mixed" else DENSE_PLAYERS
    x, b, blocks = make(3, 1), make(9, 2), tools.random_blocks(len(players), 9, n_blocks=2, n_coalitions=5)
    expected = model.block_values(x, b, players, blocks)
    monkeypatch.setattr(
        graph_mixing.BoundGraph, "max_rows", property(lambda self: max_rows, lambda self, _: None), raising=False
    )
    np.testing.assert_allclose(model.block_values(x, b, players, blocks), expected, rtol=2e-6)


@pytest.mark.parametrize("rows", [[3, 0], [4, 1, 2, 0, 3], []])
@pytest.mark.parametrize("kind", ["mixed", "dense"])
@pytest.mark.parametrize("enumerated", [False, True])
def test_some_rows_have_the_values_they_have_among_all(request, kind, enumerated, rows, tools):
    model, make = request.getfixturevalue(kind)
    players = PLAYERS if kind == "mixed" else DENSE_PLAYERS
    blocks = tools.random_blocks(len(players), 9, n_blocks=2, n_coalitions=5)
    if enumerated:
        weights = np.full(9, 1 / 9)
        blocks = make_design("exact", n_players=len(players), budget=64, background_weights=weights, seed=0)
    x, b = make(5, 1), make(9, 2)
    expected = model.block_values(x, b, players, blocks)[rows]
    found = model.block_values(x, b, players, blocks, rows=np.array(rows, np.int64), typical_examples=(3, 4))
    np.testing.assert_allclose(found, expected, rtol=2e-6)


@pytest.mark.parametrize("n_block_rows", [1, 3])
@pytest.mark.parametrize("rows_per_tile", [1, 20, 45])
def test_tiles_of_a_compiled_call_change_nothing(dense, dense_dir, n_block_rows, rows_per_tile, tools, monkeypatch):
    _, make = dense
    x, b = make(7, 1), make(9, 2)
    blocks = tools.random_blocks(6, 9, n_blocks=4, n_coalitions=5, n_rows=n_block_rows)
    expected = load_model(dense_dir).block_values(x, b, DENSE_PLAYERS, blocks)
    monkeypatch.setattr(chunks_module, "_ROWS_PER_TILE", rows_per_tile)
    model = load_model(dense_dir)
    found = model.block_values(x, b, DENSE_PLAYERS, blocks)
    ((stage, _),) = model._engine._stages.values()
    assert stage.compiles, "tiles were refused and rows ran uncompiled"
    assert stage._compiled.experimental_get_tracing_count() == 1
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, expected, rtol=2e-6)


@pytest.mark.parametrize("n", [1, 2, 3, 11])
def test_bits_do_not_depend_on_the_number_of_rows(dense, tools, n):
    model, make = dense
    x, b, blocks = make(40, 1), make(9, 2), tools.random_blocks(6, 9, n_blocks=3, n_coalitions=40, n_rows=3)
    some = np.arange(40)[-n:]
    whole, part = (model.block_values(rows, b, DENSE_PLAYERS, blocks) for rows in (x, x.take(some)))
    np.testing.assert_array_equal(part, whole[some])
    np.testing.assert_array_equal(model.predict(x.take(some)), model.predict(x)[some])


def test_memory_of_one_call_is_bounded(dense, tools, monkeypatch):
    model, make = dense
    rows_seen = []
    values = graph_mixing.SelectedGraphRows.values

    def spy(self, piece):
        made = values(self, piece)
        rows_seen.append(made[..., 0].size * piece.index.shape[1])
        return made

    monkeypatch.setattr(graph_mixing.SelectedGraphRows, "values", spy)
    blocks = tools.random_blocks(6, 50, n_blocks=2, n_coalitions=6000, n_rows=50)
    model.block_values(make(3, 1), make(50, 2), DENSE_PLAYERS, blocks)
    assert max(rows_seen) <= 2**18
    assert sum(rows_seen) >= 3 * 2 * 6000 * 50


def test_no_coalitions_no_examples_no_players(dense, tools):
    model, make = dense
    x, b = make(2, 1), make(4, 2)
    empty = SimpleNamespace(
        coalitions=np.zeros((3, 0, 6), bool),
        background_index=np.zeros((3, 2), np.int32),
        background_weight=np.ones((3, 2)),
    )
    assert model.block_values(x, b, DENSE_PLAYERS, empty).shape == (2, 3, 0, 1)
    assert model.block_values(x.take(np.arange(0)), b, DENSE_PLAYERS, tools.random_blocks(6, 4)).shape == (0, 3, 5, 1)
    assert model.predict(x.take(np.arange(0))).shape == (0, 1)
    nobody = tools.random_blocks(0, 4)
    values = model.block_values(x, b, [], nobody)
    np.testing.assert_allclose(values, np.broadcast_to(model.predict(x)[:, None, None], values.shape), rtol=1e-5)


def test_full_coalition_is_the_prediction_and_the_empty_one_the_background(mixed):
    model, make = mixed
    x, b = make(4, 1), make(6, 2)
    blocks = SimpleNamespace(
        coalitions=np.array([[[True] * 4, [False] * 4]]),
        background_index=np.arange(6, dtype=np.int32)[None],
        background_weight=np.full((1, 6), 1 / 6),
    )
    players = [*PLAYERS[:3], ["notes", "unused"]]
    values = model.block_values(x, b, players, blocks)[:, 0]
    np.testing.assert_allclose(values[:, 0], model.predict(x), rtol=1e-5)
    np.testing.assert_allclose(values[:, 1, 0], model.predict(b).mean(), rtol=1e-5)


def test_weights_are_normalised_in_each_block(dense, tools):
    model, make = dense
    x, b, blocks = make(2, 1), make(9, 2), tools.random_blocks(6, 9)
    expected = model.block_values(x, b, DENSE_PLAYERS, blocks)
    blocks.background_weight = blocks.background_weight * np.array([[1e-3], [1.0], [7.0]])
    np.testing.assert_allclose(model.block_values(x, b, DENSE_PLAYERS, blocks), expected, rtol=1e-12)


def test_rows_are_mixed_after_the_concatenation(dense, tools):
    model, make = dense
    graph = model._engine._graph
    hoisted = hoist(graph, {f"f{i}": i for i in range(6)}, make(5, 0))
    assert [port.spec.shape for port in hoisted.graph.ports] == [(6,)]
    assert sorted(hoisted.owners[0]) == list(range(6))


def test_lookups_and_sparse_features_leave_the_mixed_graph(mixed):
    model, make = mixed
    owners = {name: p for p, names in enumerate(PLAYERS) for name in names}
    hoisted = hoist(model._engine._graph, owners, make(8, 0))
    assert {port.encoding for port in hoisted.graph.ports} == {"dense"}
    assert "string" not in {port.spec.dtype for port in hoisted.graph.ports}


def test_hoisting_changes_no_value(mixed, tools, monkeypatch):
    model, make = mixed
    x, b, blocks = make(5, 1), make(9, 2), tools.random_blocks(4, 9)
    late = model.block_values(x, b, PLAYERS, blocks)
    monkeypatch.setattr(graph_engine, "hoist", lambda graph, owners, background: unhoisted(graph, owners))
    model._engine._stages.clear()
    early = model.block_values(x, b, PLAYERS, blocks)
    model._engine._stages.clear()
    np.testing.assert_allclose(early, late, rtol=1e-6)


def test_rows_longer_than_any_tried_are_still_right(tmp_path, tools):
    """The width of a padded tensor is the longest row's; the background alone must not fix it."""
    kernel = tf.constant([[0.7], [-0.2]])

    def serve(examples):
        spec = {"w": tf.io.VarLenFeature(tf.float32), "x": tf.io.FixedLenFeature([1], tf.float32)}
        parsed = tf.io.parse_example(examples, spec)
        n_rows, longest = tf.unstack(parsed["w"].dense_shape)
        shape = tf.stack([n_rows, tf.maximum(longest, 1)])
        wide = tf.sparse.to_dense(tf.SparseTensor(parsed["w"].indices, parsed["w"].values, shape))
        total = tf.reduce_sum(tf.sin(wide * parsed["x"]), axis=1, keepdims=True)
        return {"p": tf.tanh(tf.concat([total, parsed["x"]], axis=1)) @ kernel}

    module = tf.Module()
    module.serve = tf.function(serve, input_signature=[tf.TensorSpec([None], tf.string)])
    tf.saved_model.save(module, str(tmp_path), signatures={"serving_default": module.serve})
    model, call = load_model(str(tmp_path)), tools.call_on_examples(str(tmp_path), "p")
    rng = np.random.default_rng(0)
    rows = lambda n, k: [{"w": rng.normal(size=k).astype("f").tolist(), "x": [float(i)]} for i in range(n)]  # noqa: E731
    examples, background = rows(3, 4), rows(5, 1)
    data = tools.Data({"w": ("float", 0, 4, 0), "x": ("float", 1, 1, 0)})
    blocks = tools.random_blocks(2, 5)
    x, b = (model.inputs(data.batch(r)) for r in (examples, background))
    values = model.block_values(x, b, [["w"], ["x"]], blocks)
    expected = tools.expected_block_values(call, examples, background, [["w"], ["x"]], blocks)
    np.testing.assert_allclose(values, expected, rtol=1e-5, atol=1e-6)


def test_threads_share_a_model(mixed_model_dir, mixed_data, tools):
    model = load_model(mixed_model_dir)
    x, b = (model.inputs(mixed_data.batch(mixed_data.rows(n, n))) for n in (6, 8))
    blocks, results = tools.random_blocks(4, 8), {}

    def work(i):
        results[i] = model.block_values(x, b, PLAYERS, blocks)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4
    for i in range(1, 4):
        np.testing.assert_array_equal(results[i], results[0])


def test_a_model_can_be_weakly_referenced_and_dies(mixed_model_dir):
    model = load_model(mixed_model_dir)
    reference = weakref.ref(model)
    del model
    gc.collect()
    assert reference() is None


@pytest.mark.parametrize(
    ("players", "index", "sentence"),
    [
        ([["f0"], ["f0"], ["f1"], ["f2"], ["f3"], ["f4"]], 0, "Feature 'f0' belongs to more than one player"),
        ([["f0"]], 0, "The coalitions are of 6 players, but 1 were given"),
        (DENSE_PLAYERS, 9, "The blocks read background row 9, but there are only 4 rows"),
    ],
)
def test_impossible_requests(dense, tools, players, index, sentence):
    model, make = dense
    blocks = tools.random_blocks(6, 4)
    blocks.background_index[0, 0] = index
    with pytest.raises(InputError, match=sentence):
        model.block_values(make(2, 1), make(4, 2), players, blocks)


def test_ragged_rows_are_taken_in_order_and_more_than_once():
    ragged = Ragged.from_lengths(np.arange(6), np.array([2, 0, 3, 1]))
    taken = ragged.take(np.array([2, 0, 0, 1, 3]))
    assert [taken.values[a:b].tolist() for a, b in zip(taken.row_splits[:-1], taken.row_splits[1:], strict=True)] == [
        [2, 3, 4], [0, 1], [0, 1], [], [5],
    ]  # fmt: skip


def test_not_a_number_is_passed_on(dense, tools):
    model, make = dense
    x = make(2, 1)
    x.columns["f3"][1] = np.nan
    assert np.isnan(model.predict(x)).ravel().tolist() == [False, True]
    values = model.block_values(x, make(4, 2), DENSE_PLAYERS, tools.random_blocks(6, 4))
    assert np.isfinite(values[0]).all()
    assert np.isnan(values[1]).any()


def test_not_a_number_that_the_model_makes_is_passed_on(tmp_path, tools):
    """Compiled by XLA, relu6(log(-1)) would be a harmless 0."""
    module = tf.Module()
    specs = [tf.TensorSpec([None], tf.float32, name) for name in ("f0", "f1")]
    module.serve = tf.function(lambda f0, f1: {"y": tf.nn.relu6(tf.math.log(f0 + f1))}, input_signature=specs)
    tf.saved_model.save(module, str(tmp_path), signatures={"serving_default": module.serve})
    model, data = load_model(str(tmp_path)), tools.Data({"f0": ("float", 1, 1, 0), "f1": ("float", 1, 1, 0)})
    make = lambda f: model.inputs(data.batch([{"f0": [f], "f1": [f]}]))  # noqa: E731
    blocks = SimpleNamespace(
        coalitions=np.array([[[True, True], [True, False], [False, False]]]),
        background_index=np.zeros((1, 1), np.int32),
        background_weight=np.ones((1, 1)),
    )
    values = model.block_values(make(-3.0), make(2.0), [["f0"], ["f1"]], blocks).ravel()
    np.testing.assert_allclose(values, [np.nan, np.nan, np.log(4)], rtol=1e-6)


def test_host_models_are_called_with_bounded_rows(monkeypatch, tmp_path, tools):
    module_file = tmp_path / "m.py"
    module_file.write_text(
        "FEATURES = {'f0': 'float32', 'f1': 'float32'}\n"
        "def load_model(model_dir):\n    return lambda c: c['f0'] * c['f1']\n"
    )
    model, seen = load_module_model(str(module_file), "nowhere"), []
    outputs = host_module.HostEngine.outputs
    monkeypatch.setattr(
        host_module.HostEngine, "outputs", lambda self, rows: seen.append(len(rows)) or outputs(self, rows)
    )
    data = tools.Data({"f0": ("float", 1, 1, 0), "f1": ("float", 1, 1, 0)})
    make = lambda n, seed: model.inputs(data.batch(data.rows(n, seed)))  # noqa: E731
    model.block_values(
        make(3, 0), make(50, 1), [["f0"], ["f1"]], tools.random_blocks(2, 50, n_coalitions=900, n_rows=50)
    )
    assert max(seen) <= 16_384
    assert sum(seen) == 3 * 3 * 900 * 50


def test_masks_that_are_not_kept_change_nothing(dense, tools, monkeypatch):
    model, make = dense
    x, b, blocks = make(30, 1), make(9, 2), tools.random_blocks(6, 9, n_blocks=3, n_coalitions=5)
    monkeypatch.setattr(
        graph_mixing.BoundGraph, "max_rows", property(lambda self: 45, lambda self, _: None), raising=False
    )
    monkeypatch.setattr(lattice, "_CALLS_PER_MASK", 4)
    made, real = [], Piece.tensors.func
    counting = functools.cached_property(lambda piece: made.append(piece) or real(piece))
    counting.__set_name__(Piece, "tensors")
    monkeypatch.setattr(Piece, "tensors", counting)
    kept = model.block_values(x, b, DENSE_PLAYERS, blocks)
    n_pieces = len(made)
    monkeypatch.setattr(pieces, "_MOST_KEPT_MASKS", 0)
    np.testing.assert_array_equal(model.block_values(x, b, DENSE_PLAYERS, blocks), kept)
    assert len(made) == n_pieces + n_pieces * 8  # 30 calls, 4 at a time


def test_coalitions_of_permutations_are_made_a_call_at_a_time(dense, tools, monkeypatch):
    model, make = dense
    x, b = make(8, 1), make(9, 2)
    design = make_design("permutation", n_players=6, budget=40, background_weights=np.full(9, 1 / 9), seed=0)
    as_array = SimpleNamespace(
        coalitions=np.asarray(design.coalitions),
        background_index=design.background_index,
        background_weight=design.background_weight,
    )
    monkeypatch.setattr(
        graph_mixing.BoundGraph, "max_rows", property(lambda self: 45, lambda self, _: None), raising=False
    )
    monkeypatch.setattr(pieces, "_MOST_KEPT_MASKS", 0)
    made, real = [], PrefixCoalitions.__getitem__

    def part(self, places):
        made.append(real(self, places))
        return made[-1]

    monkeypatch.setattr(PrefixCoalitions, "__getitem__", part)
    found = model.block_values(x, b, DENSE_PLAYERS, design)
    np.testing.assert_array_equal(found, model.block_values(x, b, DENSE_PLAYERS, as_array))
    assert max(part.size for part in made) <= 45 * 6 < design.coalitions.size
