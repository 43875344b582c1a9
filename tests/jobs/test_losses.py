"""Permutation importance and SAGE through the whole job, against closed forms, scikit-learn and enumeration."""

import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from scipy import special
from sklearn.inspection import permutation_importance

import formats
import tfx_explain
import worlds
from tfx_explain import errors
from tfx_explain.attribution.levels import Levels, RoughBackground
from tfx_explain.methods.losses import plan as loss_plan
from tfx_explain.models import Model
from tfx_explain.transforms import select

pytestmark = pytest.mark.usefixtures("without_statistics")

NAMES = ("a", "b", "c", "d", "idle")
WEIGHTS = np.array([2.0, -1.0, 0.5, 0.25, 0.0])
METHODS = [{"shapley": {}}, {"permutation_importance": {}}, {"sage": {}}]
SAMPLED = [{"shapley": {"estimator": "leverage", "budget": 20}}, "permutation_importance", {"sage": {}}]


def columns(n: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, len(NAMES))).astype(np.float32)


def make_rows(n: int, seed: int) -> list[dict[str, Any]]:
    """Rows with a noisy linear target `y` (missing in a few), the class `hit`, a weight, and a slice."""
    x = columns(n, seed)
    rng = np.random.default_rng(seed + 100)
    y = x @ WEIGHTS + 0.5 * rng.normal(size=n)
    hit = rng.uniform(size=n) < special.expit(x @ WEIGHTS)
    return [
        {
            **dict(zip(NAMES, map(float, row), strict=True)),
            "y": None if i % 40 == 7 else float(y[i]),
            "hit": int(hit[i]),
            "weight": float(rng.integers(0, 3)),
            "half": [b"left", b"right"][i % 2],
        }
        for i, row in enumerate(x)
    ]


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> str:
    return worlds.write_splits(tmp_path_factory.mktemp("labelled"), make_rows, 1_500, 1_200)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    spec = {name: tf.io.FixedLenFeature([], tf.float32) for name in NAMES}

    def score(features: dict[str, Any]) -> Any:
        return tf.add_n([float(w) * features[name] for w, name in zip(WEIGHTS, NAMES, strict=True)])

    return worlds.save_serving_model(tmp_path_factory.mktemp("linear") / "model", score, spec)


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> str:
    spec = {name: tf.io.FixedLenFeature([], tf.float32) for name in NAMES}

    def score(features: dict[str, Any]) -> Any:
        return tf.sigmoid(tf.add_n([float(w) * features[name] for w, name in zip(WEIGHTS, NAMES, strict=True)]))

    return worlds.save_serving_model(tmp_path_factory.mktemp("classifier") / "model", score, spec)


def run(model_dir: str, examples: str, output: Path, **config: Any) -> tfx_explain.ExplanationReader:
    settings = {"background": {"num_rows": 200}, "label_key": "y", "methods": METHODS, **config}
    return tfx_explain.explain(model=model_dir, examples=examples, output_dir=str(output), config=settings)


@pytest.fixture(scope="module")
def explained(model: str, examples: str, tmp_path_factory: pytest.TempPathFactory) -> Any:
    seen: list[int] = []
    predict = Model.predict

    def counted(self: Model, inputs: Any) -> Any:
        seen.append(len(inputs))
        return predict(self, inputs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Model, "predict", counted)
        specs = [{}, {"feature_keys": ["half"]}]
        done = run(model, examples, tmp_path_factory.mktemp("out") / "out", slicing_specs=specs)
    return done, sum(seen)


