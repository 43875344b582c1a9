"""What the Shapley method can be asked for besides attributions, through the whole job."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import formats
import tfx_explain
import worlds
from tfx_explain import errors

pytestmark = pytest.mark.usefixtures("without_statistics")

N = 12
NAMES = [f"x{i:02d}" for i in range(N)]
PRODUCTS = {("x00", "x01"): 2.0, ("x02", "x05"): -1.0}


def save_products(directory: Path, products: dict[tuple[str, str], float], slope: float = 1.0) -> str:
    """f(x) = slope * sum x + sum of products: an order-2 game."""

    def score(features: dict[str, Any]) -> Any:
        x = {name: tf.cast(features[name], tf.float64) for name in NAMES}
        return slope * sum(x.values()) + sum(c * x[a] * x[b] for (a, b), c in products.items())

    return worlds.save_serving_model(directory, score, {name: tf.io.FixedLenFeature([], tf.float32) for name in NAMES})


def save_waves(directory: Path) -> str:
    """A network that no order-2 design can explain exactly."""
    rng = np.random.default_rng(3)
    inner, outer = 0.3 * rng.normal(size=(N, 8)), rng.normal(size=8)

    def score(features: dict[str, Any]) -> Any:
        x = tf.cast(tf.stack([features[name] for name in NAMES], axis=1), tf.float64)
        return tf.linalg.matvec(tf.sin(x @ inner), outer)

    return worlds.save_serving_model(directory, score, {name: tf.io.FixedLenFeature([], tf.float32) for name in NAMES})


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> str:
    root = tmp_path_factory.mktemp("numeric")
    for seed, split in enumerate(("train", "eval")):
        rows = np.random.default_rng(seed).normal(size=(60, N))
        records = [worlds.to_example(dict(zip(NAMES, map(float, row), strict=True))) for row in rows]
        worlds.write_records(root / f"Split-{split}", records)
    return str(root)


def run(model: str, examples: str, output: Path, shapley: dict[str, Any], **options: Any) -> Any:
    config = {"background": {"num_rows": 16}, "methods": [{"shapley": shapley}], **options.pop("config", {})}
    return tfx_explain.explain(model=model, examples=examples, output_dir=str(output), config=config, **options)


@pytest.mark.parametrize("shapley", [{"estimator": "exact"}, {"estimator": "leverage", "budget": 400}])
def test_interactions_of_products_are_their_coefficients(
    examples: str, tmp_path: Path, shapley: dict[str, Any]
) -> None:
    model = save_products(tmp_path / "model", PRODUCTS)
    explanation = run(model, examples, tmp_path / "out", {**shapley, "interactions": 2})
    table = explanation.interactions
    assert len(table) == N * (N - 1) // 2
    background = (
        explanation.background[NAMES].map(lambda cell: cell[0])
        if hasattr(explanation.background, "map")
        else explanation.background[NAMES].applymap(lambda cell: cell[0])
    )
    rows = explanation.attributions()
    strongest = table.head(2)
    assert set(zip(strongest["player_a"], strongest["player_b"], strict=True)) == set(PRODUCTS)
    for a, b, value, signed in strongest[["player_a", "player_b", "value", "mean_signed"]].itertuples(index=False):
        differences = np.array(
            [((x - background[a]) * (y - background[b])).mean() for x, y in zip(rows[a], rows[b], strict=True)]
        )
        expected = PRODUCTS[a, b] * differences
        assert value == pytest.approx(np.abs(expected).mean(), rel=1e-6)
        assert signed == pytest.approx(expected.mean(), rel=1e-6)
    assert table["value"].iloc[2:].max() < 1e-8
    assert set(table["index"]) == {"SII" if shapley["estimator"] == "exact" else "Faith-SHAP"}


def test_baseline_model_is_explained_on_the_same_rows_and_no_interactions_unless_asked_for(
    examples: str, tmp_path: Path
) -> None:
    candidate = save_products(tmp_path / "candidate", {}, slope=2.0)
    baseline = save_products(tmp_path / "baseline", {}, slope=0.5)
    explanation = run(candidate, examples, tmp_path / "out", {}, baseline_model=baseline)
    rows = explanation.attributions()
    for name in NAMES:
        np.testing.assert_allclose(rows[f"baseline_attribution_{name}"] * 4, rows[f"attribution_{name}"], atol=1e-5)
    np.testing.assert_allclose(rows["baseline_prediction"] * 4, rows["prediction"], rtol=1e-5, atol=1e-5)
    table = explanation.baseline_importance.set_index("player")
    candidate_table = explanation.importance_for().set_index("player")
    for name in NAMES:
        change = (rows[f"attribution_{name}"].abs() - rows[f"baseline_attribution_{name}"].abs()).to_numpy()
        assert table.loc[name, "value"] == pytest.approx(candidate_table.loc[name, "value"] / 4, rel=1e-5)
        assert table.loc[name, "difference"] == pytest.approx(change.mean(), rel=1e-4)
        expected = change.std(ddof=1) / np.sqrt(len(change))
        assert table.loc[name, "difference_std_error"] == pytest.approx(expected, rel=1e-4)
    assert explanation.manifest["baseline_model"]["uri"] == baseline
    counts = explanation.manifest["counts"]["eval"]
    assert counts["model_rows"] == 2 * 60 * explanation.manifest["method"]["shapley"]["model_rows_per_example"]
    with pytest.raises(errors.InputError, match=r"no interactions.parquet; set `interactions: 2`"):
        _ = explanation.interactions


def test_baseline_that_cannot_be_compared_is_refused(examples: str, tmp_path: Path) -> None:
    def two_scores(features: dict[str, Any]) -> Any:
        return tf.stack([features["x00"], features["x01"]], axis=1)

    spec = {name: tf.io.FixedLenFeature([], tf.float32) for name in ("x00", "x01")}
    baseline = worlds.save_serving_model(tmp_path / "two", two_scores, spec)
    with pytest.raises(errors.ModelError, match="cannot be compared: their outputs have"):
        run(save_products(tmp_path / "one", {}), examples, tmp_path / "out", {}, baseline_model=baseline)


def test_asked_for_error_is_reached(examples: str, tmp_path: Path) -> None:
    model = save_waves(tmp_path / "model")
    exact = run(model, examples, tmp_path / "exact", {"estimator": "exact"}).attributions()
    names = [f"attribution_{name}" for name in NAMES]
    truth = exact.sort_values("example_id")[names].to_numpy()
    errors_of = {}
    for limit in (None, 0.03):
        shapley = {"estimator": "leverage", "budget": 48, "max_relative_error": limit}
        explanation = run(model, examples, tmp_path / f"sampled{limit}", shapley)
        estimate = explanation.attributions().sort_values("example_id")[names].to_numpy()
        errors_of[limit] = np.linalg.norm(estimate - truth, axis=1) / np.linalg.norm(truth, axis=1)
    formats.check_files(explanation)
    counts = explanation.manifest["counts"]["eval"]
    assert explanation.manifest["method"]["shapley"]["coalitions_per_background_row"] > 48, "the pilot chose no more"
    assert counts["above_max_relative_error"] <= 3
    assert counts["model_rows"] > 60 * 48 * 16
    assert np.median(errors_of[None]) > 0.05
    # The estimate of an error is itself uncertain: nine of ten rows within the limit, none far beyond.
    assert np.mean(errors_of[0.03] <= 0.03) >= 0.9
    assert errors_of[0.03].max() < 0.06


def test_medoids_are_weighted_rows_of_the_data(linear_model: str, linear_examples: str, tmp_path: Path) -> None:
    config = {"background": {"num_rows": 6, "strategy": "medoids"}, "max_examples": 20}
    explanation = tfx_explain.explain(
        model=linear_model, examples=linear_examples, output_dir=str(tmp_path / "out"), config=config
    )
    background = explanation.background
    assert len(background) == 6
    assert background["__weight__"].sum() == pytest.approx(1)
    assert background["__weight__"].nunique() > 1
    ids = {row["application_id"] for row in worlds.make_rows(300, seed=1)}
    assert {cell[0] for cell in background["application_id"]} <= ids
    rows = explanation.attributions()
    mean = sum(w * cell[0] for w, cell in zip(background["__weight__"], background["income"], strict=True))
    expected = worlds.LINEAR_WEIGHTS["income"] * (rows["income"] - mean)
    np.testing.assert_allclose(rows["attribution_income"], expected, atol=1e-6)


def test_classes_of_a_vector_output(linear_examples: str, tmp_path: Path) -> None:
    def three_scores(features: dict[str, Any]) -> Any:
        x = features["income"]
        return tf.stack([x, 2 * x, -3 * x], axis=1)

    model = worlds.save_serving_model(
        tmp_path / "three", three_scores, {"income": tf.io.FixedLenFeature([], tf.float32)}
    )

    def explained(classes: Any, **config: Any) -> Any:
        settings = {"model": {"classes": classes}, "background": {"num_rows": 5}, **config}
        output = tmp_path / f"out-{str(classes).strip('[]')}"
        return tfx_explain.explain(model=model, examples=linear_examples, output_dir=str(output), config=settings)

    everything = explained(None)
    assert len(everything.outputs) == 3
    first, third = (everything.attributions(output=everything.outputs[i]) for i in (0, 2))
    np.testing.assert_allclose(third["attribution_income"], -3 * first["attribution_income"], atol=1e-5)
    with pytest.raises(errors.InputError, match="no output was named"):
        everything.attributions()
    chosen = explained([2]).attributions()
    np.testing.assert_allclose(chosen["prediction"], -3 * chosen["income"], rtol=1e-6)
    predicted = explained("predicted").attributions()
    np.testing.assert_allclose(
        predicted["prediction"], np.maximum(2 * predicted["income"], -3 * predicted["income"]), rtol=1e-6
    )
    labelled = explained("label", label_key="approve").attributions()
    np.testing.assert_allclose(labelled["prediction"], (1 + labelled["approve"]) * labelled["income"], rtol=1e-6)
    with pytest.raises(errors.ConfigError, match="asks for output 3, but the model has 3"):
        explained([3])
