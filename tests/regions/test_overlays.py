import io

import numpy as np
import pytest
from PIL import Image

from tfx_explain.errors import InputError
from tfx_explain.regions import nearest, overlay
from tfx_explain.regions.overlays import colours_of

RNG = np.random.default_rng(0)
BLANK = np.full((1, 41), 90, np.uint8)


def drawn(*arguments: object, **settings: object) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(overlay(*arguments, **settings))))  # type: ignore[arg-type]


def lightness(colours: np.ndarray) -> np.ndarray:
    """CIE L* of sRGB colours (..., 3)."""
    linear = colours / 255
    linear = np.where(linear <= 0.04045, linear / 12.92, ((linear + 0.055) / 1.055) ** 2.4)
    luminance = linear @ [0.2126, 0.7152, 0.0722]
    return np.asarray(np.where(luminance > 0.008856, 116 * np.cbrt(luminance) - 16, 903.3 * luminance))


@pytest.mark.parametrize("signed", [False, True])
def test_higher_values_are_lighter(signed: bool) -> None:
    values = np.linspace(-2 if signed else 0, 2, 41)
    steps = np.diff(lightness(colours_of(values, signed=signed)))
    # From dark to light in even steps: none has less than half of its part.
    assert steps.min() > 0.5 * steps.mean()
    assert steps.sum() > 60
    assert (np.diff(lightness(drawn(BLANK, values[None], signed=signed)[0])) > 0).all()


def test_both_signs_have_colours_of_their_own() -> None:
    below, zero, above = colours_of(np.array([-3.0, 0.0, 3.0]))
    assert np.ptp(zero) == 0
    assert below[2] > below[0] + 50  # blue
    assert above[0] > above[2] + 50  # yellow


def test_the_same_limit_makes_maps_comparable() -> None:
    np.testing.assert_array_equal(colours_of(np.array([1.0]), limit=2.0), colours_of(np.array([1.0, 2.0]))[:1])
    np.testing.assert_array_equal(colours_of(np.array([5.0]), limit=2.0), colours_of(np.array([2.0])))
    np.testing.assert_array_equal(colours_of(np.array([-5.0]), signed=False), colours_of(np.zeros(1), signed=False))


def test_nothing_is_drawn_in_grey() -> None:
    for kind in (np.zeros((2, 3)), np.full((2, 3), -0.0)):
        assert np.ptp(drawn(RNG.integers(0, 256, (6, 9), np.uint8), kind), axis=2).max() == 0


def test_each_pixel_has_the_value_of_where_its_centre_is() -> None:
    values = RNG.normal(size=(3, 5))
    np.testing.assert_array_equal(nearest(values, (9, 10)), np.kron(values, np.ones((3, 2))))
    np.testing.assert_array_equal(nearest(np.kron(values, np.ones((3, 3))), (3, 5)), values)
    assert nearest(values, (1, 1)) == values[1, 2]
    labels = RNG.integers(0, 9, (7, 7)).astype(np.int32)
    assert nearest(labels, (224, 100)).dtype == np.int32
    assert set(nearest(labels, (224, 100)).ravel()) == set(labels.ravel())


@pytest.mark.parametrize(
    ("shape", "drawn_shape"),
    [((10, 20, 3), (10, 20)), ((3000, 1500, 3), (640, 320)), ((2, 5000), (1, 640)), ((1, 1, 1), (1, 1))],
)
def test_what_is_drawn_has_the_proportions_of_the_image_at_bounded_size(
    shape: tuple[int, ...], drawn_shape: tuple[int, int]
) -> None:
    assert drawn(np.zeros(shape, np.uint8), [[1.0, 2.0]]).shape == (*drawn_shape, 3)
    assert max(drawn(np.zeros(shape, np.uint8), [[1.0]], max_side=8).shape) <= 8


def test_the_map_is_where_the_image_is() -> None:
    values = np.zeros((4, 4))
    values[1, 2] = 1
    found = drawn(np.zeros((2000, 2000, 3), np.uint8), values)
    strong = found[:, :, 0].astype(int) - found[:, :, 2] > 50
    assert strong[160:320, 320:480].all()
    assert strong.sum() == 160 * 160


@pytest.mark.parametrize("kind", [np.float32, np.int16, np.float64])
def test_images_of_any_range_show_through(kind: type) -> None:
    ramp = np.linspace(-100, 100, 30)[None].astype(kind)
    for picture in (ramp, ramp[:, :, None], np.repeat(ramp[:, :, None], 4, axis=2)):
        grey = drawn(picture, [[0.0]])[0, :, 0].astype(int)
        assert (np.diff(grey) >= 0).all()
        assert grey[-1] - grey[0] > 50
    assert np.ptp(drawn(np.full((3, 3), 7, kind), [[0.0]])) == 0


def test_bytes_are_colours_as_they_are() -> None:
    for shape in ((2, 2), (2, 2, 1), (2, 2, 3), (2, 2, 4)):
        dark, light = (drawn(np.full(shape, value, np.uint8), [[0.0]])[0, 0, 0] for value in (10, 200))
        assert int(light) - dark == pytest.approx(0.3 * 190, abs=1)


@pytest.mark.parametrize(
    ("picture", "values", "message"),
    [
        (BLANK, [[np.nan]], "A map"),
        (BLANK, [1.0], "A map"),
        (BLANK, np.zeros((0, 2)), "A map"),
        ([[np.inf, 0.0]], [[1.0]], "not finite"),
        ([["a"]], [[1.0]], "An image"),
        (np.zeros((2, 2, 3, 1)), [[1.0]], "An image"),
    ],
)
def test_what_cannot_be_drawn_is_refused(picture: object, values: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        overlay(picture, values)


@pytest.mark.parametrize("limit", [-1.0, np.nan, np.inf])
def test_a_limit_that_is_none_is_refused(limit: float) -> None:
    with pytest.raises(InputError, match="strongest colour"):
        overlay(BLANK, [[1.0]], limit=limit)


def test_largest_and_smallest_numbers_are_drawn() -> None:
    np.testing.assert_array_equal(drawn([[-1e308, 1e308]], [[-1e308, 1e308]]), drawn([[0, 1]], [[-5e-324, 5e-324]]))
    np.testing.assert_array_equal(drawn(BLANK, [[1e308]], limit=1e-308), drawn(BLANK, [[1.0]]))
    assert np.ptp(drawn(BLANK, [[0.0]], limit=0.0)) == 0
