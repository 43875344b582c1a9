"""Models whose weights are drawn anew."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf

from tfx_explain.errors import ModelError
from tfx_explain.models import load_model, load_module_model
from tfx_explain.models.probe import Probe


class Net(tf.Module):
    """A normalization that was not trained, a matrix and a bias."""

    def __init__(self) -> None:
        super().__init__()
        self.mean = tf.Variable([5.0, 5.0], trainable=False)
        self.kernel = tf.Variable([[1.0], [2.0]])
        self.bias = tf.Variable([0.5])

    @tf.function(input_signature=[tf.TensorSpec([None, 2], tf.float32, name="x")])
    def serve(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"y": tf.matmul(x - self.mean, self.kernel) + self.bias}


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> str:
    where, net = str(tmp_path_factory.mktemp("net")), Net()
    tf.saved_model.save(net, where, signatures={"serving_default": net.serve})
    return where


def outputs(model, rows) -> np.ndarray:
    batch = pa.RecordBatch.from_arrays([pa.array(rows, pa.large_list(pa.float32()))], names=["x"])
    return model.predict(model.inputs(batch))[:, 0]


def test_weights_differ_by_seed_alone_and_the_model_stays_as_it_is(saved: str) -> None:
    model, rows = load_model(saved, output_space="raw"), [[6.0, 5.0], [5.0, 6.0], [5.0, 5.0]]
    before = outputs(model, rows)
    first, second = (outputs(model.with_random_weights(seed), rows) for seed in (0, 1))
    assert not np.allclose(first, before)
    assert not np.allclose(first, second)
    np.testing.assert_array_equal(outputs(model, rows), before)
    np.testing.assert_array_equal(outputs(load_model(saved, output_space="raw").with_random_weights(0), rows), first)
    # What was not trained stays: the third row is the mean, which leaves the bias, a single number without spread.
    np.testing.assert_allclose(first[2], 0.5)


def test_kernels_keep_their_size(tmp_path: Path) -> None:
    net = Net()
    net.kernel = tf.Variable(np.full((2, 4_000), 3.0, np.float32))
    net.bias = tf.Variable(np.full(4_000, 7.0, np.float32))
    tf.saved_model.save(net, str(tmp_path), signatures={"serving_default": net.serve})
    batch = pa.RecordBatch.from_arrays([pa.array([[6.0, 5.0]], pa.large_list(pa.float32()))], names=["x"])
    random = load_model(str(tmp_path), output_space="raw").with_random_weights(0)
    drawn = random.predict(random.inputs(batch))[0] - 7.0
    # 4,000 draws of N(0, 3): errors of mean and spread are 3 / sqrt(4000) and less.
    assert abs(drawn.mean()) < 5 * 3 / np.sqrt(4_000)
    assert abs(drawn.std() - 3) < 5 * 3 / np.sqrt(8_000)


class Line(tf.Module):
    """A vector of weights and a factor, no matrix."""

    def __init__(self) -> None:
        super().__init__()
        self.weights, self.factor = tf.Variable([0.5, 0.6]), tf.Variable(2.0)

    @tf.function(input_signature=[tf.TensorSpec([None, 2], tf.float32, name="x")])
    def serve(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"y": self.factor * tf.reduce_sum(x * self.weights, axis=1)}


def test_where_there_is_no_matrix_vectors_and_numbers_are_weights(tmp_path: Path) -> None:
    line = Line()
    tf.saved_model.save(line, str(tmp_path), signatures={"serving_default": line.serve})
    model = load_model(str(tmp_path), output_space="raw")
    drawn = np.array([outputs(model.with_random_weights(seed), [[1.0, 0.0], [0.0, 1.0]]) for seed in range(12)])
    # Of either sign, as only draws around 0 are.
    assert (np.sign(drawn) > 0).any(axis=0).all()
    assert (np.sign(drawn) < 0).any(axis=0).all()


def test_models_without_weights_are_refused(tmp_path: Path) -> None:
    net = Net()
    net.kernel, net.bias = tf.constant([[1.0], [2.0]]), tf.constant([0.5])
    tf.saved_model.save(net, str(tmp_path), signatures={"serving_default": net.serve})
    with pytest.raises(ModelError, match="no trainable weights"):
        load_model(str(tmp_path)).with_random_weights(0)


def test_python_models_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "model.py"
    file.write_text(
        "FEATURES = {'x': 'float32'}\n\n\ndef load_model(model_dir):\n    return lambda columns: columns['x'][:, 0]\n"
    )
    with pytest.raises(ModelError, match="Python file"):
        load_module_model(str(file), str(tmp_path), probe=Probe(1)).with_random_weights(0)
