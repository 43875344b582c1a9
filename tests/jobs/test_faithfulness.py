"""Faithfulness in whole jobs: a network on a picture and a number, rules, slices, shards, damage."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

import pictures
import tfx_explain
import worlds
from tfx_explain.config import ValidationConfig
from tfx_explain.errors import ConfigError, InputError
from tfx_explain.explanation_validator.judge import judge
from tfx_explain.reader import ExplanationReader

pytestmark = pytest.mark.usefixtures("without_statistics")

N = 24
METHODS: list[Any] = ["shapley", {"xrai": {"feature": "image"}}, {"faithfulness": {"randomisation": 3}}]
CONFIG: dict[str, Any] = {
    "methods": METHODS,
    "model": {"output_space": "raw"},
    "background": {"num_rows": 8},
    "slicing_specs": [{"feature_keys": ["half"]}],
}


class Network(tf.Module):
    """Weights on each pixel, large within the square, and on the age; `fixed` is added whatever the weights are."""

    def __init__(self, learned: float, fixed: float) -> None:
        super().__init__()
        kernel = np.zeros((pictures.SIZE, pictures.SIZE), np.float32)
        kernel[pictures.SQUARE] = 0.3
        self.fixed = tf.constant(kernel * fixed)
        noise = np.random.default_rng(0).normal(scale=0.01, size=kernel.shape)
        self.kernel = tf.Variable((kernel + noise).astype(np.float32) * learned)
        self.age = tf.Variable([[0.5 * learned]])

    def __call__(self, parsed: dict[str, tf.Tensor]) -> tf.Tensor:
        seen = tf.square(pictures.decoded(parsed["image"])[..., 0])
        return tf.reduce_sum(seen * (self.kernel + self.fixed), [1, 2])[:, None] + tf.matmul(
            parsed["age"][:, None], self.age + 0.5 * tf.reduce_max(self.fixed)
        )


def saved(where: Path, learned: float, fixed: float) -> str:
    network = Network(learned, fixed)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def serve(examples: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"score": network(tf.io.parse_example(examples, pictures.SPEC))}

    tf.saved_model.save(network, str(where), signatures={"serving_default": serve})
    return str(where)


def explained(where: Path, model: str, examples: str, **more: Any) -> ExplanationReader:
    return tfx_explain.explain(model=model, examples=examples, output_dir=str(where), config={**CONFIG, **more})


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> str:
    return worlds.write_splits(tmp_path_factory.mktemp("examples"), pictures.make_rows, 32, N, 3)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return saved(tmp_path_factory.mktemp("learned") / "model", 1.0, 0.0)


@pytest.fixture(scope="module")
def explanation(tmp_path_factory: pytest.TempPathFactory, model: str, examples: str) -> ExplanationReader:
    return explained(tmp_path_factory.mktemp("explained") / "out", model, examples)


def verdicts(explanation: ExplanationReader, *rules: Any) -> list[str]:
    policy = ValidationConfig(rules=list(rules), min_slice_examples=5)
    return [finding.outcome for finding in judge(explanation, policy).findings]


def test_faithful_maps_of_a_learned_model_are_blessed(explanation: ExplanationReader) -> None:
    table = explanation.faithfulness
    assert set(table["slice"]) == {"overall", "half=0", "half=1"}
    assert set(zip(table["method"], table["feature"], strict=True)) == {
        ("shapley", ""),
        ("xrai", ""),
        ("xrai", "image"),
    }
    whole = table[(table["slice"] == "overall") & (table["measure"] == "deletion")]
    assert (whole["num_examples"] == N).all()
    assert (whole["num_left_out"] == 0).all()
    # As the page says: of players by two methods with four background rows, of regions with two images.
    per_row = (2 * 22 * 4 + 20 * 11 + 20 * 5) + (22 * 2 + 20 * 11 + 20 * 5)
    assert explanation.manifest["counts"]["eval"]["faithfulness_model_rows"] == N * per_row
    rules = [
        {"min_faithfulness": {"method": "xrai", "value": 0.1}},
        {"min_faithfulness": {"method": "xrai", "curve": "insertion", "value": 0.1}},
        {"min_faithfulness": {"method": "shapley", "value": 0.0}},
        {"max_randomisation_similarity": {"method": "xrai", "value": 0.5}},
    ]
    assert verdicts(explanation, *rules) == ["pass"] * 4
    page = Path(explanation.uri, "report.html").read_text()
    assert "Are the attributions faithful?" in page
    assert "Deletion: XRAI, inside image" in page


def test_the_curve_of_the_planted_square_falls_at_once(explanation: ExplanationReader) -> None:
    curves = explanation.faithfulness_curves
    ours = curves[
        (curves["slice"] == "overall") & (curves["method"] == "xrai") & (curves["feature"] == "image")
    ].set_index(["curve", "share"])
    deletion = ours.loc["deletion"].sort_index()
    prediction = explanation.attributions()["prediction"].mean()
    assert deletion["value"].iloc[0] == pytest.approx(prediction, rel=1e-5)
    # The square is 20 of 144 pixels.
    lost = (deletion["value"].iloc[0] - deletion["value"].min()) * 0.8
    assert deletion["value"].iloc[0] - deletion["value"].iloc[3] > lost
    assert deletion["random_value"].iloc[0] - deletion["random_value"].iloc[3] < lost


def test_maps_that_weights_do_not_matter_for_are_refused(tmp_path: Path, examples: str) -> None:
    untrained = explained(tmp_path / "out", saved(tmp_path / "model", 1e-4, 1.0), examples, methods=METHODS[1:])
    rules = [{"max_randomisation_similarity": {"method": "xrai", "value": 0.5}}]
    assert verdicts(untrained, *rules) == ["fail"]
    assert verdicts(untrained, {"min_faithfulness": {"method": "xrai", "value": 0.1}}) == ["pass"]


def test_attributions_of_another_model_are_not_faithful(
    tmp_path: Path, model: str, examples: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tfx_explain.methods.xrai import explainer, regions_of_rows

    def shuffled(images: Any, pixels: Any, prediction: Any, *more: Any) -> Any:
        order = np.random.default_rng(0).permutation(pixels.shape[2])
        return regions_of_rows.region_rows(images, pixels[:, :, order], prediction, *more)

    monkeypatch.setattr(explainer, "region_rows", shuffled)
    found = explained(tmp_path / "out", model, examples, methods=[METHODS[1], {"faithfulness": {}}])
    assert verdicts(found, {"min_faithfulness": {"value": 0.1}}) == ["fail"]


def test_the_same_whatever_shards_and_workers(
    tmp_path: Path, explanation: ExplanationReader, model: str, examples: str
) -> None:
    again = worlds.write_splits(tmp_path / "again", pictures.make_rows, 32, N, 1)
    beam_args = ["--direct_num_workers=2", "--direct_running_mode=multi_processing"]
    other = tfx_explain.explain(
        model=model, examples=again, output_dir=str(tmp_path / "out"), config=CONFIG, beam_args=beam_args
    )
    keys = ["slice", "output", "method", "feature", "measure"]
    ours, theirs = (one.faithfulness.set_index(keys).sort_index() for one in (explanation, other))
    # Sums over rows are added up in another order.
    pd.testing.assert_frame_equal(ours, theirs, rtol=1e-9, atol=1e-12)


def test_a_damaged_table_is_refused(tmp_path: Path, explanation: ExplanationReader) -> None:
    from tfx_explain.faithfulness_consistency import check_curves, check_faithfulness

    table, curves = explanation.faithfulness, explanation.faithfulness_curves

    def fails(changed: pd.DataFrame) -> None:
        with pytest.raises(InputError, match=r"faithfulness.*\.parquet is not what was explained"):
            (check_curves if "curve" in changed else check_faithfulness)(changed, "x", explanation.manifest)

    for column, value in (
        ("value", 0.9),
        ("std_error", -1.0),
        ("method", "lime"),
        ("num_examples", 99),
        ("ci_low", 9.0),
    ):
        fails(table.assign(**{column: value}))
    fails(table.assign(measure="deletion"))
    fails(table.drop(columns="area"))
    fails(curves.assign(share=2.0))
    fails(curves.assign(value=np.nan))
    copy = tmp_path / "copy"
    shutil.copytree(explanation.uri, copy)
    (copy / "faithfulness.parquet").unlink()
    with pytest.raises(InputError, match="faithfulness"):
        ExplanationReader(str(copy)).verify()


@pytest.mark.parametrize(
    ("methods", "why"),
    [
        ([{"faithfulness": {}}], "list one that attributes"),
        (["shapley", {"faithfulness": {"methods": ["xrai"]}}], "is not listed"),
        (
            [*METHODS[:1], "partial_dependence", {"faithfulness": {"methods": ["partial_dependence"]}}],
            "does not attrib",
        ),
        (["shapley", {"faithfulness": {"randomisation": 1}}], "from 2 to 64"),
    ],
)
def test_settings_that_mean_nothing_are_refused(model: str, examples: str, methods: Any, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        explained(Path("unused"), model, examples, methods=methods, label_key="half")


def test_random_weights_of_a_model_without_any_are_refused(tmp_path: Path, examples: str) -> None:
    without = pictures.save(tmp_path / "model", pictures.with_age)
    with pytest.raises(ConfigError, match="no trainable weights that could be drawn anew; leave it out"):
        explained(tmp_path / "out", without, examples)


class Reading(tf.Module):
    """Fixed words and learned weights on a series, which do not interact."""

    def __init__(self) -> None:
        super().__init__()
        self.weights = tf.Variable(np.random.default_rng(0).normal(size=(12, 1)).astype(np.float32))

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def serve(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        spec = {"review": tf.io.FixedLenFeature([], tf.string), "pulse": tf.io.FixedLenFeature([12], tf.float32)}
        parsed = tf.io.parse_example(examples, spec)
        words = tf.strings.split(parsed["review"])
        good = tf.cast(words.values == b"good", tf.float32) - 0.5 * tf.cast(words.values == b"bad", tf.float32)
        said = tf.reduce_sum(words.with_values(good), axis=1)
        return {"score": said + tf.matmul(parsed["pulse"], self.weights)[:, 0]}


def reading_rows(n: int, seed: int) -> list[dict[str, Any]]:
    rng = np.random.default_rng(seed)
    texts = (" ".join(rng.choice(["good", "bad", "a", "film"], rng.integers(0, 9))) for _ in range(n))
    return [{"review": text.encode(), "pulse": rng.normal(size=12).tolist()} for text in texts]


def test_words_and_windows_of_an_additive_model_are_told_exactly(tmp_path: Path) -> None:
    model, reading = str(tmp_path / "model"), Reading()
    tf.saved_model.save(reading, model, signatures={"serving_default": reading.serve})
    rows = worlds.write_splits(tmp_path / "examples", reading_rows, 24, N, 2)
    parts = {"review": {"unit": "word"}, "pulse": {"windows": 6}}
    methods = [{"shapley": {"parts": parts}}, {"faithfulness": {"randomisation": 2}}]
    found = explained(tmp_path / "out", model, rows, methods=methods, slicing_specs=[{}]).faithfulness
    table = found.set_index(["feature", "measure"])
    for feature in parts:
        assert table.loc[(feature, "mu_fidelity"), "value"] == pytest.approx(1.0, abs=1e-6)
        assert table.loc[(feature, "deletion"), "ci_low"] > 0
    # Words were never learned.
    assert table.loc[("review", "randomisation"), "value"] == pytest.approx(1.0, abs=1e-6)
    assert table.loc[("pulse", "randomisation"), "value"] < 0.9
    # Reviews of fewer than two words have no curve, which is nobody's fault.
    short = sum(len(row["review"].split()) < 2 for row in reading_rows(N, 1))
    assert short > 0
    assert table.loc[("review", "deletion"), "num_examples"] == N - short
    assert table.loc[("review", "deletion"), "num_left_out"] == 0


class Rooted(tf.Module):
    """Weights under a root, which random ones of either sign do not survive."""

    def __init__(self) -> None:
        super().__init__()
        self.weights = tf.Variable([[4.0], [1.0], [9.0]])

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def serve(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        parsed = tf.io.parse_example(examples, {name: tf.io.FixedLenFeature([], tf.float32) for name in "abc"})
        return {"score": tf.matmul(tf.stack([parsed[name] for name in "abc"], axis=1), tf.sqrt(self.weights))[:, 0]}


def abc_rows(n: int, seed: int) -> list[dict[str, Any]]:
    return [dict(zip("abc", row, strict=True)) for row in np.random.default_rng(seed).normal(size=(n, 3)).tolist()]


def test_random_weights_that_give_no_numbers_lose_no_row_and_decide_nothing(tmp_path: Path) -> None:
    model, rooted = str(tmp_path / "model"), Rooted()
    tf.saved_model.save(rooted, model, signatures={"serving_default": rooted.serve})
    rows = worlds.write_splits(tmp_path / "examples", abc_rows, 24, N, 2)
    methods = ["shapley", {"faithfulness": {"randomisation": 2}}]
    found = explained(tmp_path / "out", model, rows, methods=methods, slicing_specs=[{}])
    assert found.manifest["counts"]["eval"]["explained"] == N
    assert "randomisation" not in set(found.faithfulness["measure"])
    assert verdicts(found, {"max_randomisation_similarity": {"value": 0.5}}) == ["insufficient_evidence"]
    assert verdicts(found, {"min_faithfulness": {"value": 0.1}}) == ["pass"]
