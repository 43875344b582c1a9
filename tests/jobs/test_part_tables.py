"""Tables of what is inside features, of two models in two jobs, against the records of each row."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

import formats
import pictures
import tfx_explain
import worlds
from tfx_explain import ValidationConfig, tables
from tfx_explain.errors import InputError
from tfx_explain.explanation_validator.judge import judge
from tfx_explain.reader import ExplanationReader
from tfx_explain.regions import decode_image, decode_labels
from tfx_explain.regions.spans import spoken
from tfx_explain.report.inside import MAX_ROWS
from tfx_explain.tables import PART_TABLES
from tfx_explain.transforms import select

pytestmark = pytest.mark.usefixtures("without_statistics")

N = 18
STEPS = 6
TEXTS = [b"a good film", b"bad, and not GOOD", b"fine", b"good good bad", b"the plot is bad", b""]
EFFECTS = {b"good": 1.0, b"bad": -0.75, b"fine": 0.5}
SPEC = {
    "image": tf.io.FixedLenFeature([], tf.string),
    "review": tf.io.FixedLenFeature([], tf.string),
    "series": tf.io.RaggedFeature(tf.float32),
}
CONFIG: dict[str, Any] = {
    "methods": [
        {"shapley": {"parts": {"review": {}, "series": {"window_length": 2}}}},
        {"xrai": {"feature": "image"}},
    ],
    "id_key": "id",
    "background": {"num_rows": 8},
    "model": {"output_space": "raw"},
    "example_weight_key": "weight",
    "slicing_specs": [{}, {"feature_keys": ["half"]}],
    "min_word_examples": 2,
}
OF = ["slice", "output", "feature", "method"]


def make_rows(n: int, seed: int) -> list[dict[str, Any]]:
    """Rows of which the first one weighs nothing; of other texts there are other lengths of series."""
    rng = np.random.default_rng(seed + 7)
    series = rng.normal(size=(n, STEPS)).round(2)
    return [
        {
            **row,
            "review": TEXTS[i % len(TEXTS)],
            "series": series[i, : STEPS - i % 4].tolist(),
            "weight": float(i % 3),
            "id": i,
        }
        for i, row in enumerate(pictures.make_rows(n, seed))
    ]


def score(parsed: dict[str, tf.Tensor], square: tuple[slice, slice], shift: float) -> tf.Tensor:
    """Two outputs of a picture, words and a series."""
    words = tf.strings.split(tf.strings.regex_replace(tf.strings.lower(parsed["review"]), r"[,\s]+", " "))
    effects = tf.zeros_like(words.values, tf.float32)
    for word, effect in EFFECTS.items():
        effects += tf.where(words.values == word, effect + shift, 0.0)
    said = tf.reduce_sum(words.with_values(effects), axis=1)
    seen = tf.reduce_mean(tf.square(pictures.decoded(parsed["image"])[:, square[0], square[1], 0]), axis=[1, 2])
    moved = tf.reduce_sum(tf.square(parsed["series"] + shift), axis=1)
    return tf.stack([seen * (2.0 + said) + 0.1 * moved, tf.tanh(said + seen) * moved], axis=1)


def first_model(parsed: dict[str, tf.Tensor]) -> tf.Tensor:
    return score(parsed, pictures.SQUARE, 0.0)


def second_model(parsed: dict[str, tf.Tensor]) -> tf.Tensor:
    return score(parsed, (slice(6, 12), slice(0, 4)), 0.25)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    root = tmp_path_factory.mktemp("models")
    made = {"first": first_model, "second": second_model}
    return [worlds.save_serving_model(root / name, of_model, SPEC) for name, of_model in made.items()]


def explained(where: Path, model: str, baseline: str, shards: int) -> ExplanationReader:
    examples = worlds.write_splits(where / "examples", make_rows, 24, N, shards)
    output = str(where / "out")
    return tfx_explain.explain(
        model=model, baseline_model=baseline, examples=examples, output_dir=output, config=CONFIG
    )


@pytest.fixture(scope="module")
def explanation(tmp_path_factory: pytest.TempPathFactory, models: list[str]) -> ExplanationReader:
    return explained(tmp_path_factory.mktemp("first"), *models, 2)


@pytest.fixture(scope="module")
def other_way(tmp_path_factory: pytest.TempPathFactory, models: list[str]) -> ExplanationReader:
    """The second model, with the first one as its baseline model, from other files in smaller batches."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(select, "ROWS_PER_BATCH", 5)
        return explained(tmp_path_factory.mktemp("second"), *reversed(models), 5)


