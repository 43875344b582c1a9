"""The regions of each row's image, ranked by what its pixels add."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tfx_explain.part_records import PartRows
from tfx_explain.regions import encode_labels, find_segments, rank_regions

FloatArray = npt.NDArray[np.float64]


def region_rows(images: npt.NDArray[np.float32] | FloatArray, pixels: FloatArray, prediction: FloatArray) -> PartRows:
    """Regions of n rows; none of rows whose attributions are no numbers.

    Of several outputs, regions are ranked by the one with the largest prediction; attributions are of each.

    Args:
      images: (n, H, W) or (n, H, W, channels), as the model gets them.
      pixels: (n, 2, w, c) what their columns add, by every other step and by the rest.
      prediction: (n, c).
    """
    n, n_outputs = prediction.shape
    shape = images.shape[1:]
    # Channels of a pixel are added up, so that regions add up to what the image adds.
    by_pixel = pixels.reshape(n, 2, *shape[:2], -1, n_outputs).sum(axis=4)
    lengths, maps = np.zeros(n, np.int64), np.full(n, b"", object)
    where, sums, errors = [np.zeros(0, np.int64)], [np.zeros((0, n_outputs))], [np.zeros((0, n_outputs))]
    for row in np.flatnonzero(np.isfinite(by_pixel).all(axis=(1, 2, 3, 4))):
        even, odd = by_pixel[row]
        middle = (even + odd) / 2
        ranked = rank_regions(middle[..., np.argmax(prediction[row])], find_segments(images[row]))
        lengths[row], maps[row] = len(ranked.pixels), encode_labels(ranked.labels)
        where.append(ranked.pixels)
        sums.append(ranked.sums_of(middle))
        errors.append(np.abs(ranked.sums_of((even - odd) / 2)))
    return PartRows(lengths, np.concatenate(where)[:, None], np.concatenate(sums), np.concatenate(errors), maps)
