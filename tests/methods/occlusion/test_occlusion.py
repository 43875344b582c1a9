"""Occlusion where what the output is without each feature is known."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import pictures
from attributing import Attributing, floats, model_of
from tfx_explain.config import ModelConfig
from tfx_explain.errors import ConfigError
from tfx_explain.job.model_handle import ModelHandle
from tfx_explain.methods.method import Result
from tfx_explain.regions.absent import absent_picture

RNG = np.random.default_rng(0)
N, N_BACKGROUND = 7, 40
SIZE = pictures.SIZE
WEIGHTS = RNG.normal(size=(SIZE, SIZE)).astype(np.float32)
IMAGE = {"image": tf.TensorSpec([None, SIZE, SIZE], tf.float32)}
EFFECTS = {b"good": 1.0, b"bad": -0.75}


def columns(n: int, seed: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    return {name: rng.normal(size=n).astype(np.float32) for name in "abc"}


def product(a: Any, b: Any, c: Any) -> Any:
    return (a * b + 2.0 * a)[:, None] + 0.0 * c[:, None]


def images(n: int, seed: int) -> dict[str, Any]:
    return {"image": [one.ravel() for one in np.random.default_rng(seed).normal(size=(n, SIZE, SIZE)).astype("f4")]}


def linear(image: Any) -> Any:
    return tf.reduce_sum(image * WEIGHTS, [1, 2])[:, None]


def occluding(directory: Path, score: Any, specs: Any, background: Any, **parts: Any) -> Attributing:
    return Attributing([model_of(directory, score, specs)], background, {"occlusion": {"parts": parts}})


def assert_same(one: Result[Any], other: Result[Any], rows: list[int]) -> None:
    """The same to the last bit, of some rows."""
    ours, theirs = one.sides[0].take(np.array(rows)), other.sides[0]
    for name in ("attributions", "design_std_error", "background_std_error"):
        np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name))
    for feature, of in theirs.parts.items():
        for field in dataclasses.fields(of):
            np.testing.assert_array_equal(getattr(ours.parts[feature], field.name), getattr(of, field.name))


def test_features_are_absent_alone_over_the_background(tmp_path: Path) -> None:
    background, rows = columns(N_BACKGROUND, 1), columns(N, 2)
    at_work = occluding(tmp_path, product, floats("a", "b", "c"), background)
    result = at_work.explain(rows)
    found = result.sides[0]
    a, b = (rows[name].astype(np.float64) for name in "ab")
    of_a = (a[:, None] - background["a"]) * (b[:, None] + 2)
    of_b = a[:, None] * (b[:, None] - background["b"])
    expected = np.stack([of_a.mean(axis=1), of_b.mean(axis=1), np.zeros(N)], axis=1)
    np.testing.assert_allclose(found.attributions[..., 0], expected, atol=2e-6)
    # From 20 blocks of two rows: an estimate of the standard error with 19 degrees of freedom, at 5 of its own.
    errors = np.stack([of_a.std(axis=1, ddof=1), of_b.std(axis=1, ddof=1)], axis=1) / np.sqrt(N_BACKGROUND)
    np.testing.assert_allclose(found.background_std_error[:, :2, 0] / errors, 1.0, atol=5 / np.sqrt(2 * 19))
    assert (found.attributions[:, 2] == 0).all()
    assert (found.background_std_error[:, 2] == 0).all()
    assert (found.design_std_error == 0).all()
    assert np.isnan(found.base_value).all()
    assert np.isnan(found.completeness_gap).all()
    assert result.counts == {"occlusion_model_rows": N * 3 * N_BACKGROUND}
    assert at_work.described()["adds_up"] is False
    assert_same(result, at_work.explain(rows, [4, 2]), [4, 2])


@pytest.mark.parametrize(("size", "stride"), [(4, None), (4, 2), (5, None), (0.5, 0.25), (40, None)])
def test_a_linear_image_is_known_in_closed_form(tmp_path: Path, size: float, stride: float | None) -> None:
    background, rows = images(N_BACKGROUND, 1), images(N, 2)
    settings = {"size": size, "stride": stride, "absent": "black"}
    at_work = occluding(tmp_path, linear, IMAGE, background, image=settings)
    result = at_work.explain(rows)
    least = min(one.min() for one in background["image"])
    added = (np.stack(rows["image"]).reshape(-1, SIZE, SIZE).astype(np.float64) - least) * WEIGHTS
    found, parts = result.sides[0], result.sides[0].parts["image"]
    np.testing.assert_allclose(found.attributions[:, 0, 0], added.sum(axis=(1, 2)), rtol=1e-4, atol=1e-4)
    step = {4: 2 if stride else 4, 5: 5, 0.5: 3, 40: 40}[size]
    side = min(round(size * SIZE) if size < 1 else size, SIZE)
    tops = range(0, max(SIZE - side, 0) + step, step) if side < SIZE else range(1)
    density, covers = np.zeros_like(added), np.zeros((SIZE, SIZE))
    for top in tops:
        for left in tops:
            inside = (slice(top, top + side), slice(left, left + side))
            density[(slice(None), *inside)] += added[(slice(None), *inside)].mean(axis=(1, 2))[:, None, None]
            covers[inside] += 1
    density /= covers
    cells = np.arange(SIZE) // step
    n_cells = cells[-1] + 1
    expected = np.zeros((N, n_cells, n_cells))
    np.add.at(expected, (slice(None), *np.ix_(cells, cells)), density)
    np.testing.assert_allclose(parts.attributions.reshape(N, n_cells, n_cells), expected, rtol=1e-4, atol=1e-4)
    assert (parts.std_errors == 0).all()
    assert parts.where[:, 0].reshape(N, -1).sum(axis=1).tolist() == [SIZE**2] * N
    assert result.counts == {"occlusion_model_rows": N * (len(tops) ** 2 + 2)}
    assert_same(result, at_work.explain(rows, [5, 1, 3]), [5, 1, 3])


def test_images_of_the_background_stand_in_with_errors_that_cover(tmp_path: Path) -> None:
    background, rows = images(N_BACKGROUND, 1), images(60, 2)
    settings = {"size": 6, "absent": "background", "num_references": 8}
    at_work = occluding(tmp_path, linear, IMAGE, background, image=settings)
    result = at_work.explain(rows)
    mean = np.stack(background["image"]).mean(axis=0, dtype=np.float64).reshape(SIZE, SIZE)
    added = (np.stack(rows["image"]).reshape(-1, SIZE, SIZE) - mean) * WEIGHTS
    expected = added.reshape(60, 2, 6, 2, 6).sum(axis=(2, 4)).reshape(-1)
    parts = result.sides[0].parts["image"]
    off = (parts.attributions[:, 0] - expected) / parts.std_errors[:, 0]
    # Student's t with 7 degrees of freedom has a variance of 7 / 5; rows of the background are not met twice, which
    # makes it less.
    assert 0.5 <= np.square(off).mean() <= 1.4 * (1 + 5 * np.sqrt(2 / len(off)))
    of_image = result.sides[0].attributions[:, 0, 0]
    np.testing.assert_allclose(of_image, parts.attributions.reshape(60, 4).sum(axis=1), rtol=1e-4, atol=1e-4)
    assert (result.sides[0].design_std_error > 0).all()
    assert (result.sides[0].background_std_error == 0).all()
    assert (result.sides[0].design_dof == 7).all()
    assert_same(result, at_work.explain(rows, [9, 41]), [9, 41])


def test_several_outputs_and_a_baseline_model_that_reads_no_image(tmp_path: Path) -> None:
    specs = {**IMAGE, "x": tf.TensorSpec([None], tf.float32)}
    both = model_of(
        tmp_path / "both", lambda image, x: tf.concat([linear(image) * x[:, None], 2.0 * x[:, None]], axis=1), specs
    )
    other = model_of(tmp_path / "other", lambda x: tf.stack([x, -3.0 * x], axis=1), floats("x"))
    background = {**images(5, 1), "x": np.zeros(5, np.float32)}
    rows = {**images(N, 2), "x": np.arange(1.0, N + 1, dtype=np.float32)}
    settings = {"occlusion": {"parts": {"image": {"size": 6, "absent": "black"}}}}
    ours, theirs = Attributing([both, other], background, settings).explain(rows).sides
    added = (np.stack(rows["image"]).reshape(-1, SIZE, SIZE) - min(one.min() for one in background["image"])) * WEIGHTS
    squares = added.reshape(N, 2, 6, 2, 6).sum(axis=(2, 4)).reshape(N, 4) * rows["x"][:, None]
    parts = ours.parts["image"].attributions.reshape(N, 4, 2)
    np.testing.assert_allclose(parts[..., 0], squares, rtol=1e-4, atol=1e-3)
    assert (parts[..., 1] == 0).all()
    np.testing.assert_allclose(ours.attributions[:, 1, 1], 2.0 * rows["x"], rtol=1e-6)
    assert theirs.parts["image"].lengths.tolist() == [4] * N
    assert (theirs.parts["image"].attributions == 0).all()
    np.testing.assert_allclose(theirs.attributions[:, 1], rows["x"][:, None] * [1.0, -3.0], rtol=1e-6)


def resized(files: Any) -> Any:
    """(n, 12, 12) floats of files of any size."""

    def one(file: Any) -> Any:
        pixels = tf.image.resize(tf.cast(tf.io.decode_png(file, channels=1), tf.float32), [SIZE, SIZE])
        return tf.ensure_shape(pixels, [SIZE, SIZE, 1])[..., 0]

    return tf.map_fn(one, files, fn_output_signature=tf.TensorSpec([SIZE, SIZE], tf.float32))


def test_files_that_one_model_reads_smaller_have_the_same_parts_for_one_that_does_not(tmp_path: Path) -> None:
    specs = {"image": tf.TensorSpec([None], tf.string), "x": tf.TensorSpec([None], tf.float32)}
    both = model_of(tmp_path / "both", lambda image, x: linear(resized(image)) + x[:, None], specs)
    other = model_of(tmp_path / "other", lambda x: x[:, None], floats("x"))
    rows = {"image": [pictures.png(one) for one in pictures.pixels_of(3, 1, 4 * SIZE)], "x": np.zeros(3, np.float32)}
    settings = {"occlusion": {"parts": {"image": {"size": 2, "absent": "black", "max_parts": 36}}}}
    for place, models in enumerate([[both, other], [other, both]]):
        found = Attributing(models, rows, settings).explain(rows)
        assert not found.errors
        read, unread = found.sides[place].parts["image"], found.sides[1 - place].parts["image"]
        assert unread.lengths.tolist() == read.lengths.tolist() == [36] * 3
        assert unread.maps is not None
        np.testing.assert_array_equal(unread.maps, read.maps)
        assert (unread.attributions == 0).all()
        assert (read.attributions != 0).any()


def test_own_blur_and_segments(tmp_path: Path) -> None:
    """The image as a whole is less its blur; nothing of the background counts."""
    rows = images(N, 2)
    at_work = occluding(tmp_path, linear, IMAGE, images(4, 1), image={"segments": 9})
    found = at_work.explain(rows).sides[0]
    own = np.stack(rows["image"]).reshape(-1, SIZE, SIZE, 1)
    added = (own - np.stack([absent_picture(one, "blur") for one in own]))[..., 0] * WEIGHTS
    np.testing.assert_allclose(found.attributions[:, 0, 0], added.sum(axis=(1, 2)), atol=1e-4)
    assert found.parts["image"].lengths.tolist() == [9] * N
    # What is left without them is no part.
    assert found.parts["image"].where.reshape(N, 9).sum(axis=1).tolist() == [SIZE**2] * N
    np.testing.assert_allclose(
        found.parts["image"].attributions.reshape(N, 9).sum(axis=1), added.sum(axis=(1, 2)), atol=1e-4
    )


def words_of(review: Any) -> Any:
    words = tf.strings.split(review)
    effects = tf.zeros_like(words.values, tf.float32)
    for word, effect in EFFECTS.items():
        effects += tf.where(words.values == word, effect, 0.0)
    return tf.reduce_sum(words.with_values(effects), axis=1)


def test_words_beside_another_feature_and_a_missing_text(tmp_path: Path) -> None:
    specs = {"a": tf.TensorSpec([None], tf.float32), "review": tf.TensorSpec([None], tf.string)}
    texts = [b"a good film", b"good but bad", b"", b"bad"]
    rows = {"a": np.arange(1.0, 5.0, dtype=np.float32), "review": texts}
    background = {"a": np.zeros(5, np.float32), "review": [b"good"] * 5}
    at_work = occluding(tmp_path, lambda a, review: (a * words_of(review))[:, None], specs, background, review={})
    result = at_work.explain(rows)
    found, parts = result.sides[0], result.sides[0].parts["review"]
    assert parts.lengths.tolist() == [3, 3, 0, 1]
    assert parts.attributions[:, 0].tolist() == [0, 1, 0, 2, 0, -1.5, -3]
    # The text as a whole is empty where it is absent, whatever the background has; and `a` is 0.
    assert found.attributions[:, 1, 0].tolist() == [1, 0.5, 0, -3]
    np.testing.assert_allclose(found.attributions[:, 0, 0], [1, 0.5, 0, -3], rtol=1e-12)
    assert_same(result, at_work.explain(rows, [3, 0]), [3, 0])


@pytest.mark.parametrize("unit", ["word", "token"])
def test_words_behind_what_the_model_reads_stay_and_may_come_into_sight(tmp_path: Path, unit: str) -> None:
    """A model of the first three words, as it is without each word of the text."""
    effects = {b"good": 1.0, b"bad": -0.75, b"film": 0.25}

    def score(review: Any) -> Any:
        words = tf.strings.split(review).to_tensor(default_value=b"", shape=[None, 3])
        return sum(tf.reduce_sum(tf.cast(words == word, tf.float32), 1) * by for word, by in effects.items())[:, None]

    specs = {"review": tf.TensorSpec([None], tf.string)}
    rows = {"review": [b"good bad film good film", b"film film good bad "]}
    at_work = occluding(tmp_path, score, specs, {"review": [b"bad film", b"good"]}, review={"unit": unit})
    parts = at_work.explain(rows).sides[0].parts["review"]
    firsts = np.cumsum(parts.lengths) - parts.lengths
    for first, text in zip(firsts.tolist(), rows["review"], strict=True):
        words = text.split()
        without = [sum(effects[word] for word in [*words[:i], *words[i + 1 :]][:3]) for i in range(len(words))]
        whole = sum(effects[word] for word in words[:3])
        # What lies behind is one span, or more.
        assert [whole - one for one in without[3:]] == [0.0] * (len(words) - 3)
        assert parts.attributions[first : first + 3, 0].tolist() == [whole - one for one in without[:3]]
    behind = np.setdiff1d(np.arange(len(parts.attributions)), firsts[:, None] + np.arange(3))
    assert len(behind) >= 2
    assert (parts.attributions[behind] == 0).all()


def test_windows_of_a_series_keep_its_length(tmp_path: Path) -> None:
    fixed = {"series": tf.TensorSpec([None, 6], tf.float32)}
    rows = {"series": list(np.arange(24.0, dtype=np.float32).reshape(4, 6))}
    settings = {"windows": 3, "absent": "zero", "padding": 0.0}
    at_work = occluding(
        tmp_path, lambda series: tf.reduce_sum(series**2, axis=1)[:, None], fixed, rows, series=settings
    )
    found = at_work.explain(rows).sides[0]
    squares = np.square(np.stack(rows["series"]))
    np.testing.assert_allclose(found.parts["series"].attributions[:, 0], squares.reshape(12, 2).sum(axis=1), rtol=1e-6)
    np.testing.assert_allclose(found.attributions[:, 0, 0], squares.sum(axis=1), rtol=1e-6)
    assert found.parts["series"].where[:3].tolist() == [[0, 2, -1], [2, 4, -1], [4, 6, -1]]


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"image": {"size": 1}}, None),
        (
            {"image": {"size": 1, "max_parts": 100}},
            "of 12 x 12 pixels squares cover 144 cells, more than `max_parts: 1",
        ),
        ({"picture": {"size": 4}}, "`parts` looks inside `picture`, which is no player"),
        (
            {"image": {}},
            "`parts` looks inside `image`, which .* reads as 144 float32 values and not as one text",
        ),
    ],
)
def test_what_cannot_be_hidden_is_refused_early(tmp_path: Path, parts: dict[str, Any], message: str | None) -> None:
    if message is None:
        occluding(tmp_path, linear, IMAGE, images(2, 1), **parts)
        return
    with pytest.raises(ConfigError, match=message):
        occluding(tmp_path, linear, IMAGE, images(2, 1), **parts)


def test_a_single_image_of_the_background_has_no_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"takes the mean over images of the background, which has a single row"):
        occluding(tmp_path, linear, IMAGE, images(1, 1), image={"size": 4, "absent": "background"})


LOADER = """
import io
import numpy as np
from PIL import Image
FEATURES = {"image": "string"}
def load_model(directory):
    def one(file):
        return np.asarray(Image.open(io.BytesIO(file)), np.float32).sum() / 255.0 if file else 5.0
    return lambda columns: np.array([one(file) for file in columns["image"]], np.float32)
"""


@pytest.mark.parametrize("absent", ["background", "black"])
def test_what_stands_in_for_an_image_that_is_not_there_is_not_known(tmp_path: Path, absent: str) -> None:
    (tmp_path / "loader.py").write_text(LOADER)
    model = ModelHandle(str(tmp_path), ModelConfig(module_file=str(tmp_path / "loader.py"))).acquire()
    files = {"image": [pictures.png(pixels) for pixels in pictures.pixels_of(4, 1)]}
    at_work = Attributing([model], files, {"occlusion": {"parts": {"image": {"size": 6, "absent": absent}}}})
    found = at_work.explain({"image": [files["image"][0], []]})
    assert found.sides[0].attributions.shape[0] == (1 if absent == "background" else 2)
    if absent == "background":
        assert "this row has no image `image`" in found.errors[1]
    else:
        # It is absent as it is.
        assert found.sides[0].attributions[1].tolist() == [[0.0]]
