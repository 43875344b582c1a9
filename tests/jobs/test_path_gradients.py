"""A whole job with Shapley values, integrated and expected gradients: baseline model, slices, groups, weights."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

import formats
import tfx_explain
import worlds
from tfx_explain.config import ValidationConfig
from tfx_explain.explanation_validator.judge import judge
from tfx_explain.reader import ExplanationReader
from tfx_explain.report import render_explanation

METHODS: list[Any] = [
    "shapley",
    {"integrated_gradients": {"num_references": 100}},
    {"expected_gradients": {"num_samples": 96, "max_relative_error": 0.02}},
]
CONFIG: dict[str, Any] = {
    "background": {"num_rows": 8},
    "features": {"groups": {"money": ["income", "debt"]}},
    "example_weight_key": "application_id",
    "slicing_specs": [{"feature_keys": ["race"]}],
    "min_slice_examples": 5,
    "methods": METHODS,
}


def additive(features: dict[str, Any]) -> Any:
    """Two outputs in which players do not interact, one of them with a kink."""
    debt, is_b = tf.cast(features["debt"], tf.float32), tf.cast(tf.equal(features["race"], b"b"), tf.float32)
    first = 0.5 * features["age"] + tf.sin(features["income"]) * debt + 1.5 * is_b
    return tf.stack([first, tf.nn.relu(features["age"] - 4.0) - features["income"]], axis=1)


@pytest.fixture(scope="module")
def explained(tmp_path_factory: pytest.TempPathFactory) -> ExplanationReader:
    root = tmp_path_factory.mktemp("gradients")

    def save(name: str, scale: float) -> str:
        return worlds.save_serving_model(root / name, lambda features: scale * additive(features), worlds.FEATURES)

    return tfx_explain.explain(
        model=save("model", 1.0),
        baseline_model=save("other", 3.0),
        examples=worlds.write_splits(root / "examples", worlds.make_rows, 40, 50),
        output_dir=str(root / "out"),
        config=CONFIG,
    )


def of_method(explained: ExplanationReader, method: str, output: str) -> pd.DataFrame:
    rows = explained.attributions(method=method, output=output)
    return rows.sort_values("application_id").set_index("application_id")


def test_files_are_as_described_and_agree(explained: ExplanationReader) -> None:
    formats.check_files(explained)
    explained.verify()
    assert explained.methods == ("shapley", "integrated_gradients", "expected_gradients")
    assert "Integrated gradients" in explained.report()
    # Every output has a difference to the baseline model, which is three times as large.
    table = explained.baseline_importance
    assert set(table["method"]) == set(explained.methods)
    np.testing.assert_allclose(table["difference"], -2 / 3 * table["value"], atol=0.02 * table["value"].max())


@pytest.mark.parametrize("output", ["score[0]", "score[1]"])
def test_players_that_do_not_interact_have_the_same_attributions_by_all_methods(
    explained: ExplanationReader, output: str
) -> None:
    shapley = of_method(explained, "shapley", output)
    names = [f"attribution_{player}" for player in explained.players]
    size = np.abs(shapley[names].to_numpy()).sum(axis=1)
    integrated = of_method(explained, "integrated_gradients", output)
    off = np.abs(integrated[names].to_numpy() - shapley[names].to_numpy()).sum(axis=1)
    # Each path misses by 1 % of what moved along it, which is more than what is left of it on average.
    assert (off <= 0.05 * size + 0.01).all()
    assert np.median(off / size) < 0.01
    expected = of_method(explained, "expected_gradients", output)
    off = np.sqrt(np.square(expected[names].to_numpy() - shapley[names].to_numpy()).sum(axis=1))
    # Four standard errors.
    assert (off <= 4 * 0.02 * np.sqrt(np.square(shapley[names].to_numpy()).sum(axis=1)) + 1e-6).all()


def test_gaps_are_within_the_bound_and_counted(explained: ExplanationReader) -> None:
    for output in explained.outputs:
        rows = of_method(explained, "integrated_gradients", output)
        total = rows[[f"attribution_{player}" for player in explained.players]].sum(axis=1)
        np.testing.assert_allclose(
            rows["completeness_gap"], total - (rows["prediction"] - rows["base_value"]), atol=1e-5
        )
        assert (rows["completeness_gap"].abs() <= 0.01 * (1 + rows["prediction"].abs())).all()
    counts = explained.manifest["counts"]["eval"]
    assert counts["above_max_completeness_gap"] == 0
    assert counts["expected_gradients_above_max_relative_error"] == 0
    assert counts["expected_gradients_refined"] > 0
    assert counts["integrated_gradients_gradient_rows"] >= 24 * 8 * 50 * 2
    assert explained.manifest["completeness_gaps"]["integrated_gradients"]["max_relative"] <= 0.01
    described = explained.manifest["method"]
    assert described["integrated_gradients"]["num_references"] == 8
    assert described["expected_gradients"]["steps_per_reference"] == 12


def test_rules_judge_them(explained: ExplanationReader) -> None:
    rules: list[Any] = [
        {"max_completeness_gap": {"value": 0.011, "method": "integrated_gradients"}},
        {"max_share": {"players": ["race"], "value": 0.9, "method": "expected_gradients"}},
    ]
    verdict = judge(explained, ValidationConfig(rules=rules, min_slice_examples=5))
    assert verdict.blessed, [finding.message for finding in verdict.findings]


def test_drift_is_judged_by_the_method_that_a_rule_names(explained: ExplanationReader) -> None:
    """The baseline model is three times the model, so that shares are the same."""
    named = [*((method, "drift") for method in explained.methods), ("expected_gradients", "attribution_drift")]
    rules: list[Any] = [
        {"drift": {"measure": "total_variation", "max": 0.05, "method": method}} for method in explained.methods
    ]
    rules.append({"attribution_drift": {"measure": "wasserstein", "max": 50.0, "method": "expected_gradients"}})
    findings = judge(explained, ValidationConfig(rules=rules, min_slice_examples=5)).findings
    outcomes = [(one.settings["method"], one.rule, one.outcome) for one in findings if one.output == "score[1]"]
    assert outcomes == [(name, kind, "pass") for name, kind in named], outcomes
    with pytest.raises(
        tfx_explain.ConfigError, match=r"needs attributions by `sage`, but .* there are those by shapley"
    ):
        judge(
            explained,
            ValidationConfig(rules=[{"sign": {"players": ["race"], "direction": "positive", "method": "sage"}}]),
        )


def test_other_references_are_not_compared(explained: ExplanationReader, tmp_path: Path) -> None:
    shutil.copytree(explained.uri, tmp_path / "other")
    manifest = json.loads((tmp_path / "other/manifest.json").read_text())
    manifest["method"]["integrated_gradients"]["references_digest"] = "0123456789"
    (tmp_path / "other/manifest.json").write_text(json.dumps(manifest))
    other = tfx_explain.load(str(tmp_path / "other"))
    rule = {"measure": "ndcg", "max": 0.1, "against": "explanation"}
    for method, message in (
        ("integrated_gradients", r"differ in references of integrated_gradients \(\w{8} against 01234567\); explain"),
        ("expected_gradients", "is not what was written"),
    ):
        with pytest.raises(tfx_explain.InputError, match=message):
            judge(explained, ValidationConfig(rules=[{"drift": {**rule, "method": method}}]), other)


def test_report_says_what_the_base_value_is(explained: ExplanationReader) -> None:
    own = {name: dict(entry) for name, entry in explained.manifest["method"].items()}
    assert own["integrated_gradients"]["base_values"] == pytest.approx(list(explained.manifest["base_values"].values()))
    own["integrated_gradients"]["base_values"] = [123.25, 456.5]
    manifest = {**explained.manifest, "method": own, "attribution_methods": ["integrated_gradients"]}
    page = render_explanation(explained.uri, manifest)
    assert "from the base value, the output at the method&#39;s reference rows, to the prediction" in page
    assert "score[0] 123.2" in page
    assert "the mean over the background, to the prediction" in explained.report()


MISTAKES = [
    ({"references": {"years": 3}}, "names the feature `years`, which there is not"),
    ({"references": {"unused": 3}}, "names the feature `unused`, which no model reads"),
    ({"references": {"race": 3}}, "sets `race` to the number 3, but the model takes text"),
    ({"references": {"debt": 0.5}}, "sets `debt` to 0.5, but the model takes whole numbers"),
    ({"references": {"age": "old"}}, "sets `age` to the text 'old', but the model takes numbers"),
    ({"references": {"age": [1, 2]}}, "'age' has 2 values where the model takes 1"),
    ({"references": {"age": None}}, "'age' is missing and the model has no default"),
]
"""Settings, and the sentence about them."""


@pytest.mark.parametrize(("settings", "message"), MISTAKES)
def test_references_that_do_not_fit_are_refused(
    explained: ExplanationReader, settings: dict[str, Any], message: str
) -> None:
    root = explained.uri.removesuffix("/out")
    with pytest.raises(tfx_explain.ConfigError, match=message) as caught:
        tfx_explain.explain(
            model=f"{root}/model",
            examples=f"{root}/examples",
            output_dir=f"{root}/refused",
            config={"background": {"num_rows": 8}, "methods": [{"integrated_gradients": settings}]},
        )
    assert "`integrated_gradients.references`" in str(caught.value)
