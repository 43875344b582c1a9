"""A model that reads an image, a text and numbers, explained by several methods in one job."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import accessibility
import pictures
import tfx_explain
import worlds
from tfx_explain import ValidationConfig
from tfx_explain.explanation_validator.judge import judge
from tfx_explain.reader import ExplanationReader

N = 16
TEXTS = [b"a good film", b"bad, and not good", b"fine", b"good good bad", b"the plot is bad"]
EFFECTS = {b"good": 1.0, b"bad": -0.75}
SPEC = {
    "image": tf.io.FixedLenFeature([], tf.string),
    "review": tf.io.FixedLenFeature([], tf.string),
    "age": tf.io.FixedLenFeature([], tf.float32),
    "stars": tf.io.FixedLenFeature([], tf.float32),
}
METHODS = [
    {"shapley": {"parts": {"review": {}, "image": {"segments": 6, "model_rows": 256}}}},
    {"xrai": {"feature": "image"}},
    "integrated_gradients",
    {"expected_gradients": {"num_samples": 64}},
]
SLICES = ["overall", "half=0", "half=1"]


def make_rows(n: int, seed: int) -> list[dict[str, Any]]:
    stars = np.random.default_rng(seed + 7).normal(size=n).round(2)
    return [
        {**row, "review": TEXTS[i % len(TEXTS)], "stars": float(stars[i]), "id": i}
        for i, row in enumerate(pictures.make_rows(n, seed))
    ]


def word_score(texts: tf.Tensor) -> tf.Tensor:
    words = tf.strings.split(tf.strings.regex_replace(texts, r"[,\s]+", " "))
    effects = tf.zeros_like(words.values, tf.float32)
    for word, effect in EFFECTS.items():
        effects += tf.where(words.values == word, effect, 0.0)
    return tf.reduce_sum(words.with_values(effects), axis=1)


def parts_of_score(parsed: dict[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    square = pictures.decoded(parsed["image"])[:, pictures.SQUARE[0], pictures.SQUARE[1], 0]
    return tf.reduce_mean(tf.square(square), axis=[1, 2]), word_score(parsed["review"]), parsed["stars"]


def crossed(parsed: dict[str, tf.Tensor]) -> tf.Tensor:
    """Where everything meets everything."""
    image, words, stars = parts_of_score(parsed)
    return tf.tanh(image * (1.0 + words) + 0.5 * stars * words + 0.2 * parsed["age"])[:, None]


def additive(parsed: dict[str, tf.Tensor]) -> tf.Tensor:
    """Of which everything's part is known; at nobody's age."""
    image, words, stars = parts_of_score(parsed)
    return (image + words + 0.5 * stars + 0.0 * parsed["age"])[:, None]


@pytest.fixture(scope="module")
def explanation(tmp_path_factory: pytest.TempPathFactory) -> ExplanationReader:
    root = tmp_path_factory.mktemp("mixed")
    return tfx_explain.explain(
        model=worlds.save_serving_model(root / "model", crossed, SPEC),
        baseline_model=worlds.save_serving_model(root / "baseline", additive, SPEC),
        examples=worlds.write_splits(root / "examples", make_rows, 32, N, 2),
        output_dir=str(root / "out"),
        config={
            "methods": METHODS,
            "id_key": "id",
            "background": {"num_rows": 8},
            "model": {"output_space": "raw"},
            "slicing_specs": [{}, {"feature_keys": ["half"]}],
            "min_slice_examples": 4,
        },
    )


def test_each_method_adds_up(explanation: ExplanationReader) -> None:
    assert explanation.methods == ("shapley", "xrai", "integrated_gradients", "expected_gradients")
    assert explanation.players == ("age", "image", "review", "stars")
    assert not explanation.manifest["failures"].get("eval")
    for method in explanation.methods:
        rows = explanation.attributions(method=method)
        assert len(rows) == N
        for side in ("", "baseline_"):
            found = rows[[f"{side}attribution_{player}" for player in explanation.players]]
            assert np.isfinite(found.to_numpy()).all()
            assert (found[f"{side}attribution_image"].abs() > 1e-4).any()
            assert (found[f"{side}attribution_review"].abs() > 1e-3).any()
        found = rows[[f"attribution_{player}" for player in explanation.players]].sum(axis=1)
        gap = np.abs(found - (rows["prediction"] - rows["base_value"]))
        # Integrals stop at this gap; the mean of drawn points is off by its own error.
        errors = np.sqrt((rows[[f"std_error_{player}" for player in explanation.players]] ** 2).sum(axis=1))
        room = 0.01 * (1 + rows["prediction"].abs()) + (5 * errors if method == "expected_gradients" else 0.0)
        assert (gap <= (1e-5 if method == "shapley" else room)).all(), method


@pytest.mark.parametrize(("feature", "method"), [("review", "shapley"), ("image", "shapley"), ("image", "xrai")])
def test_parts_add_up_to_their_feature(explanation: ExplanationReader, feature: str, method: str) -> None:
    sums = explanation.parts(feature, method=method).groupby("example_id")["attribution"].sum()
    rows = explanation.attributions(method=method).set_index("example_id")[f"attribution_{feature}"]
    assert len(sums) == N
    np.testing.assert_allclose(sums, rows.loc[sums.index], atol=1e-5)
    assert explanation.image_map(rows.index[0], method=method if feature == "image" else None).shape == (
        pictures.SIZE,
        pictures.SIZE,
    )
    assert set(explanation.manifest["parts"]) == {"shapley", "xrai"}


def test_the_additive_model_has_the_parts_that_are_known(explanation: ExplanationReader) -> None:
    rows = explanation.attributions().set_index("id")
    own = {row["id"]: row for row in make_rows(N, 1)}
    known = [sum(EFFECTS.get(word.strip(b","), 0.0) for word in own[i]["review"].split()) for i in rows.index]
    np.testing.assert_allclose(rows["baseline_attribution_review"], known, atol=1e-5)
    np.testing.assert_allclose(rows["baseline_attribution_age"], 0.0, atol=1e-6)


def test_slices_and_differences_are_there_for_each_method(explanation: ExplanationReader) -> None:
    explanation.verify()
    for table in (explanation.importance, explanation.baseline_importance):
        for method in explanation.methods:
            ours = table[table["method"] == method]
            assert set(ours["slice"]) == set(SLICES)
            assert (ours.groupby("slice")["player"].nunique() == 4).all()
    assert set(explanation.slice_differences["method"]) == set(explanation.methods)
    both = explanation.baseline_importance.merge(
        explanation.importance, on=["slice", "output", "method", "player"], suffixes=("", "_model")
    )
    assert len(both) == len(SLICES) * 4 * 4
    np.testing.assert_allclose(both["difference"], both["value_model"] - both["value"], atol=1e-9)


def test_the_report_shows_image_and_text(explanation: ExplanationReader) -> None:
    page = explanation.report()
    assert accessibility.faults(page) == []
    assert "Image of row" in page
    assert "data:image/png" in page
    for name in ("image", "review", "age", "stars"):
        assert re.search(rf"\b{name}\b", page)
    assert "good" in page
    assert "PNG\r" not in page


@pytest.mark.parametrize(("most", "outcome"), [(1.0, "pass"), (1e-6, "fail")])
@pytest.mark.parametrize("method", ["shapley", "xrai", "integrated_gradients", "expected_gradients"])
def test_a_policy_judges_each_method(explanation: ExplanationReader, method: str, most: float, outcome: str) -> None:
    rule = {"max_share": {"players": ["image", "review"], "value": most, "method": method}}
    policy = ValidationConfig.from_dict(
        {"rules": [rule], "slicing_specs": [{}, {"feature_keys": ["half"]}], "min_slice_examples": 4}
    )
    verdict = judge(explanation, policy)
    assert {finding.outcome for finding in verdict.findings} == {outcome}
    assert {finding.slice_key for finding in verdict.findings} == set(SLICES)
    assert verdict.blessed == (outcome == "pass")
