"""Occlusion in whole jobs: squares slid over pictures, beside another feature."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import tensorflow as tf

import pictures
import tfx_explain
import worlds
from tfx_explain import ValidationConfig
from tfx_explain.explanation_validator.judge import judge
from tfx_explain.reader import ExplanationReader

N, N_BACKGROUND, SIZE = 12, 8, pictures.SIZE
SQUARES = {"size": 4, "stride": 2, "absent": "black"}
Array = npt.NDArray[np.float64]


def config(*methods: Any, **parts: Any) -> dict[str, Any]:
    return {
        "methods": [{"occlusion": {"parts": parts}}, *methods],
        "model": {"output_space": "raw"},
        "background": {"num_rows": N_BACKGROUND},
        "id_key": "id",
    }


def rows(n: int, seed: int) -> list[dict[str, Any]]:
    return [{**row, "id": i} for i, row in enumerate(pictures.make_rows(n, seed))]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return pictures.save(tmp_path_factory.mktemp("model"), pictures.with_age)


@pytest.fixture(scope="module")
def explanation(tmp_path_factory: pytest.TempPathFactory, model: str) -> ExplanationReader:
    root = tmp_path_factory.mktemp("first")
    faithfulness = {"faithfulness": {"num_random": 4, "num_examples": N}}
    settings = {**config(faithfulness, image=SQUARES), "slicing_specs": [{}, {"feature_keys": ["half"]}]}
    return tfx_explain.explain(
        model=model,
        baseline_model=pictures.save(root / "baseline", pictures.planted),
        examples=worlds.write_splits(root / "examples", rows, 16, N, 3),
        output_dir=str(root / "out"),
        config=settings,
    )


def output(pixels: Array, age: float) -> float:
    """The same as `pictures.with_age`."""
    inside = pixels[pictures.SQUARE]
    return float(4.0 * np.square(inside).mean() / (1 + np.exp(-age)) + age)


def without_squares(pixels: Array, age: float) -> Array:
    """(6, 6) what cells of 2 x 2 pixels have: each pixel the mean over squares of 4 x 4, spread over their pixels."""
    changes, covers = np.zeros((SIZE, SIZE)), np.zeros((SIZE, SIZE))
    for top in range(0, SIZE - 3, 2):
        for left in range(0, SIZE - 3, 2):
            inside = slice(top, top + 4), slice(left, left + 4)
            hidden = pixels.copy()
            hidden[inside] = 0.0
            changes[inside] += (output(pixels, age) - output(hidden, age)) / 16
            covers[inside] += 1
    return (changes / covers).reshape(6, 2, 6, 2).sum(axis=(1, 3))


def test_each_square_is_absent_alone(explanation: ExplanationReader) -> None:
    found, parts = explanation.attributions().set_index("example_id"), explanation.parts("image").groupby("example_id")
    for i, row in enumerate(rows(N, 1)):
        pixels, age = pictures.pixels_of(N, 1)[i, ..., 0] / np.float64(255.0), row["age"]
        expected = without_squares(pixels, age)
        of_row = parts.get_group(str(i))
        np.testing.assert_allclose(of_row["attribution"], expected.ravel(), atol=2e-6)
        assert of_row["pixels"].tolist() == [4] * 36
        np.testing.assert_allclose(explanation.image_map(str(i))[::2, ::2], expected / 4, atol=1e-6)
        whole = output(pixels, age) - output(np.zeros_like(pixels), age)
        assert found.loc[str(i), "attribution_image"] == pytest.approx(whole, abs=2e-6)
    # The age is absent with those of eight rows of the background.
    assert (found["std_error_age"] > 0).all()
    assert (found["std_error_image"] == 0).all()
    assert (explanation.parts("image")["std_error"] == 0).all()


def test_it_is_no_share_of_the_output(explanation: ExplanationReader) -> None:
    assert explanation.attributions()[["base_value", "completeness_gap"]].isna().all(axis=None)
    assert explanation.manifest["method"]["occlusion"]["adds_up"] is False
    assert explanation.manifest["completeness_gaps"] == {}
    policy = ValidationConfig(
        min_slice_examples=2,
        rules=[
            {"max_completeness_gap": {"value": 0.01}},
            {"max_part_share": {"feature": "image", "area": [0, 0, 0.75, 0.75], "value": 0.05}},
        ],
    )
    gap, square = judge(explanation, policy).findings
    assert gap.outcome == "insufficient_evidence"
    assert "no shares of the output" in gap.message
    assert square.value > 0.9


def test_the_report_shows_it(explanation: ExplanationReader) -> None:
    report = explanation.report()
    assert "Each part has the change of the output where it alone is absent" in report
    assert "Parts add up to the attribution of the feature" not in report
    assert "against the row without image" in report
    assert "Figures are changes of the output and no shares of it" in report
    assert "from the base value" not in report
    assert "Completeness gap" not in report
    assert report.count("<figure>") > N_BACKGROUND


def test_it_is_faithful_and_compared_and_summed_up(explanation: ExplanationReader) -> None:
    measured = explanation.faithfulness.query("feature == 'image' and slice == 'overall'").set_index("measure")
    assert measured.loc["deletion", "ci_low"] > 0
    assert set(explanation.baseline_importance["slice"]) == {"overall", "half=0", "half=1"}
    assert set(explanation.importance["player"]) == {"image", "age"}
    mean = explanation.mean_image_map()
    maps = np.stack([explanation.image_map(str(i)) for i in range(N)])
    np.testing.assert_allclose(mean, maps.mean(axis=0), atol=1e-6)
    looked_at = np.zeros((SIZE, SIZE), bool)
    looked_at[2:6, 2:8] = True
    assert np.abs(mean[looked_at]).mean() > 5 * np.abs(mean[~looked_at]).mean()
    assert len(explanation.regions)


def test_shards_change_no_bit(tmp_path: Path, model: str, explanation: ExplanationReader) -> None:
    examples = worlds.write_splits(tmp_path / "examples", rows, 16, N, 1)
    again = tfx_explain.explain(
        model=model, examples=examples, output_dir=str(tmp_path / "out"), config=config(image=SQUARES)
    )
    for table, keys in (("attributions", ["example_id"]), ("parts", ["example_id", "part"])):
        of_both = [
            (one.parts("image") if table == "parts" else one.attributions()).sort_values(keys, ignore_index=True)
            for one in (again, explanation)
        ]
        pd.testing.assert_frame_equal(of_both[0], of_both[1][of_both[0].columns], check_exact=True)


MODULE = """
import io
import numpy as np
from PIL import Image
FEATURES = {"image": "string"}
def load_model(directory):
    def one(file):
        return np.asarray(Image.open(io.BytesIO(file)), np.float32)[2:6, 3:8].sum() / 255.0
    return lambda columns: np.array([one(file) for file in columns["image"]], np.float32)
