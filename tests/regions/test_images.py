import io
import sys
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tfx_explain.errors import ConfigError, InputError, UnreadableImageError
from tfx_explain.regions import decode_image, decode_labels, decode_values, encode_labels, encode_values

RNG = np.random.default_rng(0)
COLOURS = RNG.integers(0, 256, (9, 12, 3)).astype(np.uint8)


def written(picture: Image.Image, kind: str, **how: Any) -> bytes:
    data = io.BytesIO()
    picture.save(data, kind, **how)
    return data.getvalue()


@pytest.mark.parametrize(("kind", "how"), [("PNG", {}), ("WEBP", {"lossless": True}), ("BMP", {})])
@pytest.mark.parametrize("shape", [(1, 1), (9, 12)])
def test_colours_are_those_that_were_written(kind: str, how: dict[str, Any], shape: tuple[int, int]) -> None:
    colours = COLOURS[: shape[0], : shape[1]]
    np.testing.assert_array_equal(decode_image(written(Image.fromarray(colours), kind, **how)), colours)


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize("progressive", [False, True])
def test_photographs_keep_their_colours(mode: str, progressive: bool) -> None:
    smooth = np.kron(COLOURS[:2, :2], np.ones((16, 16, 1), np.uint8))
    picture = Image.fromarray(smooth).convert(mode)
    found = decode_image(written(picture, "JPEG", quality=95, subsampling=0, progressive=progressive))
    assert np.abs(found.astype(int) - np.asarray(picture.convert("RGB"))).mean() < 3


@pytest.mark.parametrize("mode", ["1", "L", "P"])
def test_grey_and_palettes_become_colours(mode: str) -> None:
    picture = Image.fromarray(COLOURS).convert(mode)
    np.testing.assert_array_equal(decode_image(written(picture, "PNG")), np.asarray(picture.convert("RGB")))


def test_of_16_bits_the_upper_8_remain() -> None:
    deep = np.array([[0, 255, 256, 32768, 65535]], np.uint16)
    np.testing.assert_array_equal(decode_image(encode_labels(deep))[0, :, 0], [0, 0, 1, 128, 255])


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "GIF"])
def test_what_is_transparent_is_white(kind: str) -> None:
    colours = np.zeros((4, 4, 4), np.uint8)
    colours[:2, :, 3] = 255
    found = decode_image(written(Image.fromarray(colours), kind))
    assert found[0, 0].tolist() == [0, 0, 0]
    assert found[3, 3].tolist() == [255, 255, 255]


def test_half_transparent_is_half_white() -> None:
    assert decode_image(written(Image.new("LA", (1, 1), (0, 128)), "PNG")).tolist() == [[[127] * 3]]


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_of_an_animation_the_first_picture_counts(kind: str) -> None:
    first, second = (Image.fromarray(np.full((4, 4), value, np.uint8)) for value in (255, 0))
    found = decode_image(written(first, kind, save_all=True, append_images=[second]))
    np.testing.assert_array_equal(found, np.full((4, 4, 3), 255))


def test_pictures_lie_as_they_are_stored() -> None:
    turned = Image.Exif()
    turned[0x0112] = 6
    assert decode_image(written(Image.fromarray(COLOURS), "JPEG", exif=turned)).shape == COLOURS.shape


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP"])
def test_a_part_of_a_picture_is_refused_or_whole(kind: str) -> None:
    data = written(Image.fromarray(COLOURS), kind)
    whole, refused = decode_image(data), 0
    for length in range(len(data)):
        try:
            np.testing.assert_array_equal(decode_image(data[:length]), whole)
        except UnreadableImageError:
            refused += 1
    assert refused > 0.8 * len(data)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP"])
def test_damaged_pictures_raise_nothing_else(kind: str) -> None:
    data = np.frombuffer(written(Image.fromarray(COLOURS), kind), np.uint8)
    for _ in range(100):
        damaged = data.copy()
        damaged[RNG.integers(0, len(data), 3)] = RNG.integers(0, 256, 3)
        try:
            assert decode_image(damaged.tobytes(), max_pixels=10_000).shape[2] == 3
        except UnreadableImageError:
            continue


