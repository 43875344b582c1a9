"""The regions of each row's image, ranked by what its pixels add."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tfx_explain.methods.xrai.pixels import PixelRows
from tfx_explain.part_records import PartRows
from tfx_explain.regions import encode_labels, find_segments, rank_regions

FloatArray = npt.NDArray[np.float64]


def region_rows(images: npt.NDArray[np.float32] | FloatArray, found: PixelRows, prediction: FloatArray) -> PartRows:
    """Regions of n rows.

    Of several outputs, regions are ranked by the one with the largest prediction; attributions are of each.

    Args:
      images: (n, H, W) or (n, H, W, channels), as the model gets them.
      found: what the pixels of the rows add.
      prediction: (n, c).
    """
    n, n_outputs = prediction.shape
    shape = images.shape[1:]
    # Channels of a pixel are added up, so that regions add up to what the image adds.
    by_pixel = found.pixels.reshape(n, 2, *shape[:2], -1, n_outputs).sum(axis=4)
    lengths, pixels, sums, errors, maps = np.zeros(n, np.int64), [], [], [], np.empty(n, object)
    for row in range(n):
        even, odd = by_pixel[row]
        middle = (even + odd) / 2
        ranked = rank_regions(middle[..., np.argmax(prediction[row])], find_segments(images[row]))
        lengths[row] = len(ranked.pixels)
        pixels.append(ranked.pixels)
        sums.append(ranked.sums_of(middle))
        errors.append(np.abs(ranked.sums_of((even - odd) / 2)))
        maps[row] = encode_labels(ranked.labels)
    nothing = np.zeros((0, n_outputs))
    where = np.concatenate([np.zeros(0, np.int64), *pixels])[:, None]
    return PartRows(lengths, where, np.concatenate([nothing, *sums]), np.concatenate([nothing, *errors]), maps)
