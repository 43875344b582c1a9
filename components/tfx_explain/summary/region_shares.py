"""How unevenly the attribution of an image lies on it: shares of its largest regions, and the area of half of it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tfx_explain.summary.ratio import Array

IntArray = npt.NDArray[np.int64]

MAX_RANK = 10
SHARE, AREA, HALF_AREA, NUM_REGIONS, NOISE = "share", "area", "half_area", "num_regions", "noise"
FIGURES = (
    *((SHARE, rank + 1) for rank in range(MAX_RANK)),
    *((AREA, rank + 1) for rank in range(MAX_RANK)),
    *((name, 0) for name in (HALF_AREA, NUM_REGIONS, NOISE)),
)
"""(measure, rank) of each figure of an image; rank 0 where it is of all regions."""

_MEAN_SIZE = np.sqrt(2 / np.pi)
"""Of standard normal noise."""


def region_shares(values: Array, std_errors: Array, pixels: Array, lengths: IntArray) -> Array:
    """`FIGURES` of n images, for K outputs.

    Args:
      values: (N, K) attributions of regions, those of an image one after the other.
      std_errors: (N, K) of these.
      pixels: (N,) of the regions; what has none, as what is left of an image without its regions, is no region.
      lengths: (n,) how many regions each image has.

    Returns:
      (n, q, K): `share` of the image's sum of |attribution| that its region of the largest, second largest, ...
      |attribution| has, and the `area` of that region as part of the image, 0 beyond its last one; `half_area`, the
      least area that holds half of that sum, taken from regions of the largest |attribution| per pixel on, of the last
      one a part; `num_regions`; and `noise`, what errors alone would make of the sum, as part of it, NaN where an error
      is not known. NaN, all of them, of images without any attribution.
    """
    rows, is_region = np.repeat(np.arange(len(lengths)), lengths), pixels > 0
    values, std_errors, pixels, rows = values[is_region], std_errors[is_region], pixels[is_region], rows[is_region]
    lengths = np.bincount(rows, minlength=len(lengths))
    made = np.full((len(lengths), len(FIGURES), values.shape[1]), np.nan)
    for output in range(values.shape[1]):
        made[..., output] = _of_output(np.abs(values[:, output]), std_errors[:, output], pixels, rows, lengths)
    return made


def _of_output(sizes: Array, errors: Array, pixels: Array, rows: IntArray, lengths: IntArray) -> Array:
    n = len(lengths)
    totals, areas = np.bincount(rows, sizes, minlength=n), np.bincount(rows, pixels, minlength=n)
    has_some = (totals > 0) & (areas > 0)
    whole, of_all = np.where(has_some, totals, 1.0), np.where(has_some, areas, 1.0)
    share, area = sizes / whole[rows], pixels / of_all[rows]
    made = np.zeros((n, len(FIGURES)))
    # Sorted within each image, so that places in the image are ranks.
    order = np.lexsort((-sizes, rows))
    rank = np.arange(len(rows)) - (np.cumsum(lengths) - lengths)[rows]
    first = rank < MAX_RANK
    made[rows[first], rank[first]] = share[order][first]
    made[rows[first], MAX_RANK + rank[first]] = area[order][first]
    made[:, 2 * MAX_RANK] = _half_area(share, area, rows, lengths)
    made[:, 2 * MAX_RANK + 1] = lengths
    made[:, 2 * MAX_RANK + 2] = np.bincount(rows, errors * _MEAN_SIZE, minlength=n) / whole
    made[~has_some] = np.nan
    return made


def _half_area(share: Array, area: Array, rows: IntArray, lengths: IntArray) -> Array:
    """(n,) the least area that holds half of each image's attribution."""
    order = np.lexsort((-share / area, rows))
    share, area = share[order], area[order]
    before = _before(share, rows, lengths)
    # Of each region as much as is still missing to a half.
    missing = np.clip(0.5 - before, 0.0, share)
    part = np.divide(missing, share, out=np.zeros_like(share), where=share > 0)
    return np.asarray(np.bincount(rows, part * area, minlength=len(lengths)), np.float64)


def _before(values: Array, rows: IntArray, lengths: IntArray) -> Array:
    """(N,) sums of the values before each one of the same row."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    starts = np.cumsum(lengths) - lengths
    return np.asarray(sums[:-1] - sums[starts][rows])
