"""Models that are fed pixels instead of files."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import pictures
import worlds
from tfx_explain.models import Inputs, load_model
from tfx_explain.models.pictures import PictureModel, decoded_picture


def inputs_of(model: Any, n: int, seed: int) -> Inputs:
    rows = pictures.make_rows(n, seed)
    names = [spec.name for spec in model.features]
    kinds = {"image": object, "age": np.float32}
    return Inputs(n, {name: np.array([row[name] for row in rows], kinds[name]) for name in names})


def test_pixels_are_predicted_as_their_files(tmp_path: Path) -> None:
    model = load_model(pictures.save(tmp_path, pictures.with_age), output_space="raw")
    inputs = inputs_of(model, 5, 1)
    pixels = model.with_pixels("image", inputs_of(model, 4, 0))
    assert pixels is not None
    assert pixels.shape == (pictures.SIZE, pictures.SIZE, 1)
    fed = pixels.inputs(inputs)
    np.testing.assert_allclose(fed.columns["image"], pictures.pixels_of(5, 1) / np.float32(255), rtol=1e-6)
    np.testing.assert_allclose(pixels.predict(fed), model.predict(inputs), rtol=1e-6)
    assert model.with_pixels("image", inputs) is pixels
    assert len(pixels.inputs(inputs.take(np.zeros(0, np.int64)))) == 0


def test_pixels_of_which_the_model_says_something_else_are_not_fed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load_model(pictures.save(tmp_path, pictures.with_age), output_space="raw")
    inputs_of_files = PictureModel.inputs

    def lighter(self: PictureModel, inputs: Inputs) -> Inputs:
        fed = inputs_of_files(self, inputs)
        return Inputs(len(fed), {**fed.columns, "image": 1.01 * np.asarray(fed.columns["image"])})

    monkeypatch.setattr(PictureModel, "inputs", lighter)
    assert model.with_pixels("image", inputs_of(model, 8, 0)) is None


def lengths_too(parsed: dict[str, tf.Tensor]) -> tf.Tensor:
    """What else it reads of the file would be lost."""
    return pictures.with_age(parsed) + tf.cast(tf.strings.length(parsed["image"]), tf.float32)[:, None]


def of_any_size(parsed: dict[str, tf.Tensor]) -> tf.Tensor:
    """A picture of no fixed shape, as it is gone before it leaves the loop."""

    def one(file: tf.Tensor) -> tf.Tensor:
        return tf.reduce_mean(tf.cast(tf.io.decode_png(file, channels=1), tf.float32))

    return tf.map_fn(one, parsed["image"], fn_output_signature=tf.float32)[:, None] + parsed["age"][:, None]


@pytest.mark.parametrize("score", [lengths_too, of_any_size])
def test_what_else_is_read_of_a_file_stands_in_the_way(tmp_path: Path, score: Any) -> None:
    model = load_model(pictures.save(tmp_path, score), output_space="raw")
    assert model.with_pixels("image", inputs_of(model, 4, 0)) is None
    assert model.with_pixels("age", inputs_of(model, 4, 0)) is None


def test_numbers_are_no_files(tmp_path: Path) -> None:
    model = load_model(worlds.save_serving_model(tmp_path, lambda row: row["age"][:, None], pictures.SPEC))
    assert model.with_pixels("age", Inputs(1, {"age": np.zeros(1, np.float32)})) is None


def test_files_are_read_as_they_are_stored() -> None:
    deep = np.random.default_rng(0).integers(0, 2**16, (3, 4, 3)).astype(np.uint16)
    found = decoded_picture(pictures.png(deep))
    assert found is not None
    assert found.dtype == np.uint16
    assert np.array_equal(found, deep)
    assert decoded_picture(b"no picture") is None
    assert decoded_picture(b"") is None
