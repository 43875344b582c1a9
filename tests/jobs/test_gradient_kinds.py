"""XRAI by other gradients than integrated ones, in whole jobs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import pictures
import tfx_explain
import worlds
from tfx_explain.errors import ConfigError, InputError
from tfx_explain.reader import ExplanationReader

pytestmark = pytest.mark.usefixtures("without_statistics")

N = 12


def explained(where: Path, model: str, examples: str, gradients: str, *methods: Any, **more: Any) -> ExplanationReader:
    config = {
        "methods": [{"xrai": {"feature": "image", "gradients": gradients, **more.pop("xrai", {})}}, *methods],
        "model": {"output_space": "raw"},
        "background": {"num_rows": 8},
        **more,
    }
    return tfx_explain.explain(model=model, examples=examples, output_dir=str(where), config=config)


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> str:
    return worlds.write_splits(tmp_path_factory.mktemp("examples"), pictures.make_rows, 16, N, 3)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return pictures.save(tmp_path_factory.mktemp("model"), pictures.with_age)


@pytest.mark.parametrize("gradients", ["guided_ig", "blur_ig"])
def test_regions_and_features_add_up_and_are_better_than_chance(
    tmp_path: Path, model: str, examples: str, gradients: str
) -> None:
    checked = {"faithfulness": {"num_random": 4, "num_examples": N, "num_references": 1}}
    made = explained(tmp_path / "out", model, examples, gradients, checked)
    rows = made.attributions().set_index("example_id")
    sums = made.parts("image").groupby("example_id")["attribution"].sum()
    np.testing.assert_allclose(sums, rows["attribution_image"].loc[sums.index], rtol=1e-6, atol=1e-6)
    total = rows["base_value"] + rows["attribution_image"] + rows["attribution_age"]
    np.testing.assert_allclose(total - rows["prediction"], rows["completeness_gap"], atol=1e-6)
    assert (np.abs(rows["completeness_gap"]) <= 0.01 * (1 + np.abs(rows["prediction"]))).all()
    assert made.manifest["completeness_gaps"]["xrai"]["max_relative"] <= 0.01
    assert (rows["base_value"].nunique() == 1) == (gradients == "guided_ig")
    curves = made.faithfulness.set_index(["feature", "measure"])
    assert curves.loc[("image", "deletion"), "value"] > 0
    # What is left of the output without the image is the base value, at the age that the row has.
    lines = made.faithfulness_curves
    ends = lines[(lines["feature"] == "image") & (lines["share"] == 1.0) & (lines["curve"] == "deletion")]
    if gradients == "blur_ig":
        means = pictures.pixels_of(N, 1).mean(axis=(1, 2, 3)) / 255.0
        ages = np.array([row["age"] for row in pictures.make_rows(N, 1)])
        left = 4.0 * np.square(means) / (1 + np.exp(-ages)) + ages
        np.testing.assert_allclose(ends["value"], left.mean(), rtol=1e-4)


def test_images_of_the_background_are_references(tmp_path: Path, model: str, examples: str) -> None:
    checked = {"faithfulness": {"num_random": 4, "num_examples": N}}
    made = explained(tmp_path / "out", model, examples, "expected_gradients", checked, xrai={"num_samples": 48})
    rows = made.attributions().set_index("example_id")
    sums = made.parts("image").groupby("example_id")["attribution"].sum()
    np.testing.assert_allclose(sums, rows["attribution_image"].loc[sums.index], rtol=1e-6, atol=1e-6)
    total = rows["base_value"] + rows["attribution_image"] + rows["attribution_age"]
    np.testing.assert_allclose(total - rows["prediction"], rows["completeness_gap"], atol=1e-6)
    assert rows["base_value"].nunique() == 1
    assert made.manifest["method"]["xrai"]["num_references"] == 8
    assert made.manifest["method"]["xrai"]["base_values"] == [pytest.approx(rows["base_value"].iloc[0])]
    assert (rows["std_error_image"] > 0).all()
    measured = made.faithfulness.set_index(["feature", "measure"])
    assert measured.loc[("image", "deletion"), "ci_low"] > 0
    assert "XRAI by expected gradients over images of the background" in made.report()


def image_alone(parsed: dict[str, tf.Tensor]) -> tf.Tensor:
    inside = pictures.decoded(parsed["image"])[:, pictures.SQUARE[0], pictures.SQUARE[1], 0]
    return 4.0 * tf.reduce_mean(tf.square(inside), axis=[1, 2])[:, None]


def test_smooth_grad_is_no_share_of_the_output(tmp_path: Path, examples: str) -> None:
    model = worlds.save_serving_model(tmp_path / "model", image_alone, {"image": pictures.SPEC["image"]})
    made = explained(tmp_path / "out", model, examples, "smooth_grad", xrai={"pixel_maps": N})
    rows = made.attributions()
    assert rows[["base_value", "completeness_gap"]].isna().all(axis=None)
    assert made.manifest["method"]["xrai"]["adds_up"] is False
    assert made.manifest["completeness_gaps"] == {}
    assert "xrai_above_max_completeness_gap" not in {
        name for counts in made.manifest["counts"].values() for name, n in counts.items() if n
    }
    report = made.report()
    assert "no shares of the output" in report
    assert "Completeness gap" not in report
    assert "from the base value" not in report
    maps = np.stack([made.image_map(row) for row in rows["example_id"]])
    looked_at = np.zeros(maps.shape[1:], bool)
    looked_at[pictures.SQUARE] = True
    assert maps.min() >= 0
    assert maps[:, looked_at].mean() > 3 * maps[:, ~looked_at].mean()

    for row, regions in zip(rows["example_id"], maps, strict=True):
        pixels = made.image_map(row, pixels=True)
        assert (pixels >= 0).all()
        # Regions have the mean of their pixels, which are rounded to a 32,767th of the largest, by half a step.
        for value in np.unique(regions):
            inside = regions == value
            assert pixels[inside].mean() == pytest.approx(value, abs=pixels.max() / 32_767, rel=1e-5)

    other = worlds.write_splits(tmp_path / "other", pictures.make_rows, 16, N, 1)
    again = explained(tmp_path / "again", model, other, "smooth_grad")
    with pytest.raises(InputError, match="is not kept of this row; raise `pixel_maps` of `xrai`"):
        again.image_map(rows["example_id"][0], pixels=True)
    first, second = (one.parts("image").sort_values(["example_id", "part"], ignore_index=True) for one in (made, again))
    assert first.equals(second)


def test_smooth_grad_does_not_stand_beside_other_features(tmp_path: Path, model: str, examples: str) -> None:
    with pytest.raises(ConfigError, match="no share of it that could stand beside what age adds"):
        explained(tmp_path / "out", model, examples, "smooth_grad")
