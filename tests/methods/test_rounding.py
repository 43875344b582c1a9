"""What is smaller than the model's arithmetic can show is no effect: in attributions, profiles, losses and verdicts."""

from typing import Any

import numpy as np
import pytest

import tfx_explain
import worlds
from tfx_explain import ValidationConfig
from tfx_explain.explanation_validator.judge import judge
from tfx_explain.methods.rounding import level, rounding_floor, rounding_of_loss, settled, without_rounding

SINGLE = float(np.finfo(np.float32).eps)
DOUBLE = float(np.finfo(np.float64).eps)
NAMES = tuple(f"x{i}" for i in range(6))
IGNORED = NAMES[3:]


@pytest.mark.parametrize(
    ("background", "prediction", "expected"),
    [
        ([[0.5], [2.0]], [[1.0], [-4.0]], [[2 * SINGLE], [4 * SINGLE]]),
        ([[0.1], [2.0]], [[1.0], [-4.0]], [[2 * DOUBLE], [4 * DOUBLE]]),
        ([[1e200]], [[0.0]], [[1e200 * DOUBLE]]),
        ([[1e6, 1e-3]], [[1e6, 0.0]], [[1e6 * DOUBLE, 1e-3 * DOUBLE]]),
        ([[0.0]], [[0.0]], [[0.0]]),
    ],
)
def test_the_floor_is_one_unit_of_the_largest_output_in_its_own_type(background, prediction, expected):
    np.testing.assert_allclose(rounding_floor(np.array(prediction), np.array(background)), expected, rtol=1e-12)


def test_only_attributions_without_an_error_of_their_own_are_rounding_and_sums_stay():
    values = np.array([[3e-9, -1e-9, 0.5, -2e-9], [1e-9, 1e-9, 1e-9, 1e-9], [4e-8, 4e-8, 4e-8, 4e-8]])[..., None]
    errors = np.array([[0.0, 1e-3, 0.0, np.nan], np.zeros(4), np.zeros(4)])[..., None]
    found = without_rounding(values, errors, np.full((3, 1), 1e-7))
    np.testing.assert_array_equal(found[0, 0], [0.0])
    np.testing.assert_allclose(found[0, 1:], values[0, 1:], rtol=1e-7)
    np.testing.assert_allclose(found[0].sum(), values[0].sum(), rtol=1e-12)
    np.testing.assert_array_equal(found[1], np.zeros((4, 1)))
    # Together they are no rounding: sums stay what they are.
    np.testing.assert_array_equal(found[2], values[2])


def test_curves_are_level_where_they_move_by_rounding_and_a_slow_rise_is_kept():
    noise = np.array([5.0, 5.0 + 2e-7, 5.0 - 1e-7, 5.0])
    rise = 5.0 + np.arange(400) * 1e-7
    for curve in (noise, rise):
        found = level(curve[None, :, None], np.array([[SINGLE]]))[0, :, 0]
        assert (np.diff(found) >= 0).all()
        assert np.abs(found - curve).max() <= 4 * SINGLE
    assert settled(np.array([[np.nan]]), np.zeros((1, 1)), np.ones((1, 1))).tolist() != [[0.0]]


@pytest.mark.parametrize(("metric", "space"), [("mse", "raw"), ("log_loss", "logit"), ("log_loss", "probability")])
def test_rounding_of_a_loss_is_what_that_of_outputs_does_to_it(metric, space):
    outputs, labels, floor = np.array([[0.9, 0.1]]), np.array([1.0]), np.array([[1e-7, 1e-7]])
    slopes = {"mse": 2 * abs(0.9 - 1.0), "logit": 1 / (1 + np.exp(-0.8)), "probability": 1 / 0.1}
    found = rounding_of_loss(
        metric, space, outputs[:, : 1 if metric == "mse" else 2], labels, floor[:, : 1 if metric == "mse" else 2]
    )
    np.testing.assert_allclose(found, slopes.get(metric, slopes.get(space)) * 1e-7, rtol=1e-4)


