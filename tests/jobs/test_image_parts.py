"""Shapley values of regions of images in whole jobs, where the truth is known."""

from __future__ import annotations

import io
import itertools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import tensorflow as tf
from PIL import Image

import pictures
import tfx_explain
import worlds
from tfx_explain import errors
from tfx_explain.reader import ExplanationReader
from tfx_explain.regions import encode_labels
from tfx_explain.regions.absent import absent_picture
from tfx_explain.regions.partition import find_partition
from tfx_explain.transforms import select

pytestmark = pytest.mark.usefixtures("without_statistics")

N, N_BACKGROUND = 8, 6
DOWN, ACROSS = pictures.SQUARE
Array = npt.NDArray[np.float64]
ALONE = {"image": tf.io.FixedLenFeature([], tf.string)}


def config(**parts: Any) -> dict[str, Any]:
    return {
        "methods": [{"shapley": {"parts": {"image": parts}}}],
        "model": {"output_space": "raw"},
        "background": {"num_rows": N_BACKGROUND},
        "id_key": "id",
    }


def explained(where: Path, model: str, examples: str, settings: dict[str, Any], **more: Any) -> ExplanationReader:
    return tfx_explain.explain(model=model, examples=examples, output_dir=str(where), config=settings, **more)


def rows(n: int, seed: int) -> list[dict[str, Any]]:
    return [{**row, "id": i} for i, row in enumerate(pictures.make_rows(n, seed))]


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> str:
    return worlds.write_splits(tmp_path_factory.mktemp("examples"), rows, 16, N, 3)


def sums_differ_by(made: ExplanationReader) -> float:
    of_rows = made.attributions().set_index("example_id")["attribution_image"]
    sums = made.parts("image").groupby("example_id")["attribution"].sum()
    assert set(sums.index) == set(of_rows.index)
    return float((sums - of_rows.loc[sums.index]).abs().div(1 + of_rows.abs()).max())


def of_square(parsed: dict[str, tf.Tensor]) -> tf.Tensor:
    """Adds up what is in the square, of which pixel tells nothing of another."""
    return tf.reduce_sum(pictures.decoded(parsed["image"])[:, DOWN, ACROSS, 0], axis=[1, 2])[:, None]


def bent(parsed: dict[str, tf.Tensor]) -> tf.Tensor:
    return tf.tanh(of_square(parsed) / 4.0 - 1.5)


def curve(pixels: Array) -> float:
    """The same as `bent`."""
    return math.tanh(float(pixels[pictures.SQUARE].sum()) / 4.0 - 1.5)


def shapley_values(value: Callable[[tuple[int, ...]], float], n: int) -> Array:
    """By all orders."""
    found, orders = np.zeros(n), list(itertools.permutations(range(n)))
    for order in orders:
        for place, player in enumerate(order):
            found[player] += value(order[: place + 1]) - value(order[:place])
    return found / len(orders)


def pixels_of(n: int, seed: int) -> Array:
    return np.asarray(pictures.pixels_of(n, seed)[..., 0] / np.float32(255.0), np.float64)


def test_regions_have_what_all_orders_say(tmp_path: Path, examples: str) -> None:
    """Four regions, whose blur stands in; what that itself adds is left, and it comes first."""
    model = worlds.save_serving_model(tmp_path / "model", bent, ALONE)
    made = explained(tmp_path / "out", model, examples, config(segments=4))
    of = {"kind": "regions", "columns": ["pixels"], "has_maps": True, "has_pixels": False}
    assert made.manifest["parts"]["shapley"]["image"] == of
    parts, base = made.parts("image").groupby("example_id"), made.attributions()["base_value"][0]
    # The background is blurred, too, in files of 8 bits.
    background = [absent_picture(pixels, "blur")[..., 0] / 255.0 for pixels in pictures.pixels_of(16, 0)]
    assert min(map(curve, background)) - 1e-6 <= base <= max(map(curve, background)) + 1e-6
    for row, pixels in enumerate(pixels_of(N, 1)):
        labels, blur = find_partition(pixels, 4), absent_picture(pixels[..., None], "blur")[..., 0]

        def value(present: tuple[int, ...], labels=labels, pixels=pixels, blur=blur) -> float:
            return curve(np.where(np.isin(labels, present), pixels, blur))

        found = parts.get_group(str(row))
        np.testing.assert_allclose(found["attribution"][:4], shapley_values(value, 4), atol=2e-6)
        assert found["attribution"].iloc[4] == pytest.approx(curve(blur) - base, abs=2e-6)
        assert found["pixels"].tolist() == [*np.bincount(labels.ravel()), 0]
        assert (found["std_error"][:4] <= 2e-6).all()
    assert sums_differ_by(made) <= 1e-6


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


