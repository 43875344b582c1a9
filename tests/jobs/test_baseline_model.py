"""A baseline model beside the candidate in every method: the same rows, donors and permutations, paired differences."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from scipy import special, stats

import formats
import tfx_explain
import worlds
from tfx_explain import errors
from tfx_explain.attribution.levels import Levels, RoughBackground
from tfx_explain.methods.losses import plan as loss_plan
from tfx_explain.methods.losses.rows import LabelledMethods, LossRows, ScoredRows, paired
from tfx_explain.transforms import select

pytestmark = pytest.mark.usefixtures("without_statistics")

NAMES = ("a", "b", "c", "d", "e")
CANDIDATE = {"a": 2.0, "b": -1.0, "c": 0.5, "d": 0.3, "e": 0.2}
UNREAD = ("c", "d", "e")
BASELINE = {"a": 2.0, "b": -0.5}
METHODS = ["shapley", "permutation_importance", {"sage": {}}]
DIFFERENCES = ["difference", "difference_std_error", "difference_ci_low", "difference_ci_high"]
SPECS = [{}, {"feature_keys": ["half"]}]
PROFILES = [
    "shapley",
    {"partial_dependence": {"grid_size": 6, "num_ice": 3, "pairs": [["a", "c"]], "pair_grid_size": 3}},
    {"accumulated_local_effects": {"num_bins": 5}},
]


def make_rows(n: int, seed: int) -> list[dict[str, Any]]:
    """Rows with the class `hit` (missing in a few), a weight, and a half."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, len(NAMES))).astype(np.float32)
    hit = rng.uniform(size=n) < special.expit(x @ np.array(list(CANDIDATE.values())))
    return [
        {
            **dict(zip(NAMES, map(float, row), strict=True)),
            "hit": None if i % 40 == 7 else int(hit[i]),
            "weight": float(rng.integers(0, 3)),
            "half": [b"left", b"right"][i % 2],
        }
        for i, row in enumerate(x)
    ]


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> str:
    return worlds.write_splits(tmp_path_factory.mktemp("labelled"), make_rows, 800, 500)


def save(directory: Path, weights: dict[str, float]) -> str:
    """A logistic model of some of the features; it reads no others."""
    spec = {name: tf.io.FixedLenFeature([], tf.float32) for name in weights}

    def score(features: dict[str, Any]) -> Any:
        return tf.sigmoid(tf.add_n([weight * features[name] for name, weight in weights.items()]))

    return worlds.save_serving_model(directory / "model", score, spec)


@pytest.fixture(scope="module")
def candidate(tmp_path_factory: pytest.TempPathFactory) -> str:
    return save(tmp_path_factory.mktemp("candidate"), CANDIDATE)


@pytest.fixture(scope="module")
def baseline(tmp_path_factory: pytest.TempPathFactory) -> str:
    return save(tmp_path_factory.mktemp("baseline"), BASELINE)


def run(model: str, baseline: str | None, examples: str, output: Path, **config: Any) -> tfx_explain.ExplanationReader:
    settings = {
        "background": {"num_rows": 40},
        "label_key": "hit",
        "methods": METHODS,
        "slicing_specs": SPECS,
        **config,
    }
    return tfx_explain.explain(
        model=model, examples=examples, output_dir=str(output), config=settings, baseline_model=baseline
    )


def with_cheap_games(patch: pytest.MonkeyPatch, n_full: int, n_rough: int, n_guessed: int) -> None:
    """Has SAGE guess for some rows and meet a rough background in others, so that it is a sum of three terms."""
    rough = RoughBackground(np.arange(16), np.full(16, 1 / 16))
    patch.setattr(loss_plan, "choose_levels", lambda *_: Levels(n_full, n_rough, rough, n_guessed))


SAMPLED = [{"shapley": {"estimator": "leverage", "budget": 20}}, {"permutation_importance": {"metric": "auc"}}, "sage"]