@pytest.fixture(scope="module")
def explained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any]:
    """Two explanations, of different rows, of a network in 32 bits that multiplies three of its features by 0."""
    import tensorflow as tf

    root, rng = tmp_path_factory.mktemp("rounding"), np.random.default_rng(0)
    first = tf.constant(rng.normal(size=(6, 64)), tf.float32)
    second = tf.constant(rng.normal(size=(64, 1)) / 8, tf.float32)

    def score(features: dict[str, Any]) -> Any:
        rows = tf.stack([features[name] for name in NAMES], 1) * [1.0, 1.0, 1.0, 0.0, 0.0, 0.0]
        return (tf.nn.relu(rows @ first) @ second)[:, 0] + 1.0

    def rows(n: int, seed: int) -> list[dict[str, float]]:
        x = np.random.default_rng(seed).normal(size=(n, 6)).astype(np.float32)
        return [{**dict(zip(NAMES, map(float, row), strict=True)), "y": float(row[0] > 0)} for row in x]

    spec = {name: tf.io.FixedLenFeature([], tf.float32) for name in NAMES}
    model = worlds.save_serving_model(root / "model", score, spec)
    methods = [{"shapley": {"interactions": 2}}, {"partial_dependence": {"grid_size": 4}}]
    methods += [{name: {"metric": "mse"}} for name in ("sage", "permutation_importance")]
    made = []
    for place, (n_train, n_eval) in enumerate(((40, 60), (40, 61))):
        examples = worlds.write_splits(root / f"data{place}", rows, n_train, n_eval)
        config = {"splits": ["eval"], "label_key": "y", "background": {"num_rows": 32}, "methods": methods}
        config |= {"model": {"output_space": "raw"}, "features": {"include": list(NAMES)}}
        output = str(root / f"out{place}")
        made.append(tfx_explain.explain(model=model, examples=examples, output_dir=output, config=config))
    return made[0], made[1]


def test_features_that_a_model_multiplies_by_zero_have_no_effect_in_any_table(explained):
    explanation = explained[0]
    rows = explanation.attributions()
    assert (
        not rows[[f"{kind}_{name}" for kind in ("attribution", "std_error") for name in IGNORED]].to_numpy(float).any()
    )
    assert explanation.manifest["completeness_gap"]["max_relative"] < 1e-12
    table = explanation.importance
    assert set(table["method"]) == {"shapley", "sage", "permutation_importance"}
    assert not table.loc[table["player"].isin(IGNORED), ["value", "ci_low", "ci_high"]].to_numpy().any()
    pairs = explanation.interactions
    assert not pairs.loc[pairs["player_b"].isin(IGNORED), ["value", "ci_high"]].to_numpy().any()
    assert not explanation.profiles.query("feature in @IGNORED and kind == 'curve'")["step"].fillna(0.0).any()


@pytest.mark.parametrize(
    ("rule", "settings", "outcome"),
    [
        ("canary", {"feature": "x5", "players": ["x4"]}, "insufficient_evidence"),
        ("canary", {"feature": "x5", "players": ["x0"]}, "pass"),
        ("sign", {"players": ["x5"], "direction": "positive"}, "fail"),
        ("sign", {"players": ["x5"], "direction": "negative"}, "fail"),
        ("top_k_includes", {"players": ["x3"], "k": 3}, "fail"),
        ("top_k_includes", {"players": ["x5"], "k": 4}, "insufficient_evidence"),
        ("top_k_includes", {"players": ["x3"], "k": 5}, "insufficient_evidence"),
        ("max_share", {"players": ["x4"], "value": 1e-12}, "pass"),
        ("min_share", {"players": ["x4"], "value": 1e-12}, "fail"),
        ("min_importance", {"players": ["x4"], "value": 1e-12}, "fail"),
        ("monotonic", {"feature": "x4", "direction": "increasing"}, "pass"),
        ("monotonic", {"feature": "x4", "direction": "decreasing"}, "pass"),
        ("max_interaction", {"players": ["x0", "x4"], "value": 1e-12}, "pass"),
    ],
)
def test_rules_do_not_decide_on_rounding(explained, rule, settings, outcome):
    (finding,) = judge(explained[0], ValidationConfig.from_dict({"rules": [{rule: settings}]})).findings
    assert finding.outcome == outcome, finding.message


DRIFT = ("total_variation", "l_infinity", "rank_reversal", "sign_flips", "z_score", "importance_ratio")


@pytest.mark.parametrize("measure", DRIFT)
def test_rounding_does_not_drift(explained, measure):
    rule = {"drift": {"measure": measure, "max": 1.0 if measure == "importance_ratio" else 0.0, "players": [*IGNORED]}}
    (finding,) = judge(explained[0], ValidationConfig.from_dict({"rules": [rule]}), explained[1]).findings
    assert finding.outcome == "pass", finding.message


@pytest.mark.parametrize("measure", ["jensen_shannon", "l_infinity", "wasserstein"])
def test_distributions_of_rounding_do_not_drift(explained, measure):
    # That none of so many rows has an effect leaves room for a few percent of all rows.
    rule = {"attribution_drift": {"measure": measure, "max": 0.1, "players": [*IGNORED]}}
    (finding,) = judge(explained[0], ValidationConfig.from_dict({"rules": [rule]}), explained[1]).findings
    assert finding.value == 0.0
    assert finding.outcome == "pass", finding.message