@pytest.mark.parametrize("how", ["decoded", "files", "numbers"])
def test_what_the_model_reads_is_found(tmp_path: Path, examples: str, how: str) -> None:
    """Past the decoding, by files that are written anew, or in numbers: a pixel adds what it is less 0."""
    settings = config(segments=20, absent="black")
    if how == "files":
        (tmp_path / "m.py").write_text(MODULE)
        model, settings["model"]["module_file"] = str(tmp_path), str(tmp_path / "m.py")
    elif how == "decoded":
        model = worlds.save_serving_model(tmp_path / "model", of_square, ALONE)
    else:
        shape = [pictures.SIZE, pictures.SIZE]
        model = worlds.save_serving_model(
            tmp_path / "model",
            lambda parsed: tf.reduce_sum(parsed["image"][:, DOWN, ACROSS], axis=[1, 2])[:, None],
            {"image": tf.io.FixedLenFeature(shape, tf.float32)},
        )

        def numbers(n: int, seed: int) -> list[dict[str, Any]]:
            return [{"image": one.ravel().tolist(), "id": i} for i, one in enumerate(pixels_of(n, seed))]

        examples = worlds.write_splits(tmp_path / "examples", numbers, 16, N)
    made = explained(tmp_path / "out", model, examples, settings)
    black = made.manifest["method"]["shapley"]["parts"]["image"]["absent_values"]
    assert len(black) == (how == "numbers")
    # The least of six images, which are drawn from sixteen.
    assert max(black, default=0.0) <= np.quantile(pixels_of(16, 0), 0.1)
    parts = made.parts("image").groupby("example_id")
    for row, pixels in enumerate(pixels_of(N, 1)):
        labels, found = find_partition(pixels, 20), parts.get_group(str(row))
        weights = np.zeros(pixels.shape)
        weights[pictures.SQUARE] = 1.0
        expected = np.bincount(labels.ravel(), ((pixels - (black[0] if black else 0.0)) * weights).ravel())
        # Black of one's own size is black of the background's.
        expected = expected if black else np.append(expected, 0.0)
        np.testing.assert_allclose(found["attribution"], expected, atol=2e-5)
        assert (found["std_error"] <= 2e-5).all()
        outside = made.image_map(str(row))[weights == 0] * ~np.isin(labels, labels[pictures.SQUARE])[weights == 0]
        assert np.abs(outside).max() <= 2e-6
    assert sums_differ_by(made) <= 1e-6


