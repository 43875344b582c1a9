"""XRAI with regions that rows bring along."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf

import pictures
import tfx_explain
import worlds
from tfx_explain.methods.xrai.masks import Masks
from tfx_explain.models import Inputs, load_model
from tfx_explain.regions import encode_labels

pytestmark = pytest.mark.usefixtures("without_statistics")

SIDE = 18
KINDS = {"image": object, "age": np.float32}
CONFIG = {
    "methods": [{"xrai": {"feature": "image", "masks": "mask"}}],
    "model": {"output_space": "raw"},
    "background": {"num_rows": 4},
    "id_key": "id",
    "max_failed_fraction": 0.9,
}
# Quarters, numbered at random.
MASK = np.kron([[7, 0], [2, 5]], np.ones((SIDE // 2, SIDE // 2), np.int64))


def rows(n: int, seed: int) -> list[dict[str, Any]]:
    images = pictures.pixels_of(n, seed, SIDE)
    masks = [encode_labels(MASK)] * n
    if seed:
        masks[:3] = [encode_labels(MASK[:, :10]), None, b"no mask"]
    return [
        {"image": pictures.png(image), "mask": mask, "age": 0.0, "id": i}
        for i, (image, mask) in enumerate(zip(images, masks, strict=True))
    ]


def score(file_to_pixels: Callable[[tf.Tensor], tf.Tensor]) -> Callable[[dict[str, tf.Tensor]], tf.Tensor]:
    """The square of the mean of the upper left quarter of what becomes of a picture of 18 x 18, 12 x 12 pixels."""
    spec = tf.TensorSpec([12, 12, 1], tf.float32)

    def one(file: tf.Tensor) -> tf.Tensor:
        pixels = tf.ensure_shape(tf.io.decode_png(file, channels=1), [SIDE, SIDE, 1])
        return tf.ensure_shape(file_to_pixels(tf.cast(pixels, tf.float32) / 255.0), spec.shape)

    def scored(parsed: dict[str, tf.Tensor]) -> tf.Tensor:
        pixels = tf.map_fn(one, parsed["image"], fn_output_signature=spec)
        return tf.square(tf.reduce_mean(pixels[:, :6, :6], axis=[1, 2])) + 0.0 * parsed["age"][:, None]

    return scored


def stretched(pixels: tf.Tensor) -> tf.Tensor:
    return tf.image.resize(pixels, [12, 12]) * 2.0 - 1.0


def cropped(pixels: tf.Tensor) -> tf.Tensor:
    return pixels[3:15, 3:15]


def turned(pixels: tf.Tensor) -> tf.Tensor:
    return tf.reverse(stretched(pixels), [1])


def padded(pixels: tf.Tensor) -> tf.Tensor:
    return tf.pad(tf.image.resize(pixels, [10, 10]), [[1, 1], [1, 1], [0, 0]])


def reasons_of(made: Any) -> dict[int, str]:
    of_split = made.dead_letters().query("split == 'eval'")
    return {
        tf.train.Example.FromString(record).features.feature["id"].int64_list.value[0]: reason
        for record, reason in of_split[["record", "reason"]].itertuples(index=False)
    }


def test_the_regions_are_those_of_the_masks(tmp_path: Path) -> None:
    examples = worlds.write_splits(tmp_path / "examples", rows, 6, 7)
    model = pictures.save(tmp_path / "model", score(stretched))
    made = tfx_explain.explain(model=model, examples=examples, output_dir=str(tmp_path / "out"), config=CONFIG)
    reasons = reasons_of(made)
    assert "it is 18 x 10, where the image is 18 x 18" in reasons[0]
    assert "`mask` cannot be used: there is none" in reasons[1]
    assert "its 7 bytes are no PNG" in reasons[2]
    of_rows = made.attributions().set_index("example_id")["attribution_image"]
    parts = made.parts("image").groupby("example_id")
    assert set(of_rows.index) == {"3", "4", "5", "6"}
    for row, whole in of_rows.items():
        found = parts.get_group(row)
        assert found["pixels"].tolist() == [36] * 4
        np.testing.assert_allclose(sorted(found["attribution"].abs())[:3], 0.0, atol=1e-6)
        assert abs(found["attribution"].sum() - whole) <= 1e-6 * (1 + abs(whole))
        drawn = made.image_map(row)
        drawn[: SIDE // 2, : SIDE // 2] = 0.0
        assert np.abs(drawn).max() <= 1e-6


@pytest.mark.parametrize("moved", [cropped, turned, padded])
def test_masks_that_would_lie_elsewhere_are_not_used(moved: Any, tmp_path: Path) -> None:
    model = load_model(pictures.save(tmp_path, score(moved)), output_space="raw")
    names = [spec.name for spec in model.features]
    good = rows(4, 0)
    inputs = Inputs(4, {name: np.array([row[name] for row in good], KINDS[name]) for name in names})
    batch = pa.RecordBatch.from_pydict(
        {name: pa.array([[row[name]] for row in good], pa.large_list(pa.large_binary())) for name in ("image", "mask")}
    )
    spec = next(spec for spec in model.features if spec.name == "image")
    paths = model.paths(inputs, [["image"], ["age"]])
    made, reasons = Masks("image", "mask", spec, paths, 0).segments(batch, inputs)
    assert made == [None] * 4
    assert all("crops, pads or turns" in reasons[row] for row in range(4))