@pytest.fixture(scope="module")
def sampled(model: str, examples: str, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Too few coalitions for SAGE to use, so it evaluates its own."""
    return run(model, examples, tmp_path_factory.mktemp("out") / "out", methods=SAMPLED)


def three_games(patch: pytest.MonkeyPatch, n_full: int, n_rough: int, n_guessed: int) -> None:
    """Has the plan evaluate some rows with 16 background rows only and guess the others, whatever the pilot says."""
    rough = RoughBackground(np.arange(16), np.full(16, 1 / 16))
    patch.setattr(loss_plan, "choose_levels", lambda *_: Levels(n_full, n_rough, rough, n_guessed))


@pytest.fixture(scope="module")
def rough(model: str, examples: str, tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        three_games(patch, 400, 800, 1_100)
        return run(model, examples, tmp_path_factory.mktemp("out") / "out", methods=SAMPLED)


def labelled() -> tuple[np.ndarray, np.ndarray]:
    rows = make_rows(1_200, 1)
    kept = [i for i, row in enumerate(rows) if row["y"] is not None]
    return columns(1_200, 1)[kept], np.array([rows[i]["y"] for i in kept])


def within(table: pd.DataFrame, expected: np.ndarray, n_errors: float = 4.0) -> None:
    table = table.set_index("player").loc[list(NAMES)]
    assert (np.abs(table["value"] - expected) <= n_errors * table["std_error"] + 1e-9).all(), table


def test_permutation_importance_is_that_of_scikit_learn(explained: Any) -> None:
    x, y = labelled()

    class Linear:
        def fit(self) -> None: ...

        def predict(self, rows: np.ndarray) -> np.ndarray:
            return rows @ WEIGHTS

    table = explained[0].importance_for(method="permutation_importance")
    theirs = permutation_importance(Linear(), x, y, scoring="neg_mean_squared_error", n_repeats=30, random_state=0)
    within(table, theirs.importances_mean)
    within(table, 2 * WEIGHTS**2)
    idle = table.set_index("player").loc["idle"]
    assert (idle["value"], idle["std_error"]) == (0, 0)
    assert set(table["metric"]) == {"mse"}
    assert set(table["num_examples"]) == {len(y)}
    assert (table["std_error"].iloc[0] / table["value"].iloc[0]) < 0.1


@pytest.mark.parametrize("which", ["explained", "sampled", "rough"])
def test_sage_of_independent_features_is_their_variance(request: pytest.FixtureRequest, which: str) -> None:
    """Linear model, squared error: w^2 var. The plug-in estimate would be too large by the variance of a mean."""
    done = request.getfixturevalue(which)
    done = done[0] if which == "explained" else done
    table = done.importance_for(method="sage")
    within(table, WEIGHTS**2)
    idle = table.set_index("player").loc["idle"]
    assert (idle["value"], idle["std_error"]) == (0, 0)
    losses = done.manifest["method"]["sage"]["mean_losses"]
    assert table["value"].sum() == pytest.approx(losses["loss_of_mean"] - losses["loss"], rel=1e-6)
    assert losses["loss"] == pytest.approx(0.25, rel=0.2)
    assert table.sort_values("rank")["player"].tolist()[:3] == ["a", "b", "c"]


def test_sage_by_permutations_agrees_with_enumeration(explained: Any, sampled: Any) -> None:
    exact = explained[0].importance_for(method="sage").set_index("player").loc[list(NAMES)]
    drawn = sampled.importance_for(method="sage").set_index("player").loc[list(NAMES)]
    method = sampled.manifest["method"]["sage"]
    assert (method["estimator"], explained[0].manifest["method"]["sage"]["estimator"]) == ("permutation", "exact")
    allowed = 3 * np.hypot(exact["std_error"], drawn["std_error"])
    assert (np.abs(exact["value"] - drawn["value"]) <= allowed + 1e-9).all()
    assert method["pilot_rows"] > 150
    assert method["relative_error"] == pytest.approx(drawn["std_error"].max() / np.ptp(drawn["value"]))


def test_model_rows_are_the_sum_of_the_parts_and_each_row_is_predicted_once(
    explained: Any, sampled: Any, rough: Any
) -> None:
    done, n_predicted = explained
    counts = done.manifest["counts"]["eval"]
    n_labelled = len(labelled()[0])
    assert (counts["read"], counts["explained"]) == (1_200, 1_200)
    assert counts["permutation_importance_without_usable_label"] == 1_200 - n_labelled
    # Four players are permuted and the one that the model ignores as well: it is read.
    assert counts["permutation_importance_model_rows"] == n_labelled * 4 * 5
    assert counts["sage_model_rows"] == 0
    shapley = 1_200 * done.manifest["method"]["shapley"]["model_rows_per_example"]
    assert counts["model_rows"] == shapley + counts["permutation_importance_model_rows"]
    pool = done.manifest["method"]["permutation_importance"]["donor_rows"]
    assert pool == 1_500
    # Before the job the model is tried on a few rows: on more of them the faster it is.
    tried = n_predicted - (1_200 + 200 + pool + counts["permutation_importance_model_rows"])
    assert 0 <= tried <= 64
    assert rough.manifest["method"]["sage"]["rough_background_rows"] == 16
    for drawn in (sampled, rough):
        own, sage = drawn.manifest["counts"]["eval"], drawn.manifest["method"]["sage"]
        per_row = (len(NAMES) - 1) * sage["permutations_per_row"]
        on_whole = own["sage_examples_on_whole_background"]
        others = own["sage_examples_on_rough_background"] * sage["rough_background_rows"]
        assert own["sage_model_rows"] == per_row * (on_whole * 200 + others)
        assert own["model_rows"] == sum(
            [1_200 * drawn.manifest["method"]["shapley"]["model_rows_per_example"]]
            + [own[f"{method}_model_rows"] for method in ("permutation_importance", "sage")]
        )
    assert 300 < on_whole < 500
    assert 300 < own["sage_examples_on_rough_background"] < 500
    assert 950 < own["sage_examples"] < 1_170
    assert sage["guessed_permutations_per_row"] > 1


def test_slices_have_their_own_rows(explained: Any) -> None:
    _, y = labelled()
    table = explained[0].importance.query("method == 'permutation_importance'")
    assert set(table["slice"]) == {"overall", "half=left", "half=right"}
    counts = table.groupby("slice")["num_examples"].first()
    assert counts["overall"] == counts["half=left"] + counts["half=right"] == len(y)
    total = sum(counts[f"half={h}"] * by_player(table, f"half={h}") for h in ("left", "right")) / counts["overall"]
    np.testing.assert_allclose(total, by_player(table, "overall"), rtol=1e-9, atol=1e-12)
    for half in ("left", "right"):
        within(table[table["slice"] == f"half={half}"], 2 * WEIGHTS**2)


def by_player(table: pd.DataFrame, slice_key: str) -> np.ndarray:
    return table[table["slice"] == slice_key].set_index("player").loc[list(NAMES), "value"].to_numpy()


def test_every_file_is_as_described(explained: Any, sampled: Any, rough: Any) -> None:
    for explanation in (explained[0], sampled, rough):
        formats.check_files(explanation)


def test_other_tables_and_rules_see_attributions_only(explained: Any) -> None:
    from tfx_explain import ValidationConfig
    from tfx_explain.explanation_validator.judge import judge

    done = explained[0]
    assert set(done.importance_for()["method"]) == {"shapley"}
    assert set(done.importance_for()["metric"]) == {"mean_abs_attribution"}
    shares = done.importance_for().set_index("player")["share"]
    policy = ValidationConfig(rules=[{"max_share": {"players": ["a"], "value": 0.99}}])
    (finding,) = judge(done, policy).findings
    assert finding.value == pytest.approx(shares["a"])
    with pytest.raises(errors.InputError, match="no importance by method `gain`; it has shapley, permutation"):
        done.importance_for(method="gain")
    assert tuple(done.manifest["method"]) == ("shapley", "permutation_importance", "sage")
    report = done.report()
    assert "Method by method" in report
    assert "SAGE (squared error)" in report
    figures = [row.value for row in done.importance_for(method="sage").itertuples()]
    assert all(f'<data value="{value!r}">' in report for value in figures)


def test_log_loss_sage_is_enumerated_from_the_background_itself(classifier: str, examples: str, tmp_path: Path) -> None:
    """Medoids are chosen, not drawn, so nothing is corrected and enumeration over the very background is the truth."""
    background = {"num_rows": 6, "strategy": "medoids"}
    done = run(
        classifier,
        examples,
        tmp_path / "out",
        label_key="hit",
        background=background,
        max_examples=100,
        example_weight_key="weight",
        methods=[{"shapley": {}}, "sage", {"permutation_importance": {"features": ["b", "idle"]}}],
    )
    frame = done.attributions()
    kept = frame[frame["weight"] > 0]
    x, y, w = kept[list(NAMES)].to_numpy(), kept["hit"].to_numpy(), kept["weight"].to_numpy()
    rows, weights = (
        np.array(done.background[list(NAMES)].values.tolist())[..., 0],
        done.background["__weight__"].to_numpy(),
    )
    value = {}
    for members in itertools.product([False, True], repeat=len(NAMES)):
        mixed = np.where(np.array(members), x[:, None], rows[None])
        logit = (mixed @ WEIGHTS) @ weights
        value[members] = -np.average(np.logaddexp(0, logit) - y * logit, weights=w)
    truth = np.zeros(len(NAMES))
    for order in itertools.permutations(range(len(NAMES))):
        present = [False] * len(NAMES)
        for player in order:
            before = value[tuple(present)]
            present[player] = True
            truth[player] += (value[tuple(present)] - before) / math.factorial(len(NAMES))
    table = done.importance_for(method="sage").set_index("player").loc[list(NAMES)]
    np.testing.assert_allclose(table["value"], truth, rtol=1e-4, atol=1e-6)
    assert set(table["metric"]) == {"log_loss"}
    assert set(done.importance_for(method="permutation_importance")["player"]) == {"b", "idle"}


@pytest.mark.parametrize("methods", [METHODS, SAMPLED], ids=["enumerated", "drawn"])
def test_shards_and_batches_change_no_figure(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, methods: Any
) -> None:
    three_games(monkeypatch, 50, 80, 95)

    def table(name: str, num_shards: int) -> pd.DataFrame:
        found = worlds.write_splits(tmp_path / name, make_rows, 150, 130, num_shards)
        return run(model, found, tmp_path / f"{name}-out", max_examples=100, methods=methods).importance

    reference = table("reference", 1)
    assert set(reference["method"]) == {"shapley", "permutation_importance", "sage"}
    monkeypatch.setattr(select, "ROWS_PER_BATCH", 13)
    pd.testing.assert_frame_equal(reference, table("five", 5), check_exact=False, rtol=1e-9, atol=1e-9)


def test_several_classes_are_judged_together(examples: str, tmp_path: Path) -> None:
    spec = {name: tf.io.FixedLenFeature([], tf.float32) for name in NAMES}

    def score(features: dict[str, Any]) -> Any:
        return tf.nn.softmax(tf.stack([features["a"], features["b"] - features["c"], 0.0 * features["d"]], axis=1))

    model = worlds.save_serving_model(tmp_path / "model", score, spec)
    done = run(model, examples, tmp_path / "out", label_key="hit", max_examples=80)
    for method in ("permutation_importance", "sage"):
        table = done.importance_for(method=method)
        assert set(table["output"]) == {"score"}
        assert table.set_index("player")["value"]["d"] == pytest.approx(0, abs=1e-9)
    assert len(done.outputs) == 3
    x = done.attributions(output="score[0]")[list(NAMES)].to_numpy()
    label = done.attributions(output="score[0]")["hit"].to_numpy()
    logits = np.stack([x[:, 0], x[:, 1] - x[:, 2], 0 * x[:, 3]], axis=1)
    expected = -special.log_softmax(logits, axis=1)[np.arange(len(x)), label].mean()
    assert done.manifest["method"]["sage"]["mean_losses"]["loss"] == pytest.approx(expected, rel=1e-5)
    assert len(x) == 80
    assert "SAGE (log loss)" in done.report()


REFUSED = {
    "log loss of a raw output": (
        {"methods": ["shapley", {"sage": {"metric": "log_loss"}}]},
        errors.ConfigError,
        "method `sage`: the metric `log_loss` needs log-odds or probabilities",
    ),
    "unknown player": (
        {"methods": ["shapley", {"permutation_importance": {"features": ["z"]}}]},
        errors.ConfigError,
        "`methods.permutation_importance.features` names `z`, which is no player; players: a, b",
    ),
    "label that is text": (
        {"label_key": "half", "methods": ["shapley", "sage"]},
        errors.InputError,
        "method `sage` needs labels that are numbers, but `half` of split `eval` is text",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_work_is_one_sentence(case: str, model: str, examples: str, tmp_path: Path) -> None:
    config, error, message = REFUSED[case]
    with pytest.raises(error, match=message) as caught:
        run(model, examples, tmp_path / "out", **config)
    assert "\n" not in str(caught.value)


def test_label_outside_the_classes_is_one_sentence(classifier: str, examples: str, tmp_path: Path) -> None:
    with pytest.raises(errors.InputError, match=r"the index of a class, 0 to 1, but `y` is .* in split `eval`"):
        run(classifier, examples, tmp_path / "out")