def test_shards_and_batches_change_nothing_and_other_features_a_baseline_and_slices_are_no_hindrance(
    tmp_path: Path, examples: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = pictures.save(tmp_path / "model", pictures.with_age)
    settings = config(segments=9, absent="background", model_rows=256)
    first = explained(tmp_path / "first", model, examples, settings)
    other = worlds.write_splits(tmp_path / "examples", rows, 16, N, 1)
    baseline = pictures.save(tmp_path / "baseline", pictures.planted)
    more = {**settings, "slicing_specs": [{}, {"feature_keys": ["half"]}]}
    more["methods"] = [*more["methods"], {"faithfulness": {"num_random": 4, "num_steps": 4}}]
    second = explained(tmp_path / "second", model, other, more, baseline_model=baseline)
    monkeypatch.setattr(select, "ROWS_PER_BATCH", 3)
    third = explained(tmp_path / "third", model, examples, settings)
    keys = ["example_id", "part"]
    tables = [one.parts("image").sort_values(keys, ignore_index=True) for one in (first, second, third)]
    pd.testing.assert_frame_equal(*tables[:2], check_exact=True)
    pd.testing.assert_frame_equal(tables[0], tables[2], rtol=1e-5, atol=1e-6)
    assert max(map(sums_differ_by, (first, second, third))) <= 1e-6
    assert len(tables[0]) == 9 * N
    assert tables[0]["std_error"].max() > 1e-3
    assert set(second.baseline_importance["slice"]) == set(second.importance["slice"]) > {"overall"}
    measured = second.faithfulness.query("feature == 'image' and slice == 'overall'").set_index("measure")["value"]
    assert measured["deletion"] > 0.05


def drawn(height: int, width: int, mode: str, form: str = "PNG") -> bytes:
    """A picture of coarse spots."""
    channels = {"L": 1, "LA": 2, "P": 3}.get(mode, len(mode))
    coarse = np.random.default_rng(height).integers(0, 256, (-(-height // 4), -(-width // 4), channels))
    spots = np.repeat(np.repeat(coarse, 4, axis=0), 4, axis=1)[:height, :width].astype(np.uint8)
    made = Image.fromarray(spots[:, :, 0] if channels == 1 else spots)
    written = io.BytesIO()
    (made.convert("P") if mode == "P" else made).save(written, form, quality=80)
    return written.getvalue()


DEEP = np.repeat(np.repeat(np.random.default_rng(3).integers(0, 2**16, (6, 6, 3)), 4, 0), 4, 1).astype(np.uint16)
HALVES = [0] * 12 + [7] * 12


def halves(height: int, width: int) -> bytes:
    """Left and right, or one where there is a single pixel."""
    return encode_labels(np.repeat([np.arange(width) * 2 // width], height, axis=0))


# A file and its mask -> how many regions, the rest among them; or the reason among the dead letters.
STRANGE: dict[str, tuple[Any, Any, int | str]] = {
    "JPEG": (drawn(24, 20, "RGB", "JPEG"), halves(24, 20), 3),
    "JPEG in grey": (drawn(24, 20, "L", "JPEG"), halves(24, 20), 3),
    "grey": (drawn(24, 20, "L"), halves(24, 20), 3),
    "see-through": (drawn(24, 20, "RGBA"), halves(24, 20), 3),
    "grey and see-through": (drawn(24, 20, "LA"), halves(24, 20), 3),
    "a palette": (drawn(24, 20, "P"), halves(24, 20), 3),
    "16 bits": (pictures.png(DEEP), halves(24, 24), 3),
    "16 bits of grey": (pictures.png(DEEP[:, :, :1]), halves(24, 24), 3),
    "moving": (drawn(16, 12, "RGB", "GIF"), halves(16, 12), 3),
    "one pixel": (drawn(1, 1, "RGB"), halves(1, 1), 2),
    "one region": (drawn(24, 24, "RGB"), encode_labels(np.full((24, 24), 9)), 2),
    "whole numbers": (drawn(1, 24, "RGB"), HALVES, 3),
    "of another size": (drawn(24, 20, "RGB"), halves(20, 24), "mask `mask` cannot be used: it is 20 x 24, where"),
    "too few numbers": (drawn(2, 24, "RGB"), HALVES, "mask `mask` cannot be used: it has 24 values"),
    "no mask": (drawn(24, 20, "RGB"), None, "mask `mask` cannot be used: there is none"),
    "no labels": (drawn(24, 20, "RGB"), drawn(24, 20, "RGB"), "mask `mask` cannot be used: it is a picture of mode"),
    "a mask cut off": (drawn(24, 20, "RGB"), halves(24, 20)[:40], "mask `mask` cannot be used: its 40 bytes are no"),
    "many": (drawn(24, 20, "RGB"), encode_labels(np.arange(480).reshape(24, 20)), "480 regions, more than `max_parts"),
    "cut off": (drawn(24, 20, "RGB")[:60], halves(24, 20), "Invalid PNG data"),
}


def means(parsed: dict[str, tf.Tensor]) -> tf.Tensor:
    """The mean of an image of any size and kind, times what the age says."""

    def one(file: tf.Tensor) -> tf.Tensor:
        pixels = tf.io.decode_image(file, channels=3, expand_animations=False)
        return tf.reduce_mean(tf.cast(pixels, tf.float32)) / 255.0

    whole = tf.map_fn(one, parsed["image"], fn_output_signature=tf.float32)
    return whole[:, None] * (1.0 + parsed["age"][:, None])


def test_strange_images_have_the_regions_of_their_masks_or_are_dead_letters(tmp_path: Path) -> None:
    """The output is the mean: a region adds its part of the mean less that of the mean colour, which the rest has."""

    def strange(n: int, seed: int) -> list[dict[str, Any]]:
        given = {100 + i: (file, mask) for i, (file, mask, _) in enumerate(STRANGE.values())} if seed else {}
        good = {i: (drawn(24, 24, "RGB"), halves(24, 24)) for i in range(n)}
        # A feature has one type: masks of numbers are tried apart.
        return [
            {"image": file, "mask": mask, "age": 0.5, "id": i}
            for i, (file, mask) in {**good, **given}.items()
            if mask is not HALVES
        ]

    model = pictures.save(tmp_path / "model", means)
    settings = {**config(masks="mask", absent="mean"), "max_failed_fraction": 0.9}
    made = explained(tmp_path / "out", model, worlds.write_splits(tmp_path / "rows", strange, 8, 2), settings)
    assert set(made.manifest["players"]) == {"image", "age"}
    # Masks are neither players, as they might be where a model does not say what it reads, nor without use.
    assert made.manifest["unused_features"] == []
    letters = {
        tf.train.Example.FromString(record).features.feature["id"].int64_list.value[0]: reason
        for record, reason in made.dead_letters()[["record", "reason"]].itertuples(index=False)
    }
    parts = made.parts("image").groupby("example_id")
    for i, (name, (_, mask, expected)) in enumerate(STRANGE.items()):
        if isinstance(expected, str):
            assert mask is HALVES or expected in letters[100 + i], name
        elif mask is not HALVES:
            found = parts.get_group(str(100 + i))
            assert len(found) == expected, name
            # The mean colour has the mean of the whole, but for rounding to 8 bits: halves make up for each other.
            assert abs(found["attribution"].iloc[:-1].sum()) <= 1.0 / 255, name
    assert len(parts.get_group("100")) == 3
    assert sums_differ_by(made) <= 1e-6


def test_masks_of_whole_numbers(tmp_path: Path) -> None:
    def strange(n: int, seed: int) -> list[dict[str, Any]]:
        given = [(STRANGE["whole numbers"][0], HALVES), (STRANGE["too few numbers"][0], HALVES)]
        return [{"image": file, "mask": mask, "age": 0.5, "id": i} for i, (file, mask) in enumerate(given)]

    model = pictures.save(tmp_path / "model", means)
    settings = {**config(masks="mask"), "max_failed_fraction": 0.9}
    made = explained(tmp_path / "out", model, worlds.write_splits(tmp_path / "rows", strange, 2, 2), settings)
    assert made.parts("image")["pixels"].tolist() == [12, 12, 0]
    assert made.image_map("0").shape == (1, 24)
    (reason,) = made.dead_letters().query("split == 'eval'")["reason"]
    assert STRANGE["too few numbers"][2] in reason


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"segments": 4, "masks": "mask"}, "both say what regions are"),
        ({"segments": 200}, "`segments: 200` is more than `max_parts: 128`"),
        ({"segments": 4, "unit": "word"}, "unknown key `unit`"),
        ({"masks": "mask"}, "names a feature that no example of split `eval` has"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path: Path, examples: str, parts: dict[str, Any], message: str) -> None:
    model = pictures.save(tmp_path / "model", pictures.with_age)
    with pytest.raises(errors.ConfigError, match=message):
        explained(tmp_path / "out", model, examples, config(**parts))


def test_features_that_are_no_images_are_refused(tmp_path: Path, examples: str) -> None:
    model = pictures.save(tmp_path / "model", pictures.with_age)
    settings = config(segments=4)
    settings["methods"] = [{"shapley": {"parts": {"age": {"segments": 4}}}}]
    with pytest.raises(errors.ConfigError, match=r"reads as float32 of shape \(\) and not as an image"):
        explained(tmp_path / "out", model, examples, settings)
