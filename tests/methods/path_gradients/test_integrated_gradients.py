"""Integrated gradients of models whose integrals are known, and of models that are hard to integrate."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import worlds
from attributing import Attributing, floats, model_of
from tfx_explain.errors import ModelError
from tfx_explain.models import load_model

U_V_W = floats("u", "v", "w")


def rows_of(n: int, seed: int, names: tuple[str, ...] = ("u", "v", "w")) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    return {name: rng.normal(size=n).astype(np.float32) for name in names}


def integrated(model: Any, background: Any, **settings: Any) -> Attributing:
    return Attributing([model], background, {"integrated_gradients": settings})


def checked(result: Any, max_gap: float = 0.01) -> np.ndarray:
    """(n, d, c) attributions that add up, as far as they should, to what the row says."""
    (rows,) = result.sides
    gap = rows.attributions.sum(axis=1) - (rows.prediction - rows.base_value)
    np.testing.assert_allclose(rows.completeness_gap, gap, atol=1e-9 * (1 + np.abs(rows.prediction).max()))
    assert (np.abs(gap) <= max_gap * (1 + np.abs(rows.prediction))).all()
    assert result.counts["above_max_completeness_gap"] == 0
    return rows.attributions


def linear(u: Any, v: Any, w: Any, b: Any, c: Any, d: Any) -> list[Any]:
    return [2 * (u - b), -3 * (v - c), 0.5 * (w - d)]


def quadratic(u: Any, v: Any, w: Any, b: Any, c: Any, d: Any) -> list[Any]:
    return [(u - b) * (u + b + (w + d) / 2), -3 * (v - c) * (v + c), (w - d) * (u + b) / 2]


def multilinear(u: Any, v: Any, w: Any, b: Any, c: Any, d: Any) -> list[Any]:
    """A factor's part of u v w is its change times the mean of v w, c d and the mixed ones, these with half weight."""

    def part(x: Any, y: Any, z: Any, of_x: Any, of_y: Any, of_z: Any) -> Any:
        return (x - of_x) * (y * z / 3 + of_y * of_z / 3 + (y * of_z + of_y * z) / 6)

    pair = [(u - b) * (v + c) / 2, (v - c) * (u + b) / 2, -(w - d)]
    return [part(u, v, w, b, c, d) + pair[0], part(v, u, w, c, b, d) + pair[1], part(w, u, v, d, b, c) + pair[2]]


FORMULAS = {
    "linear": (lambda u, v, w: 2 * u - 3 * v + 0.5 * w, linear),
    "quadratic": (lambda u, v, w: u * u - 3 * v * v + u * w, quadratic),
    "multilinear": (lambda u, v, w: u * v * w + u * v - w, multilinear),
}


@pytest.mark.parametrize("name", FORMULAS)
def test_known_integrals(tmp_path, name):
    score, formula = FORMULAS[name]
    reference = {"u": 0.25, "v": -1.5, "w": 0.75}
    at_work = integrated(model_of(tmp_path, score, U_V_W), rows_of(4, 0), references=reference)
    rows = rows_of(30, 1)
    found = checked(at_work.explain(rows))[:, :, 0]
    exact = np.stack(formula(*(rows[k].astype(np.float64) for k in "uvw"), *reference.values()), axis=1)
    np.testing.assert_allclose(found, exact, rtol=1e-6, atol=1e-6 * np.abs(exact).max())
    assert at_work.spent == {"references": 1}


def test_one_reference_and_products_have_shapley_values(tmp_path):
    model, background, rows = model_of(tmp_path, FORMULAS["multilinear"][0], U_V_W), rows_of(1, 2), rows_of(20, 3)
    shapley = Attributing([model], background, {"shapley": {"estimator": "exact"}}).explain(rows).sides[0].attributions
    found = checked(integrated(model, background).explain(rows))
    np.testing.assert_allclose(found, shapley, rtol=1e-5, atol=1e-6 * np.abs(shapley).max())