@pytest.fixture(scope="module", params=["enumerated", "sampled"])
def compared(
    request: pytest.FixtureRequest,
    candidate: str,
    baseline: str,
    examples: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, tfx_explain.ExplanationReader]:
    """The candidate beside the baseline, each by itself, and the candidate beside itself."""
    methods = METHODS if request.param == "enumerated" else SAMPLED
    pairs = {"both": (candidate, baseline), "candidate": (candidate, None), "baseline": (baseline, None)}
    pairs["same"] = (candidate, candidate)
    directory = tmp_path_factory.mktemp("out")
    with pytest.MonkeyPatch.context() as patch:
        with_cheap_games(patch, 150, 250, 450)
        return {name: run(*models, examples, directory / name, methods=methods) for name, models in pairs.items()}


def of_methods(table: pd.DataFrame) -> pd.DataFrame:
    return table[table["method"] != "shapley"].sort_values(["method", "slice", "player"], ignore_index=True)


def test_both_models_are_what_they_are_by_themselves(compared: dict[str, tfx_explain.ExplanationReader]) -> None:
    ours = of_methods(compared["both"].importance)
    pd.testing.assert_frame_equal(ours, of_methods(compared["candidate"].importance))
    theirs = of_methods(compared["both"].baseline_importance)
    assert set(theirs["method"]) == {"permutation_importance", "sage"}
    assert set(theirs["slice"]) == {"overall", "half=left", "half=right"}
    assert list(theirs.columns[-len(DIFFERENCES) :]) == DIFFERENCES
    assert list(theirs.columns[: -len(DIFFERENCES)]) == list(ours.columns)
    # By itself it has two players only, so permutations and coalitions differ; donors do not.
    alone = of_methods(compared["baseline"].importance).query("method == 'permutation_importance'")
    common = theirs[(theirs["method"] == "permutation_importance") & (~theirs["player"].isin(UNREAD))]
    for name in ("value", "std_error", "ci_low", "ci_high"):
        np.testing.assert_allclose(common[name], alone[name], rtol=1e-9, atol=1e-12)


def test_differences_are_candidate_less_baseline(compared: dict[str, tfx_explain.ExplanationReader]) -> None:
    both = compared["both"]
    keys = ["slice", "method", "player"]
    ours, theirs = (table.set_index(keys) for table in (both.importance, both.baseline_importance))
    assert np.isfinite(theirs[DIFFERENCES].to_numpy()).all()
    expected = ours["value"] - theirs["value"].loc[ours.index]
    np.testing.assert_allclose(theirs["difference"].loc[ours.index], expected, rtol=1e-9, atol=1e-12)
    assert (theirs["difference_ci_low"] <= theirs["difference"]).all()
    assert (theirs["difference"] <= theirs["difference_ci_high"]).all()
    shapley = theirs.xs("shapley", level="method")
    half_width = stats.t.ppf(0.975, shapley["num_examples"] - 1) * shapley["difference_std_error"]
    np.testing.assert_allclose(shapley["difference_ci_high"] - shapley["difference"], half_width, rtol=1e-6)
    # Both models see the same donors, so their common noise does not count.
    for method in ("permutation_importance", "sage"):
        row = theirs.loc[("overall", method, "a")]
        apart = np.hypot(ours.loc[("overall", method, "a"), "std_error"], row["std_error"])
        assert 0 < row["difference_std_error"] < 0.7 * apart


def test_rows_that_either_model_fails_on_are_left_out_of_both() -> None:
    values = np.ones((4, 1, 2))
    clusters, none = np.zeros(4, np.int64), np.zeros((4, 1, 0))
    ours = LossRows("score", np.where(np.arange(4)[:, None, None] == 1, np.nan, values), (), none, clusters, 1)
    theirs = LossRows("score", np.where(np.arange(4)[:, None, None] == 2, np.inf, values), (), none, clusters, 1)
    bins, known = np.zeros((4, 3, 1), np.uint16), np.arange(4) != 3
    scored = ScoredRows("score", bins, np.zeros(4, np.int64), known, clusters, 1, 1, np.zeros(1, np.uint16))
    sides = ({"sage": ours, "permutation_importance": scored}, {"sage": theirs, "permutation_importance": scored})
    for side in paired([LabelledMethods(side) for side in sides]):
        assert side.of["sage"].known.tolist() == [True, False, False, True]
        assert side.of["permutation_importance"].known.tolist() == [True, True, True, False]
    other = dataclasses.replace(scored, known=np.arange(4) != 0)
    for side in paired([LabelledMethods({"permutation_importance": rows}) for rows in (scored, other)]):
        _, (kept, *_) = side.of["permutation_importance"].contribution(np.arange(4), np.ones(4))
        assert len(kept) == 2