@pytest.mark.parametrize("table", PART_TABLES, ids=lambda table: table.name)
def test_two_models_are_compared_whatever_the_files(
    explanation: ExplanationReader, other_way: ExplanationReader, table: tables.Table
) -> None:
    key = list(table.key)
    ours, theirs = (getattr(one, table.name).sort_values(key, ignore_index=True) for one in (explanation, other_way))
    assert len(ours)
    assert ours[key].equals(theirs[key])
    names = [name for name in ours if name.startswith("baseline_")]
    assert names
    for name in names:
        own = name.removeprefix("baseline_")
        np.testing.assert_allclose(ours[name], theirs[own], rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(theirs[name], ours[own], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(ours["difference"], -theirs["difference"], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(ours["difference"], ours["mean"] - ours["baseline_mean"], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(ours["difference_std_error"], theirs["difference_std_error"], rtol=1e-9, atol=1e-12)
    assert (ours["difference_std_error"] > 0).any()


def weighed(explanation: ExplanationReader, half: int | None) -> pd.Series:
    """Row -> its weight, of a slice."""
    rows = explanation.attributions(output=explanation.outputs[0]).set_index("example_id")
    return rows["weight"] if half is None else rows.loc[rows["half"] == half, "weight"]


def ratio(parts: pd.DataFrame, weights: pd.Series) -> pd.DataFrame:
    """Per `place`: mean, standard error and number of rows, from sums over the rows that have it."""
    counted = parts[parts["example_id"].isin(weights.index[weights > 0])]
    made = {}
    for place, of_place in counted.groupby("place"):
        of_rows = of_place.groupby("example_id")["attribution"].agg(["sum", "count"])
        w, n = weights.loc[of_rows.index], len(of_rows)
        mean = (w * of_rows["sum"]).sum() / (w * of_rows["count"]).sum()
        left = np.square(w * (of_rows["sum"] - mean * of_rows["count"])).sum()
        error = np.sqrt(left * n / (n - 1)) / (w * of_rows["count"]).sum() if n > 1 else np.nan
        made[place] = {"mean": mean, "std_error": error, "num_examples": n}
    return pd.DataFrame(made).T


SLICES = {"overall": None, "half=0": 0, "half=1": 1}


@pytest.mark.parametrize("slice_name", SLICES)
@pytest.mark.parametrize("output", [0, 1])
def test_words_and_windows_are_means_over_the_records(
    explanation: ExplanationReader, slice_name: str, output: int
) -> None:
    name, weights = explanation.outputs[output], weighed(explanation, SLICES[slice_name])
    texts = {str(i): row["review"] for i, row in enumerate(make_rows(N, 1))}
    words = explanation.parts("review", output=name)
    bounds = zip(words["example_id"], words["start"], words["stop"], strict=True)
    words["place"] = [spoken(texts[row][start:stop]) for row, start, stop in bounds]
    expected = ratio(words[words["place"] != ""], weights)
    found = explanation.words_for(slice=slice_name, output=name).set_index("word")
    kept = expected[expected["num_examples"] >= 2]
    assert set(found.index) == set(kept.index)
    assert (found["num_left_out"] == len(expected) - len(kept)).all()
    assert "bad" in found.index
    for column in ("mean", "std_error", "num_examples"):
        np.testing.assert_allclose(found[column], kept.loc[found.index, column], rtol=1e-5, atol=1e-6)
    windows = explanation.parts("series", output=name)
    n_steps = windows.groupby("example_id")["stop"].transform("max")
    is_number, is_whole = windows["start"] == windows["stop"], (windows["start"] == 0) & (windows["stop"] == n_steps)
    windows["place"] = list(
        zip(windows["start"].where(~is_number, -1), windows["stop"].where(~is_number & ~is_whole, -1), strict=True)
    )
    expected = ratio(windows, weights)
    table = explanation.series.query("slice == @slice_name and output == @name")
    found = table.set_index(pd.Index(zip(table["start"], table["stop"], strict=True)))
    assert set(found.index) == set(expected.index)
    assert (-1, -1) in found.index
    for column in ("mean", "std_error", "num_examples"):
        np.testing.assert_allclose(found[column], expected.loc[found.index, column], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("slice_name", SLICES)
def test_mean_maps_are_means_of_maps(explanation: ExplanationReader, slice_name: str) -> None:
    weights, output = weighed(explanation, SLICES[slice_name]), explanation.outputs[0]
    maps = np.stack([explanation.image_map(row, output=output) for row in weights.index])
    found = explanation.mean_image_map(output=output, slice=slice_name)
    assert found.shape == (pictures.SIZE, pictures.SIZE)
    np.testing.assert_allclose(found, np.average(maps, axis=0, weights=weights), rtol=1e-5, atol=1e-7)
    sizes = explanation.mean_image_map(output=output, slice=slice_name, column="mean_abs")
    np.testing.assert_allclose(sizes, np.average(np.abs(maps), axis=0, weights=weights), rtol=1e-5, atol=1e-7)
    w = weights.to_numpy()
    n = w.sum() ** 2 / np.square(w).sum()
    spread = (np.square(w)[:, None, None] * np.square(maps - found)).sum(axis=0)
    errors = explanation.mean_image_map(output=output, slice=slice_name, column="std_error")
    np.testing.assert_allclose(errors, np.sqrt(spread * n / (n - 1)) / w.sum(), rtol=1e-4, atol=1e-7)
    whole = explanation.attributions(output=output, method="xrai").set_index("example_id")["attribution_image"]
    assert found.sum() == pytest.approx(np.average(whole.loc[weights.index], weights=weights), abs=1e-6)


def test_regions_are_ranked_by_what_they_add(explanation: ExplanationReader) -> None:
    weights, output = weighed(explanation, None), explanation.outputs[1]
    parts = explanation.parts("image", output=output)
    parts["size"] = parts["attribution"].abs()
    figures = {}
    for row, of_row in parts.groupby("example_id"):
        ordered = of_row.sort_values("size", ascending=False)
        shares, areas = (ordered[name].to_numpy() / of_row[name].sum() for name in ("size", "pixels"))
        dense = np.argsort(-shares / areas)
        # How far the curve of shares over area has come where it reaches a half.
        reached = np.concatenate([[0.0], np.cumsum(shares[dense])]), np.concatenate([[0.0], np.cumsum(areas[dense])])
        figures[row] = [*(shares[rank] if rank < len(shares) else 0.0 for rank in range(3)), areas[0]]
        figures[row] += [np.interp(0.5, *reached), len(shares)]
    expected = np.average(pd.DataFrame(figures).T.loc[weights.index], axis=0, weights=weights)
    own = explanation.regions.query("slice == 'overall' and output == @output").set_index(["measure", "rank"])["mean"]
    names = [("share", 1), ("share", 2), ("share", 3), ("area", 1), ("half_area", 0), ("num_regions", 0)]
    np.testing.assert_allclose(own.loc[names], expected, rtol=1e-5)
    assert own.loc["share"].sum() == pytest.approx(1.0, abs=1e-9) or own["num_regions", 0] > 10
    assert 0 < own["half_area", 0] < 0.5


def test_files_are_as_described_and_whole(explanation: ExplanationReader) -> None:
    for table in (*PART_TABLES, tables.ROW_IMAGES):
        formats.check_table(table, pq.read_table(Path(explanation.uri) / table.file))
    explanation.verify()
    assert explanation.words["num_examples"].max() == (weighed(explanation, None) > 0).sum() // 2


def test_rules_about_places_read_the_records_once(
    explanation: ExplanationReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules = [
        {"max_part_share": {"feature": "review", "words": ["good"], "value": 0.9}},
        {"max_part_share": {"feature": "image", "method": "xrai", "area": [0, 0, 0.5, 0.5], "value": 0.9}},
    ]
    own, opened = explanation.attribution_batches, list[Any]()
    monkeypatch.setattr(explanation, "attribution_batches", lambda: opened.append(1) or own())
    policy = {"multiplicity": "none", "min_slice_examples": 2}
    alone = [judge(explanation, ValidationConfig(rules=[rule], **policy)).findings for rule in rules]
    assert len(opened) == len(rules)
    opened.clear()
    together = judge(explanation, ValidationConfig(rules=rules, **policy)).findings
    assert len(opened) == 1
    figures = [
        [(found.value, found.ci_low, found.output) for found in findings] for findings in (sum(alone, ()), together)
    ]
    assert sorted(figures[0]) == sorted(figures[1])


def test_pictures_of_shown_rows_are_files(explanation: ExplanationReader) -> None:
    table, root = explanation.images, Path(explanation.uri)
    assert len(table) == MAX_ROWS
    assert set(table["method"]) == {"xrai"}
    for _, row in table.iterrows():
        drawn, labels = ((root / row[name]).read_bytes() for name in ("overlay", "label_map"))
        assert row["num_bytes"] == len(drawn) + len(labels)
        assert decode_image(drawn).shape == (row["height"], row["width"], 3) == (pictures.SIZE, pictures.SIZE, 3)
        own = explanation.parts("image", output=row["output"]).query("example_id == @row.example_id")
        assert decode_labels(labels).max() == len(own) - 1
        assert row["limit"] == pytest.approx((own["attribution"] / own["pixels"]).abs().max(), rel=1e-6)
    listed = {*table["overlay"], *table["label_map"]}
    assert (
        listed == {f"images/{path.name}" for path in (root / "images").iterdir()} <= set(explanation.manifest["files"])
    )


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda e: e.words_for("image", output=e.outputs[0]), "`image` is no text: its parts are regions"),
        (
            lambda e: e.mean_image_map(feature="review", output=e.outputs[0]),
            "no image with regions: its parts are sp",
        ),
        (lambda e: e.mean_image_map(output=e.outputs[0], slice="half=2"), "no slice `half=2` .* half=0, half=1"),
        (lambda e: e.mean_image_map(output=e.outputs[0], column="row"), "no mean maps of `row`; name one of mean,"),
    ],
)
def test_what_is_not_there_is_named(explanation: ExplanationReader, ask: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        ask(explanation)
