"""One job with every method that needs no labels, slices, weights and a baseline model.

No sharding changes a table, and the statistics of the attributions fit.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
import tensorflow_data_validation as tfdv

import formats
import tfx_explain
import worlds
from tfx_explain import records, tables
from tfx_explain.transforms import select

CONFIG: dict[str, Any] = {
    "background": {"num_rows": 12},
    "label_key": "approve",
    "example_weight_key": "weight",
    "slicing_specs": [{"feature_keys": ["race"]}, {"feature_values": {"race": "a"}, "feature_keys": ["approve"]}],
    "min_slice_examples": 30,
    "max_examples": 240,
    "reasons": {"adverse": {"score[0]": "low", "score[1]": "high"}, "k": 2},
    "methods": [
        {"shapley": {"interactions": 2}},
        {"partial_dependence": {"grid_size": 5, "num_ice": 3, "pairs": [["age", "race"]], "pair_grid_size": 4}},
        {"accumulated_local_effects": {"num_bins": 4}},
        {"interaction_strength": {"num_rows": 60}},
        {"faithfulness": {"num_examples": 120, "num_random": 4}},
    ],
}
WRITTEN = [table for table in tables.TABLES if table not in (*tables.PART_TABLES, tables.ROW_IMAGES)]
KEYS = {table.file: list(table.key) for table in WRITTEN if table.key}


def rows(n: int, seed: int) -> list[dict[str, Any]]:
    """Rows with a weight of 0 to 3, some of them duplicates of each other."""
    rng = np.random.default_rng(seed)
    made = [{**row, "weight": float(rng.integers(4))} for row in worlds.make_rows(n, seed)]
    return made + made[:5]


def write(root: Path, shards: int, *, empty: bool = False) -> str:
    for split, n in (("train", 80), ("eval", 300)):
        serialized = [worlds.to_example(row) for row in rows(n, len(split))]
        worlds.write_records(root / f"Split-{split}", serialized[:: -1 if shards > 1 else 1], shards)
        if empty:
            tf.io.TFRecordWriter(str(root / f"Split-{split}" / "data_tfrecord-empty.gz"), "GZIP").close()
    return str(root)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Two outputs: one with interactions, one without."""

    def score(features: dict[str, Any]) -> Any:
        age, income, debt = (tf.cast(features[name], tf.float64) for name in ("age", "income", "debt"))
        effect = tf.cast(features["race"] == b"b", tf.float64)
        return tf.stack([tf.tanh(age * income) + debt * effect, age - income + debt + effect], axis=1)

    return worlds.save_serving_model(tmp_path_factory.mktemp("pair") / "model", score, worlds.FEATURES)


def run(model: str, examples: str, output: Path) -> tfx_explain.ExplanationReader:
    return tfx_explain.explain(
        model=model, examples=examples, output_dir=str(output), config=CONFIG, baseline_model=model
    )


@pytest.fixture(scope="module")
def explained(model: str, tmp_path_factory: pytest.TempPathFactory) -> Any:
    root = tmp_path_factory.mktemp("one")
    return run(model, write(root / "examples", 1), root / "out")


def test_what_took_how_long_is_counted(explained: Any) -> None:
    timings = explained.manifest["timings_seconds"]
    (process,) = explained.manifest["processes"]
    assert {"total": timings["total"], **{what: took["seconds"] for what, took in process.items()}} == timings
    assert process["pilot"]["times"] == 1
    assert process["read"]["times"] == len(rows(80, 0)) + len(rows(300, 0))
    assert process["model"]["times"] > process["solve"]["times"] > 1
    in_turn = sum(process[what]["seconds"] for what in ("pilot", "model", "solve"))
    assert 0 < in_turn < timings["total"]


