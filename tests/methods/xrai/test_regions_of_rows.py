"""Regions of rows, found while gradients are taken."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from tfx_explain.methods.path_gradients.rows import PathEstimates
from tfx_explain.methods.xrai.explainer import XraiRows
from tfx_explain.methods.xrai.pixels import PixelRows
from tfx_explain.methods.xrai.regions_of_rows import region_rows, segments_of
from tfx_explain.part_records import PartRows
from tfx_explain.regions import decode_values

RNG = np.random.default_rng(0)
N, SIDE, CHANNELS, OUTPUTS = 4, 8, 3, 2
IMAGES = RNG.random((N, SIDE, SIDE, CHANNELS))
PIXELS = RNG.normal(size=(N, 2, SIDE * SIDE * CHANNELS, OUTPUTS))
PREDICTION = RNG.normal(size=(N, OUTPUTS))


def test_regions_add_up_to_what_pixels_add() -> None:
    found = region_rows(segments_of(IMAGES), PIXELS, PREDICTION)
    starts = np.cumsum(found.lengths) - found.lengths
    assert (np.add.reduceat(found.where[:, 0], starts) == SIDE**2).all()
    sums = np.add.reduceat(found.attributions, starts, axis=0)
    np.testing.assert_allclose(sums, PIXELS.mean(axis=1).sum(axis=1), rtol=1e-10)


def test_maps_of_pixels_are_kept_of_the_rows_that_were_drawn() -> None:
    kept = np.array([True, False, True, True])
    pixels = PIXELS.copy()
    pixels[2, 0, 5, 1] = np.nan
    found = region_rows(segments_of(IMAGES), pixels, PREDICTION, kept)
    assert found.pixels is not None
    assert (found.pixels != b"").all(axis=1).tolist() == [True, False, False, True]
    summed = PIXELS.mean(axis=1).reshape(N, SIDE, SIDE, CHANNELS, OUTPUTS).sum(axis=3)
    taken = PartRows.joined([found.take(np.array([3])), found.take(np.array([0]))])
    for place, row in enumerate((3, 0)):
        for output in range(OUTPUTS):
            values = decode_values(taken.pixels[place, output])
            step = np.abs(summed[row, ..., output]).max() / 32_767
            np.testing.assert_allclose(values, summed[row, ..., output], atol=0.5001 * step)


def test_rows_without_regions_have_no_attributions_and_others_keep_theirs() -> None:
    """A picture that cannot be cut up, though gradients say something of it, and one whose gradients say nothing."""
    images, pixels = IMAGES.copy(), PIXELS.copy()
    images[1, :2, 0, 0] = -1e308, 1e308
    pixels[2, 0, 5, 1] = np.nan
    whole = region_rows(segments_of(IMAGES), PIXELS, PREDICTION)
    found = region_rows(segments_of(images), pixels, PREDICTION)
    assert found.lengths.tolist() == [whole.lengths[0], 0, 0, whole.lengths[3]]
    expected = whole.take(np.array([0, 3]))
    np.testing.assert_array_equal(found.attributions, expected.attributions)

    weights = np.full(2, 0.5)
    made = XraiRows(PathEstimates.empty((N, 1, OUTPUTS), weights), np.ones(N, bool), PREDICTION.copy(), [], {})
    of_players = pixels.sum(axis=2, keepdims=True)
    with ThreadPoolExecutor(1) as thread:
        ranked = thread.submit(lambda: (region_rows(segments_of(images), pixels, PREDICTION), {1: "no region"}))
        made.add(np.arange(N), PixelRows(of_players, pixels, np.ones(N, bool), 0, PREDICTION), ranked, 0)
    assert sorted(made.estimates.errors()) == [1, 2]
    assert (made.errors()[1], made.errors()[2]) == ("no region", made.estimates.errors()[2])