def far_donors(n: int, seed: int) -> list[dict[str, Any]]:
    """As `make_rows`; in the background split a few rows have a `b` that is far from all others."""
    rows = make_rows(n, seed)
    return [{**row, "a": -1.0, "b": 30.0} if seed == 0 and i < 24 else row for i, row in enumerate(rows)]


@pytest.mark.parametrize("metric", ["log_loss", "auc"])
def test_rows_whose_donors_one_model_fails_on_count_for_neither(candidate: str, tmp_path: Path, metric: str) -> None:
    """No row has a large `a` and a far `b`, so that only donors bring both together: the baseline is NaN there."""
    spec = {name: tf.io.FixedLenFeature([], tf.float32) for name in BASELINE}

    def score(features: dict[str, Any]) -> Any:
        both = (features["a"] > 1.0) & (features["b"] > 20.0)
        logit = 2.0 * features["a"] - 0.5 * tf.minimum(features["b"], 2.0)
        return tf.sigmoid(tf.where(both, tf.fill(tf.shape(logit), float("nan")), logit))

    fragile = worlds.save_serving_model(tmp_path / "fragile", score, spec)
    written = worlds.write_splits(tmp_path / "rows", far_donors, 400, 500)
    settings = {"methods": ["shapley", {"permutation_importance": {"metric": metric}}], "background": {"num_rows": 10}}
    both, alone = (
        run(candidate, other, written, tmp_path / f"out-{other is None}", **settings) for other in (fragile, None)
    )
    counts = both.manifest["counts"]["eval"]
    # No row is lost to Shapley values, whose background has no far row.
    assert counts["explained"] == counts["selected"] == 500
    ours, theirs = of_methods(both.importance), of_methods(both.baseline_importance)
    pd.testing.assert_series_equal(ours["num_examples"], theirs["num_examples"])
    by_itself = of_methods(alone.importance)
    assert (ours["num_examples"] < by_itself["num_examples"])[by_itself["slice"] == "overall"].all()
    assert (ours["num_examples"] > 0.8 * by_itself["num_examples"]).all()
    assert both.manifest["method"]["permutation_importance"]["num_examples"] == ours["num_examples"].max()
    keys = ["slice", "player"]
    expected = ours.set_index(keys)["value"] - theirs.set_index(keys)["value"]
    np.testing.assert_allclose(theirs.set_index(keys)["difference"], expected, rtol=1e-9, atol=1e-12)


def test_what_a_model_does_not_read_is_zero(compared: dict[str, tfx_explain.ExplanationReader]) -> None:
    theirs = compared["both"].baseline_importance
    unread = theirs[theirs["player"].isin(UNREAD)]
    permuted = unread[unread["method"] == "permutation_importance"]
    assert len(permuted) == 9
    assert (permuted[["value", "std_error", "ci_low", "ci_high"]].to_numpy() == 0).all()
    np.testing.assert_allclose(unread["value"], 0, atol=1e-6)
    assert "Dotted lines mark the baseline model." in compared["both"].report()
    assert "Dotted lines mark the baseline model." not in compared["candidate"].report()
    assert (permuted.query("player == 'c'")["difference"] > 0).all()


def test_the_same_model_differs_by_nothing(compared: dict[str, tfx_explain.ExplanationReader]) -> None:
    same = compared["same"]
    table = of_methods(same.baseline_importance)
    assert (table[DIFFERENCES].to_numpy() == 0).all()
    ours = of_methods(same.importance)
    pd.testing.assert_frame_equal(table[list(ours.columns)], ours)
    method = same.manifest["method"]
    for name in ("permutation_importance", "sage"):
        assert method[name]["baseline_model"].items() <= method[name].items()