@pytest.mark.parametrize(("shards", "rows_per_batch"), [(3, 1_024), (7, 23)])
def test_no_sharding_changes_a_table(
    shards: int, rows_per_batch: int, explained: Any, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reversed rows in more files, one of them empty, and in smaller batches."""
    monkeypatch.setattr(select, "ROWS_PER_BATCH", rows_per_batch)
    other = run(model, write(tmp_path / "examples", shards, empty=True), tmp_path / "out")
    for name, keys in KEYS.items():
        reference, table = (records.read_table(f"{explanation.uri}/{name}") for explanation in (explained, other))
        assert not reference.duplicated(keys).any(), name
        assert len(reference), name
        pd.testing.assert_frame_equal(
            table.sort_values(keys, ignore_index=True),
            reference.sort_values(keys, ignore_index=True),
            check_exact=True,
            obj=name,
        )
    assert set(KEYS) == {path.name for path in Path(explained.uri).glob("*.parquet")} - {
        tables.BACKGROUND.file,
        tables.REPORT_EXAMPLES.file,
    }
    for reference, found in zip(explained.attribution_stats.datasets, other.attribution_stats.datasets, strict=True):
        assert (found.name, found.num_examples) == (reference.name, reference.num_examples)
        for mine, theirs in zip(reference.features, found.features, strict=True):
            assert theirs.num_stats.mean == pytest.approx(mine.num_stats.mean, rel=1e-6, abs=1e-9)


def test_every_file_is_as_described(explained: Any) -> None:
    formats.check_files(explained)
    assert {path.name for path in Path(explained.uri).glob("*.parquet")} == {table.file for table in WRITTEN}


def statistics_of(dataset: Any) -> dict[str, Any]:
    return {feature.path.step[0]: feature.num_stats for feature in dataset.features}


def test_statistics_are_those_of_the_records(explained: Any) -> None:
    statistics = tfdv.load_stats_binary(f"{explained.uri}/attribution_stats/FeatureStats.pb")
    assert statistics == explained.attribution_stats
    assert [dataset.name for dataset in statistics.datasets] == [
        "All Examples", "approve=0,race=a", "approve=1,race=a", "race=a", "race=b",
    ]  # fmt: skip
    outputs = ("score[0]", "score[1]")
    names = {
        f"{prefix}attribution_{player}/{output}"
        for prefix in ("", "baseline_")
        for player in explained.players
        for output in outputs
    }
    names |= {f"{prefix}prediction/{output}" for prefix in ("", "baseline_") for output in outputs}
    for dataset in statistics.datasets:
        assert set(statistics_of(dataset)) == names
    for output in outputs:
        frame = explained.attributions(output=output)
        frame = frame[frame["weight"] > 0]
        for name, part in (("All Examples", frame), ("race=a", frame[frame["race"] == "a"])):
            dataset = next(dataset for dataset in statistics.datasets if dataset.name == name)
            assert dataset.num_examples == len(part)
            assert dataset.weighted_num_examples == pytest.approx(part["weight"].sum())
            found = statistics_of(dataset)
            for column in ("attribution_age", "baseline_attribution_debt", "prediction"):
                stats = found[f"{column}/{output}"]
                assert stats.mean == pytest.approx(part[column].mean(), rel=1e-5)
                assert stats.std_dev == pytest.approx(part[column].std(ddof=0), rel=1e-5)
                assert stats.max == pytest.approx(part[column].max())
                weighted = np.average(part[column], weights=part["weight"])
                assert stats.weighted_numeric_stats.mean == pytest.approx(weighted, rel=1e-5)


def test_tfdv_compares_two_of_them(explained: Any) -> None:
    """The whole data is what TFDV takes where there are slices; against itself nothing drifts, against a shift all."""
    statistics = explained.attribution_stats
    schema = tfdv.infer_schema(statistics)
    comparator = tfdv.get_feature(schema, "attribution_age/score[0]").drift_comparator
    comparator.jensen_shannon_divergence.threshold = 0.1
    same = tfdv.validate_statistics(statistics, schema, previous_statistics=statistics)
    assert not same.anomaly_info
    shifted = type(statistics).FromString(statistics.SerializeToString())
    for feature in shifted.datasets[0].features:
        for histogram in [*feature.num_stats.histograms, *feature.num_stats.weighted_numeric_stats.histograms]:
            for bucket in histogram.buckets:
                bucket.low_value += 100
                bucket.high_value += 100
    found = tfdv.validate_statistics(statistics, schema, previous_statistics=shifted)
    assert list(found.anomaly_info) == ["attribution_age/score[0]"]


def test_reading_happens_once_whatever_is_computed(explained: Any) -> None:
    manifest = explained.manifest
    method, counts = manifest["method"], manifest["counts"]["eval"]
    profiles = ["partial_dependence", "accumulated_local_effects"]
    assert list(method) == ["shapley", *profiles, "faithfulness", "interaction_strength"]
    assert (counts["read"], counts["explained"]) == (305, 240)
    profiled = sum(method[name]["model_rows_per_example"] for name in list(method)[1:3]) * 240
    assert counts["profile_model_rows"] == counts["baseline_profile_model_rows"] == profiled
    by_both = 2 * (240 * method["shapley"]["model_rows_per_example"] + profiled)
    assert counts["model_rows"] == by_both + counts["faithfulness_model_rows"]
