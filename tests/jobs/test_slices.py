"""Slices and example weights through the whole job, against pandas on the attributions."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import tfx_explain
import worlds
from tfx_explain import ValidationConfig, errors, tables
from tfx_explain.explanation_validator.judge import judge
from tfx_explain.summary.slices import false_discovery_q_values
from tfx_explain.transforms import select

pytestmark = pytest.mark.usefixtures("without_statistics")

SPECS = [
    {},
    {"feature_keys": ["race"]},
    {"feature_keys": ["race", "debt"]},
    {"feature_values": {"race": "b"}, "feature_keys": ["approve"]},
    {"feature_keys": ["tags"]},
    {"feature_values": {"race": "nobody"}},
]


def rows_with_weights(n: int, seed: int) -> list[dict[str, Any]]:
    """Rows with a weight, a feature of several values, and one that is missing now and then."""
    rng = np.random.default_rng(seed)
    tags = [[b"x"], [b"y"], [b"x", b"y", b"x"], []]
    return [
        {**row, "weight": float(rng.integers(0, 4)), "tags": tags[int(rng.integers(4))] or None}
        for row in worlds.make_rows(n, seed)
    ]


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> str:
    root = tmp_path_factory.mktemp("examples")
    for split, n in (("train", 60), ("eval", 300)):
        worlds.write_records(root / f"Split-{split}", [worlds.to_example(r) for r in rows_with_weights(n, len(split))])
    return str(root)


def run(model: str, examples: str, output: Path, **config: Any) -> tfx_explain.ExplanationReader:
    settings = {"background": {"num_rows": 20}, "label_key": "approve", "slicing_specs": SPECS, **config}
    return tfx_explain.explain(model=model, examples=examples, output_dir=str(output), config=settings)


@pytest.fixture(scope="module")
def explained(linear_model: str, examples: str, tmp_path_factory: pytest.TempPathFactory) -> Any:
    methods = [{"shapley": {"interactions": 2}}]
    output = tmp_path_factory.mktemp("explained") / "out"
    settings = {"background": {"num_rows": 20}, "slicing_specs": SPECS, "min_slice_examples": 12, "methods": methods}
    return tfx_explain.explain(
        model=linear_model, examples=examples, output_dir=str(output), config=settings, baseline_model=linear_model
    )


def slices_of(frame: pd.DataFrame) -> dict[str, pd.Series]:
    """Slice -> which rows are in it, by pandas."""
    found = {"overall": pd.Series(True, frame.index)}
    for race in ("a", "b"):
        found[f"race={race}"] = frame["race"] == race
        for debt in range(9):
            found[f"debt={debt},race={race}"] = (frame["race"] == race) & (frame["debt"] == debt)
    for label in (0, 1):
        found[f"approve={label},race=b"] = (frame["race"] == "b") & (frame["approve"] == label)
    for tag in ("x", "y"):
        found[f"tags={tag}"] = frame["tags"].map(lambda tags, tag=tag: tag in (tags or []))
    return found


def test_every_slice_has_the_means_of_its_rows(explained: Any) -> None:
    frame = explained.attributions()
    expected = {name: rows for name, rows in slices_of(frame).items() if rows.sum() >= 12}
    assert set(explained.importance["slice"]) == set(expected)
    assert explained.importance["slice"].iloc[0] == "overall"
    for name, rows in expected.items():
        table = explained.importance_for(slice=name).set_index("player")
        assert set(table["num_examples"]) == {rows.sum()}
        for player in explained.players:
            values = frame.loc[rows, f"attribution_{player}"].abs()
            assert table.loc[player, "value"] == pytest.approx(values.mean(), rel=1e-5, abs=1e-9)
            assert table.loc[player, "std_error"] == pytest.approx(values.sem(), rel=1e-4, abs=1e-9)


def test_every_table_has_every_slice(explained: Any) -> None:
    names = set(explained.importance["slice"])
    for table in (explained.importance_covariance, explained.interactions, explained.baseline_importance):
        assert set(table["slice"]) == names
    assert set(explained.slice_differences["slice"]) == names - {"overall"}
    same = explained.baseline_importance
    assert np.allclose(same["difference"], 0)


def test_manifest_lists_slices_and_what_was_left_out(explained: Any) -> None:
    slices = explained.manifest["slices"]
    counts = {name: int(rows.sum()) for name, rows in slices_of(explained.attributions()).items()}
    got = {entry["slice"]: entry["num_examples"] for entry in [*slices["included"], *slices["too_small"]]}
    assert got == {name: n for name, n in counts.items() if n}
    assert {entry["slice"] for entry in slices["included"]} == {name for name, n in counts.items() if n >= 12}
    assert slices["too_small"]
    assert slices["without_examples"] == ["race=nobody"]
    assert {"slice": "race=a", "features": {"race": "a"}, "num_examples": counts["race=a"]} in slices["included"]


def test_differences_are_those_between_the_slice_and_the_other_rows(explained: Any) -> None:
    frame, table = explained.attributions(), explained.slice_differences
    for row in table.to_dict("records"):
        inside = slices_of(frame)[row["slice"]]
        values = frame[f"attribution_{row['player']}"].abs()
        assert (row["num_examples"], row["num_rest_examples"]) == (inside.sum(), (~inside).sum())
        difference = values[inside].mean() - values[~inside].mean()
        assert row["difference"] == pytest.approx(difference, rel=1e-4, abs=1e-6)
        error = np.hypot(values[inside].sem(), values[~inside].sem())
        assert row["std_error"] == pytest.approx(error, rel=1e-3, abs=1e-6)
    np.testing.assert_array_equal(table["q_value"], false_discovery_q_values(table["p_value"]))
    by_key = table.set_index(["slice", "player"])["q_value"]
    assert by_key["race=a", "race"] < 1e-6
    assert by_key["tags=x", "income"] > 0.05


def test_shards_and_batches_change_no_table(
    explained: Any, linear_model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for split, n in (("train", 60), ("eval", 300)):
        rows = [worlds.to_example(row) for row in rows_with_weights(n, len(split))[::-1]]
        worlds.write_records(tmp_path / "examples" / f"Split-{split}", rows, num_shards=3)
    monkeypatch.setattr(select, "ROWS_PER_BATCH", 40)
    other = run(linear_model, str(tmp_path / "examples"), tmp_path / "out", min_slice_examples=12, label_key=None)
    pd.testing.assert_frame_equal(other.importance, explained.importance, rtol=1e-9)
    ours, theirs = explained.slice_differences, other.slice_differences
    pd.testing.assert_frame_equal(theirs, ours, rtol=1e-6, atol=1e-12)


def test_weighted_tables_are_weighted_means(linear_model: str, examples: str, tmp_path: Path) -> None:
    explained = run(linear_model, examples, tmp_path / "out", example_weight_key="weight", min_slice_examples=12)
    frame = explained.attributions()
    assert len(frame) == 300
    assert "weight" not in explained.players
    for name in ("overall", "race=a", "tags=y"):
        rows = frame[slices_of(frame)[name] & (frame["weight"] > 0)]
        w = rows["weight"]
        n_effective = w.sum() ** 2 / (w**2).sum()
        table = explained.importance_for(slice=name).set_index("player")
        assert set(table["num_examples"]) == {len(rows)}
        assert table["num_effective_examples"].iloc[0] == pytest.approx(n_effective)
        for player in explained.players:
            values = rows[f"attribution_{player}"].abs()
            mean = np.average(values, weights=w)
            error = np.sqrt(((w * (values - mean)) ** 2).sum() * n_effective / (n_effective - 1)) / w.sum()
            assert table.loc[player, "value"] == pytest.approx(mean, rel=1e-5)
            # The records hold float32: a constant attribution varies by rounding there.
            assert table.loc[player, "std_error"] == pytest.approx(error, rel=1e-4, abs=1e-7)


def test_rows_of_unusable_weight_are_dead_letters(linear_model: str, tmp_path: Path) -> None:
    rows = rows_with_weights(40, 1)
    for row, weight in zip(rows, (None, -1.0, float("nan"), float("inf"), [1.0, 2.0], 0.0), strict=False):
        row["weight"] = weight
    for split in ("train", "eval"):
        worlds.write_records(tmp_path / "examples" / f"Split-{split}", [worlds.to_example(row) for row in rows])
    explained = run(
        linear_model, str(tmp_path / "examples"), tmp_path / "out", example_weight_key="weight", max_failed_fraction=0.5
    )
    reason = "the example weight `weight` is not one finite number of 0 or more"
    assert explained.manifest["failures"] == {"eval": {reason: 5}}
    assert len(explained.attributions()) == 35


REFUSED: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "unknown slice feature": (
        {"slicing_specs": [{"feature_keys": ["sex"]}]},
        errors.MissingFeatureError,
        "`slicing_specs` names feature `sex`, which no example of split `eval` has; they have age, ",
    ),
    "unknown weight": (
        {"example_weight_key": "wieght"},
        errors.MissingFeatureError,
        "`example_weight_key: wieght` names a feature that no example of split `eval` has",
    ),
    "text as weight": (
        {"example_weight_key": "race"},
        errors.InputError,
        "`example_weight_key: race` names a feature that is one finite number of 0 or more in none",
    ),
    "an id as slice": (
        {"slicing_specs": [{"feature_keys": ["application_id"]}], "max_slices": 299},
        errors.ConfigError,
        "splits the examples into more than 299 slices",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_mistakes_get_one_sentence(case: str, linear_model: str, examples: str, tmp_path: Path) -> None:
    config, error, message = REFUSED[case]
    with pytest.raises(error, match=message) as caught:
        run(linear_model, examples, tmp_path / "out", **config)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_slices_beyond_the_first_rows_are_counted_too(
    linear_model: str, examples: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tfx_explain.job.peeking._PEEK_ROWS", 50)
    with pytest.raises(errors.ConfigError, match="more than 200 slices"):
        run(linear_model, examples, tmp_path / "out", slicing_specs=[{"feature_keys": ["unused"]}], max_slices=200)


def test_weights_that_are_all_zero_are_refused(linear_model: str, tmp_path: Path) -> None:
    rows = [worlds.to_example({**row, "weight": 0.0}) for row in worlds.make_rows(20, 1)]
    for split in ("train", "eval"):
        worlds.write_records(tmp_path / "examples" / f"Split-{split}", rows)
    with pytest.raises(errors.InputError, match="every explained row has an example weight `weight` of 0"):
        run(linear_model, str(tmp_path / "examples"), tmp_path / "out", example_weight_key="weight", slicing_specs=[{}])


def judged(explained: Any, **config: Any) -> dict[str, Any]:
    """Slice -> finding of one rule."""
    rule = {"max_share": {"players": ["race"], "value": 0.9}}
    findings = judge(explained, ValidationConfig.from_dict({"rules": [rule], **config})).findings
    assert len({finding.slice_key for finding in findings}) == len(findings)
    return {finding.slice_key: finding for finding in findings}


def test_rules_hold_in_the_slices_that_are_asked_for(explained: Any) -> None:
    assert set(judged(explained)) == {"overall"}
    by_slice = judged(explained, slicing_specs=[{"feature_keys": ["race"]}, {"feature_values": {"race": "a"}}])
    assert set(by_slice) == {"race=a", "race=b"}
    shares = explained.importance.set_index(["slice", "player"])["share"]
    assert by_slice["race=b"].value == pytest.approx(shares["race=b", "race"])
    assert by_slice["race=b"].outcome == "pass"


def test_slices_without_enough_rows_are_not_blessed_unseen(explained: Any) -> None:
    small = {entry["slice"] for entry in explained.manifest["slices"]["too_small"]}
    found = judged(explained, slicing_specs=[{"feature_keys": ["debt", "race"]}], min_slice_examples=12)
    assert small < set(found)
    for name, finding in found.items():
        assert finding.outcome == ("insufficient_evidence" if name in small else "pass")
    found = judged(explained, slicing_specs=[{"feature_values": {"race": "nobody"}}])
    assert found["race=nobody"].outcome == "insufficient_evidence"
    assert "Only 0 examples were explained" in found["race=nobody"].message


@pytest.mark.parametrize("spec", [{"feature_keys": ["age"]}, {"feature_keys": ["approve", "race"]}])
def test_slices_that_were_not_explained_are_refused(explained: Any, spec: Any) -> None:
    with pytest.raises(errors.ConfigError, match=r"asks for the slices .*, which .* does not have; add them"):
        judged(explained, slicing_specs=[spec])


def test_unknown_slices_are_named(explained: Any) -> None:
    with pytest.raises(errors.InputError, match=r"no slice `race=c` among the \d+ in .*; there are .*race=a"):
        explained.importance_for(slice="race=c")


def test_without_slices_there_are_no_differences(linear_model: str, examples: str, tmp_path: Path) -> None:
    explained = run(linear_model, examples, tmp_path / "out", slicing_specs=[{}], max_examples=10)
    assert not (tmp_path / "out" / tables.SLICE_DIFFERENCES.file).exists()
    assert [entry["slice"] for entry in explained.manifest["slices"]["included"]] == ["overall"]
    with pytest.raises(errors.InputError, match="set `slicing_specs`"):
        _ = explained.slice_differences