def test_every_file_is_as_described(compared: dict[str, tfx_explain.ExplanationReader]) -> None:
    for explanation in compared.values():
        formats.check_files(explanation)


def test_the_manifest_counts_both_models(compared: dict[str, tfx_explain.ExplanationReader]) -> None:
    manifest, alone = compared["both"].manifest, compared["candidate"].manifest
    counts, before = manifest["counts"]["eval"], alone["counts"]["eval"]
    of_both = ("padding_rows", "predicted_rows")
    for name, n in before.items():
        if name not in ("model_rows", "digest", *of_both):
            assert counts[name] == n
    assert [counts[name] for name in of_both] == [2 * before[name] for name in of_both]
    # The baseline does not read three players, which are never permuted for it.
    n_permuted = before["permutation_importance_model_rows"]
    assert counts["baseline_permutation_importance_model_rows"] == n_permuted * 2 // 5
    assert counts["baseline_sage_model_rows"] == before["sage_model_rows"]
    methods = ("permutation_importance", "sage")
    assert set(counts) - set(before) == {f"baseline_{method}_model_rows" for method in methods}
    shapley = before["model_rows"] - n_permuted - before["sage_model_rows"]
    assert counts["model_rows"] == 2 * shapley + n_permuted * 7 // 5 + 2 * before["sage_model_rows"]


@pytest.mark.parametrize("methods", [[*METHODS, *PROFILES[1:]], SAMPLED], ids=["enumerated", "sampled"])
def test_shards_and_batches_change_no_figure(
    candidate: str, baseline: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, methods: Any
) -> None:
    with_cheap_games(monkeypatch, 60, 90, 0)

    def explained(name: str, num_shards: int) -> tfx_explain.ExplanationReader:
        written = worlds.write_splits(tmp_path / name, make_rows, 150, 130, num_shards)
        settings = {"methods": methods, "max_examples": 100, "example_weight_key": "weight"}
        return run(candidate, baseline, written, tmp_path / f"{name}-out", **settings)

    def table(explanation: tfx_explain.ExplanationReader) -> pd.DataFrame:
        # Players without effect are ranked by rounding errors.
        found = explanation.baseline_importance.drop(columns="rank")
        return found.sort_values(["slice", "method", "player"], ignore_index=True)

    reference = explained("reference", 1)
    monkeypatch.setattr(select, "ROWS_PER_BATCH", 13)
    other = explained("five", 5)
    pd.testing.assert_frame_equal(table(reference), table(other), check_exact=False, rtol=1e-9, atol=1e-9)
    if methods is not SAMPLED:
        profiles = (one.baseline_profiles for one in (reference, other))
        pd.testing.assert_frame_equal(*profiles, check_exact=False, rtol=1e-6, atol=1e-6)


CURVE = ["value", "std_error", "ci_low", "ci_high", "centred_value", "centred_std_error", "step", "step_std_error"]
POINT = ["slice", "method", "kind", "feature", "position", "position_b"]


@pytest.fixture(scope="module")
def profiled(
    candidate: str, baseline: str, examples: str, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, tfx_explain.ExplanationReader]:
    """The candidate beside the baseline, each by itself, the other way round, and the candidate beside itself."""
    pairs = {"both": (candidate, baseline), "candidate": (candidate, None), "baseline": (baseline, None)}
    pairs |= {"turned": (baseline, candidate), "same": (candidate, candidate)}
    directory = tmp_path_factory.mktemp("out")
    settings = {"methods": PROFILES, "max_examples": 300, "example_weight_key": "weight"}
    return {name: run(*models, examples, directory / name, **settings) for name, models in pairs.items()}


def by_point(table: pd.DataFrame) -> pd.DataFrame:
    return table[table["kind"] != "ice"].set_index(POINT).sort_index()