@pytest.mark.parametrize(
    "data", [b"", b"no picture", b"\x89PNG\r\n\x1a\n", b"<svg xmlns='http://www.w3.org/2000/svg'/>"]
)
def test_what_is_no_picture_is_refused(data: bytes) -> None:
    with pytest.raises(UnreadableImageError, match="An image"):
        decode_image(data)


def test_a_huge_picture_is_refused_before_it_is_unpacked() -> None:
    """A few bytes may say that they are more pixels than memory holds."""
    header = written(Image.new("1", (1, 1)), "PNG")
    for side in (8_000, 10_000, 60_000):
        size = side.to_bytes(4, "big") * 2
        chunk = b"IHDR" + size + header[24:29]
        huge = header[:12] + chunk + zlib.crc32(chunk).to_bytes(4, "big") + header[33:]
        with pytest.raises(UnreadableImageError, match="more than 50,000,000"):
            decode_image(huge)
    with pytest.raises(UnreadableImageError, match="12 x 9 pixels, more than 107"):
        decode_image(written(Image.fromarray(COLOURS), "PNG"), max_pixels=107)
    assert decode_image(written(Image.fromarray(COLOURS), "PNG"), max_pixels=108).shape == (9, 12, 3)


@pytest.mark.parametrize("kind", [np.int32, np.uint16, np.int64])
def test_labels_come_back(kind: type) -> None:
    labels = np.append(RNG.integers(0, 2**16, 58), [0, 2**16 - 1]).reshape(4, 15).astype(kind)
    np.testing.assert_array_equal(decode_labels(encode_labels(labels)), labels)
    assert decode_labels(encode_labels([[3]])).tolist() == [[3]]


@pytest.mark.parametrize("labels", [[[-1]], [[2**16]], [[1.0]], [1], np.zeros((0, 3), int)])
def test_other_labels_are_refused(labels: object) -> None:
    with pytest.raises(InputError, match="abel"):
        encode_labels(labels)


def test_other_pictures_are_no_label_maps() -> None:
    data = encode_labels(RNG.integers(0, 9, (20, 20)))
    for other in (b"", data[:-40], written(Image.fromarray(COLOURS), "PNG"), written(Image.fromarray(COLOURS), "JPEG")):
        with pytest.raises(UnreadableImageError, match="A label map"):
            decode_labels(other)


def test_without_pillow_one_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    with pytest.raises(ConfigError, match=r"pip install 'tfx-explain\[images\]'"):
        encode_labels([[1]])


def test_figures_come_back_to_half_a_step() -> None:
    values = np.random.default_rng(0).normal(size=(9, 7))
    values[0, 0] = 0.0
    found = decode_values(encode_values(values))
    assert np.abs(found - values).max() <= 0.5001 * np.abs(values).max() / 32_767
    assert found[0, 0] == 0.0
    assert np.abs(found).max() == pytest.approx(np.abs(values).max(), rel=1e-12)
    assert decode_values(encode_values(np.zeros((2, 3)))).tolist() == [[0.0] * 3] * 2
    tiny = decode_values(encode_values([[5e-324, 0.0]]))
    assert np.isfinite(tiny).all()


@pytest.mark.parametrize("values", [np.zeros(3), np.zeros((0, 3)), np.array([[np.nan]])])
def test_what_is_no_map_of_figures_is_refused(values: np.ndarray) -> None:
    with pytest.raises(InputError, match="A map of pixels is an array"):
        encode_values(values)


@pytest.mark.parametrize("damage", ["no scale", "half", "rubbish"])
def test_maps_of_figures_that_are_none_are_told(damage: str) -> None:
    data = encode_values(np.random.default_rng(0).random((20, 20)))
    wrong = {"no scale": encode_labels([[1]]), "half": data[: len(data) // 2], "rubbish": b"GIF89a"}[damage]
    with pytest.raises(UnreadableImageError, match="is no whole PNG"):
        decode_values(wrong)
