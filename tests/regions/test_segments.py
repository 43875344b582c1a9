import sys

import numpy as np
import pytest
from scipy import ndimage
from skimage import data, transform
from sklearn.datasets import load_digits
from sklearn.metrics import adjusted_rand_score

from tfx_explain.errors import ConfigError, InputError
from tfx_explain.regions import Segments, find_segments, nearest, own_segments
from tfx_explain.regions.segments import SCALES

RNG = np.random.default_rng(0)


def masks(segments: Segments) -> np.ndarray:
    """(n, H, W) which pixels each region has."""
    starts, pixels = segments.members
    held = np.zeros((len(starts) - 1, *segments.shape), bool)
    for mask, start, end in zip(held, starts[:-1], starts[1:], strict=True):
        mask.ravel()[pixels[start:end]] = True
        assert (np.diff(pixels[start:end]) > 0).all()
    return held


@pytest.mark.parametrize("radius", [0.5, 1.0, 2.5, 5.0])
@pytest.mark.parametrize("lowest", [0, -1])
def test_regions_are_dilated_by_a_disk(radius: float, lowest: int) -> None:
    labels = np.kron(RNG.integers(lowest, 4, (5, 7)), np.ones((3, 3), int))[:, 1:].astype(np.int32)
    reach = np.arange(-5, 6)
    disk = reach[:, None] ** 2 + reach**2 <= radius**2
    expected = [ndimage.binary_dilation(labels == label, disk) for label in range(4)]
    np.testing.assert_array_equal(masks(Segments((labels,), radius, 1)), expected)


def test_a_photograph_has_regions_at_every_scale() -> None:
    found = find_segments(data.astronaut()[::2, ::2])
    assert [labels.shape for labels in found.maps] == [(256, 256)] * len(SCALES)
    numbers = [labels.max() + 1 for labels in found.maps]
    assert min(numbers) > 10
    assert numbers[-1] < numbers[0]


def test_a_small_photograph_has_the_regions_of_the_large_one() -> None:
    """Where the large one has them, at least as well as when it is enlarged first, and about as many."""
    agreements, numbers = [], []
    for photograph in (data.astronaut(), data.chelsea(), data.coffee(), data.rocket()):
        large = transform.resize(photograph, (224, 224), anti_aliasing=True)
        small = transform.resize(large, (64, 64), anti_aliasing=True)
        maps = [find_segments(image).maps for image in (large, small, transform.resize(small, (224, 224), order=3))]
        for expected, own, enlarged in zip(*maps, strict=True):
            reference, other = (nearest(labels, (64, 64)).ravel() for labels in (expected, enlarged))
            agreements.append([adjusted_rand_score(reference, labels) for labels in (own.ravel(), other)])
            numbers.append([expected.max() + 1, own.max() + 1])
    ours, of_enlarged = np.mean(agreements, axis=0)
    assert ours > of_enlarged
    of_large, of_small = np.sum(numbers, axis=0)
    assert of_large / 1.5 < of_small < 1.5 * of_large


def test_neither_range_nor_kind_of_numbers_matters() -> None:
    small = data.astronaut()[::8, ::8]
    expected = find_segments(small).maps
    for image in (small / 255.0, small.astype(np.float32) * 4 - 7, small.astype(np.int16) - 300):
        different = [np.mean(a != b) for a, b in zip(find_segments(image).maps, expected, strict=True)]
        assert max(different) < 0.05  # rounding may turn a pixel


@pytest.mark.parametrize("shape", [(224, 224), (112, 448), (256, 256), (96, 128), (24, 36)])
def test_the_smallest_region_is_a_part_of_the_image(shape: tuple[int, int]) -> None:
    """Each region at the size that it was found at has 150 pixels of 224 x 224, so 0.3 % of any image."""
    found = find_segments(ndimage.gaussian_filter(RNG.normal(size=(*shape, 3)), (1, 1, 0)))
    area = shape[0] * shape[1]
    sizes = [np.bincount(labels.ravel()).min() for labels in found.maps]
    bound = 150 / 224**2 * area
    # Where the image is brought to another size, a pixel at an edge may fall to either side.
    edge = 0 if area == 224**2 else 4 * np.sqrt(bound) * max(1, np.sqrt(area) / 224)
    assert min(sizes) >= max(1, bound - edge)
    assert found.radius == pytest.approx(5 * np.sqrt(area) / 224)
    assert found.min_new_pixels == max(1, round(50 / 224**2 * area))


def test_pictures_of_digits_have_regions() -> None:
    for image in load_digits().images[:3]:
        found = find_segments(image)
        assert found.maps[0].max() >= 5
        assert found.min_new_pixels == 1
        # Not one of them takes a pixel of another of its scale.
        assert len(found.members[1]) == 64 * len(SCALES)


@pytest.mark.parametrize("shape", [(1, 1), (8, 8), (30, 20, 3), (1, 5, 4)])
def test_an_image_of_one_colour_is_one_region(shape: tuple[int, ...]) -> None:
    found = find_segments(np.full(shape, 0.1))
    np.testing.assert_array_equal(masks(found), np.ones((1, *shape[:2]), bool))


@pytest.mark.parametrize("shape", [(1, 2), (2, 1), (1, 300), (2000, 1), (3, 3, 1), (16, 16, 2), (16, 16, 7)])
def test_every_pixel_of_any_image_is_in_a_region(shape: tuple[int, ...]) -> None:
    found = find_segments(RNG.normal(size=shape))
    assert found.shape == shape[:2]
    for labels in found.maps:
        np.testing.assert_array_equal(np.unique(labels), np.arange(labels.max() + 1))


def test_colours_far_apart_are_different_regions() -> None:
    image = np.zeros((20, 30, 3), np.uint8)
    image[:, 12:] = 255
    for labels in find_segments(image).maps:
        assert set(labels[:, :10].ravel()).isdisjoint(labels[:, 14:].ravel())


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((0, 3)), np.zeros(4), np.zeros((2, 2, 3, 1)), [["a"]], [[1.0, np.nan]], [[1.0, -np.inf]],
        [[1e308, -1e308]], np.zeros((2, 2), complex),
    ],
)  # fmt: skip
def test_what_is_no_image_is_refused(image: object) -> None:
    with pytest.raises(InputError, match="An image"):
        find_segments(image)


def test_own_labels_are_the_regions() -> None:
    labels = np.array([[2**40, 7, -3], [7, -1, 2**40]])
    expected = [[[0, 1, 0], [1, 0, 0]], [[1, 0, 0], [0, 0, 1]]]
    found = own_segments(labels)
    np.testing.assert_array_equal(masks(found), np.array(expected, bool))
    assert found.is_disjoint
    assert found.min_new_pixels == 1
    assert len(masks(own_segments([[True, False]]))) == 2
    assert len(masks(own_segments([[-1, -1]]))) == 0


@pytest.mark.parametrize("labels", [[1, 2], [[1.0, 2.0]], np.zeros((0, 2), int), np.arange(2**16)[None]])
def test_what_is_no_label_map_is_refused(labels: object) -> None:
    with pytest.raises(InputError, match="A label map"):
        own_segments(labels)


def test_without_scikit_image_one_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "skimage.segmentation", None)
    with pytest.raises(ConfigError, match=r"pip install 'tfx-explain\[images\]'"):
        find_segments(np.eye(224))