def test_profiles_of_both_models_are_those_they_have_alone(profiled: dict[str, tfx_explain.ExplanationReader]) -> None:
    both = profiled["both"]
    pd.testing.assert_frame_equal(both.profiles, profiled["candidate"].profiles)
    theirs, alone = by_point(both.baseline_profiles), by_point(profiled["baseline"].profiles)
    assert set(both.baseline_profiles["kind"]) == {"curve", "surface"}
    assert list(both.baseline_profiles.columns[: len(both.profiles.columns)]) == list(both.profiles.columns)
    assert set(alone.index.get_level_values("feature")) == {"a", "b"}
    for name in CURVE:
        np.testing.assert_allclose(theirs.loc[alone.index, name], alone[name], rtol=1e-6, atol=1e-6)
    assert both.report().count('class="curve baseline"') == 2 * len(NAMES)
    assert "Dashed lines" not in profiled["candidate"].report()
    with pytest.raises(errors.InputError, match=r"no baseline_profiles.parquet; give a `baseline_model`"):
        _ = profiled["candidate"].baseline_profiles
    counts = both.manifest["counts"]["eval"]
    assert counts["profile_model_rows"] == profiled["candidate"].manifest["counts"]["eval"]["profile_model_rows"]
    # Two of the five features that change along their bins are read.
    n_rows, points = counts["explained"], both.manifest["method"]["partial_dependence"]["model_rows_per_example"]
    assert counts["baseline_profile_model_rows"] == n_rows * (points + 2 * 2)


def test_differences_of_profiles_are_paired(profiled: dict[str, tfx_explain.ExplanationReader]) -> None:
    """Both models are linear in log-odds, so centred curves differ by the same in every row: without error."""
    ours, theirs = by_point(profiled["both"].profiles), by_point(profiled["both"].baseline_profiles)
    assert list(ours.index) == list(theirs.index)
    for prefix in ("", "centred_"):
        expected = ours[f"{prefix}value"] - theirs[f"{prefix}value"]
        np.testing.assert_allclose(theirs[f"{prefix}difference"], expected, rtol=1e-6, atol=1e-6)
        low, high = (theirs[f"{prefix}difference_ci_{end}"] for end in ("low", "high"))
        assert (low <= theirs[f"{prefix}difference"]).all()
        assert (theirs[f"{prefix}difference"] <= high).all()
    dependence = theirs.xs(("overall", "partial_dependence", "curve"))
    np.testing.assert_allclose(dependence["centred_difference_std_error"], 0, atol=1e-6)
    assert (dependence["difference_std_error"] > 0.001).all()
    slopes = {"a": 0.0, "b": -0.5, "c": 0.5}
    for name, slope in slopes.items():
        line = dependence.loc[name]
        expected = slope * (line["grid_value"] - line["grid_value"].iloc[0])
        np.testing.assert_allclose(line["difference"] - line["difference"].iloc[0], expected, atol=1e-5)


def test_a_feature_that_one_model_does_not_read_is_flat(profiled: dict[str, tfx_explain.ExplanationReader]) -> None:
    flat = [profiled["both"].baseline_profiles, profiled["turned"].profiles]
    for table in flat:
        curves = table[table["feature"].isin(UNREAD) & (table["kind"] == "curve")]
        assert set(curves["method"]) == {"partial_dependence", "accumulated_local_effects"}
        np.testing.assert_allclose(curves[["centred_value", "centred_std_error"]], 0, atol=1e-9)
    steep = profiled["turned"].baseline_profiles.query("feature == 'c' and kind == 'curve' and slice == 'overall'")
    assert np.ptp(steep["centred_value"]) > 0.5


def test_profiles_of_the_same_model_differ_by_nothing(profiled: dict[str, tfx_explain.ExplanationReader]) -> None:
    same = profiled["same"]
    table = same.baseline_profiles
    names = [f"{prefix}{name}" for prefix in ("", "centred_") for name in DIFFERENCES]
    assert (table[names].to_numpy() == 0).all()
    ours = same.profiles.query("kind != 'ice'").reset_index(drop=True)
    pd.testing.assert_frame_equal(table[list(ours.columns)], ours)
