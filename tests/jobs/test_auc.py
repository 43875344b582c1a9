"""Permutation importance by AUC through the whole job, against scikit-learn on the same rows and donors."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from scipy import special
from sklearn.inspection import permutation_importance
from sklearn.metrics import roc_auc_score

import tfx_explain
import worlds
from tfx_explain import errors
from tfx_explain.methods.permutation_importance.explainer import PermutationExplainer
from tfx_explain.transforms import select

pytestmark = pytest.mark.usefixtures("without_statistics")

NAMES = ("a", "b", "c", "idle")
WEIGHTS = np.array([2.0, -1.0, 0.3, 0.0])
METHODS = ["shapley", {"permutation_importance": {"metric": "auc"}}]
SPECS = [{}, {"feature_keys": ["part"]}]


def make_rows(n: int, seed: int) -> list[dict[str, Any]]:
    """Rows with the class `hit` (missing in a few), a weight, and a part; the part `sure` has one class only."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, len(NAMES))).astype(np.float32)
    hit = rng.uniform(size=n) < special.expit(x @ WEIGHTS - 1)
    return [
        {
            **dict(zip(NAMES, map(float, row), strict=True)),
            "hit": None if i % 40 == 7 else int(hit[i]),
            "weight": float(rng.integers(0, 3)),
            "part": b"sure" if hit[i] and i % 4 == 0 else [b"left", b"right"][i % 2],
        }
        for i, row in enumerate(x)
    ]


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> str:
    return worlds.write_splits(tmp_path_factory.mktemp("labelled"), make_rows, 1_500, 1_200)


def save(directory: Path, output: Any) -> str:
    spec = {name: tf.io.FixedLenFeature([], tf.float32) for name in NAMES}

    def score(features: dict[str, Any]) -> Any:
        return output(tf.add_n([float(w) * features[name] for w, name in zip(WEIGHTS, NAMES, strict=True)]) - 1.0)

    return worlds.save_serving_model(directory / "model", score, spec)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return save(tmp_path_factory.mktemp("sigmoid"), tf.sigmoid)


def run(model_dir: str, examples: str, output: Path, **config: Any) -> tfx_explain.ExplanationReader:
    settings = {"background": {"num_rows": 30}, "label_key": "hit", "methods": METHODS, **config}
    return tfx_explain.explain(model=model_dir, examples=examples, output_dir=str(output), config=settings)


