"""XRAI in whole jobs."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import pictures
import tfx_explain
import worlds
from tfx_explain.errors import ConfigError, InputError
from tfx_explain.methods.xrai import explainer, method
from tfx_explain.reader import ExplanationReader

pytestmark = pytest.mark.usefixtures("without_statistics")

N = 24
CONFIG = {"methods": [{"xrai": {"feature": "image"}}], "model": {"output_space": "raw"}, "background": {"num_rows": 8}}


def explained(where: Path, model: str, examples: str, config: Any = None, **more: str) -> ExplanationReader:
    return tfx_explain.explain(model=model, examples=examples, output_dir=str(where), config=config or CONFIG, **more)


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> str:
    return worlds.write_splits(tmp_path_factory.mktemp("examples"), pictures.make_rows, 32, N, 3)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return pictures.save(tmp_path_factory.mktemp("model"), pictures.with_age)


@pytest.fixture(scope="module")
def explanation(tmp_path_factory: pytest.TempPathFactory, model: str, examples: str) -> ExplanationReader:
    return explained(tmp_path_factory.mktemp("explained") / "out", model, examples)


def test_regions_add_up_to_the_image(explanation: ExplanationReader) -> None:
    rows = explanation.attributions().set_index("example_id")
    parts = explanation.parts("image")
    assert explanation.manifest["parts"]["xrai"]["image"]["columns"] == ["pixels"]
    assert len(rows) == N
    sums = parts.groupby("example_id")["attribution"].sum()
    np.testing.assert_allclose(sums, rows["attribution_image"].loc[sums.index], rtol=1e-6, atol=1e-6)
    assert (parts.groupby("example_id")["pixels"].sum() == pictures.SIZE**2).all()
    total = rows["base_value"] + rows["attribution_image"] + rows["attribution_age"]
    assert (np.abs(total - rows["prediction"]) <= 0.01 * (1 + np.abs(rows["prediction"]))).all()


def density(explanation: ExplanationReader) -> np.ndarray:
    """(N, SIZE, SIZE) attribution of each pixel, rows in the order of their ids."""
    ids = sorted(explanation.attributions()["example_id"])
    return np.stack([explanation.image_map(row, feature="image") for row in ids])


def test_the_method_that_looked_inside_is_found(tmp_path: Path, model: str, examples: str) -> None:
    both = explained(tmp_path / "out", model, examples, {**CONFIG, "methods": ["shapley", *CONFIG["methods"]]})
    assert both.parts("image").equals(both.parts("image", method="xrai"))
    row = both.attributions()["example_id"][0]
    assert np.array_equal(both.image_map(row), both.image_map(row, feature="image", method="xrai"))
    with pytest.raises(InputError, match="not say what is inside `age`; it does of `image` by xrai"):
        both.parts("age")
    with pytest.raises(InputError, match="not say what is inside `image`; it does of `image` by xrai"):
        both.parts("image", method="shapley")


def test_regions_lie_where_the_model_looks(explanation: ExplanationReader) -> None:
    maps = density(explanation)
    assert maps.shape == (N, pictures.SIZE, pictures.SIZE)
    looked_at = np.zeros(maps.shape[1:], bool)
    looked_at[pictures.SQUARE] = True
    rows = explanation.attributions().sort_values("example_id")
    np.testing.assert_allclose(maps.sum(axis=(1, 2)), rows["attribution_image"], rtol=1e-5, atol=1e-6)
    # Regions are of the image, not of the square, so some of them stick out.
    inside = np.abs(maps[:, looked_at]).mean()
    assert inside > 3 * np.abs(maps[:, ~looked_at]).mean()


def assert_same_rows(made: ExplanationReader, expected: ExplanationReader) -> None:
    """To the last bit, in any order."""
    for frames in zip(*((one.attributions(), one.parts("image")) for one in (made, expected)), strict=True):
        first, second = (
            frame.sort_values([*frame.columns[frame.columns.isin(["example_id", "part"])]]) for frame in frames
        )
        assert first.reset_index(drop=True).equals(second.reset_index(drop=True))


def test_shards_do_not_show(tmp_path: Path, explanation: ExplanationReader, model: str) -> None:
    other = worlds.write_splits(tmp_path / "examples", pictures.make_rows, 32, N, 1)
    assert_same_rows(explained(tmp_path / "out", model, other), explanation)


def test_a_few_rows_at_a_time_are_explained_as_all_are(
    tmp_path: Path, explanation: ExplanationReader, model: str, examples: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures_of_a_row = 2 * (pictures.SIZE**2 + 1) * 2  # halves of the steps, references; the age is one more
    monkeypatch.setattr(explainer, "_FIGURES", 4 * figures_of_a_row)
    assert_same_rows(explained(tmp_path / "out", model, examples), explanation)


def test_slices_and_a_baseline_model_work(tmp_path: Path, model: str, examples: str) -> None:
    baseline = pictures.save(tmp_path / "baseline", pictures.planted)
    config = {**CONFIG, "slicing_specs": [{}, {"feature_keys": ["half"]}]}
    made = explained(tmp_path / "out", model, examples, config, baseline_model=baseline)
    assert set(made.importance["slice"]) == {"overall", "half=0", "half=1"}
    assert set(made.baseline_importance["method"]) == {"xrai"}
    np.testing.assert_allclose(made.attributions()["baseline_attribution_age"], 0.0, atol=1e-6)


def test_floats_of_a_fixed_shape_are_images_too(tmp_path: Path) -> None:
    def rows(n: int, seed: int) -> list[dict[str, Any]]:
        return [{"image": (pixels / 255.0).ravel().tolist()} for pixels in pictures.pixels_of(n, seed)]

    size = pictures.SIZE
    spec = {"image": tf.io.FixedLenFeature([size, size, 1], tf.float32)}
    model = worlds.save_serving_model(
        tmp_path / "model", lambda parsed: tf.reduce_sum(parsed["image"][:, :3] ** 2, axis=[1, 2, 3])[:, None], spec
    )
    examples = worlds.write_splits(tmp_path / "examples", rows, 16, 8)
    maps = density(explained(tmp_path / "out", model, examples))
    assert np.abs(maps[:, :3]).mean() > 3 * np.abs(maps[:, 3:]).mean()


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ({"xrai": {"feature": "picture"}}, "looks inside `picture`, which is no player of its own"),
        ({"xrai": {"feature": "age"}}, "makes no single tensor of shape"),
    ],
)
def test_what_is_no_image_is_refused(
    tmp_path: Path, model: str, examples: str, config: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ConfigError, match=sentence):
        explained(tmp_path / "out", model, examples, {**CONFIG, "methods": [config]})


def test_files_that_are_no_image_are_dead_letters(tmp_path: Path, model: str) -> None:
    larger = pictures.png(pictures.pixels_of(1, 9, 2 * pictures.SIZE)[0])

    def rows(n: int, seed: int) -> list[dict[str, Any]]:
        made = pictures.make_rows(n, seed)
        files = [made[0]["image"][:40], b"", larger] if seed else []
        # They come first, where models are tried before the job.
        return [*({**made[0], "image": file} for file in files), *made]

    examples = worlds.write_splits(tmp_path / "examples", rows, 32, N)
    made = explained(tmp_path / "out", model, examples, {**CONFIG, "max_failed_fraction": 0.5})
    assert made.manifest["counts"]["eval"]["explained"] == N
    assert len(made.dead_letters()) == 3


def test_more_figures_than_memory_holds_are_refused(
    tmp_path: Path, model: str, examples: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(method, "_MOST_FIGURES", 4 * pictures.SIZE**2 - 1)
    with pytest.raises(ConfigError, match=r"1 outputs at 12 x 12 pixels .* `model.classes` to `predicted`"):
        explained(tmp_path / "out", model, examples)


def coloured(height: int, width: int, mode: str, form: str = "PNG", n: int = 1) -> bytes:
    """A picture of coarse spots of any mode, or an animation of several."""
    channels = {"L": 1, "LA": 2, "P": 3, "1": 1}.get(mode, len(mode))
    rng, repeats = np.random.default_rng(height), np.ones((-(-height // 4), -(-width // 4), 1), np.uint8)
    frames = []
    for _ in range(n):
        coarse = rng.integers(0, 256, (*repeats.shape[:2], channels)).astype(np.uint8)
        pixels = np.repeat(np.repeat(coarse, 4, axis=0), 4, axis=1)[:height, :width]
        made = Image.fromarray(pixels[:, :, 0] if channels == 1 else pixels)
        frames.append(made.convert(mode) if mode in "P1" else made)
    if mode == "CMYK":
        frames = [Image.fromarray(pixels, "CMYK")]
    written = io.BytesIO()
    more = {"save_all": True, "append_images": frames[1:]} if n > 1 else {}
    frames[0].save(written, form, **more)
    return written.getvalue()


WHOLE = coloured(24, 24, "RGB")
DEEP = np.repeat(np.repeat(np.random.default_rng(3).integers(0, 2**16, (6, 6, 3)), 4, 0), 4, 1).astype(np.uint16)
# A file -> the size of its map, or the reason among the dead letters.
STRANGE: dict[str, tuple[Any, tuple[int, int] | str]] = {
    "one pixel": (coloured(1, 1, "RGB"), (1, 1)),
    "large": (coloured(1200, 900, "RGB"), (1200, 900)),
    "thin": (coloured(2, 1500, "RGB"), (2, 1500)),
    "grey": (coloured(24, 20, "L"), (24, 20)),
    "see-through": (coloured(24, 20, "RGBA"), (24, 20)),
    "grey and see-through": (coloured(24, 20, "LA"), (24, 20)),
    "inks": (coloured(24, 24, "CMYK", "JPEG"), (24, 24)),
    "16 bits": (pictures.png(DEEP), (24, 24)),
    "16 bits of grey": (pictures.png(DEEP[:, :, :1]), (24, 24)),
    "a palette": (coloured(24, 20, "P"), (24, 20)),
    "1 bit": (coloured(24, 20, "1"), (24, 20)),
    "moving": (coloured(16, 12, "RGB", "GIF", 3), (16, 12)),
    "moving PNG": (coloured(16, 12, "RGB", "PNG", 3), (16, 12)),
    "one colour": (pictures.png(np.full((9, 9, 3), 255, np.uint8)), (9, 9)),
    "cut off": (WHOLE[: len(WHOLE) // 2], "Invalid PNG data"),
    "cut off JPEG": (coloured(24, 24, "RGB", "JPEG")[:-200], "jpeg::Uncompress failed"),
    "a kind that the model does not read": (coloured(24, 24, "RGB", "TIFF"), "Unknown image file format"),
    "no bytes": (b"", "Input is empty"),
    "no image": (None, "is missing and the model has no default"),
    "two images": ([WHOLE, WHOLE], "has 2 values where the model takes 1"),
}


def of_any_size(parsed: dict[str, tf.Tensor]) -> tf.Tensor:
    """Looks at the middle of an image of any size and kind."""
    spec = tf.TensorSpec([8, 8, 3], tf.float32)

    def one(file: tf.Tensor) -> tf.Tensor:
        pixels = tf.cast(tf.io.decode_image(file, channels=3, expand_animations=False), tf.float32)
        return tf.ensure_shape(tf.image.resize(pixels / 255.0, [8, 8]), spec.shape)

    middle = tf.map_fn(one, parsed["image"], fn_output_signature=spec)[:, 2:6, 2:6]
    return tf.reduce_mean(tf.square(middle), axis=[1, 2, 3])[:, None] * tf.sigmoid(parsed["age"][:, None])


def test_strange_images_are_explained_or_dead_letters(tmp_path: Path) -> None:
    def rows(n: int, seed: int) -> list[dict[str, Any]]:
        strange = [{"image": file, "age": 0.5, "id": 100 + i} for i, (file, _) in enumerate(STRANGE.values())]
        good = [{"image": coloured(24, 24, "RGB"), "age": i / n, "id": i} for i in range(n)]
        return [*strange, *good]

    model = pictures.save(tmp_path / "model", of_any_size)
    config = {**CONFIG, "id_key": "id", "max_failed_fraction": 0.9}
    config["methods"] = [*CONFIG["methods"], "shapley", "integrated_gradients"]
    made = explained(tmp_path / "out", model, worlds.write_splits(tmp_path / "rows", rows, 8, 4), config)
    letters = [
        (tf.train.Example.FromString(record).features.feature["id"].int64_list.value[0], reason)
        for record, reason in made.dead_letters()[["record", "reason"]].itertuples(index=False)
    ]
    assert len(made.attributions()) + len(made.dead_letters().query("split == 'eval'")) == 4 + len(STRANGE)
    ask = tf.saved_model.load(model).signatures["serving_default"]
    sums = made.parts("image").groupby("example_id")["attribution"].sum()
    for i, (name, (file, expected)) in enumerate(STRANGE.items()):
        if isinstance(expected, str):
            assert expected in dict(letters)[100 + i], name
            continue
        answer = ask(examples=tf.constant([worlds.to_example({"image": file, "age": 0.5})]))["score"].numpy().item()
        for key in made.methods:
            row = made.attributions(method=key).set_index("example_id").loc[str(100 + i)]
            assert row["prediction"] == pytest.approx(answer, abs=1e-6), name
            total = row["attribution_image"] + row["attribution_age"]
            assert total == pytest.approx(answer - row["base_value"], abs=0.01 * (1 + abs(answer))), (name, key)
        assert made.image_map(str(100 + i)).shape == expected, name
        whole = made.attributions().set_index("example_id").loc[str(100 + i)]["attribution_image"]
        assert sums[str(100 + i)] == pytest.approx(whole, abs=1e-6), name
