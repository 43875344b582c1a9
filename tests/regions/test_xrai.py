import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from tfx_explain.errors import InputError
from tfx_explain.regions import RankedRegions, Segments, own_segments, rank_regions

RNG = np.random.default_rng(0)


def as_published(base: np.ndarray, segments: Segments, fast: bool) -> tuple[np.ndarray, np.ndarray]:
    """Heat map and ranks from 0, by looking at whole masks again for every region that is taken."""
    starts, pixels = segments.members
    masks = []
    for start, end in itertools.pairwise(starts):
        mask = np.zeros(base.shape, bool)
        mask.ravel()[pixels[start:end]] = True
        masks.append(mask)
    if fast:
        masks.sort(key=lambda mask: -base[mask].mean())
    heat, covered, taken = np.full(base.shape, np.nan), np.zeros(base.shape, bool), []
    while masks := [mask for mask in masks if (mask & ~covered).sum() >= segments.min_new_pixels]:
        means = [base[mask & ~covered].mean() for mask in masks]
        best = 0 if fast else int(np.argmax(means))
        new = masks[best] & ~covered
        taken.append((new, means[best]))
        heat[new] = means[best]
        covered |= new
        del masks[best]
    if not covered.all():
        heat[~covered] = base[~covered].mean()
    ranks = np.full(base.shape, len(taken))
    for rank, (new, _) in enumerate(sorted(taken, key=lambda piece: -piece[1])):
        ranks[new] = rank
    return heat, ranks


def random_segments(rng: np.random.Generator, shape: tuple[int, int], min_new_pixels: int, radius: float) -> Segments:
    """Patches of any form, of three sizes, some pixels in none of them."""
    maps = []
    for sigma, n_labels in ((1, 12), (2, 6), (3, 3)):
        noise = np.argsort(np.argsort(ndimage.gaussian_filter(rng.normal(size=shape), sigma).ravel()))
        labels = (noise * n_labels // noise.size).reshape(shape)
        maps.append(np.where(rng.random(shape) < 0.05, -1, labels).astype(np.int32))
    return Segments(tuple(maps), radius, min_new_pixels)


def attributions(rng: np.random.Generator, shape: tuple[int, int], kind: str) -> np.ndarray:
    """Of pixels; of most kinds many regions have the same mean, or one that only rounding tells apart."""
    noise = ndimage.gaussian_filter(rng.normal(size=shape), 1.5)
    return {
        "smooth": noise,
        "few values": np.round(3 * noise),
        "few values, in tenths": 0.1 * np.round(3 * noise),
        "constant": np.full(shape, 0.1),
        "nothing": np.zeros(shape),
        "one pixel": np.where(np.arange(noise.size).reshape(shape) == 7, 1e9, 0.1),
    }[kind]


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("kind", ["smooth", "few values", "few values, in tenths", "constant", "nothing", "one pixel"])
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32), min_new_pixels=st.integers(1, 12), radius=st.sampled_from([0.0, 1.0, 2.3]))
def test_regions_are_those_of_the_published_algorithm(
    kind: str, fast: bool, seed: int, min_new_pixels: int, radius: float
) -> None:
    """To the last bit, as equal means leave the choice to the order of the regions."""
    rng = np.random.default_rng(seed)
    shape = (int(rng.integers(6, 24)), int(rng.integers(6, 24)))
    base, segments = attributions(rng, shape, kind), random_segments(rng, shape, min_new_pixels, radius)
    found = rank_regions(base, segments, fast=fast)
    heat, ranks = as_published(base, segments, fast)
    np.testing.assert_array_equal(found.labels, ranks)
    np.testing.assert_array_equal(found.heat_map, heat)


def is_partition(found: RankedRegions, base: np.ndarray) -> bool:
    """Whether regions and what is said of them agree."""
    size = np.finfo(float).eps * base.size * np.abs(base).sum()
    sums = ndimage.sum_labels(base, found.labels, np.arange(len(found.sums)))
    np.testing.assert_array_equal(found.pixels, np.bincount(found.labels.ravel()))
    np.testing.assert_allclose(found.sums, sums, rtol=0, atol=size)
    return bool(abs(found.sums.sum() - base.sum()) <= size)


def test_regions_add_up_to_the_attribution_of_the_image() -> None:
    base = attributions(RNG, (20, 30), "smooth")
    found = rank_regions(base, random_segments(RNG, (20, 30), 5, 1.0))
    assert is_partition(found, base)
    assert len(found.sums) > 5


def test_what_no_region_takes_comes_last() -> None:
    found = rank_regions([[1.0, 2.0, 9.0]], own_segments([[0, 1, -1]]))
    assert found.labels.tolist() == [[1, 0, 2]]
    assert found.densities.tolist() == [2.0, 1.0, 9.0]


def test_an_image_without_regions_is_one() -> None:
    found = rank_regions([[1.0, 2.0]], own_segments([[-1, -1]]))
    assert found.labels.tolist() == [[0, 0]]
    assert found.sums.tolist() == [3.0]


def test_other_attributions_are_summed_over_the_same_regions() -> None:
    base, others = RNG.normal(size=(6, 5)), RNG.normal(size=(6, 5, 2, 3))
    found = rank_regions(base, own_segments(RNG.integers(0, 4, (6, 5))))
    sums = found.sums_of(others)
    for region in range(4):
        np.testing.assert_allclose(sums[region], others[found.labels == region].sum(axis=0), rtol=1e-12)
    np.testing.assert_allclose(found.sums_of(base), found.sums, rtol=1e-12)
    assert found.sums_of(np.zeros((6, 5, 0))).shape == (4, 0)
    with pytest.raises(InputError, match="cannot sum"):
        found.sums_of(np.zeros((5, 6)))


@pytest.mark.parametrize(
    ("base", "message"),
    [([[1.0], [2.0]], "cannot be ranked by"), ([[1.0, np.nan]], "not finite"), ([[1e308, 1e308]], "not finite")],
)
def test_what_cannot_be_ranked_is_refused(base: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        rank_regions(base, own_segments([[0, 1]]))