@pytest.fixture(scope="module")
def explained(model: str, examples: str, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The explanation, and (labels, own scores, scores with donors) of each batch as the model gave them."""
    seen: list[tuple[np.ndarray, np.ndarray, list[np.ndarray]]] = []
    bins = PermutationExplainer.bins

    def watched(self: PermutationExplainer, some: Any, plan: Any) -> Any:
        seen.append((some.labels, some.prediction[:, 0], [outputs[..., 0] for _, outputs in self._mixed(some, plan)]))
        return bins(self, some, plan)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PermutationExplainer, "bins", watched)
        done = run(model, examples, tmp_path_factory.mktemp("out") / "out", slicing_specs=SPECS)
    return done, seen


def test_value_is_that_of_scikit_learn_on_the_same_rows_and_donors(explained: Any) -> None:
    done, seen = explained
    labels, own = (np.concatenate([batch[i] for batch in seen]) for i in (0, 1))
    mixed = [np.concatenate([batch[2][k] for batch in seen]) for k in range(len(NAMES))]
    own_area = roc_auc_score(labels, own)
    expected = [own_area - roc_auc_score(np.repeat(labels, 4), scores.ravel()) for scores in mixed]
    table = done.importance_for(method="permutation_importance").set_index("player").loc[list(NAMES)]
    method = done.manifest["method"]["permutation_importance"]
    np.testing.assert_allclose(table["value"], expected, atol=1e-4)
    assert method["auc"] == pytest.approx(own_area, abs=1e-4)
    assert 0 < method["max_binning_error"] < 0.002
    assert (method["metric"], set(table["metric"])) == ("auc", {"auc"})
    assert set(table["num_examples"]) == {method["num_examples"]} == {len(labels)}
    assert tuple(table.loc["idle", ["value", "std_error"]]) == (0, 0)


def test_intervals_hold_what_scikit_learn_permutes(explained: Any) -> None:
    rows = [row for row in make_rows(1_200, 1) if row["hit"] is not None]
    x, y = np.array([[row[name] for name in NAMES] for row in rows]), np.array([row["hit"] for row in rows])

    class Linear:
        classes_ = (0, 1)

        def fit(self) -> None: ...

        def decision_function(self, rows: np.ndarray) -> np.ndarray:
            return rows @ WEIGHTS

    def scoring(estimator: Any, rows: np.ndarray, labels: np.ndarray) -> float:
        return float(roc_auc_score(labels, estimator.decision_function(rows)))

    theirs = permutation_importance(Linear(), x, y, scoring=scoring, n_repeats=30, random_state=0)
    table = explained[0].importance_for(method="permutation_importance").set_index("player").loc[list(NAMES)]
    assert (np.abs(table["value"] - theirs.importances_mean) <= 3 * table["std_error"] + 1e-9).all()
    read = table.drop(index="idle")
    assert ((read["ci_low"] <= read["value"]) & (read["value"] <= read["ci_high"])).all()
    assert (read["std_error"] < 0.02).all()


def test_slices_have_an_area_of_their_own_unless_they_have_one_class(explained: Any) -> None:
    done, _ = explained
    table = done.importance.query("method == 'permutation_importance'")
    assert set(table["slice"]) == {"overall", "part=left", "part=right"}
    assert "part=sure" in set(done.importance["slice"])
    assert done.manifest["method"]["permutation_importance"]["slices_of_one_class"] == ["part=sure"]
    assert np.isfinite(table[["value", "std_error", "ci_low", "ci_high"]].to_numpy()).all()
    report = done.report()
    assert "Permutation importance (AUC)" in report


def test_weights_count(model: str, examples: str, tmp_path: Path) -> None:
    done = run(model, examples, tmp_path / "out", example_weight_key="weight", max_examples=600)
    frame = done.attributions()
    kept = frame[frame["hit"].notna()]
    auc = roc_auc_score(kept["hit"].astype(int), kept["prediction"], sample_weight=kept["weight"])
    method = done.manifest["method"]["permutation_importance"]
    binning = method["max_binning_error"]
    assert method["auc"] == pytest.approx(auc, abs=binning)
    assert auc != pytest.approx(roc_auc_score(kept["hit"].astype(int), kept["prediction"]), abs=binning)


def test_shards_and_batches_change_no_figure(model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def table(name: str, num_shards: int) -> pd.DataFrame:
        found = worlds.write_splits(tmp_path / name, make_rows, 150, 130, num_shards)
        settings = {"slicing_specs": SPECS, "example_weight_key": "weight", "max_examples": 100}
        return run(model, found, tmp_path / f"{name}-out", **settings).importance

    reference = table("reference", 1)
    monkeypatch.setattr(select, "ROWS_PER_BATCH", 13)
    pd.testing.assert_frame_equal(reference, table("five", 5), check_exact=False, rtol=1e-9, atol=1e-9)
    # More shards than rows: some are empty.
    pd.testing.assert_frame_equal(reference, table("many", 200), check_exact=False, rtol=1e-9, atol=1e-9)


def test_models_of_more_outputs_or_other_spaces_are_refused(examples: str, tmp_path: Path) -> None:
    two = save(tmp_path / "two", lambda score: tf.nn.softmax(tf.stack([score, -score], axis=1)))
    message = "method `permutation_importance`: the metric `auc` ranks rows by one output.* the model has 2 outputs"
    with pytest.raises(errors.ConfigError, match=message):
        run(two, examples, tmp_path / "out")
    raw = save(tmp_path / "raw", lambda score: score)
    with pytest.raises(errors.ConfigError, match=r"neither log-odds nor a probability; .*`metric: mse`"):
        run(raw, examples, tmp_path / "out", model={"output_space": "raw"})


def test_labels_of_one_class_are_one_sentence(model: str, tmp_path: Path) -> None:
    rows = [{**row, "hit": 1, "part": 2} for row in make_rows(80, 0)]
    for split in ("train", "eval"):
        worlds.write_records(tmp_path / "one" / f"Split-{split}", [worlds.to_example(row) for row in rows])
    message = "every explained row that counts has the same label `hit`, so method `permutation_importance` has no AUC"
    with pytest.raises(errors.InputError, match=message) as caught:
        run(model, str(tmp_path / "one"), tmp_path / "out")
    assert "\n" not in str(caught.value)
    with pytest.raises(errors.InputError, match="the metric `auc` needs labels that are the index of a class, 0 to 1"):
        run(model, str(tmp_path / "one"), tmp_path / "out", label_key="part")
