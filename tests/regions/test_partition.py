"""Images cut into as many regions as asked for."""

import numpy as np
import numpy.typing as npt
import pytest
from scipy import ndimage

from tfx_explain.errors import InputError
from tfx_explain.regions.partition import find_partition, in_order

RNG = np.random.default_rng(0)


def squares(size: int, n: int) -> npt.NDArray[np.float64]:
    """A board of n x n fields of colours that are far apart."""
    fields = RNG.permutation(n * n).reshape(n, n).astype(np.float64)
    return np.kron(fields, np.ones((size // n, size // n)))


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((8, 8, 3)),
        RNG.random((8, 8)),
        squares(64, 4),
        RNG.random((64, 64, 5)),
        RNG.random((2, 900, 3)),
        np.zeros((3, 200)),
        RNG.random((1, 50, 3)),
        np.zeros((1, 1)),
        np.zeros((300, 400)),
    ],
    ids=lambda image: "x".join(map(str, image.shape)),
)
@pytest.mark.parametrize("n", [1, 7, 50, 128])
def test_there_are_as_many_regions_as_asked_for_or_one_a_pixel(image: npt.NDArray[np.float64], n: int) -> None:
    labels = find_partition(image, n)
    assert labels.size <= 224 * 224 * 1.01
    assert labels.shape == image.shape[:2] or image.shape[0] * image.shape[1] > 224 * 224
    assert np.unique(labels).tolist() == list(range(min(n, labels.size)))
    firsts = np.unique(labels, return_index=True)[1]
    assert (np.diff(firsts) > 0).all()


def test_fields_of_a_chessboard_are_regions() -> None:
    fields = np.indices((4, 4)).sum(axis=0) % 2
    labels = find_partition(np.kron(fields, np.ones((16, 16))), 16)
    expected = np.kron(np.arange(16).reshape(4, 4), np.ones((16, 16)))
    # A pixel where four fields meet is as near to one as to another.
    assert (labels != expected).sum() <= 9


def test_regions_of_an_image_of_one_colour_are_of_like_size_and_of_one_piece() -> None:
    labels = find_partition(np.ones((60, 60, 3)), 36)
    counts = np.bincount(labels.ravel())
    assert counts.max() <= 4 * counts.min()
    assert all(ndimage.label(labels == region)[1] == 1 for region in range(36))


def test_the_range_of_values_and_their_type_do_not_matter() -> None:
    image = RNG.integers(0, 256, (20, 30, 3)).astype(np.uint8)
    assert np.array_equal(find_partition(image, 40), find_partition(image / 255.0 * 2 - 1, 40))


@pytest.mark.parametrize(("image", "n"), [(np.full((4, 4), np.nan), 2), (np.zeros((4, 4)), 0), (np.zeros(4), 1)])
def test_what_is_no_image_is_refused(image: npt.NDArray[np.float64], n: int) -> None:
    with pytest.raises(InputError):
        find_partition(image, n)


def test_labels_are_numbered_by_their_first_pixels() -> None:
    assert in_order(np.array([[7, 7, 2], [0, 2, 7]])).tolist() == [[0, 0, 1], [2, 1, 0]]
