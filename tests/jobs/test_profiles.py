"""Profiles through the whole job, on models whose curves are known."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

import tfx_explain
import worlds
from tfx_explain import ConfigError, tables

pytestmark = pytest.mark.usefixtures("without_statistics")

METHODS: list[dict[str, Any]] = [
    {"shapley": {}},
    {"partial_dependence": {"grid_size": 8, "num_ice": 3}},
    {"accumulated_local_effects": {"num_bins": 6}},
]


def run(model_dir: str, examples: str, output: Path, **config: Any) -> tfx_explain.ExplanationReader:
    settings = {"background": {"num_rows": 10}, "id_key": "application_id", "methods": METHODS, **config}
    return tfx_explain.explain(model=model_dir, examples=examples, output_dir=str(output), config=settings)


def curve(explanation: tfx_explain.ExplanationReader, method: str, feature: str, kind: str = "curve") -> pd.DataFrame:
    return explanation.profiles.query("method == @method and feature == @feature and kind == @kind")


@pytest.fixture(scope="module")
def explained(linear_model: str, linear_examples: str, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return run(linear_model, linear_examples, tmp_path_factory.mktemp("profiled") / "linear")


def test_linear_model_has_its_lines(explained: Any) -> None:
    rows = pd.DataFrame(worlds.make_rows(120, seed=2))
    prediction = np.array([worlds.linear_output(row) for row in worlds.make_rows(120, seed=2)])
    trained = pd.DataFrame(worlds.make_rows(300, seed=1))
    for name, weight in worlds.LINEAR_WEIGHTS.items():
        line = curve(explained, "partial_dependence", name)
        points = line["grid_value"].to_numpy()
        assert set(points) <= set(trained[name])
        np.testing.assert_allclose(line["value"], prediction.mean() + weight * (points - rows[name].mean()), atol=1e-5)
        np.testing.assert_allclose(np.diff(line["centred_value"]), weight * np.diff(points), rtol=1e-6, atol=1e-6)
        assert line["position"].tolist() == list(range(8))
        assert np.isnan(line["step"].iloc[0])
        np.testing.assert_allclose(line["step"].iloc[1:], weight * np.diff(points), rtol=1e-6, atol=1e-6)
        assert (line["step_std_error"].iloc[1:] < 1e-6).all()
        spread = (prediction - weight * rows[name]).std() / np.sqrt(120)
        np.testing.assert_allclose(line["std_error"], spread, rtol=1e-5)
        effects = curve(explained, "accumulated_local_effects", name)
        slope = np.diff(effects["value"]) / np.diff(effects["grid_value"])
        np.testing.assert_allclose(slope, weight, atol=1e-6)
        inside = rows[name].clip(trained[name].min(), trained[name].max())
        edges = effects["grid_value"].to_numpy()
        np.testing.assert_allclose(effects["value"], weight * (edges - inside.mean()), atol=1e-5)
        np.testing.assert_allclose(line["centred_value"], weight * (points - trained[name].mean()), atol=1e-5)
        assert effects["num_examples_of_point"].sum() == 120
        np.testing.assert_allclose(effects["step"].iloc[1:], np.diff(effects["value"]), atol=1e-9)
    assert (explained.profiles.query("kind == 'curve'")["num_examples"] == 120).all()


def test_text_has_a_level_each(explained: Any) -> None:
    levels = curve(explained, "partial_dependence", "race").set_index("level")
    assert sorted(levels.index) == ["a", "b"]
    assert levels["value"]["b"] - levels["value"]["a"] == pytest.approx(1.5, abs=1e-6)
    assert levels[["grid_value", "step", "step_std_error"]].isna().all(axis=None)
    left_out = explained.manifest["method"]["accumulated_local_effects"]["features_left_out"]
    assert list(left_out) == ["race"]
    assert "text" in left_out["race"]


def test_single_curves_are_those_of_the_rows_named(explained: Any) -> None:
    rows = {str(row["application_id"]): row for row in worlds.make_rows(120, seed=2)}
    for name in worlds.LINEAR_WEIGHTS:
        ice = curve(explained, "partial_dependence", name, "ice")
        assert ice["example_id"].nunique() == 3
        expected = [
            worlds.linear_output({**rows[example_id], name: value})
            for example_id, value in zip(ice["example_id"], ice["grid_value"], strict=True)
        ]
        np.testing.assert_allclose(ice["value"], expected, rtol=1e-6)
        assert ice["std_error"].isna().all()


def test_a_pair_has_a_surface(linear_model: str, linear_examples: str, tmp_path: Path) -> None:
    """Of a linear model, the sum of the two lines; of a pair with a word, a line for each level."""
    pairs = [["age", "income"], ["race", "debt"], ["age", "unused"]]
    settings = {"features": [], "pairs": pairs, "pair_grid_size": 4}
    explained = run(
        linear_model, linear_examples, tmp_path / "out", methods=[{"shapley": {}}, {"partial_dependence": settings}]
    )
    rows = pd.DataFrame(worlds.make_rows(120, seed=2))
    rows["race"] = rows["race"].map(worlds.RACE_EFFECT)
    weights = {**worlds.LINEAR_WEIGHTS, "race": 1.0}
    prediction = worlds.LINEAR_INTERCEPT + sum(weight * rows[name] for name, weight in weights.items())
    assert set(explained.profiles["kind"]) == {"surface"}
    for first, second in pairs[:2]:
        surface = explained.profiles.query("feature == @first and feature_b == @second")
        n_first, n_second = surface["position"].max() + 1, surface["position_b"].max() + 1
        assert surface["position"].tolist() == np.repeat(np.arange(n_first), n_second).tolist()
        assert surface["position_b"].tolist() == np.tile(np.arange(n_second), n_first).tolist()
        a = surface["grid_value"] if first == "age" else surface["level"].map({"a": 0.0, "b": 1.5})
        b = surface["grid_value_b"]
        rest = prediction - weights[first] * rows[first] - weights[second] * rows[second]
        np.testing.assert_allclose(
            surface["value"], rest.mean() + weights[first] * a + weights[second] * b, rtol=1e-5, atol=1e-5
        )
        np.testing.assert_allclose(surface["std_error"], rest.std() / np.sqrt(120), rtol=1e-4)
        assert surface["step"].isna().all()
    method = explained.manifest["method"]["partial_dependence"]
    assert method["pairs"] == {"age x income": 16, "race x debt": 8}
    assert method["features_left_out"] == {"age x unused": "`unused`: the model does not read it"}
    assert explained.manifest["counts"]["eval"]["profile_model_rows"] == 120 * (16 + 8)
    assert explained.report().count("<figure>") == 3  # two surfaces, and values against attributions


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ([["age", "age"]], "a pair names `age` twice"),
        ([["age", "debt"], ["debt", "age"]], "the pair of `debt` and `age` is listed twice"),
        ([["age", "agee"]], "`methods.partial_dependence.pairs` names `agee`, which is no feature of the examples"),
    ],
)
def test_unusable_pairs_are_one_sentence(
    pairs: Any, message: str, linear_model: str, linear_examples: str, tmp_path: Path
) -> None:
    methods = [{"shapley": {}}, {"partial_dependence": {"pairs": pairs}}]
    with pytest.raises(ConfigError, match=message):
        run(linear_model, linear_examples, tmp_path / "out", methods=methods)


def test_manifest_says_what_was_done_and_what_it_took(explained: Any) -> None:
    method, counts = explained.manifest["method"], explained.manifest["counts"]["eval"]
    assert list(method) == ["shapley", "partial_dependence", "accumulated_local_effects"]
    dependence = method["partial_dependence"]
    assert dependence["features"]["race"] == {"kind": "levels", "points": 2}
    assert dependence["features"]["age"] == {"kind": "quantiles", "points": 8}
    assert (dependence["rows_sampled"], dependence["num_ice"]) == (300, 3)
    points = curve_points = sum(entry["points"] for entry in dependence["features"].values())
    assert dependence["model_rows_per_example"] == curve_points
    assert counts["profile_model_rows"] == 120 * (points + 2 * 3)
    assert counts["model_rows"] == counts["profile_model_rows"] + 120 * method["shapley"]["model_rows_per_example"]


def test_only_what_is_asked_for_is_computed(linear_model: str, linear_examples: str, tmp_path: Path) -> None:
    methods = [{"shapley": {}}, {"partial_dependence": {"features": ["age"], "num_ice": 0}}]
    some = run(linear_model, linear_examples, tmp_path / "some", methods=methods)
    assert set(some.profiles["feature"]) == {"age"}
    assert set(some.profiles["kind"]) == {"curve"}
    assert set(some.profiles["method"]) == {"partial_dependence"}
    none = run(linear_model, linear_examples, tmp_path / "none", methods=["shapley"])
    assert not Path(none.uri, tables.PROFILES.file).exists()
    with pytest.raises(tfx_explain.errors.InputError, match="list `partial_dependence` or `accumulated_local_effects`"):
        _ = none.profiles
    assert "profile_model_rows" not in none.manifest["counts"]["eval"]


def test_unknown_feature_is_one_sentence_and_an_unread_one_is_left_out(
    linear_model: str, linear_examples: str, tmp_path: Path
) -> None:
    methods = [{"shapley": {}}, {"partial_dependence": {"features": ["agee"]}}]
    message = "`methods.partial_dependence.features` names `agee`, which is no feature of the examples; .*age, .*debt"
    with pytest.raises(ConfigError, match=message) as caught:
        run(linear_model, linear_examples, tmp_path / "refused", methods=methods)
    assert "\n" not in str(caught.value)
    methods = [{"shapley": {}}, {"partial_dependence": {"features": ["unused", "debt"]}}]
    left = run(linear_model, linear_examples, tmp_path / "out", methods=methods)
    assert left.manifest["method"]["partial_dependence"]["features_left_out"] == {
        "unused": "the model does not read it"
    }


def odd_model(directory: Path) -> str:
    """A constant feature, a list, a word that may be missing (then -1), and a number that may be missing (then 5)."""
    spec = {
        "x": tf.io.FixedLenFeature([], tf.float32),
        "constant": tf.io.FixedLenFeature([], tf.float32),
        "pair": tf.io.FixedLenFeature([2], tf.float32),
        "word": tf.io.FixedLenFeature([], tf.string, default_value=b""),
        "number": tf.io.FixedLenFeature([], tf.float32, default_value=5.0),
    }

    def score(features: dict[str, Any]) -> Any:
        word = tf.cast(tf.strings.length(features["word"]), tf.float32)
        word = tf.where(word == 0, -1.0, word)
        scores = features["x"] + features["constant"] + word * features["number"] + features["pair"][:, 0]
        return tf.stack([scores, features["x"] * features["number"]], axis=1)

    return worlds.save_serving_model(directory, score, spec)


def odd_rows(n: int, seed: int) -> list[dict[str, Any]]:
    rng = np.random.default_rng(seed)
    words = [b"a", b"bb", b"ccc", "größe".encode(), None]
    return [
        {
            "x": float(rng.normal()),
            "constant": 1.0,
            "pair": [float(v) for v in rng.normal(size=2)],
            "word": words[int(rng.choice(5, p=[0.4, 0.3, 0.1, 0.05, 0.15]))],
            "number": None if rng.uniform() < 0.3 else float(rng.normal()),
        }
        for _ in range(n)
    ]


def test_missing_constant_and_listed_features_and_several_outputs(tmp_path: Path) -> None:
    model = odd_model(tmp_path / "model")
    for seed, split in enumerate(("train", "eval")):
        rows = [worlds.to_example(row) for row in odd_rows(200, seed)]
        worlds.write_records(tmp_path / "examples" / f"Split-{split}", rows)
    methods = [{"shapley": {}}, {"partial_dependence": {"grid_size": 3}}, "accumulated_local_effects"]
    explanation = run(model, str(tmp_path / "examples"), tmp_path / "out", id_key=None, methods=methods)
    method = explanation.manifest["method"]
    assert method["partial_dependence"]["features_left_out"] == {
        "constant": "it has only one value in the rows sampled",
        "pair": "it has several values per row",
    }
    assert set(method["accumulated_local_effects"]["features_left_out"]) == {"constant", "pair", "word"}
    assert method["partial_dependence"]["features"]["word"]["levels_left_out"] == 1
    rows = pd.DataFrame(odd_rows(200, 1))
    number = rows["number"].fillna(5.0).to_numpy(np.float32)
    length = rows["word"].map(lambda word: len(word) if word else -1).to_numpy()
    base = rows["x"].to_numpy(np.float32) + 1 + np.array([pair[0] for pair in rows["pair"]], np.float32)
    first = explanation.profiles.query("output == 'score[0]' and method == 'partial_dependence' and kind == 'curve'")
    words = first[first["feature"] == "word"]
    assert words["level"].tolist() == ["a", "bb", "ccc", "(missing)"]
    assert words["is_missing"].tolist() == [False, False, False, True]
    expected = [(base + size * number).mean() for size in (1, 2, 3, -1)]
    np.testing.assert_allclose(words["value"], expected, rtol=1e-4, atol=1e-4)
    numbers = first[first["feature"] == "number"]
    assert numbers["is_missing"].tolist() == [False, False, False, True]
    assert numbers["step"].isna().tolist() == [True, False, False, True]
    values = [*numbers["grid_value"][:-1], 5.0]
    np.testing.assert_allclose(numbers["value"], [(base + length * v).mean() for v in values], rtol=1e-4, atol=1e-4)
    effects = explanation.profiles.query("method == 'accumulated_local_effects' and feature == 'number'")
    assert set(effects["output"]) == {"score[0]", "score[1]"}
    assert (effects["num_examples"] == rows["number"].notna().sum()).all()
