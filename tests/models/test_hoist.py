"""What is done once for each row, and what is done for each mixed one."""

import pytest
import tensorflow as tf

from tfx_explain.models import load_model
from tfx_explain.models.hoist import hoist


@pytest.mark.parametrize(
    ("scale", "late"),
    [(lambda x: x / 3.0, True), (lambda x: x - tf.reduce_mean(x, axis=0), False), (lambda x: tf.cumsum(x), False)],
)
def test_rows_are_mixed_before_what_looks_at_other_rows(tmp_path, tools, scale, late):
    module = tf.Module()
    specs = [tf.TensorSpec([None, 1], tf.float32, name) for name in ("f0", "f1")]
    module.serve = tf.function(lambda f0, f1: {"y": tf.tanh(scale(f0) * f1)}, input_signature=specs)
    tf.saved_model.save(module, str(tmp_path), signatures={"serving_default": module.serve})
    model, data = load_model(str(tmp_path)), tools.Data({"f0": ("float", 1, 1, 0), "f1": ("float", 1, 1, 0)})
    hoisted = hoist(model._engine._graph, {"f0": 0, "f1": 1}, model.inputs(data.batch(data.rows(8, 0))))
    names = hoisted.graph.reachable([hoisted.graph.output], [port.tensors[0] for port in hoisted.graph.ports])
    nodes = {node.name: node.op for node in hoisted.graph.graph_def.node}
    ports = {port.tensors[0] for port in hoisted.graph.ports}
    mixed = {nodes[name.split(":")[0]] for name in names - ports}
    assert "Mul" in mixed
    assert mixed.isdisjoint({"RealDiv", "Mean", "Cumsum"}) is late


@pytest.mark.parametrize("n_rows", [1, 2, 5, 8, 60])
def test_rows_are_mixed_before_what_rounds_by_place_however_many_are_tried(tmp_path, tools, n_rows):
    """As kernels do that take values eight at a time and round those that are left over otherwise."""

    def rounded(values):
        n = tf.size(values)
        return values + tf.where(tf.range(n) < n - n % 8, 0.0, 1e-6)

    def serve(examples):
        spec = {"w": tf.io.VarLenFeature(tf.float32), "x": tf.io.FixedLenFeature([1], tf.float32)}
        parsed = tf.io.parse_example(examples, spec)
        w = parsed["w"]
        shape = tf.stack([w.dense_shape[0], tf.constant(1, tf.int64)])
        filled = tf.sparse.to_dense(tf.SparseTensor(w.indices, rounded(w.values), shape))
        return {"y": tf.ensure_shape(filled, [None, 1]) * tf.tanh(parsed["x"])}

    module = tf.Module()
    module.serve = tf.function(serve, input_signature=[tf.TensorSpec([None], tf.string, "examples")])
    tf.saved_model.save(module, str(tmp_path), signatures={"serving_default": module.serve})
    model = load_model(str(tmp_path))
    data = tools.Data({"w": ("float", 1, 1, 0.0), "x": ("float", 1, 1, 0.0)})
    hoisted = hoist(model._engine._graph, {"w": 0, "x": 1}, model.inputs(data.batch(data.rows(n_rows, 0))))
    names = hoisted.graph.reachable([hoisted.graph.output], [port.tensors[0] for port in hoisted.graph.ports])
    nodes = {node.name: node.op for node in hoisted.graph.graph_def.node}
    assert "SparseToDense" in {nodes.get(name.split(":")[0]) for name in names}
