"""Gradients along paths, of models whose integrals are known."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from midpoints import midpoint_sums, whole
from path_models import FEATURES, GivenPlaces, rows, tensors_model
from tfx_explain.errors import InputError, ModelError
from tfx_explain.models import load_module_model
from tfx_explain.models.chunks import rows_that_round_alike
from tfx_explain.models.features import Inputs
from tfx_explain.models.path_gradients import PathSegments
from tfx_explain.models.path_pieces import Pieces
from tfx_explain.models.path_sums import OF_BENDS
from tfx_explain.models.path_sweeps import SweepLayout
from tfx_explain.paths import OF_DIFFERENCE, Rule, Steps, Swept

PLAYERS = [["u"], ["v"], ["w"]]
RULES = Rule(4, 4, 8), Rule(4, 4)
SWEEPS = Steps(54, True), Steps(162, False)


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
    made = midpoint_sums(paths, starts, ends, n_steps, outputs)
    assert made.shape == (5, 3, 1)
    np.testing.assert_allclose(made.sum(axis=1), model.predict(x) - model.predict(b), atol=1e-4)
    two = paths.values(starts, ends, np.tile([0.0, 1.0], (5, 1)), outputs)
    np.testing.assert_allclose(two[:, :, 0], np.hstack([model.predict(b), model.predict(x)]), rtol=1e-5, atol=1e-5)


def test_each_feature_of_a_quadratic_form_has_its_own_integral(tmp_path):
    model, x, b = tensors_model(tmp_path, FORMULAS["quadratic"][0]), rows(5, 1), rows(5, 2)
    paths = model.paths(b, PLAYERS)
    made = midpoint_sums(paths, paths.enter(b), paths.enter(x), 1, np.zeros((5, 1), np.int64))[:, :, 0]
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
    pairs_of_x, pairs_of_b = np.repeat(np.arange(3), 20), np.tile(np.repeat(np.arange(4), 5), 3)
    # The midpoint rule of a segment of width 1 around a step is the gradient there.
    middles = alphas.reshape(-1)
    segments = PathSegments(pairs_of_b, pairs_of_x, middles - 0.5, middles + 0.5)
    one = paths.refine(starts, ends, segments, outputs, Rule(1, 1)).sums.reshape(3, 4, 5, 3, 1)
    made = paths.expected(starts, ends, weights, GivenPlaces(alphas), outputs)
    y, w = one.mean(axis=2), weights[:, None, None]
    values = (w * y).sum(axis=1)
    places = alphas[..., None, None]
    slope = (one[:, :, 2:] - one[:, :, :-2]) / (places[:, :, 2:] - places[:, :, :-2])
    bend = one[:, :, 1:-1] - one[:, :, :-2] - slope * (places[:, :, 1:-1] - places[:, :, :-2])
    np.testing.assert_allclose(made.values, values, rtol=1e-6, atol=1e-7)
    spread = (w**2 * (y - values[:, None]) ** 2).sum(axis=1) * 4 / 3
    np.testing.assert_allclose(made.background_variance, spread, rtol=1e-6)
    design = (w**2 * ((slope / 5) ** 2 / 12 + OF_BENDS * bend**2).mean(axis=2)).sum(axis=1) / 5
    np.testing.assert_allclose(made.design_variance, design, rtol=1e-5)


def test_one_reference_has_no_variance_of_references(tmp_path):
    model, x, b = tensors_model(tmp_path, FORMULAS["multilinear"][0]), rows(3, 1), rows(1, 2)
    paths = model.paths(b, PLAYERS)
    alphas = np.tile((np.arange(4) + 0.5) / 4, (3, 1, 1))
    made = paths.expected(paths.enter(b), paths.enter(x), np.ones(1), GivenPlaces(alphas), np.zeros((3, 1), np.int64))
    assert not made.background_variance.any()
    assert (made.design_variance > 0).any()


def test_a_feature_of_two_players_is_refused(tmp_path):
    model = tensors_model(tmp_path, FORMULAS["linear"][0])
    with pytest.raises(InputError, match="belongs to more than one player"):
        model.paths(rows(2, 0), [["u"], ["u", "v"]])


def test_python_models_have_no_gradients(tmp_path):
    module_file = tmp_path / "m.py"
    module_file.write_text("FEATURES = {'u': 'float32'}\ndef load_model(d):\n    return lambda c: c['u']\n")
    model = load_module_model(str(module_file), "nowhere")
    with pytest.raises(ModelError, match="has no gradients; use `shapley`"):
        model.paths(rows(2, 0, ("u",)), [["u"]])


def test_outputs_beyond_the_last_are_refused(tmp_path):
    paths = tensors_model(tmp_path, FORMULAS["linear"][0]).paths(rows(2, 0), PLAYERS)
    points = paths.enter(rows(2, 0))
    with pytest.raises(InputError, match="Output 1 was asked for, but the model has 1"):
        paths.values(points, points, np.zeros((2, 1)), np.ones((2, 1), np.int64))


def dense_score(u, v, w):
    rng = np.random.default_rng(3)
    kernels = [tf.constant(rng.normal(size=shape).astype(np.float32)) for shape in ((3, 16), (16, 16), (16, 10))]
    hidden = tf.tanh(tf.tanh(tf.stack([u, v, w], axis=1) @ kernels[0]) @ kernels[1])
    return tf.nn.softmax(hidden @ kernels[2])


@pytest.fixture(scope="module")
def dense(tmp_path_factory):
    """A small network of ten outputs."""
    model = tensors_model(tmp_path_factory.mktemp("dense"), dense_score)
    return model, model.paths(rows(9, 2), PLAYERS)


def test_each_row_is_asked_for_outputs_of_its_own(dense):
    model, paths = dense
    x, b = rows(3, 1), rows(3, 2)
    # More than fit one call, in any order.
    outputs = np.stack([np.random.default_rng(row).permutation(10) for row in range(3)])
    made = midpoint_sums(paths, paths.enter(b), paths.enter(x), 256, outputs)
    difference = np.take_along_axis(model.predict(x) - model.predict(b), outputs, axis=1)
    np.testing.assert_allclose(made.sum(axis=1), difference, atol=1e-4)


@pytest.mark.parametrize("compiled", [True, False])
def test_a_row_has_the_same_bits_alone_and_among_others(dense, compiled, monkeypatch):
    _, paths = dense
    monkeypatch.setattr(paths._runner, "compiles", compiled)
    ends, starts, rng = paths.enter(rows(9, 1)), paths.enter(rows(9, 2)), np.random.default_rng(0)
    outputs, alphas = rng.integers(0, 10, (9, 2)), rng.random((9, 21))
    strata = np.sort(rng.random((9, 9, 50)), axis=2)

    def all_of(chosen):
        row = np.array(chosen)
        given = starts.take(row), ends.take(row), alphas[row]
        estimates = paths.expected(starts, ends.take(row), np.full(9, 1 / 9), GivenPlaces(strata[row]), outputs[row])
        first, later = (paths.refine(*given[:2], whole(len(row)), outputs[row], rule) for rule in RULES)
        swept = (paths.sweep(*given[:2], whole(len(row)), outputs[row], steps) for steps in SWEEPS)
        return [
            paths.values(*given, outputs[row]),
            *first,
            *later,
            *(part for of_steps in swept for part in of_steps),
            estimates.values,
            estimates.design_variance,
            estimates.background_variance,
        ]

    together = all_of([4, 8, 0, 1, 2, 3, 7, 6, 5])
    for place, row in ((0, 4), (1, 8), (8, 5)):
        for alone, among in zip(all_of([row]), together, strict=True):
            np.testing.assert_array_equal(alone[0], among[place])


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("rule", RULES)
def test_equal_segments_have_the_same_bits_in_any_tile(dense, rule, compiled, monkeypatch):
    _, paths = dense
    monkeypatch.setattr(paths._runner, "compiles", compiled)
    ends, starts, outputs = paths.enter(rows(1, 1)), paths.enter(rows(1, 2)), np.array([[3, 7]])
    nobody = np.zeros(200, np.int64)
    low = np.tile([0.0, 0.25], 100)
    made = paths.refine(starts, ends, PathSegments(nobody, nobody, low, low + 0.5), outputs, rule)
    alone = paths.refine(starts, ends, PathSegments(nobody[:2], nobody[:2], low[:2], low[:2] + 0.5), outputs, rule)
    assert paths._runner.tile(rule.n_points) < 200 / 3
    for many, two in zip(made, alone, strict=True):
        np.testing.assert_array_equal(many, np.tile(two, (100, *[1] * (two.ndim - 1))))


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("steps", SWEEPS)
def test_equal_paths_have_the_same_bits_in_any_tile(dense, steps, compiled, monkeypatch):
    _, paths = dense
    monkeypatch.setattr(paths._runner, "compiles", compiled)
    ends, starts, outputs = paths.enter(rows(2, 1)), paths.enter(rows(2, 2)), np.array([[3, 7], [0, 9]])
    n = 3 * SweepLayout(steps, 3).tile if compiled else 100
    two = whole(2)
    made = paths.sweep(starts, ends, two.take(np.arange(n) % 2), outputs, steps)
    for many, alone in zip(made, paths.sweep(starts, ends, two, outputs, steps), strict=True):
        np.testing.assert_array_equal(many, alone[np.arange(n) % 2])


@pytest.mark.parametrize("compiled", [True, False])
def test_sweeps_are_sums_over_their_steps(dense, compiled, monkeypatch):
    """The midpoint rule of a segment of width 1 around a step is the gradient there."""
    _, paths = dense
    monkeypatch.setattr(paths._runner, "compiles", compiled)
    ends, starts, outputs = paths.enter(rows(2, 1)), paths.enter(rows(2, 2)), np.array([[3, 7], [0, 9]])

    def at(alphas):
        """(2, ..., 3, 2) what players change per unit of alpha."""
        middles, rows_of = np.tile(alphas.ravel(), 2), np.repeat([0, 1], alphas.size)
        segments = PathSegments(rows_of, rows_of, middles - 0.5, middles + 0.5)
        return paths.refine(starts, ends, segments, outputs, Rule(1, 1)).sums.reshape(2, *alphas.shape, 3, 2)

    first, later = SWEEPS
    found = Swept(*paths.sweep(starts, ends, whole(2), outputs, first))
    old, newer, new = (at(group).sum(axis=2) for group in first.groups)
    coarse, fine = 3 * (newer * 3 / 8 + old / 4) / 18, 3 * (new * 3 / 8 + (old + newer) / 4) / 54
    ends_of_paths = paths.values(starts, ends, np.tile([0.0, 1.0], (2, 1)), outputs)
    variance = OF_DIFFERENCE * (fine - coarse) ** 2
    of_blocks = variance.sum(axis=2)
    expected = ends_of_paths, fine.sum(axis=1), variance.sum(axis=1), of_blocks, old + newer + new, fine
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=2e-3, atol=3e-6 * np.abs(theirs).max() + 1e-12)
    (sums,) = paths.sweep(starts, ends, whole(2), outputs, later)
    np.testing.assert_allclose(sums, at(later.groups[0]).sum(axis=2), rtol=1e-4, atol=1e-5 * np.abs(sums).max())


@pytest.mark.parametrize("compiled", [True, False])
def test_equal_rows_have_the_same_bits_wherever_they_stand(tmp_path, compiled, monkeypatch):
    features = tuple(f"f{i:02}" for i in range(14))
    model = tensors_model(tmp_path, lambda *columns: tf.tanh(tf.add_n(columns)) * columns[0], features)
    paths = model.paths(rows(3, 0, features), [[name] for name in features])
    monkeypatch.setattr(paths._runner, "compiles", compiled)
    ends = paths.enter(rows(1, 1, features)).take(np.zeros(64, np.intp))
    strata = np.tile((np.arange(50) + 0.3) / 50, (64, 1, 1))
    made = paths.expected(
        paths.enter(rows(1, 2, features)), ends, np.ones(1), GivenPlaces(strata), np.zeros((64, 1), np.int64)
    )
    for estimate in (made.values, made.design_variance):
        assert len(np.unique(estimate, axis=0)) == 1


def test_compiled_or_not_contributions_are_the_same(dense, monkeypatch):
    _, paths = dense
    assert paths._runner.compiles
    ends, starts, outputs = paths.enter(rows(4, 1)), paths.enter(rows(4, 2)), np.ones((4, 1), np.int64)
    strata = np.sort(np.random.default_rng(0).random((4, 4, 16)), axis=2)

    def both():
        estimates = paths.expected(starts, ends, np.array([0.1, 0.2, 0.3, 0.4]), GivenPlaces(strata), outputs)
        return [midpoint_sums(paths, starts, ends, 16, outputs), *vars(estimates).values()]

    compiled = both()
    assert paths._runner.compiles, "XLA refused"
    monkeypatch.setattr(paths._runner, "compiles", False)
    for ours, theirs in zip(compiled, both(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-6)


def test_many_steps_from_one_reference_are_more_than_one_call(dense, monkeypatch):
    _, paths = dense
    ends, starts, rng = paths.enter(rows(3, 1)), paths.enter(rows(2, 2)), np.random.default_rng(0)
    places = GivenPlaces(np.sort(rng.random((3, 2, 40)), axis=2))
    given = starts, ends, np.array([0.3, 0.7]), places, np.ones((3, 1), np.int64)
    whole = paths.expected(*given)
    monkeypatch.setattr(paths._runner, "rows_per_call", 32)
    in_parts = paths.expected(*given)
    for name in ("values", "design_variance", "background_variance"):
        np.testing.assert_allclose(getattr(in_parts, name), getattr(whole, name), rtol=1e-3, atol=1e-9)


def test_references_that_do_not_fit_one_call_count_once(dense, monkeypatch):
    _, paths = dense
    ends, starts, rng = paths.enter(rows(3, 1)), paths.enter(rows(7, 2)), np.random.default_rng(0)
    places = GivenPlaces(np.sort(rng.random((3, 7, 4)), axis=2))
    given = starts, ends, np.full(7, 1 / 7), places, np.ones((3, 1), np.int64)
    whole = paths.expected(*given)
    monkeypatch.setattr(paths._runner, "rows_per_call", 20)
    in_parts = paths.expected(*given)
    for name in ("values", "design_variance", "background_variance"):
        np.testing.assert_allclose(getattr(in_parts, name), getattr(whole, name), rtol=1e-3, atol=1e-9)


def test_what_the_model_makes_no_number_of_stays_none(tmp_path):
    """Compiled by XLA, relu6(1 / sqrt(-1)) would be a harmless 0."""
    model = tensors_model(tmp_path, lambda u, v, w: tf.nn.relu6(tf.math.rsqrt(u + v)) + w)
    x, b = rows(3, 1), rows(3, 2)
    for of in (x, b):
        of.columns["u"][:], of.columns["v"][:] = -1.0, -1.0
    paths = model.paths(b, PLAYERS)
    made = paths.values(paths.enter(b), paths.enter(x), np.full((3, 1), 0.5), np.zeros((3, 1), np.int64))
    assert np.isnan(made).all()


def test_only_rows_that_are_no_numbers_are_no_numbers(dense):
    _, paths = dense
    x = rows(3, 1)
    x.columns["v"][1] = np.nan
    made = midpoint_sums(paths, paths.enter(rows(3, 2)), paths.enter(x), 16, np.zeros((3, 1), np.int64))
    assert np.isnan(made).any(axis=(1, 2)).tolist() == [False, True, False]


def test_what_does_not_move_contributes_nothing_even_where_its_gradient_is_infinite(tmp_path):
    model = tensors_model(tmp_path, lambda u, v, w: tf.sqrt(u) + v + w)
    x, b = rows(2, 1), rows(2, 2)
    x.columns["u"][:] = b.columns["u"][:] = 0.0
    paths = model.paths(b, PLAYERS)
    made = midpoint_sums(paths, paths.enter(b), paths.enter(x), 4, np.zeros((2, 1), np.int64))
    assert not made[:, 0].any()
    np.testing.assert_allclose(made.sum(axis=1), model.predict(x) - model.predict(b), rtol=1e-4, atol=1e-6)


def test_features_of_no_player_stay_those_of_the_end(tmp_path):
    model, x, b = tensors_model(tmp_path, FORMULAS["multilinear"][0]), rows(4, 1), rows(4, 2)
    paths = model.paths(b, [["u", "v"], ["unheard of"]])
    made = midpoint_sums(paths, paths.enter(b), paths.enter(x), 64, np.zeros((4, 1), np.int64))
    assert not made[:, 1].any()
    mixed = Inputs(4, {**b.columns, "w": x.columns["w"]})
    np.testing.assert_allclose(made.sum(axis=1), model.predict(x) - model.predict(mixed), atol=1e-3)
    nobody = model.paths(b, [["unheard of"]])
    assert not midpoint_sums(nobody, nobody.enter(b), nobody.enter(x), 4, np.zeros((4, 1), np.int64)).any()


@pytest.mark.parametrize("n_points", [1, 2, 3, 5, 16, 21, 24, 100])
def test_pieces_hold_each_point_once(n_points):
    alphas = np.random.default_rng(n_points).random((3, n_points))
    pieces = Pieces.of(alphas, np.ones_like(alphas))
    kept = pieces.steps[1] > 0
    np.testing.assert_array_equal(pieces.steps[0][kept], alphas.ravel())
    np.testing.assert_array_equal(pieces.paths, np.repeat(np.arange(3), pieces.per_path))
    assert pieces.steps[1].sum() == alphas.size


def test_no_rows(dense):
    _, paths = dense
    nobody = paths.enter(rows(3, 1)).take(np.arange(0))
    outputs = np.zeros((0, 2), np.int64)
    assert paths.values(nobody, nobody, np.zeros((0, 5)), outputs).shape == (0, 5, 2)
    assert midpoint_sums(paths, nobody, nobody, 5, outputs).shape == (0, 3, 2)
    some = paths.enter(rows(2, 1))
    assert paths.expected(some, nobody, np.ones(2) / 2, GivenPlaces(np.zeros((0, 2, 3))), outputs).values.shape == (
        0,
        3,
        2,
    )


@pytest.mark.parametrize("n_points", [3, 8, 16, 24])
@pytest.mark.parametrize("rows_per_call", [192, 384, 49_152])
def test_tiles_of_segments_leave_no_call_to_be_filled_up(dense, n_points, rows_per_call, monkeypatch):
    _, paths = dense
    monkeypatch.setattr(paths._runner, "rows_per_call", rows_per_call)
    n_rows = paths._runner.tile(n_points) * n_points
    assert rows_that_round_alike(n_rows) == n_rows
    assert min(rows_per_call, 768) / 2 < n_rows <= min(rows_per_call, 768)
