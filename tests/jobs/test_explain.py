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
from tfx_explain import ExplainConfig, api, errors, storage, tables
from tfx_explain.job.request import ExplainRequest
from tfx_explain.transforms import select


def run(model_dir: str, examples: str, output: Path, **config: Any) -> tfx_explain.ExplanationReader:
    """Explains with a small background, by row id."""
    settings = {"background": {"num_rows": 20}, "id_key": "application_id", **config}
    return tfx_explain.explain(model=model_dir, examples=examples, output_dir=str(output), config=settings)


@pytest.fixture(scope="module")
def explained(linear_model: str, linear_examples: str, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return run(linear_model, linear_examples, tmp_path_factory.mktemp("explained") / "linear")


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
        run(linear_model, linear_examples, tmp_path / "refused", features=features)
    features = {"include": ["age", "income", "debt"], "groups": {"money": ["income", "debt"]}}
    explanation = run(linear_model, linear_examples, tmp_path / "out", features=features)
    assert explanation.manifest["players"] == {"age": ["age"], "money": ["income", "debt"], "other_features": ["race"]}
    background, attributions = background_rows(explanation), explanation.attributions()
    expected = sum(
        worlds.LINEAR_WEIGHTS[name] * (attributions[name] - background[name].mean()) for name in ("income", "debt")
    )
    np.testing.assert_allclose(attributions["attribution_money"], expected, atol=1e-6)


def test_bad_rows_are_counted_and_kept(linear_model: str, tmp_path: Path) -> None:
    good = [worlds.to_example(row) for row in worlds.make_rows(60, seed=2)]
    no_age = worlds.to_example({**worlds.make_rows(1, seed=3)[0], "age": []})
    worlds.write_records(tmp_path / "examples" / "Split-train", good)
    worlds.write_records(tmp_path / "examples" / "Split-eval", [*good, b"\x00\x01 no tf.Example", no_age])
    explanation = run(linear_model, str(tmp_path / "examples"), tmp_path / "out", max_failed_fraction=0.1)
    assert explanation.manifest["counts"]["eval"]["read"] == 62
    assert explanation.manifest["counts"]["eval"]["explained"] == 60
    assert sum(explanation.manifest["failures"]["eval"].values()) == 2
    dead = explanation.dead_letters()
    assert sorted(dead["split"]) == ["eval", "eval"]
    assert b"\x00\x01 no tf.Example" in set(dead["record"])
    assert any("age" in reason for reason in dead["reason"])
    with pytest.raises(errors.TooManyFailedRowsError, match="2 of 62 rows of split `eval`"):
        run(linear_model, str(tmp_path / "examples"), tmp_path / "strict")
    assert not (tmp_path / "strict").exists()


REFUSED = {
    "label": (
        {"label_key": "aprove"},
        errors.MissingFeatureError,
        "`label_key: aprove` names a feature that no example",
    ),
    "id": ({"id_key": "row"}, errors.MissingFeatureError, "`id_key: row`"),
    "feature": ({"features": {"exclude": ["agee"]}}, errors.ConfigError, "`agee`, which the model does not read"),
    "split": ({"splits": ["test"]}, errors.InputError, "split `test`"),
    "signature": ({"model": {"signature": "serve"}}, errors.SignatureError, "`?serve`?.*serving_default"),
    "budget": (
        {"methods": [{"shapley": {"estimator": "leverage", "budget": 2}}]},
        errors.EstimationError,
        "budget",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_mistakes_get_one_sentence_and_leave_nothing(
    case: str, linear_model: str, linear_examples: str, tmp_path: Path
) -> None:
    config, error, message = REFUSED[case]
    with pytest.raises(error, match=message) as caught:
        run(linear_model, linear_examples, tmp_path / "out", **config)
    assert str(caught.value).count("\n") == 0
    assert not (tmp_path / "out").exists()


def test_empty_split_is_named(linear_model: str, linear_examples: str, tmp_path: Path) -> None:
    worlds.write_records(tmp_path / "examples" / "Split-eval", [])
    examples = {"train": linear_examples + "/Split-train/*", "eval": str(tmp_path / "examples" / "Split-eval" / "*")}
    with pytest.raises(errors.EmptySplitError, match="split `eval` is empty"):
        tfx_explain.explain(model=linear_model, examples=examples, output_dir=str(tmp_path / "out"))


def test_feature_that_the_examples_lack_is_named(linear_model: str, tmp_path: Path) -> None:
    rows = [{"income": 1.0, "debt": 1, "race": b"a"}] * 5
    for split in ("train", "eval"):
        worlds.write_records(tmp_path / "examples" / f"Split-{split}", [worlds.to_example(row) for row in rows])
    with pytest.raises(errors.MissingFeatureError, match="needs feature `age`, which no example of split"):
        tfx_explain.explain(model=linear_model, examples=str(tmp_path / "examples"), output_dir=str(tmp_path / "out"))


def test_nan_output_is_a_dead_letter_or_a_refusal(linear_examples: str, tmp_path: Path) -> None:
    def sometimes_nan(features: dict[str, Any]) -> Any:
        return tf.math.sqrt(features["age"] - 2.5)

    spec = {"age": tf.io.FixedLenFeature([], tf.float32)}
    model = worlds.save_serving_model(tmp_path / "model", sometimes_nan, spec)
    with pytest.raises(errors.TooManyFailedRowsError, match="NaN or infinite"):
        tfx_explain.explain(model=model, examples=linear_examples, output_dir=str(tmp_path / "out"))

    def always_nan(features: dict[str, Any]) -> Any:
        return features["age"] * float("nan")

    model = worlds.save_serving_model(tmp_path / "nan", always_nan, spec)
    with pytest.raises(errors.ModelError, match="NaN or infinite for every background row"):
        tfx_explain.explain(model=model, examples=linear_examples, output_dir=str(tmp_path / "out"))


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


def test_output_directory_in_use_is_left_alone(linear_model: str, linear_examples: str, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(errors.InputError, match="is not empty"):
        tfx_explain.explain(model=linear_model, examples=linear_examples, output_dir=str(tmp_path))
    assert (tmp_path / "mine.txt").read_text() == "keep"


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


def test_a_damaged_file_loses_what_cannot_be_read_and_no_more(linear_model: str, tmp_path: Path) -> None:
    # One shard is cut, one is no TFRecord file, one is empty; unread features have another type in one.
    rows = worlds.make_rows(120, seed=2)
    for shard in range(3):
        part = [{**row, "unused": b"text"} if shard else row for row in rows[shard::3]]
        with tf.io.TFRecordWriter(str(tmp_path / f"part-{shard}")) as writer:
            for row in part:
                writer.write(worlds.to_example({**row, "gap": []}))
    (tmp_path / "part-2").write_bytes((tmp_path / "part-2").read_bytes()[:-9])
    (tmp_path / "part-3").write_bytes(b"no")
    (tmp_path / "part-4").touch()
    out = tmp_path / "out"
    explanation = run(linear_model, str(tmp_path / "part-*"), out, max_failed_fraction=0.02, max_examples=1_000)
    assert len(explanation.attributions()) == explanation.manifest["counts"]["eval"]["explained"] == 119
    assert set(explanation.attributions()["unused"].map(type)) == {float, str}
    reasons = " ".join(explanation.manifest["failures"]["eval"])
    assert "part-2 ends in the middle" in reasons
    assert "part-3 ends in the middle of a record at byte 0" in reasons
    with pytest.raises(errors.TooManyFailedRowsError, match=r"part-[23] ends in the middle"):
        run(linear_model, str(tmp_path / "part-*"), tmp_path / "strict", max_failed_fraction=0.01)
    assert not (tmp_path / "strict").exists()


def test_a_file_of_0_bytes_is_named_once_and_counted(
    linear_model: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A gzipped one without records is as its writer left it, and no matter."""
    worlds.write_records(tmp_path, [worlds.to_example(row) for row in worlds.make_rows(30, seed=2)])
    tf.io.TFRecordWriter(str(tmp_path / "nothing.gz"), "GZIP").close()
    (tmp_path / "stopped").touch()
    caplog.set_level("WARNING")  # other tests quieten the logs of the whole process, as the command line does
    explanation = run(linear_model, str(tmp_path / "*"), tmp_path.parent / "out-of-empty")
    assert explanation.manifest["counts"]["eval"]["explained"] == 30
    assert explanation.manifest["counts"]["eval"]["empty_files"] == 1
    (said,) = [record.getMessage() for record in caplog.records if "0 bytes" in record.getMessage()]
    assert said.startswith(f"file://{tmp_path}/stopped is empty (0 bytes) and adds no rows; check")


def test_a_run_removes_nothing_that_it_did_not_make(linear_model: str, linear_examples: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    (tmp_path / "busy").mkdir()
    storage.claim(str(tmp_path / "busy"), tables.CLAIM)  # as another run does
    for name, words in {
        "file": "is a file",
        "link": "is a file",
        "gone": "a link to nothing",
        "busy": "is not empty",
        "file/below": "cannot be written",
        "a[1]": "stand for patterns",
    }.items():
        with pytest.raises(errors.InputError, match=words):
            run(linear_model, linear_examples, tmp_path / name)
    assert (tmp_path / "link").read_text() == "mine"
    assert (tmp_path / "gone").is_symlink()
    assert [path.name for path in (tmp_path / "busy").iterdir()] == [tables.CLAIM]
    with pytest.raises(errors.EmptySplitError):
        run(linear_model, str(tmp_path / "nothing"), tmp_path / "new" / "deep")
    assert not (tmp_path / "new").exists()


def table_model(directory: Path) -> str:
    """A table of ten numbers, looked up by `place`, times `x`; it refuses other places and `kind`s."""
    values = tf.constant([float(i * i) for i in range(10)])

    def score(features: dict[str, Any]) -> Any:
        place = tf.where(features["place"] // 5 == features["kind"] % 2, features["place"], 99 + features["kind"])
        return tf.gather(values, tf.where(features["kind"] < 2, place, features["place"])) * features["x"]

    spec = {name: tf.io.FixedLenFeature([], tf.int64) for name in ("place", "kind")}
    return worlds.save_serving_model(directory, score, {**spec, "x": tf.io.FixedLenFeature([], tf.float32)})


@pytest.mark.parametrize("how", ["graph", "module"])
def test_rows_that_the_model_refuses_are_found_and_no_bit_of_others_changes(how: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    rows = [{"place": i % 10, "kind": 2, "x": float(np.float32(rng.normal())), "application_id": i} for i in range(90)]
    bad = [{**rows[0], "place": 11 + i, "application_id": 100 + i} for i in range(3)]
    model: dict[str, Any] = {}
    if how == "module":
        (tmp_path / "m.py").write_text(
            "import numpy as np\nFEATURES = {'place': 'int64', 'x': 'float32'}\n"
            "def load_model(d):\n    return lambda c: np.arange(10.0)[c['place'] - (c['x'] == 0) * 99] * c['x']\n"
        )
        model = {"model": {"module_file": str(tmp_path / "m.py")}}
    directory = table_model(tmp_path / "m") if how == "graph" else str(tmp_path)
    explained = []
    for name, data in (("good", rows), ("all", [*rows[:40], *bad, *rows[40:]])):
        pattern = worlds.write_records(tmp_path / name, [worlds.to_example(row) for row in data])
        config = {"background": {"num_rows": 100}, "max_failed_fraction": 0.05, **model}
        explained.append(run(directory, pattern, tmp_path / f"out_{name}", **config))
    frames = [one.attributions().sort_values("application_id", ignore_index=True) for one in explained]
    pd.testing.assert_frame_equal(*frames, check_exact=True)
    dead = explained[1].dead_letters()
    assert dead["split"].value_counts().to_dict() == {"eval": 3, "train (background)": 3}
    assert dead["reason"].str.contains("refuses the row: .* (?:is not in|out of bounds)").all()


def test_mixtures_that_the_model_refuses_ask_for_a_group(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    rows = [{"place": i % 10, "kind": i % 10 // 5, "x": float(rng.normal()), "application_id": i} for i in range(40)]
    directory = table_model(tmp_path / "m")
    pattern = worlds.write_records(tmp_path / "data", [worlds.to_example(row) for row in rows])
    with pytest.raises(errors.TooManyFailedRowsError, match=r"refuses mixtures .* one group \(`features.groups`\)"):
        run(directory, pattern, tmp_path / "apart")
    together = run(directory, pattern, tmp_path / "together", features={"groups": {"where": ["place", "kind"]}})
    assert together.manifest["failures"] == {}


def test_outputs_beyond_what_examples_hold_are_refused(tmp_path: Path) -> None:
    (tmp_path / "m.py").write_text(
        "FEATURES = {'x': 'float64'}\ndef load_model(d):\n    return lambda c: 1e200 * c['x']\n"
    )
    rows = [worlds.to_example({"x": float(i > 50), "application_id": i}) for i in range(60)]
    pattern, config = worlds.write_records(tmp_path / "data", rows), {"model": {"module_file": str(tmp_path / "m.py")}}
    with pytest.raises(errors.TooManyFailedRowsError, match=r"larger than the 3.4e38"):
        run(str(tmp_path), pattern, tmp_path / "out", **config)
