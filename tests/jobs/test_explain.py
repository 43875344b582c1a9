"""The whole job, on models whose attributions are known: in closed form, or by a few lines of enumeration."""

import itertools
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

import tfx_explain
import worlds
from tfx_explain import ExplainConfig, api, errors, tables
from tfx_explain.job.request import ExplainRequest
from tfx_explain.transforms import select


@pytest.fixture(scope="module")
def explained(linear_model: str, linear_examples: str, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return worlds.explain_by_id(linear_model, linear_examples, tmp_path_factory.mktemp("explained") / "linear")


def background_rows(explanation: tfx_explain.ExplanationReader) -> pd.DataFrame:
    """The background with plain values."""
    frame = explanation.background.drop(columns=tables.BACKGROUND_WEIGHT)
    return frame.apply(lambda column: column.map(lambda cell: cell[0]))


def test_linear_model_gets_weight_times_distance_from_the_background_mean(explained: Any) -> None:
    background = background_rows(explained)
    attributions = explained.attributions()
    assert len(attributions) == 120
    for name, weight in worlds.LINEAR_WEIGHTS.items():
        expected = weight * (attributions[name] - background[name].mean())
        np.testing.assert_allclose(attributions[f"attribution_{name}"], expected, atol=1e-6)
    effect = attributions["race"].map({"a": 0.0, "b": 1.5}) - (background["race"] == b"b").mean() * 1.5
    np.testing.assert_allclose(attributions["attribution_race"], effect, atol=1e-6)


def test_predictions_and_ids_are_those_of_the_rows(explained: Any) -> None:
    rows = {row["application_id"]: row for row in worlds.make_rows(120, seed=2)}
    attributions = explained.attributions()
    assert sorted(attributions["application_id"]) == sorted(rows)
    assert list(attributions["example_id"]) == [str(value) for value in attributions["application_id"]]
    expected = [worlds.linear_output(rows[key]) for key in attributions["application_id"]]
    np.testing.assert_allclose(attributions["prediction"], expected, rtol=1e-6)


def test_every_row_is_complete(explained: Any) -> None:
    attributions = explained.attributions()
    assert (attributions["completeness_gap"].abs() <= 1e-6 * (1 + attributions["prediction"].abs())).all()
    total = attributions[[f"attribution_{player}" for player in explained.players]].sum(axis=1)
    np.testing.assert_allclose(total, attributions["prediction"] - attributions["base_value"], atol=1e-5)


def test_importance_is_the_mean_absolute_attribution(explained: Any) -> None:
    table = explained.importance_for().set_index("player")
    attributions = explained.attributions()
    for player in explained.players:
        values = attributions[f"attribution_{player}"].abs()
        assert table.loc[player, "value"] == pytest.approx(values.mean(), rel=1e-6)
        assert table.loc[player, "std_error"] == pytest.approx(values.std() / math.sqrt(len(values)), rel=1e-5)
        assert table.loc[player, "ci_low"] < table.loc[player, "value"] < table.loc[player, "ci_high"]
    assert table["share"].sum() == pytest.approx(1)
    assert list(table["rank"]) == [1, 2, 3, 4]


def test_manifest_says_what_was_done(explained: Any) -> None:
    manifest = explained.manifest
    counts = dict(manifest["counts"]["eval"])
    assert counts.pop("padding_rows") >= 0
    assert counts == {
        "read": 120,
        "selected": 120,
        "explained": 120,
        "model_rows": 120 * manifest["method"]["shapley"]["model_rows_per_example"],
        "predicted_rows": 120,
    }
    assert manifest["background"]["model_rows"] == {"prediction": 20}
    assert manifest["players"] == {name: [name] for name in ("age", "debt", "income", "race")}
    assert set(manifest["unused_features"]) == {"unused", "approve"}
    assert manifest["background"]["num_rows"] == 20
    assert manifest["model"]["output_space"] == "raw"
    assert manifest["failures"] == {}
    assert not Path(explained.uri, tables.DEAD_LETTERS).exists()
    assert "<html" in explained.report()


def nonlinear_model(directory: Path, n_features: int) -> tuple[str, Any]:
    """A tanh network on scalar features x0.. with its numpy twin."""
    rng = np.random.default_rng(5)
    inner, outer = rng.normal(size=(n_features, 6)), rng.normal(size=6)
    names = [f"x{i}" for i in range(n_features)]

    def score(features: dict[str, Any]) -> Any:
        x = tf.cast(tf.stack([features[name] for name in names], axis=1), tf.float64)
        return tf.linalg.matvec(tf.tanh(x @ inner), outer)

    spec = {name: tf.io.FixedLenFeature([], tf.float32) for name in names}
    return worlds.save_serving_model(directory, score, spec), lambda x: np.tanh(x @ inner) @ outer


def enumerated(function: Any, x: np.ndarray, background: np.ndarray) -> np.ndarray:
    """Shapley values by their definition."""
    d = len(x)
    phi = np.zeros(d)
    for size in range(d):
        for chosen in itertools.combinations(range(d), size):
            for i in set(range(d)) - set(chosen):
                without, with_i = background.copy(), background.copy()
                without[:, list(chosen)] = x[list(chosen)]
                with_i[:, [*chosen, i]] = x[[*chosen, i]]
                weight = math.factorial(size) * math.factorial(d - size - 1) / math.factorial(d)
                phi[i] += weight * (function(with_i).mean() - function(without).mean())
    return phi


def write_numeric(root: Path, n_features: int, n_rows: int, num_shards: int = 1) -> None:
    rng = np.random.default_rng(0)
    for split in ("train", "eval"):
        rows = [{f"x{i}": float(v) for i, v in enumerate(rng.normal(size=n_features))} for _ in range(n_rows)]
        worlds.write_records(root / f"Split-{split}", [worlds.to_example(row) for row in rows], num_shards)


def test_nonlinear_model_equals_enumeration(tmp_path: Path) -> None:
    write_numeric(tmp_path / "examples", 6, 12)
    model, function = nonlinear_model(tmp_path / "model", 6)
    explanation = tfx_explain.explain(
        model=model,
        examples=str(tmp_path / "examples"),
        output_dir=str(tmp_path / "out"),
        config={"background": {"num_rows": 5}},
    )
    names = [f"x{i}" for i in range(6)]
    background = background_rows(explanation)[names].to_numpy().astype(float)
    attributions = explanation.attributions()
    expected = [enumerated(function, x, background) for x in attributions[names].to_numpy().astype(float)]
    np.testing.assert_allclose(attributions[[f"attribution_{name}" for name in names]], expected, atol=1e-6)


def test_shards_and_processes_change_no_bit_and_batches_only_the_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Enough players for drawn coalitions, so that designs, background and chunks all have to be the same."""
    model, _ = nonlinear_model(tmp_path / "model", 16)

    def table(num_shards: int, beam_args: Sequence[str] = ()) -> pd.DataFrame:
        root = tmp_path / f"{num_shards} {len(beam_args)}"
        write_numeric(root / "examples", 16, 60, num_shards)
        config = {"background": {"num_rows": 5}, "max_examples": 50, "methods": [{"shapley": {"budget": 64}}]}
        explanation = tfx_explain.explain(
            model=model,
            examples=str(root / "examples"),
            output_dir=str(root / "out"),
            config=config,
            beam_args=beam_args,
        )
        assert explanation.manifest["method"]["shapley"]["estimator"] == "leverage"
        return explanation.attributions().sort_values("example_id").reset_index(drop=True)

    reference = table(1)
    assert len(reference) == 50
    pd.testing.assert_frame_equal(reference, table(3, ["--direct_num_workers=2"]), check_exact=True)
    # Sums over coalitions run in another order where a batch has another length.
    monkeypatch.setattr(select, "ROWS_PER_BATCH", 7)
    pd.testing.assert_frame_equal(reference, table(7), rtol=1e-6, atol=1e-12)


def test_groups_are_one_player_and_the_left_out_are_another(
    linear_model: str, linear_examples: str, tmp_path: Path
) -> None:
    features: dict[str, Any] = {"exclude": ["debt"], "groups": {"money": ["income", "debt"]}}
    with pytest.raises(errors.ConfigError, match="`debt` is both in group `money` and left out"):
        worlds.explain_by_id(linear_model, linear_examples, tmp_path / "refused", features=features)
    features = {"include": ["age", "income", "debt"], "groups": {"money": ["income", "debt"]}}
    explanation = worlds.explain_by_id(linear_model, linear_examples, tmp_path / "out", features=features)
    assert explanation.manifest["players"] == {"age": ["age"], "money": ["income", "debt"], "other_features": ["race"]}
    background, attributions = background_rows(explanation), explanation.attributions()
    expected = sum(
        worlds.LINEAR_WEIGHTS[name] * (attributions[name] - background[name].mean()) for name in ("income", "debt")
    )
    np.testing.assert_allclose(attributions["attribution_money"], expected, atol=1e-6)


def test_model_that_hides_its_features_is_explained_by_every_column(tmp_path: Path) -> None:
    keys = tf.constant(["x", "y"])
    module = tf.Module()

    def parse_one(example: Any) -> Any:
        parsed = tf.raw_ops.ParseExampleV2(
            serialized=example[None],
            names=[],
            sparse_keys=[],
            dense_keys=keys,
            ragged_keys=[],
            dense_defaults=[tf.constant([0.0])] * 2,
            num_sparse=0,
            sparse_types=[],
            ragged_value_types=[],
            ragged_split_types=[],
            dense_shapes=[[1], [1]],
        )
        return 2 * parsed.dense_values[0][0, 0] - 3 * parsed.dense_values[1][0, 0]

    serve = tf.function(lambda examples: {"score": tf.map_fn(parse_one, examples, tf.float32)})
    module.serve = serve.get_concrete_function(tf.TensorSpec([None], tf.string, name="examples"))
    tf.saved_model.save(module, str(tmp_path / "model"), signatures={"serving_default": module.serve})
    rows = [{"x": float(i), "y": float(i % 3) if i % 2 else None, "z": 1.0, "label": i % 2} for i in range(12)]
    for split in ("train", "eval"):
        worlds.write_records(tmp_path / "examples" / f"Split-{split}", [worlds.to_example(row) for row in rows])
    explanation = tfx_explain.explain(
        model=str(tmp_path / "model"),
        examples=str(tmp_path / "examples"),
        output_dir=str(tmp_path / "out"),
        config={"label_key": "label"},
    )
    assert explanation.manifest["model"]["access"] == "serialized"
    assert explanation.players == ("x", "y", "z")
    table = explanation.attributions().sort_values("x")
    np.testing.assert_allclose(table["attribution_x"], 2 * (np.arange(12) - 5.5), atol=1e-5)
    y = np.array([row["y"] or 0.0 for row in rows])
    np.testing.assert_allclose(table["attribution_y"], -3 * (y - y.mean()), atol=1e-5)
    np.testing.assert_allclose(table["attribution_z"], 0, atol=1e-6)


def test_config_object_mapping_and_file_are_one(
    linear_model: str, linear_examples: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the job is asked for is the same."""
    settings = {"background": {"num_rows": 7}, "seed": 3}
    (tmp_path / "config.yaml").write_text("background: {num_rows: 7}\nseed: 3\n")
    asked = []

    def ask(request: ExplainRequest, _: object) -> None:
        asked.append(request)
        raise errors.InputError("asked.")

    monkeypatch.setattr(api, "run_explanation", ask)
    for config in (settings, ExplainConfig.from_dict(settings), str(tmp_path / "config.yaml")):
        with pytest.raises(errors.InputError, match="asked"):
            tfx_explain.explain(
                model=linear_model, examples=linear_examples, output_dir=str(tmp_path / "out"), config=config
            )
    assert (asked[0].config.background.num_rows, asked[0].config.seed) == (7, 3)
    assert asked[0].config == asked[1].config == asked[2].config
