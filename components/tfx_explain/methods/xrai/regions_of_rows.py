"""The regions of each row's image, ranked by what its pixels add."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tfx_explain.errors import InputError
from tfx_explain.methods.xrai.pixels import HALVES, combined
from tfx_explain.part_records import PartRows
from tfx_explain.regions import Segments, encode_labels, encode_values, find_segments, rank_regions

FloatArray = npt.NDArray[np.float64]


def segments_of(images: npt.NDArray[np.float32] | FloatArray) -> list[Segments | None]:
    """What n images (n, H, W) or (n, H, W, channels), as the model gets them, can be cut into.

    None of those whose values are not finite, or too large to be told apart.
    """
    return [_segments(image) for image in images]


def region_rows(
    segments: Sequence[Segments | None],
    pixels: FloatArray,
    prediction: FloatArray,
    kept: npt.NDArray[np.bool_] | None = None,
    shares: FloatArray = HALVES,
) -> PartRows:
    """Regions of n rows; none of rows that have no segments, or whose attributions are no numbers.

    Of several outputs, regions are ranked by the one with the largest prediction; attributions are of each.

    Args:
      segments: of the images (H, W).
      pixels: (n, G, w, c) what their columns add, by several estimates.
      prediction: (n, c).
      kept: (n,) of which rows the map of pixels is kept as well; None = of none.
      shares: (G,) of the estimates in their mean.
    """
    n, n_outputs = prediction.shape
    lengths, maps = np.zeros(n, np.int64), np.full(n, b"", object)
    kept_maps = None if kept is None else np.full((n, n_outputs), b"", object)
    where, sums, errors = [np.zeros(0, np.int64)], [np.zeros((0, n_outputs))], [np.zeros((0, n_outputs))]
    for row, of_row in enumerate(segments):
        if of_row is None or not np.isfinite(pixels[row]).all():
            continue
        # Channels of a pixel are added up, so that regions add up to what the image adds.
        estimates = pixels[row].reshape(len(shares), *of_row.shape, -1, n_outputs).sum(axis=3)
        middle, _ = combined(estimates, shares)
        ranked = rank_regions(middle[..., np.argmax(prediction[row])], of_row)
        if kept_maps is not None and kept is not None and kept[row]:
            kept_maps[row] = [encode_values(middle[..., output]) for output in range(n_outputs)]
        lengths[row], maps[row] = len(ranked.pixels), encode_labels(ranked.labels)
        where.append(ranked.pixels)
        sums.append(ranked.sums_of(middle))
        errors.append(combined(np.stack([ranked.sums_of(estimate) for estimate in estimates]), shares)[1])
    return PartRows(
        lengths, np.concatenate(where)[:, None], np.concatenate(sums), np.concatenate(errors), maps, kept_maps
    )


def _segments(image: npt.NDArray[np.float32] | FloatArray) -> Segments | None:
    try:
        return find_segments(image)
    except InputError:
        return None
