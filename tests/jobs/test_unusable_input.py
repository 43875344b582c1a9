"""Whole jobs on what cannot be used: rows are counted and kept, all else is refused in one sentence."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

import tfx_explain
import worlds
from tfx_explain import errors, storage, tables


def test_bad_rows_are_counted_and_kept(linear_model: str, tmp_path: Path) -> None:
    good = [worlds.to_example(row) for row in worlds.make_rows(60, seed=2)]
    no_age = worlds.to_example({**worlds.make_rows(1, seed=3)[0], "age": []})
    worlds.write_records(tmp_path / "examples" / "Split-train", good)
    worlds.write_records(tmp_path / "examples" / "Split-eval", [*good, b"\x00\x01 no tf.Example", no_age])
    explanation = worlds.explain_by_id(
        linear_model, str(tmp_path / "examples"), tmp_path / "out", max_failed_fraction=0.1
    )
    assert explanation.manifest["counts"]["eval"]["read"] == 62
    assert explanation.manifest["counts"]["eval"]["explained"] == 60
    assert sum(explanation.manifest["failures"]["eval"].values()) == 2
    dead = explanation.dead_letters()
    assert sorted(dead["split"]) == ["eval", "eval"]
    assert b"\x00\x01 no tf.Example" in set(dead["record"])
    assert any("age" in reason for reason in dead["reason"])
    with pytest.raises(errors.TooManyFailedRowsError, match="2 of 62 rows of split `eval`"):
        worlds.explain_by_id(linear_model, str(tmp_path / "examples"), tmp_path / "strict")
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
        worlds.explain_by_id(linear_model, linear_examples, tmp_path / "out", **config)
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


def test_output_directory_in_use_is_left_alone(linear_model: str, linear_examples: str, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(errors.InputError, match="is not empty"):
        tfx_explain.explain(model=linear_model, examples=linear_examples, output_dir=str(tmp_path))
    assert (tmp_path / "mine.txt").read_text() == "keep"


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
    explanation = worlds.explain_by_id(
        linear_model, str(tmp_path / "part-*"), out, max_failed_fraction=0.02, max_examples=1_000
    )
    assert len(explanation.attributions()) == explanation.manifest["counts"]["eval"]["explained"] == 119
    assert set(explanation.attributions()["unused"].map(type)) == {float, str}
    reasons = " ".join(explanation.manifest["failures"]["eval"])
    assert "part-2 ends in the middle" in reasons
    assert "part-3 ends in the middle of a record at byte 0" in reasons
    with pytest.raises(errors.TooManyFailedRowsError, match=r"part-[23] ends in the middle"):
        worlds.explain_by_id(linear_model, str(tmp_path / "part-*"), tmp_path / "strict", max_failed_fraction=0.01)
    assert not (tmp_path / "strict").exists()


def test_a_file_of_0_bytes_is_named_once_and_counted(
    linear_model: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A gzipped one without records is as its writer left it, and no matter."""
    worlds.write_records(tmp_path, [worlds.to_example(row) for row in worlds.make_rows(30, seed=2)])
    tf.io.TFRecordWriter(str(tmp_path / "nothing.gz"), "GZIP").close()
    (tmp_path / "stopped").touch()
    caplog.set_level("WARNING")  # other tests quieten the logs of the whole process, as the command line does
    explanation = worlds.explain_by_id(linear_model, str(tmp_path / "*"), tmp_path.parent / "out-of-empty")
    assert explanation.manifest["counts"]["eval"]["explained"] == 30
    assert explanation.manifest["counts"]["eval"]["empty_files"] == 1
    (said,) = [record.getMessage() for record in caplog.records if "0 bytes" in record.getMessage()]
    assert said.startswith(f"file://{tmp_path}/stopped is empty (0 bytes) and adds no rows; check")


def test_a_background_of_unreadable_rows_says_what_is_wrong_with_them(linear_model: str, tmp_path: Path) -> None:
    rows = [{**row, "debt": 0.5} for row in worlds.make_rows(20, seed=2)]
    worlds.write_records(tmp_path / "examples", [worlds.to_example(row) for row in rows])
    fault = r"most often \(20 rows\): feature 'debt' holds floats where the model takes integers \(int64\)\.$"
    with pytest.raises(errors.EmptySplitError, match=fault):
        worlds.explain_by_id(linear_model, str(tmp_path / "examples"), tmp_path / "out")


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
            worlds.explain_by_id(linear_model, linear_examples, tmp_path / name)
    assert (tmp_path / "link").read_text() == "mine"
    assert (tmp_path / "gone").is_symlink()
    assert [path.name for path in (tmp_path / "busy").iterdir()] == [tables.CLAIM]
    with pytest.raises(errors.EmptySplitError):
        worlds.explain_by_id(linear_model, str(tmp_path / "nothing"), tmp_path / "new" / "deep")
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
        explained.append(worlds.explain_by_id(directory, pattern, tmp_path / f"out_{name}", **config))
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
        worlds.explain_by_id(directory, pattern, tmp_path / "apart")
    together = worlds.explain_by_id(
        directory, pattern, tmp_path / "together", features={"groups": {"where": ["place", "kind"]}}
    )
    assert together.manifest["failures"] == {}


def test_outputs_beyond_what_examples_hold_are_refused(tmp_path: Path) -> None:
    (tmp_path / "m.py").write_text(
        "FEATURES = {'x': 'float64'}\ndef load_model(d):\n    return lambda c: 1e200 * c['x']\n"
    )
    rows = [worlds.to_example({"x": float(i > 50), "application_id": i}) for i in range(60)]
    pattern, config = worlds.write_records(tmp_path / "data", rows), {"model": {"module_file": str(tmp_path / "m.py")}}
    with pytest.raises(errors.TooManyFailedRowsError, match=r"larger than the 3.4e38"):
        worlds.explain_by_id(str(tmp_path), pattern, tmp_path / "out", **config)
