"""Gradients along paths, of models whose integrals are known."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tfx_explain.errors import InputError, ModelError
from tfx_explain.models import load_model
from tfx_explain.models.features import Inputs

FEATURES = ("u", "v", "w")
PLAYERS = [["u"], ["v"], ["w"]]


def tensors_model(directory, score, features=FEATURES):
    """A model whose signature takes one float per feature, and rows for it."""
    module = tf.Module()
    specs = [tf.TensorSpec([None], tf.float32, name) for name in features]
    module.serve = tf.function(lambda *columns: {"y": score(*columns)}, input_signature=specs)
    tf.saved_model.save(module, str(directory), signatures={"serving_default": module.serve})
    return load_model(str(directory), output_space="raw")


def rows(n, seed, features=FEATURES):
    rng = np.random.default_rng(seed)
    return Inputs(n, {name: rng.normal(size=n).astype(np.float32) for name in features})


def midpoints(n, m):
    return np.tile((np.arange(m) + 0.5) / m, (n, 1))


def integrated(paths, starts, ends, n_steps, outputs):
    alphas = midpoints(len(starts), n_steps)
    return paths.along(starts, ends, alphas, np.full_like(alphas, 1 / n_steps), outputs)


FORMULAS = {
    "linear": (lambda u, v, w: 2 * u - 3 * v + 0.5 * w, 1),
    # The midpoint rule is exact for gradients that are linear along the path.
    "quadratic": (lambda u, v, w: u * u - 3 * v * v + u * w + v, 1),
    "multilinear": (lambda u, v, w: u * v * w + u * v - w, 200),
}


@pytest.mark.parametrize("name", FORMULAS)
def test_contributions_add_up_to_the_difference(tmp_path, name):
    score, n_steps = FORMULAS[name]
    model, x, b = tensors_model(tmp_path, score), rows(5, 1), rows(5, 2)
    paths = model.paths(b, PLAYERS)
    ends, starts, outputs = paths.enter(x), paths.enter(b), np.zeros((5, 1), np.int64)
    made = integrated(paths, starts, ends, n_steps, outputs)
    assert made.shape == (5, 3, 1)
    np.testing.assert_allclose(made.sum(axis=1), model.predict(x) - model.predict(b), atol=1e-4)
    two = paths.values(starts, ends, np.tile([0.0, 1.0], (5, 1)), outputs)
    np.testing.assert_allclose(two[:, :, 0], np.hstack([model.predict(b), model.predict(x)]), rtol=1e-5, atol=1e-5)


def test_each_feature_of_a_quadratic_form_has_its_own_integral(tmp_path):
    model, x, b = tensors_model(tmp_path, FORMULAS["quadratic"][0]), rows(5, 1), rows(5, 2)
    paths = model.paths(b, PLAYERS)
    made = integrated(paths, paths.enter(b), paths.enter(x), 1, np.zeros((5, 1), np.int64))[:, :, 0]
    (u, v, w), (p, q, r) = ([np.float64(of.columns[name]) for name in FEATURES] for of in (x, b))
    expected = [
        (u - p) * (u + p) + (u - p) * (w + r) / 2,
        -3 * (v - q) * (v + q) + v - q,
        (w - r) * (u + p) / 2,
    ]
    np.testing.assert_allclose(made, np.stack(expected, axis=1), rtol=1e-5, atol=1e-5)


def test_expected_gradients_are_what_their_definition_says(tmp_path):
    model, x, b = tensors_model(tmp_path, lambda u, v, w: tf.sin(u * v) + w * w * u), rows(3, 1), rows(4, 2)
    paths, rng = model.paths(b, PLAYERS), np.random.default_rng(0)
    ends, starts, outputs = paths.enter(x), paths.enter(b), np.zeros((3, 1), np.int64)
    weights = np.array([0.1, 0.2, 0.3, 0.4])
    alphas = (np.arange(5) + rng.random((3, 4, 5))) / 5
    pairs_of_x, pairs_of_b, pair_outputs = np.repeat(np.arange(3), 20), np.tile(np.repeat(np.arange(4), 5), 3), (60, 1)
    one = paths.along(
        starts.take(pairs_of_b),
        ends.take(pairs_of_x),
        alphas.reshape(-1, 1),
        np.ones((60, 1)),
        np.zeros(pair_outputs, np.int64),
    ).reshape(3, 4, 5, 3, 1)
    made = paths.expected(starts, ends, weights, alphas, outputs)
    y, w = one.mean(axis=2), weights[:, None, None]
    values = (w * y).sum(axis=1)
    bends = one[:, :, :-2] - 2 * one[:, :, 1:-1] + one[:, :, 2:]
    np.testing.assert_allclose(made.values, values, rtol=1e-6, atol=1e-7)
    spread = (w**2 * (y - values[:, None]) ** 2).sum(axis=1) * 4 / 3
    np.testing.assert_allclose(made.background_variance, spread, rtol=1e-6)
    design = (w**2 * (bends**2 / 6).mean(axis=2)).sum(axis=1) / 5
    np.testing.assert_allclose(made.design_variance, design, rtol=1e-5)


def test_one_reference_has_no_variance_of_references(tmp_path):
    model, x, b = tensors_model(tmp_path, FORMULAS["multilinear"][0]), rows(3, 1), rows(1, 2)
    paths = model.paths(b, PLAYERS)
    alphas = np.tile((np.arange(4) + 0.5) / 4, (3, 1, 1))
    made = paths.expected(paths.enter(b), paths.enter(x), np.ones(1), alphas, np.zeros((3, 1), np.int64))
    assert not made.background_variance.any()
    assert (made.design_variance > 0).any()


def test_a_feature_of_two_players_is_refused(tmp_path):
    model = tensors_model(tmp_path, FORMULAS["linear"][0])
    with pytest.raises(InputError, match="belongs to more than one player"):
        model.paths(rows(2, 0), [["u"], ["u", "v"]])


def test_python_models_have_no_gradients(tmp_path):
    module_file = tmp_path / "m.py"
    module_file.write_text("FEATURES = {'u': 'float32'}\ndef load_model(d):\n    return lambda c: c['u']\n")
    model = load_model("nowhere", module_file=str(module_file))
    with pytest.raises(ModelError, match="has no gradients; use `shapley`"):
        model.paths(rows(2, 0, ("u",)), [["u"]])
