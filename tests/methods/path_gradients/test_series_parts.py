"""Integrated gradients of windows and channels of a series, where what each value adds is known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import worlds
from attributing import Attributing, model_of
from tfx_explain.errors import ModelError
from tfx_explain.models import load_model

STEPS, CHANNELS = 6, 2
WEIGHTS = np.random.default_rng(0).normal(size=(STEPS, CHANNELS)).astype(np.float32)
SPECS = {"series": tf.TensorSpec([None, STEPS, CHANNELS], tf.float32), "x": tf.TensorSpec([None], tf.float32)}


def linear(series: Any, x: Any) -> Any:
    return tf.reduce_sum(series * WEIGHTS, [1, 2])[:, None] + x[:, None]


def product(series: Any, x: Any) -> Any:
    return tf.tanh(linear(series, 0.0 * x) / 4) * x[:, None]


def rows_of(n: int, seed: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    series = rng.normal(size=(n, STEPS * CHANNELS)).astype(np.float32)
    return {"series": list(series), "x": rng.normal(size=n).astype(np.float32)}


def at_work(directory: Path, score: Any, parts: dict[str, Any], specs: Any = None, rows: Any = None) -> Attributing:
    model = model_of(directory, score, SPECS if specs is None else specs)
    settings = {"integrated_gradients": {"parts": {"series": parts}}}
    return Attributing([model], rows_of(6, 1) if rows is None else rows, settings)


def known(rows: dict[str, Any], absent: Any = 0.0) -> np.ndarray:
    """(n, steps, channels) what each value adds to `linear`."""
    values = np.stack(rows["series"]).reshape(-1, STEPS, CHANNELS).astype(np.float64)
    return (values - absent) * WEIGHTS


@pytest.mark.parametrize("by", ["time", "channel", "both"])
def test_parts_of_a_linear_model(tmp_path, by):
    parts = {"by": by, "absent": "zero", **({} if by == "channel" else {"windows": 3})}
    rows = rows_of(7, 2)
    result = at_work(tmp_path, linear, parts).explain(rows)
    assert not result.errors
    added = known(rows).reshape(7, 3, 2, CHANNELS).sum(axis=2)
    expected = {"time": added.sum(axis=2), "channel": added.sum(axis=1), "both": added.reshape(7, 6)}[by]
    found = result.sides[0].parts["series"]
    np.testing.assert_allclose(found.attributions[:, 0], expected.reshape(-1), atol=1e-5)
    assert (
        found.where[:2].tolist()
        == {
            "time": [[0, 2, -1], [2, 4, -1]],
            "channel": [[0, 6, 0], [0, 6, 1]],
            "both": [[0, 2, 0], [0, 2, 1]],
        }[by]
    )


def test_absent_is_the_mean_and_parts_add_up(tmp_path):
    background, rows = rows_of(6, 1), rows_of(5, 3)
    result = at_work(tmp_path / "linear", linear, {"windows": 6}).explain(rows)
    mean = np.stack(background["series"]).reshape(-1, STEPS, CHANNELS).mean(axis=(0, 1))
    expected = known(rows, mean).sum(axis=2).reshape(-1)
    np.testing.assert_allclose(result.sides[0].parts["series"].attributions[:, 0], expected, atol=1e-5)
    result = at_work(tmp_path / "product", product, {"windows": 6}).explain(rows)
    (of_product,) = result.sides
    np.testing.assert_allclose(of_product.parts["series"].sums(), of_product.attributions[:, 0], atol=1e-6)
    assert result.counts["above_max_completeness_gap"] == 0


def test_padding_is_the_rest(tmp_path):
    rows = rows_of(3, 4)
    for row, n_steps in enumerate((2, 6, 4)):
        rows["series"][row][n_steps * CHANNELS :] = 0
    background = rows_of(1, 1)
    background["series"][0][3 * CHANNELS :] = 0
    settings = {"window_length": 2, "padding": 0, "absent": 0.5}
    result = at_work(tmp_path, linear, settings, rows=background).explain(rows)
    found = result.sides[0].parts["series"]
    assert found.lengths.tolist() == [2, 4, 3]
    assert found.where[[1, 5, 8]].tolist() == [[2, 2, -1], [6, 6, -1], [4, 4, -1]]
    reference = np.where(np.arange(STEPS) < 3, 0.5, 0.0)[:, None]
    added = known(rows, reference).sum(axis=2)
    expected = [added[0, :2].sum(), added[0, 2:].sum(), *added[1].reshape(3, 2).sum(axis=1), 0.0]
    expected += [added[2, :2].sum(), added[2, 2:4].sum(), added[2, 4:].sum()]
    np.testing.assert_allclose(found.attributions[:, 0], expected, atol=1e-5)


def test_lists_that_are_padded_in_the_graph(tmp_path):
    def score(parsed: Any) -> Any:
        return tf.reduce_sum(parsed["series"].to_tensor(shape=[None, STEPS]) * WEIGHTS[:, 0], axis=1) + parsed["x"]

    spec = {"series": tf.io.RaggedFeature(tf.float32), "x": tf.io.FixedLenFeature([], tf.float32)}
    model = load_model(worlds.save_serving_model(tmp_path, score, spec), output_space="raw")
    lists = [[1.0, 2.0], [], [3.0] * 8, [1.0, -1.0, 4.0]]
    rows = {"series": lists, "x": np.zeros(4, np.float32)}
    background = {"series": [[1.0, 1.0, 1.0, 1.0]], "x": np.zeros(1, np.float32)}
    settings = {"integrated_gradients": {"parts": {"series": {"window_length": 1, "absent": "zero"}}}}
    result = Attributing([model], background, settings).explain(rows)
    assert not result.errors
    found = result.sides[0].parts["series"]
    assert found.lengths.tolist() == [3, 1, 9, 4]
    own = WEIGHTS[:, 0].astype(np.float64)
    expected = [1 * own[0], 2 * own[1], 0, 0, *(3 * own), 0, 0, 0, own[0], -own[1], 4 * own[2], 0]
    np.testing.assert_allclose(found.attributions[:, 0], expected, atol=1e-5)


def test_a_series_that_is_not_read_value_by_value_is_refused(tmp_path):
    def filled(series: Any, x: Any) -> Any:
        missing = tf.math.is_nan(series)
        values = tf.concat([tf.where(missing, 0.0, series), tf.cast(missing, tf.float32)], axis=2)
        return tf.reduce_sum(values, [1, 2])[:, None] + x[:, None]

    with pytest.raises(ModelError, match="no single tensor of the series 'series' that holds its values"):
        at_work(tmp_path / "filled", filled, {"windows": 3})


def test_a_series_that_is_turned_around_is_read_where_it_enters(tmp_path):
    def turned(series: Any, x: Any) -> Any:
        return linear(series[:, ::-1], x)

    rows = rows_of(2, 5)
    result = at_work(tmp_path, turned, {"windows": 3, "absent": "zero"}).explain(rows)
    added = np.stack(rows["series"]).reshape(2, STEPS, CHANNELS).astype(np.float64) * WEIGHTS[::-1]
    found = result.sides[0].parts["series"].attributions[:, 0]
    np.testing.assert_allclose(found, added.reshape(2, 3, -1).sum(axis=2).reshape(-1), atol=1e-5)