def test_references_of_the_background_stand_for_all(tmp_path):
    model = model_of(tmp_path, lambda u, v, w: tf.sin(u) * v + w, U_V_W)
    background, rows = rows_of(6, 4), rows_of(5, 5)
    whole = integrated(model, background, num_references=6, max_completeness_gap=1e-4)
    several = integrated(model, background, num_references=3)
    one = integrated(model, background)
    (of_whole,), (of_several,), (of_one,) = (at_work.explain(rows).sides for at_work in (whole, several, one))
    # All of them: the mean of what each gives.
    single = [
        integrated(model, {k: v[[i]] for k, v in background.items()}, max_completeness_gap=1e-4).explain(rows).sides[0]
        for i in range(6)
    ]
    np.testing.assert_allclose(of_whole.attributions, np.mean([s.attributions for s in single], axis=0), atol=1e-5)
    np.testing.assert_allclose(of_whole.base_value, np.mean([s.base_value for s in single], axis=0), atol=1e-6)
    spread = np.std([s.attributions for s in single], axis=0, ddof=1) / np.sqrt(6)
    np.testing.assert_allclose(of_whole.background_std_error, spread, rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(of_whole.background_dof, 5)
    assert not of_one.background_std_error.any()
    assert (of_several.background_std_error > 0).any()
    described = several.described()
    assert described["num_references"] == len(described["background_rows"]) == 3
    assert sum(described["reference_weights"]) == pytest.approx(1)
    assert max(described["reference_weights"]) > 1 / 6


def kinds_of_features(tmp_path):
    """Floats, a vector, whole numbers, and a text that is looked up, of one model."""
    specs = {
        "age": tf.TensorSpec([None], tf.float32),
        "scores": tf.TensorSpec([None, 3], tf.float32),
        "visits": tf.TensorSpec([None], tf.int64),
        "city": tf.TensorSpec([None], tf.string),
    }
    table, hidden = tf.random.stateless_normal([4, 5], [1, 2]), tf.random.stateless_normal([10, 8], [3, 4]) / 3

    def score(age: Any, scores: Any, visits: Any, city: Any) -> Any:
        is_city = tf.cast(tf.equal(city[:, None], tf.constant(["", "Graz", "Linz", "Wels"])), tf.float32)
        vector = tf.concat([age[:, None], scores, tf.cast(visits, tf.float32)[:, None], is_city @ table], axis=1)
        return tf.tanh(vector @ hidden) @ tf.ones([8, 1])

    rng = np.random.default_rng(0)
    rows = {
        "age": rng.normal(size=20).astype(np.float32),
        "scores": list(rng.normal(size=(20, 3)).astype(np.float32)),
        "visits": rng.integers(0, 4, 20).tolist(),
        "city": [[b"Graz", b"Linz", b"Wels"][i] for i in rng.integers(0, 3, 20)],
    }
    return model_of(tmp_path, score, specs), rows


@pytest.mark.parametrize(
    "references", ["zero", "background", {"city": "", "scores": [0, 0, 0], "age": 0, "visits": 0.0}]
)
def test_inputs_of_all_kinds_from_all_kinds_of_references(tmp_path, references):
    model, rows = kinds_of_features(tmp_path)
    background = {name: values[:6] for name, values in rows.items()}
    result = integrated(model, background, references=references).explain(rows)
    checked(result)
    zero = {"age": np.zeros(1, np.float32), "scores": [np.zeros(3, np.float32)], "visits": [0], "city": [b""]}
    at_zero = integrated(model, background).explain(zero).sides[0].prediction[0, 0]
    base = result.sides[0].base_value[:, 0]
    assert (base == base[0]).all()
    assert (base[0] == pytest.approx(at_zero, abs=1e-6)) == (references != "background")


def test_a_list_may_be_missing_in_a_reference(tmp_path):
    weights = tf.constant([1.0, 2.0, 4.0])

    def score(words: Any, u: Any) -> Any:
        bag = tf.stack([tf.reduce_sum(tf.cast(tf.equal(words, word), tf.float32), axis=1) for word in "abc"], axis=1)
        return tf.linalg.matvec(bag, weights) * u

    spec = {"words": tf.io.RaggedFeature(tf.string), "u": tf.io.FixedLenFeature([], tf.float32)}

    def serve(row: Any) -> Any:
        # How many words there are shows a list of one empty text, too.
        return score(row["words"].to_tensor(""), row["u"]) + tf.cast(row["words"].row_lengths(), tf.float32)

    path = worlds.save_serving_model(tmp_path, serve, spec)
    model = load_model(path, output_space="raw")
    background = {"words": [[b"a"], [b"b", b"b"]], "u": [1.0, 2.0]}
    rows = {"words": [[b"c", b"a"], [b"b"], []], "u": [2.0, 1.0, 3.0]}
    result = integrated(model, background, references={"words": None}).explain(rows)
    np.testing.assert_allclose(result.sides[0].base_value, 0.0)
    np.testing.assert_allclose(checked(result).sum(axis=1)[:, 0], [12.0, 3.0, 0.0], atol=1e-5)
    whole = integrated(model, background, references="zero").explain(rows)
    np.testing.assert_allclose(whole.sides[0].base_value, 0.0)


@pytest.mark.parametrize("kind", ["layer norm", "rectifier"])
def test_a_reference_of_zeros_where_the_slope_breaks(tmp_path, kind):
    names = ("a", "b", "c", "d")
    weights = tf.random.stateless_normal([4, 8], [5, 6])

    def score(*columns: Any) -> Any:
        x = tf.stack(columns, axis=1)
        if kind == "rectifier":
            return tf.nn.relu(x @ weights - 0.01) @ tf.ones([8, 1])
        centred = x - tf.reduce_mean(x, axis=1, keepdims=True)
        scaled = centred / tf.sqrt(tf.reduce_mean(centred * centred, axis=1, keepdims=True) + 1e-5)
        return scaled @ weights @ tf.ones([8, 1])

    at_work = integrated(
        model_of(tmp_path, score, floats(*names)), rows_of(5, 6, names), references="zero", max_completeness_gap=1e-3
    )
    result = at_work.explain(rows_of(40, 7, names))
    checked(result, 1e-3)
    # Steps in equal parts would have to be as narrow as the break is: thousands.
    assert result.counts["integrated_gradients_gradient_rows"] < 450 * 40


def test_against_many_nodes_on_a_smooth_network(tmp_path):
    names = tuple("abcdefgh")
    first, second = (
        tf.random.stateless_normal([8, 32], [7, 8]) / 8**0.5,
        tf.random.stateless_normal([32, 3], [9, 10]) / 4,
    )
    model = model_of(
        tmp_path, lambda *columns: tf.nn.softplus(tf.tanh(tf.stack(columns, 1) @ first) @ second), floats(*names)
    )
    background, rows = rows_of(1, 8, names), rows_of(16, 9, names)
    found = checked(integrated(model, background).explain(rows))
    x, b = (np.stack(list(part.values()), axis=1).astype(np.float64) for part in (rows, background))
    nodes, weights = np.polynomial.legendre.leggauss(512)
    points = tf.Variable(b + (nodes[:, None, None] + 1) / 2 * (x - b))
    exact = []
    for k in range(3):
        with tf.GradientTape() as tape:
            y = tf.nn.softplus(tf.tanh(points @ tf.cast(first, tf.float64)) @ tf.cast(second, tf.float64))[..., k]
        exact.append(np.einsum("m,mnd->nd", weights / 2, tape.gradient(y, points)) * (x - b))
    exact = np.stack(exact, axis=-1)
    assert (np.linalg.norm(found - exact, axis=1) <= 1e-4 * np.linalg.norm(exact, axis=1)).all()


def test_an_embedding_and_a_mask_of_the_same_ids(tmp_path, caplog):
    table = tf.random.stateless_normal([6, 4], [11, 12])

    def score(ids: Any, u: Any) -> Any:
        mask = tf.cast(tf.not_equal(ids, 0), tf.float32)
        mean = tf.reduce_sum(tf.gather(table, ids) * mask[:, :, None], 1) / (tf.reduce_sum(mask, 1) + 1)[:, None]
        return tf.reduce_sum(tf.tanh(mean) * u[:, None], axis=1)

    specs = {"ids": tf.TensorSpec([None, 3], tf.int64), "u": tf.TensorSpec([None], tf.float32)}
    model = model_of(tmp_path, score, specs)
    rng = np.random.default_rng(0)
    rows = {"ids": [row.tolist() for row in rng.integers(0, 6, (20, 3))], "u": rng.normal(size=20).astype(np.float32)}
    with caplog.at_level(logging.WARNING, "tfx_explain"):
        at_work = integrated(model, {k: v[:4] for k, v in rows.items()}, references="zero")
        result = at_work.explain(rows)
    (side,) = result.sides
    gap = side.attributions.sum(axis=1) - (side.prediction - side.base_value)
    np.testing.assert_allclose(side.completeness_gap, gap, atol=1e-9)
    is_far = (np.abs(gap) > 0.01 * (1 + np.abs(side.prediction)) + 1e-6).any(axis=1)
    # Either all of it moves, or what does not is named, and rows that miss the true difference are counted.
    assert result.counts["above_max_completeness_gap"] >= is_far.sum()
    if is_far.any():
        assert "ids" in at_work.described()["note"]
        assert [record.message for record in caplog.records] == [at_work.described()["note"]]
    else:
        assert "note" not in at_work.described()


def test_rows_that_take_too_many_steps_are_kept_and_counted(tmp_path):
    model = model_of(tmp_path, lambda u, v, w: tf.nn.relu(u + v - 0.37) + tf.floor(w + 0 * u) + w, U_V_W)
    background = {"u": [0.0], "v": [0.0], "w": [0.5]}
    rows = {"u": [1.0, 0.1, 1.0], "v": [1.0, 0.2, 1.0], "w": [0.7, 0.9, 3.5]}
    result = integrated(model, background, max_steps=24).explain(rows)
    assert not result.errors
    assert result.counts["above_max_completeness_gap"] == 2
    assert result.counts["integrated_gradients_gradient_rows"] == 3 * 24
    assert abs(result.sides[0].completeness_gap[2, 0]) > 2
    assert integrated(model, background).explain(rows).counts["above_max_completeness_gap"] == 1


def test_rows_without_finite_gradients_are_errors_and_leave_others_alone(tmp_path):
    # Half-way between the reference and the second row there is no logarithm.
    model = model_of(tmp_path, lambda u, v, w: tf.math.log((u - v) ** 2 - 0.5) + w, U_V_W)
    background = {"u": [1.0], "v": [0.0], "w": [0.0]}
    rows = {"u": [2.0, 0.0, 3.0], "v": [0.5, 1.0, 1.0], "w": [1.0, 1.0, 1.0]}
    at_work = integrated(model, background)
    result = at_work.explain(rows)
    assert list(result.errors) == [1]
    assert "NaN or infinite on the way from a reference row" in result.errors[1]
    assert len(result.sides[0].attributions) == 2
    alone = at_work.explain(rows, [0, 2]).sides[0]
    np.testing.assert_array_equal(result.sides[0].attributions, alone.attributions)


def test_bits_do_not_depend_on_the_batch(tmp_path):
    weights = tf.random.stateless_normal([3, 16], [13, 14])
    model = model_of(tmp_path, lambda *c: tf.nn.relu(tf.stack(c, 1) @ weights) @ tf.ones([16, 1]), U_V_W)
    at_work = integrated(model, rows_of(6, 10), num_references=2)
    rows = rows_of(30, 11)
    together = at_work.explain(rows).sides[0]
    for part in ([4], [29, 3], list(range(17))):
        alone = at_work.explain(rows, part).sides[0]
        for name in vars(alone).keys() - {"parts"}:
            np.testing.assert_array_equal(getattr(alone, name), getattr(together, name)[part], err_msg=name)


def test_what_a_model_does_not_use_is_exactly_0(tmp_path):
    model = model_of(tmp_path, lambda u, v, w: tf.tanh(u) * v + 0.0 * w, U_V_W)
    (side,) = integrated(model, rows_of(1, 12)).explain(rows_of(20, 13)).sides
    assert not side.attributions[:, 2].any()
    assert not side.std_error[:, 2].any()
    assert (side.attributions[:, :2] != 0).all()


def test_a_model_without_gradients_is_refused_before_the_job(tmp_path):
    model = model_of(tmp_path, lambda u, v, w: tf.floor(u + v) + w, U_V_W)
    with pytest.raises(ModelError, match="`shapley`"):
        integrated(model, rows_of(3, 14))


@pytest.mark.parametrize("method", ["integrated_gradients", {"expected_gradients": {"num_samples": 12}}])
def test_each_row_has_the_outputs_that_it_asks_for(tmp_path, method):
    weights = tf.random.stateless_normal([3, 4], [15, 16])
    model = model_of(tmp_path, lambda *columns: tf.tanh(tf.stack(columns, 1)) @ weights, U_V_W)
    background, rows = rows_of(4, 15), rows_of(12, 16)

    def found(classes: Any) -> Any:
        config = {"model": {"output_space": "raw", "classes": classes}}
        (side,) = Attributing([model], background, method, config).explain(rows).sides
        return side

    every, some, best = found(None), found([3, 1]), found("predicted")
    predicted = every.prediction.argmax(axis=1)
    assert len(set(predicted)) > 1
    for name in ("attributions", "prediction", "base_value", "completeness_gap"):
        values = getattr(every, name)
        np.testing.assert_allclose(getattr(some, name), values[..., [3, 1]], rtol=1e-5, atol=1e-6)
        asked = values[np.arange(12), ..., predicted]
        np.testing.assert_allclose(getattr(best, name)[..., 0], asked, rtol=1e-5, atol=1e-6)