"""


def strange(n: int, seed: int) -> list[dict[str, Any]]:
    long = np.full((10, 40, 1), 9, np.uint8)
    given = {50: pictures.png(long), 51: pictures.png(long)[:40]} if seed else {}
    good = {i: pictures.png(pixels) for i, pixels in enumerate(pictures.pixels_of(n, seed))}
    return [{"image": file, "id": i} for i, file in {**good, **given}.items()]


def test_files_of_any_size_and_those_that_cannot_be_cut(tmp_path: Path) -> None:
    """A model that is a Python file; squares are parts of the shorter side."""
    (tmp_path / "m.py").write_text(MODULE)
    settings = config(image={"size": 0.25, "absent": "black", "max_parts": 64})
    settings["model"]["module_file"], settings["max_failed_fraction"] = str(tmp_path / "m.py"), 0.9
    examples = worlds.write_splits(tmp_path / "rows", strange, 8, 3)
    made = tfx_explain.explain(
        model=str(tmp_path), examples=examples, output_dir=str(tmp_path / "out"), config=settings
    )
    letters = {
        tf.train.Example.FromString(record).features.feature["id"].int64_list.value[0]: reason
        for record, reason in made.dead_letters()[["record", "reason"]].itertuples(index=False)
    }
    assert set(letters) == {50, 51}
    assert "of 10 x 40 pixels squares cover 100 cells, more than `max_parts: 64`" in letters[50]
    parts = made.parts("image").groupby("example_id")
    weights = np.zeros((SIZE, SIZE))
    weights[pictures.SQUARE] = 1 / 255.0
    for i, pixels in enumerate(pictures.pixels_of(3, 1)[..., 0]):
        expected = (pixels * weights).reshape(4, 3, 4, 3).sum(axis=(1, 3)).ravel()
        np.testing.assert_allclose(parts.get_group(str(i))["attribution"], expected, atol=2e-6)
        assert made.image_map(str(i)).shape == (SIZE, SIZE)
